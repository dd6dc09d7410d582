"""The release of the paper's authors, or a part of it, as maps and traces; what cannot be used is told, not fatal.

Hamdi & Ghanem 2020 (arXiv 1904.04621) released `checkpoint/NETWORK/CLASS/OBJECT/{map,optim}.pt`, class and object from
0 to 9, networks named as in `NETWORKS`. A map.pt is a dict of `xx` (azimuth), `yy` (elevation), `z` (score), all
(34, 120), `class_nb`, `shape_id` and `network_name`. An optim.pt is a dict of `initial_point` (a list of S start points
(2,)), `class_nb`, `shape_id`, `network_name`, and for each method (`naive`, `OIR_B`, `OIR_W`) a dict of three lists
with one entry a start point: `regions` (the final region), `optim_trace` (a list of (lower, upper) before each step; it
may be empty) and `loss_trace`.

A part of the release may hold final regions in files `regions*.csv` beside `checkpoint` (columns `CSV_COLUMNS`). They
are those of the `regions` in optim.pt, one step after the last row of its trace, and stand in where optim.pt is absent.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from semrob_env.containment import inside
from semrob_env.errors import MissingFileError, RefusedFileError
from semrob_env.recorded.maps import ScoreMaps
from semrob_env.recorded.pickle_names import Box
from semrob_env.recorded.pickles import parse_legacy, read_bounded
from semrob_env.recorded.release_files import (
    AZIMUTHS,
    CLASSES,
    CSV_COLUMNS,
    ELEVATIONS,
    FOLDER,
    METHOD_KEYS,
    NETWORKS,
    OBJECTS,
    Place,
    agree,
    csv_run,
    grid_scores,
    identity,
    losses_of,
    method_parts,
    start_points,
    trace_rows,
)
from semrob_env.recorded.traces import METHODS, SPACE, ReleaseTraces, Run, join_runs
from semrob_env.types import Float32Array, FloatArray


@final
@dataclass(frozen=True)
class Problem:
    """What could not be used, or is not there."""

    path: str  # the file or folder, from the folder of the release
    reason: str  # one line
    is_missing: bool = False  # it is not there; otherwise it is there and cannot be used

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@final
@dataclass(frozen=True, eq=False)
class Release:
    """What was read."""

    maps: ScoreMaps | None  # the maps; None: there is none
    traces: ReleaseTraces  # final regions and traces of the runs, maybe none
    problems: tuple[Problem, ...]  # what could not be used or is missing


def read_release(
    folder: str | os.PathLike[str],
    *,
    with_traces: bool = True,
    on_object: Callable[[int, int], None] | None = None,
) -> Release:
    """Read a release, or a part of it.

    Args:
        folder: What holds `checkpoint`, or `checkpoint` itself.
        with_traces: Whether to read optim.pt and regions*.csv.
        on_object: Told after each object how many of how many are read.

    Raises:
        MissingFileError: There is no `checkpoint`.
        RefusedFileError: Nothing in it can be used.
    """
    given = Path(folder)
    checkpoint = given / "checkpoint"
    if not checkpoint.is_dir():
        checkpoint = given
        if given.absolute().name != "checkpoint" or not given.is_dir():
            raise MissingFileError(f"no folder 'checkpoint' in {given}; give the folder of the paper's release")
    reader = _Reader(checkpoint.absolute().parent)
    places = list(reader.places())
    for done, place in enumerate(places, 1):
        reader.read_map(place)
        if with_traces:
            reader.read_runs(place)
        if on_object is not None:
            on_object(done, len(places))
    if with_traces:
        for path in sorted(reader.root.glob("regions*.csv")):
            reader.read_csv(path)
    release = reader.release()
    if release.maps is None and not len(release.traces):
        first = f"; the first problem: {release.problems[0]}" if release.problems else ""
        raise RefusedFileError(f"no map or run in {given} can be used{first}")
    return release


@final
class _Reader:
    """Collects what the files of the release hold."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._problems: list[Problem] = []
        self._maps: dict[str, tuple[Float32Array, dict[str, str]]] = {}
        self._runs: dict[tuple[str, str, int], Run] = {}
        self._no_runs: list[Place] = []
        self._shape_ids: dict[tuple[int, int], tuple[str, str]] = {}

    def places(self) -> Iterator[Place]:
        """Every object that is there; what is absent or does not belong is told."""
        for network in self._children("checkpoint", NETWORKS, FOLDER):
            for class_number in self._children(f"checkpoint/{network}", [str(k) for k in range(len(CLASSES))]):
                inner = f"checkpoint/{network}/{class_number}"
                for number in self._children(inner, [str(k) for k in range(OBJECTS)]):
                    yield Place(f"{inner}/{number}", network, int(class_number), int(number))

    def _children(self, path: str, expected: Sequence[str], others: re.Pattern[str] | None = None) -> list[str]:
        """Folders in a folder: the expected ones in their order, then those that the pattern allows."""
        try:
            found = sorted(entry.name for entry in self._target(path).iterdir() if entry.is_dir())
        except RefusedFileError as error:
            self._tell(path, str(error))
            return []
        except OSError as error:
            self._tell(path, f"cannot be read: {error.strerror or error}")
            return []
        for name in expected:
            if name not in found:
                self._tell(f"{path}/{name}", "absent", is_missing=True)
        more = [name for name in found if name not in expected and not name.startswith(".")]
        for name in more:
            if others is None or not others.fullmatch(name):
                self._tell(f"{path}/{name}", f"not read; expected are {expected[0]} to {expected[-1]}")
        return [
            *(name for name in expected if name in found),
            *(name for name in more if others and others.fullmatch(name)),
        ]

    def _target(self, path: str) -> Path:
        """Where a file or folder of the release lies; its `checkpoint` may be a link, what is in it leads nowhere else.

        Raises:
            RefusedFileError: It leads outside by a link.
        """
        top, _, below = path.partition("/")
        return inside(self.root / top, below) if below else self.root / top

    def _tell(self, path: str, reason: str, *, is_missing: bool = False) -> None:
        self._problems.append(Problem(ascii(path)[1:-1], " ".join(reason.split()), is_missing))

    def read_map(self, place: Place) -> None:
        """Keep the map of an object, or tell why not."""
        path = f"{place.path}/map.pt"
        try:
            data = read_bounded(self._target(path))
            value = parse_legacy(data)
            shape_id = identity(value, place)
            scores = grid_scores(value)
        except MissingFileError:
            self._tell(path, "absent", is_missing=True)
            return
        except RefusedFileError as error:
            self._tell(path, str(error))
            return
        self._check_shape(place, path, shape_id)
        facts = {
            "shape_id": shape_id,
            "class_number": str(place.class_number),
            "feed": "unnormalized",
            "source": path,
            "source_sha256": hashlib.sha256(data).hexdigest(),
        }
        self._maps[place.name] = scores, facts

    def read_runs(self, place: Place) -> None:
        """Keep the runs of an object, or tell why not."""
        path = f"{place.path}/optim.pt"
        try:
            value = parse_legacy(read_bounded(self._target(path)))
            shape_id = identity(value, place)
            starts = start_points(value)
        except MissingFileError:
            self._no_runs.append(place)
            return
        except RefusedFileError as error:
            self._tell(path, str(error))
            return
        self._check_shape(place, path, shape_id)
        for key, method in METHOD_KEYS.items():
            try:
                for start, (region, trace, loss) in enumerate(method_parts(value, key, len(starts))):
                    self._add(path, place.name, method, start, starts[start], region, trace, loss)
            except RefusedFileError as error:
                self._tell(path, str(error))

    def _add(
        self,
        path: str,
        name: str,
        method: str,
        start: int,
        start_point: FloatArray,
        region: object,
        trace: object,
        loss: object,
    ) -> None:
        what = f"{method}, start {start}"
        if not isinstance(region, Box) or region.lower.shape != (SPACE.n,):
            self._tell(path, f"{what}: no final region of {SPACE.n} parameters")
            return
        rows, losses = trace_rows(trace), losses_of(loss)
        if rows is None:
            self._tell(path, f"{what}: the trace is no list of (lower, upper); left out")
            rows = np.empty((0, 2 * SPACE.n))
        if losses is None:
            self._tell(path, f"{what}: the losses are no list of numbers; left out")
            losses = np.empty(0)
        run = Run(name, method, start, start_point, region.lower, region.upper, len(rows), rows, losses, path)
        self._runs[name, method, start] = run

    def _check_shape(self, place: Place, path: str, shape_id: str) -> None:
        known, source = self._shape_ids.setdefault((place.class_number, place.number), (shape_id, path))
        if known != shape_id:
            self._tell(path, f"is of shape {shape_id}, {source} of shape {known}; kept")

    def read_csv(self, path: Path) -> None:
        """Final regions of a CSV file: kept where optim.pt gave none, compared where it did."""
        source = path.relative_to(self.root).as_posix()
        try:
            reader = csv.DictReader(io.StringIO(read_bounded(inside(self.root, source)).decode("utf-8-sig")))
            rows = [(reader.line_num, row) for row in reader]
        except (RefusedFileError, UnicodeError, csv.Error) as error:
            self._tell(source, f"not read: {error}")
            return
        if not rows or not set(CSV_COLUMNS) <= set(rows[0][1]):
            self._tell(source, f"not read: needs columns {','.join(CSV_COLUMNS)}")
            return
        wrong: list[int] = []
        for line, row in rows:
            run = csv_run(row, source)
            if run is None:
                wrong.append(line)
                continue
            known = self._runs.setdefault((run.name, run.method, run.start), run)
            if not agree(known, run):
                self._tell(source, f"line {line}: differs from {known.source}, which is kept")
        if wrong:
            self._tell(source, f"line {wrong[0]} cannot be read, {len(wrong)} of {len(rows)} in all; left out")

    def release(self) -> Release:
        """What was collected."""
        by_object: dict[str, str] = {}
        for run in self._runs.values():
            by_object.setdefault(run.name, run.source)
        for place in self._no_runs:
            source = by_object.get(place.name)
            reason = f"absent; final regions without traces from {source}" if source else "absent"
            self._tell(f"{place.path}/optim.pt", reason, is_missing=True)
        maps = None
        if self._maps:
            maps = ScoreMaps(
                SPACE,
                (AZIMUTHS, ELEVATIONS),
                np.array([scores for scores, _ in self._maps.values()]),
                tuple(self._maps),
                tuple(facts for _, facts in self._maps.values()),
            )
        runs = [self._runs[key] for key in sorted(self._runs, key=_order)]
        return Release(maps, join_runs(runs), tuple(self._problems))


def _order(key: tuple[str, str, int]) -> tuple[int, str, int, int, int, int]:
    """Networks as in the paper, then others by name; classes by number."""
    network, class_name, number = key[0].split("/")
    rank = NETWORKS.index(network) if network in NETWORKS else len(NETWORKS)
    return rank, network, CLASSES.index(class_name), int(number), METHODS.index(key[1]), key[2]
