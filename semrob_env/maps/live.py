"""The map of any score function on a regular grid, asked point by point, kept when interrupted.

An unfinished map lies beside its place, as `.NAME.unfinished`: one .npz without pickles (`write_arrays`) with the
scores so far and the hash of all that defines them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidMapsError, InvalidParameterError, MissingFileError
from semrob_env.files import output_folder
from semrob_env.functions import ScoreFunction, split_options
from semrob_env.parameters import SemanticSpace
from semrob_env.recorded import ScoreMaps, load_maps, save_maps
from semrob_env.recorded.file import read_arrays, write_arrays
from semrob_env.scene.classifiers.names import COMPLEMENT, split_subject
from semrob_env.types import Float32Array, FloatArray, IntArray

PAPER_STEP_DEG = 3.0
"""Grid of the paper's maps: azimuth 0, 3 .. 357 and elevation -10, -7 .. 89, 120 x 34 lines (method section 4)."""

MOST_POINTS = 2**24  # most points of one call, all maps together: 64 MiB of scores

_FORMAT, _VERSION = "semrob unfinished maps", 1
_CHUNK = 64  # points asked at once; what an interrupt loses at most
_SAVE_SECONDS = 10.0  # what a kill loses at most
_SAFE = "/:.-_;=,+"


def map_steps(space: SemanticSpace, degrees: float) -> list[float]:
    """Steps of a map by one number: that of angles, in degrees; of anything else a thirtieth of its range."""
    widths = zip(space.parameters, space.width.tolist(), strict=True)
    return [degrees if parameter.unit == "deg" else width / 30 for parameter, width in widths]


def map_axes(space: SemanticSpace, step: npt.ArrayLike = PAPER_STEP_DEG) -> tuple[FloatArray, ...]:
    """Grid lines of each parameter, every `step` native units from its low end, at least 2 lines.

    A periodic axis covers its turn, by the number of steps nearest to `step`; a plain one ends at the last line that
    fits: 3 degrees give the paper's 120 x 34 lines.

    Args:
        space: The space.
        step: One for all parameters, or one a parameter.

    Raises:
        InvalidParameterError: A step not above 0, wider than half of its range, or not one a parameter.
    """
    steps = np.array(step, dtype=np.float64)
    steps = np.full(space.n, float(steps)) if steps.ndim == 0 else steps
    if steps.shape != (space.n,):
        raise InvalidParameterError(f"{steps.size} steps for {space.n} parameters; give one, or one a parameter")
    axes = []
    for parameter, width, own in zip(space.parameters, space.width.tolist(), steps.tolist(), strict=True):
        if not 0 < own <= width / 2:
            raise InvalidParameterError(
                f"map step {own:g} of {parameter.name}: give a step above 0 and at most half of {parameter.interval}"
            )
        if width / own > MOST_POINTS:
            raise InvalidParameterError(f"map step {own:g} of {parameter.name}: too many points; give a larger one")
        if parameter.period is not None:
            axes.append(np.linspace(parameter.low, parameter.high, max(2, round(width / own)), endpoint=False))
        else:
            axes.append(parameter.low + own * np.arange(math.floor(width / own * (1 + 1e-12)) + 1))
    return tuple(axes)


def map_name(member_id: str) -> str:
    """The name NETWORK/CLASS/SHAPE of the map of a function, from its id.

    `scene:NETWORK/CLASS/SHAPE?options` and `recorded:NETWORK/CLASS/SHAPE` keep theirs; options that change the scores
    go with the network, for example `resnet50;feed=unnormalized/cup/procedural:3`, their slashes as `%2F`. A
    `complement(...)` has a network `complement-...`. Other ids become SCHEME/NAME/OPTIONS, what a name may not hold
    being percent-encoded.
    """
    if member_id.startswith("complement(") and member_id.endswith(")"):
        return f"{COMPLEMENT}{map_name(member_id[len('complement(') : -1])}"
    scheme, colon, _ = member_id.partition(":")
    if not colon:
        return f"function/{_quoted(member_id.replace('/', '-'))}/0"
    body, options = split_options(member_id)
    parts = split_subject(body)
    if parts is not None:
        kept = {name: value for name, value in options.items() if name not in ("params", "file")}
        # A slash in an option would end the network.
        changed = [f";{name}={value.replace('/', '%2F')}" for name, value in kept.items()]
        return "/".join([_quoted(parts[0] + "".join(changed)), *map(_quoted, parts[1:])])
    shape = ";".join(f"{name}={value}" for name, value in options.items()) or "0"
    return f"{_quoted(scheme)}/{_quoted(body.replace('/', '-'))}/{_quoted(shape.replace('/', '-'))}"


