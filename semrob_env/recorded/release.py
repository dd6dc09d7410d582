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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from semrob_env.containment import inside
from semrob_env.errors import MissingFileError, RefusedFileError
from semrob_env.parameters import PAPER_STARTS
from semrob_env.recorded.maps import ScoreMaps
from semrob_env.recorded.pickles import Box, parse_legacy, read_bounded
from semrob_env.recorded.traces import METHODS, SPACE, ReleaseTraces, Run, join_runs
from semrob_env.scene.classes import CLASS_INDEX
from semrob_env.types import Float32Array, FloatArray

NETWORKS: Final = ("AlexNet", "VGG", "ResNet50", "Inceptionv3")
"""Networks of the release, in the order of the paper; folders of other names are read as well."""

CLASSES: Final = tuple(CLASS_INDEX)  # classes of the release by their number
OBJECTS: Final = 10  # shapes of each class

AZIMUTHS: FloatArray = np.array([3.0 * line for line in range(120)])
ELEVATIONS: FloatArray = np.array([3.0 * line - 10.0 for line in range(34)])
"""Grid lines of the released maps in degrees."""

CSV_COLUMNS: Final = (
    *("network", "class", "object", "method", "start"),
    *("azimuth_low", "azimuth_high", "elevation_low", "elevation_high", "steps_recorded"),
)

METHOD_KEYS: Final[Mapping[str, str]] = dict(zip(("naive", "OIR_B", "OIR_W"), METHODS, strict=True))
"""Our name of each method, by that of the release."""

FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,99}")  # names of network folders that are read

_SHAPE_ID = re.compile(r"[!-~]{1,200}")
_COUNT = re.compile(r"[0-9]{1,6}")
_ROUNDING = 1e-6  # how far a float32 softmax may round beyond 1
_AGREE = 1e-9  # largest relative difference of a bound in a CSV file from that in optim.pt


@final
@dataclass(frozen=True)
class ReleasePlace:
    """One object of the release."""

    path: str  # its folder, from the folder of the release
    network: str  # the network that its files are about
    class_number: int  # the number of its class
    number: int  # its own number within the class

    @property
    def name(self) -> str:
        """The name of its map."""
        return f"{self.network}/{CLASSES[self.class_number]}/{self.number}"


def identity(value: object, place: ReleasePlace) -> str:
    """The shape of a file, after checking that it is about the object in whose folder it lies.

    Raises:
        RefusedFileError: It is not, or does not say.
    """
    if type(value) is not dict:
        raise RefusedFileError(f"holds a {type(value).__name__}, not a dict")
    expected = {"class_nb": place.class_number, "network_name": place.network}
    for key, right in expected.items():
        if type(value.get(key)) is not type(right) or value[key] != right:
            raise RefusedFileError(f"{key} is {_short(value.get(key))}, its folder says {right!r}")
    shape_id = value.get("shape_id")
    if type(shape_id) is not str or not _SHAPE_ID.fullmatch(shape_id):
        raise RefusedFileError(f"shape_id is {_short(shape_id)}, must be a text without blanks")
    return shape_id


def _short(value: object) -> str:
    return f"{value!a:.60}" if isinstance(value, (str, int)) else f"a {type(value).__name__}"


def grid_scores(value: Any) -> Float32Array:
    """The scores of a map (120, 34), azimuth first, after checking its axes.

    Raises:
        RefusedFileError: Other axes, sizes or types, or scores that are no numbers between 0 and 1.
    """
    shape = len(ELEVATIONS), len(AZIMUTHS)
    for key in ("xx", "yy", "z"):
        array = value.get(key)
        if not isinstance(array, np.ndarray) or array.shape != shape:
            told = f"an array {array.shape}" if isinstance(array, np.ndarray) else _short(array)
            raise RefusedFileError(f"{key} is {told}, must be an array {shape}")
    with np.errstate(invalid="ignore"):
        for key, axis in (("xx", AZIMUTHS), ("yy", ELEVATIONS[:, np.newaxis])):
            if not (value[key] == axis).all():
                raise RefusedFileError(f"{key} holds other grid lines than {axis.flat[0]:g}, {axis.flat[1]:g}, ...")
        scores = value["z"]
        if scores.dtype != np.float32:
            raise RefusedFileError(f"z holds {scores.dtype}, must hold float32")
        if not (scores.min() >= 0 and scores.max() <= 1 + _ROUNDING):  # NaN fails as well
            raise RefusedFileError("z holds scores that are no numbers between 0 and 1")
    return np.ascontiguousarray(np.minimum(scores, np.float32(1)).T)


