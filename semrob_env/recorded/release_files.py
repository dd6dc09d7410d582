"""What one file of the release of the paper's authors says, after checking that it says it in the form of the release.

Raised errors tell what is wrong with a file, not which one it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from semrob_env.errors import RefusedFileError
from semrob_env.parameters import PAPER_STARTS
from semrob_env.recorded.traces import METHODS, SPACE, Run
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
class Place:
    """One object of the release."""

    path: str  # its folder, from the folder of the release
    network: str  # the network that its files are about
    class_number: int  # the number of its class
    number: int  # its own number within the class

    @property
    def name(self) -> str:
        """The name of its map."""
        return f"{self.network}/{CLASSES[self.class_number]}/{self.number}"


def identity(value: object, place: Place) -> str:
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