def live_maps(
    function: ScoreFunction,
    axes: Sequence[FloatArray],
    *,
    names: Sequence[str] | None = None,
    file: str | os.PathLike[str] | None = None,
    on_points: Callable[[int], None] | None = None,
) -> ScoreMaps:
    """The maps of all members of a function, asked outside any oracle: no method is charged for them.

    A NaN is kept as the worst score, as an oracle tells it; its number is in the facts.

    Args:
        function: The function; any n.
        axes: Grid lines (P_k,) of each parameter, as `map_axes` gives them.
        names: NETWORK/CLASS/SHAPE of each member; None: `map_name` of its id.
        file: Where the maps are to lie, as `save_maps` writes them. If these very maps lie there already they are read
            and nothing is asked. Unfinished work is kept beside it every few seconds and when the call is interrupted,
            and the next call goes on from there; for a function without fingerprints neither is done.
        on_points: Called with the number of points that are done, for progress; on resuming it starts above 0.

    Raises:
        InvalidMapsError: Axes or names that do not fit, or more than `MOST_POINTS` points.
        OutputError: The file cannot be written.
    """
    lines = tuple(np.array(axis, dtype=np.float64) for axis in axes)
    counts = tuple(len(axis) for axis in lines)
    if function.members * math.prod(counts) > MOST_POINTS:
        raise InvalidMapsError(
            f"{function.members} maps of {' x '.join(map(str, counts))} points: at most {MOST_POINTS} points; "
            "give a larger step, or fewer functions"
        )
    low, high = function.score_range
    facts = [{"function": name, **f} for name, f in zip(function.member_ids, function.fingerprints, strict=True)]
    # Made before any query: it checks names and axes.
    maps = ScoreMaps(
        function.space,
        lines,
        np.full((function.members, *counts), _float32(np.array([low]), low, high)[0]),
        tuple(names) if names is not None else tuple(map_name(name) for name in function.member_ids),
        tuple(facts),
        function.score_range,
    )
    target = Path(file) if file is not None and all(function.fingerprints) else None
    if target is not None:
        output_folder(target.parent)
        stored = _stored(target, maps)
        if stored is not None:
            if on_points is not None:
                on_points(maps.scores.size)
            return stored
    scores, nan = _asked(function, maps, target, on_points)
    facts = [{**fact, "nan": str(count)} if count else fact for fact, count in zip(facts, nan.tolist(), strict=True)]
    maps = ScoreMaps(maps.space, lines, scores, maps.names, tuple(facts), maps.score_range)
    if file is not None:
        output_folder(Path(file).parent)
        save_maps(maps, file)
    if target is not None:
        unfinished_file(target).unlink(missing_ok=True)
    return maps


def unfinished_file(file: str | os.PathLike[str]) -> Path:
    """Where unfinished work for a file of maps is kept."""
    return Path(file).with_name(f".{Path(file).name}.unfinished")


def _asked(
    function: ScoreFunction, maps: ScoreMaps, target: Path | None, on_points: Callable[[int], None] | None
) -> tuple[Float32Array, IntArray]:
    """Scores of all points, and the number of NaN among them a member."""
    points_each = maps.scores[0].size
    scores, nan, done = np.array(maps.scores).reshape(-1), np.zeros(function.members, dtype=np.int64), 0
    if target is not None:
        done = _resumed(target, maps, scores, nan)
    grid = np.stack(np.meshgrid(*maps.axes, indexing="ij"), axis=-1).reshape(-1, maps.space.n)
    saved = time.monotonic()
    try:
        while done < scores.size:
            if on_points is not None:
                on_points(done)
            member, first = divmod(done, points_each)
            values = function.values(grid[None, first : first + _CHUNK], [member])[0]
            is_nan = np.isnan(values)
            worst = np.where(is_nan, maps.score_range[0], values)
            scores[done : done + len(values)] = _float32(worst, *maps.score_range)
            nan[member] += is_nan.sum()
            done += len(values)
            if target is not None and time.monotonic() - saved > _SAVE_SECONDS:
                _keep(target, maps, scores, nan, done)
                saved = time.monotonic()
    except BaseException:
        if target is not None and done > 0:
            _keep(target, maps, scores, nan, done)
        raise
    if on_points is not None:
        on_points(done)
    return scores.reshape(maps.scores.shape), nan


def _float32(values: FloatArray, low: float, high: float) -> Float32Array:
    """Scores as they are stored; rounding must not leave the score range."""
    rounded = values.astype(np.float32)
    rounded = np.where(rounded > high, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    return np.asarray(np.where(rounded < low, np.nextafter(rounded, np.float32(np.inf)), rounded))


def _stored(file: Path, maps: ScoreMaps) -> ScoreMaps | None:
    """The maps in the file, if they are those that `maps` (without scores) stands for."""
    try:
        stored = load_maps(file)
    except (MissingFileError, InvalidMapsError):
        return None
    facts = [{name: value for name, value in fact.items() if name != "nan"} for fact in stored.facts]
    is_same = (stored.space, stored.names, facts) == (maps.space, maps.names, list(maps.facts))
    return stored if is_same and all(map(np.array_equal, stored.axes, maps.axes)) else None


def _keep(file: Path, maps: ScoreMaps, scores: Float32Array, nan: IntArray, done: int) -> None:
    header = {"format": _FORMAT, "version": _VERSION, "key": _key(maps)}
    write_arrays(unfinished_file(file), header, {"scores": scores[:done], "nan": nan})


def _resumed(file: Path, maps: ScoreMaps, scores: Float32Array, nan: IntArray) -> int:
    """Fills in what is kept of these very maps; the number of points that are done."""
    try:
        header, arrays = read_arrays(unfinished_file(file), _FORMAT, _VERSION)
        kept, kept_nan = arrays["scores"], arrays["nan"]
    except (MissingFileError, InvalidMapsError, KeyError):
        return 0
    if header.get("key") != _key(maps) or kept.ndim != 1 or kept.size > scores.size or kept_nan.shape != nan.shape:
        return 0
    scores[: kept.size], nan[:] = kept.astype(np.float32), kept_nan.astype(np.int64)
    return kept.size


def _key(maps: ScoreMaps) -> str:
    """Hash of all that defines the scores: the functions with their fingerprints, names and grid."""
    parts = [[dict(sorted(fact.items())) for fact in maps.facts], list(maps.names), list(maps.score_range)]
    text = json.dumps([*parts, [vars(parameter) for parameter in maps.space.parameters]], sort_keys=True)
    key = hashlib.sha256(text.encode())
    for axis in maps.axes:
        key.update(f"{len(axis)}/".encode() + axis.astype("<f8").tobytes())
    return key.hexdigest()


def _quoted(text: str) -> str:
    # What is percent-encoded already stays as it is.
    return quote(text, safe=f"{_SAFE}%#")