def start_points(value: Any) -> list[FloatArray]:
    """The start points (2,) of the runs in a file.

    Raises:
        RefusedFileError: There are none, or other things.
    """
    points = value.get("initial_point")
    if type(points) is not list or not points or not all(map(_is_point, points)):
        raise RefusedFileError("initial_point must be a list of start points (azimuth, elevation)")
    return list(_as_float(points))


def _is_point(point: object) -> bool:
    return isinstance(point, np.ndarray) and point.shape == (SPACE.n,) and point.dtype.kind in "fiu"


def method_parts(value: Any, key: str, starts: int) -> Iterator[tuple[object, object, object]]:
    """Final region, trace and losses of each start point, unchecked.

    Raises:
        RefusedFileError: The method is not there, or not for every start point.
    """
    entry = value.get(key)
    if type(entry) is not dict:
        raise RefusedFileError(f"no method {key}")
    parts = [entry.get(part) for part in ("regions", "optim_trace", "loss_trace")]
    if not all(type(part) is list and len(part) == starts for part in parts):
        raise RefusedFileError(f"{key} does not hold one region, trace and list of losses for each of {starts} starts")
    return zip(*parts, strict=True)


def trace_rows(trace: object) -> FloatArray | None:
    """Lower, then upper bounds before each step (T, 4); None: it is no trace."""
    if type(trace) is not list or not all(type(row) is tuple and len(row) == 2 for row in trace):
        return None
    ends = [end for row in trace for end in row]
    if not all(map(_is_point, ends)):
        return None
    return _as_float(ends).reshape(len(trace), 2 * SPACE.n)


def _as_float(points: Sequence[Any]) -> FloatArray:
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        return np.array(points, dtype=np.float64)


def losses_of(loss: object) -> FloatArray | None:
    """The loss at each step (L,); None: it is no list of numbers."""
    if type(loss) is not list or not all(type(value) is float for value in loss):
        return None
    return np.array(loss, dtype=np.float64)


def csv_run(row: dict[str, str], source: str) -> Run | None:
    """A row of a CSV file as a run; None: it cannot be read.

    The files name start points by number only: they are those of the paper.
    """
    try:
        counts = [row[column] for column in ("object", "start", "steps_recorded")]
        bounds = [float(row[column]) for column in CSV_COLUMNS[5:9]]
        if not (FOLDER.fullmatch(row["network"]) and all(map(_COUNT.fullmatch, counts)) and row["class"] in CLASSES):
            return None
        number, start, steps = map(int, counts)
        method, start_point = METHOD_KEYS[row["method"]], SPACE.point(PAPER_STARTS[start])
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    if number >= OBJECTS:
        return None
    lower, upper = np.array(bounds[0::2]), np.array(bounds[1::2])
    name = f"{row['network']}/{row['class']}/{number}"
    nothing = np.empty((0, 2 * SPACE.n))
    return Run(name, method, start, start_point, lower, upper, steps, nothing, np.empty(0), source)


def agree(one: Run, other: Run) -> bool:
    """Whether two sources tell the same final region and number of steps."""
    return one.steps == other.steps and all(
        np.allclose(ours, theirs, rtol=_AGREE, atol=_AGREE, equal_nan=True)
        for ours, theirs in ((one.lower, other.lower), (one.upper, other.upper))
    )


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
        self._no_runs: list[ReleasePlace] = []
        self._shape_ids: dict[tuple[int, int], tuple[str, str]] = {}

    def places(self) -> Iterator[ReleasePlace]:
        """Every object that is there; what is absent or does not belong is told."""
        for network in self._children("checkpoint", NETWORKS, FOLDER):
            for class_number in self._children(f"checkpoint/{network}", [str(k) for k in range(len(CLASSES))]):
                inner = f"checkpoint/{network}/{class_number}"
                for number in self._children(inner, [str(k) for k in range(OBJECTS)]):
                    yield ReleasePlace(f"{inner}/{number}", network, int(class_number), int(number))

    def _children(self, path: str, expected: Sequence[str], others: re.Pattern[str] | None = None) -> list[str]:
        """Folders in a folder: the expected ones in their order, then those that the pattern allows."""
        try:
            found = sorted(entry.name for entry in self._target(path).iterdir() if entry.is_dir())
        except (RefusedFileError, OSError) as error:
            told = f"cannot be read: {error.strerror or error}" if isinstance(error, OSError) else str(error)
            self._tell(path, told)
            return []
        for name in expected:
            if name not in found:
                self._tell(f"{path}/{name}", "absent", is_missing=True)
        chosen = [name for name in expected if name in found]
        for name in found:
            if others and others.fullmatch(name) and name not in expected:
                chosen.append(name)
            elif name not in expected and not name.startswith("."):
                self._tell(f"{path}/{name}", f"not read; expected are {expected[0]} to {expected[-1]}")
        return chosen

    def _target(self, path: str) -> Path:
        """Where a file or folder of the release lies; its `checkpoint` may be a link, what is in it leads nowhere else.

        Raises:
            RefusedFileError: It leads outside by a link.
        """
        top, _, below = path.partition("/")
        return inside(self.root / top, below) if below else self.root / top

    def _tell(self, path: str, reason: str, *, is_missing: bool = False) -> None:
        self._problems.append(Problem(ascii(path)[1:-1], " ".join(reason.split()), is_missing))

    def read_map(self, place: ReleasePlace) -> None:
        """Keep the map of an object, or tell why not."""
        if not self._read(place, "map.pt", self._take_map):
            self._tell(f"{place.path}/map.pt", "absent", is_missing=True)

    def read_runs(self, place: ReleasePlace) -> None:
        """Keep the runs of an object, or tell why not."""
        if not self._read(place, "optim.pt", self._take_runs):
            self._no_runs.append(place)

    def _read(self, place: ReleasePlace, name: str, take: Callable[[ReleasePlace, str, bytes, Any], None]) -> bool:
        """Whether a file of an object is there; what it holds is taken, or told why not."""
        path = f"{place.path}/{name}"
        try:
            data = read_bounded(self._target(path))
            take(place, path, data, parse_legacy(data))
        except MissingFileError:
            return False
        except RefusedFileError as error:
            self._tell(path, str(error))
        return True

    def _take_map(self, place: ReleasePlace, path: str, data: bytes, value: Any) -> None:
        shape_id = identity(value, place)
        scores = grid_scores(value)
        self._check_shape(place, path, shape_id)
        facts = {
            "shape_id": shape_id,
            "class_number": str(place.class_number),
            "feed": "unnormalized",
            "source": path,
            "source_sha256": hashlib.sha256(data).hexdigest(),
        }
        self._maps[place.name] = scores, facts

    def _take_runs(self, place: ReleasePlace, path: str, data: bytes, value: Any) -> None:
        del data
        shape_id = identity(value, place)
        starts = start_points(value)
        self._check_shape(place, path, shape_id)
        for key, method in METHOD_KEYS.items():
            try:
                parts = method_parts(value, key, len(starts))
            except RefusedFileError as error:
                self._tell(path, str(error))
                continue
            for start, (region, trace, loss) in enumerate(parts):
                what = f"{method}, start {start}"
                if not isinstance(region, Box) or region.lower.shape != (SPACE.n,):
                    self._tell(path, f"{what}: no final region of {SPACE.n} parameters")
                    continue
                rows, losses = trace_rows(trace), losses_of(loss)
                if rows is None:
                    self._tell(path, f"{what}: the trace is no list of (lower, upper); left out")
                    rows = np.empty((0, 2 * SPACE.n))
                if losses is None:
                    self._tell(path, f"{what}: the losses are no list of numbers; left out")
                    losses = np.empty(0)
                bounds = region.lower, region.upper
                run = Run(place.name, method, start, starts[start], *bounds, len(rows), rows, losses, path)
                self._runs[place.name, method, start] = run

    def _check_shape(self, place: ReleasePlace, path: str, shape_id: str) -> None:
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
        by_object = {run.name: run.source for run in reversed(self._runs.values())}
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
