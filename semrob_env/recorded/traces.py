"""Final regions and traces of the optimization runs that the paper's authors recorded, as a value and a file.

The file is a compressed .npz without pickles. Format, version 1. Arrays in the zip, for R runs whose traces have T and
whose losses have L rows in all: `start` (R,) int64, `start_point` (R, 2), `lower` and `upper` (R, 2), `steps` (R,)
int64, `trace_end` (R,) int64, `trace` (T, 4) (lower, then upper bounds), `loss_end` (R,) int64, `loss` (L,); numbers
without a type are float64. `header`, a JSON text: format, version, names, methods, sources. Run i owns the rows of
`trace` from `trace_end[i - 1]` (or 0) up to `trace_end[i]`, and those of `loss` likewise.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidMapsError
from semrob_env.parameters import SemanticSpace
from semrob_env.recorded.file import read_arrays, write_arrays
from semrob_env.types import BoolArray, FloatArray, IntArray

FORMAT, VERSION = "semrob traces", 1

SPACE = SemanticSpace.of("azimuth,elevation")  # the space of the release
METHODS = ("naive", "oir_b", "oir_w")  # the methods of the release, by our names

_COUNTS, _POINTS = ("start", "steps", "trace_end", "loss_end"), ("start_point", "lower", "upper")
_TEXTS = ("names", "methods", "sources")
_ARRAYS = ("start", *_POINTS, "steps", "trace_end", "trace", "loss_end", "loss")  # in the order of the file


@final
@dataclass(frozen=True, eq=False)
class ReleaseTraces:
    """R recorded runs, bounds in degrees of (azimuth, elevation), kept as recorded: NaN, infinite or out of the space.

    A trace holds the bounds before each step, so its first row is the region around the start point, and the final
    region, after the last step, is none of its rows.

    Attributes:
        names: Per run, the name of its map, NETWORK/CLASS/OBJECT.
        methods: Per run, one of `METHODS`.
        start: Per run, the number of its start point (R,). Name, method and start together are unique.
        start_point: (R, 2) degrees.
        lower: Final lower bounds (R, 2).
        upper: Final upper bounds (R, 2).
        steps: Steps that the release has a trace of (R,), 0: none.
        trace_end: Where the trace of each run ends in `trace` (R,). A trace has `steps` rows, or none where only the
            final region was at hand.
        trace: Lower, then upper bounds before each step (T, 4).
        loss_end: Where the losses of each run end in `loss` (R,).
        loss: The method's loss at each step (L,).
        sources: Per run, the file that it is from.

    Raises:
        InvalidMapsError: Arrays or names that do not fit.
    """

    names: tuple[str, ...]
    methods: tuple[str, ...]
    start: IntArray
    start_point: FloatArray
    lower: FloatArray
    upper: FloatArray
    steps: IntArray
    trace_end: IntArray
    trace: FloatArray
    loss_end: IntArray
    loss: FloatArray
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        runs = len(self.names)
        if not len(self.methods) == len(self.sources) == runs:
            raise InvalidMapsError(f"{runs} runs need as many methods and sources")
        if len(set(zip(self.names, self.methods, self.start.tolist(), strict=False))) != runs:
            raise InvalidMapsError("two runs have the same map, method and start point")
        unknown = set(self.methods) - set(METHODS)
        if unknown:
            raise InvalidMapsError(f"unknown method {min(unknown)!r}; known are {', '.join(METHODS)}")
        shapes = dict.fromkeys(_COUNTS, (runs,)) | dict.fromkeys(_POINTS, (runs, SPACE.n))
        shapes |= {"trace": (self.trace_end.max(initial=0), 2 * SPACE.n), "loss": (self.loss_end.max(initial=0),)}
        for field in _ARRAYS:
            values, shape, is_count = getattr(self, field), shapes[field], field in _COUNTS
            if values.shape != shape or values.dtype != (np.int64 if is_count else np.float64):
                raise InvalidMapsError(f"{field} is {values.dtype} of shape {values.shape}, must be {shape}")
            if is_count and values.min(initial=0) < 0:
                raise InvalidMapsError(f"{field} holds a negative number")
            values = values.view()
            values.setflags(write=False)
            object.__setattr__(self, field, values)
        lengths = np.diff(self.trace_end, prepend=0)
        if not ((lengths == 0) | (lengths == self.steps)).all() or np.diff(self.loss_end, prepend=0).min(initial=0) < 0:
            raise InvalidMapsError("the ends of traces and losses do not rise with the steps of the runs")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def is_finite(self) -> BoolArray:
        """Per run, whether all four final bounds are numbers (R,)."""
        return np.asarray(np.isfinite(self.lower).all(axis=1) & np.isfinite(self.upper).all(axis=1))

    @property
    def is_inside(self) -> BoolArray:
        """Per run, whether the final region lies in the space (R,): at most one turn, no elevation outside."""
        with np.errstate(invalid="ignore"):
            turn = self.upper[:, 0] - self.lower[:, 0] <= SPACE.width[0]
        plain = (self.lower[:, 1] >= SPACE.low[1]) & (self.upper[:, 1] <= SPACE.high[1])
        return np.asarray(self.is_finite & turn & plain)

    @property
    def has_trace(self) -> BoolArray:
        """Per run, whether its trace is here (R,)."""
        return np.asarray(np.diff(self.trace_end, prepend=0) > 0)

    def trace_of(self, run: int) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds before each step, (T, 2) each; T may be 0."""
        rows = self.trace[_begin(self.trace_end, run) : self.trace_end[run]]
        return rows[:, : SPACE.n], rows[:, SPACE.n :]

    def loss_of(self, run: int) -> FloatArray:
        """Losses at each step (L,); L may be 0."""
        return self.loss[_begin(self.loss_end, run) : self.loss_end[run]]


def _begin(ends: IntArray, run: int) -> int:
    return int(ends[run - 1]) if run else 0


@final
@dataclass(frozen=True, eq=False)
class Run:
    """One recorded run, before many are joined; see `ReleaseTraces`."""

    name: str
    method: str
    start: int
    start_point: FloatArray
    lower: FloatArray
    upper: FloatArray
    steps: int
    trace: FloatArray
    loss: FloatArray
    source: str


def join_runs(runs: Sequence[Run]) -> ReleaseTraces:
    """Runs as one value, in the order given.

    Raises:
        InvalidMapsError: They do not fit each other.
    """
    points: dict[str, Any] = {f: np.array([getattr(run, f) for run in runs]).reshape(-1, SPACE.n) for f in _POINTS}
    return ReleaseTraces(
        names=tuple(run.name for run in runs),
        methods=tuple(run.method for run in runs),
        start=np.array([run.start for run in runs], dtype=np.int64),
        steps=np.array([run.steps for run in runs], dtype=np.int64),
        trace_end=np.cumsum([len(run.trace) for run in runs], dtype=np.int64),
        trace=np.concatenate([np.empty((0, 2 * SPACE.n)), *(run.trace for run in runs)]),
        loss_end=np.cumsum([len(run.loss) for run in runs], dtype=np.int64),
        loss=np.concatenate([np.empty(0), *(run.loss for run in runs)]),
        sources=tuple(run.source for run in runs),
        **points,
    )


def save_traces(traces: ReleaseTraces, path: str | os.PathLike[str]) -> Path:
    """Write traces to a file, whole or not at all; equal traces give equal bytes.

    Raises:
        OutputError: The file cannot be written.
    """
    texts = {field: list(getattr(traces, field)) for field in _TEXTS}
    header = {"format": FORMAT, "version": VERSION, **texts}
    arrays: dict[str, npt.NDArray[Any]] = {field: getattr(traces, field) for field in _ARRAYS}
    return write_arrays(path, header, arrays)


def load_traces(path: str | os.PathLike[str]) -> ReleaseTraces:
    """Read a file of traces.

    Raises:
        MissingFileError: There is no such file; `scripts/import_recorded.py` writes it.
        InvalidMapsError: It is not a file of traces, of another version, too large, or damaged.
    """
    header, arrays = read_arrays(path, FORMAT, VERSION)
    try:
        texts: dict[str, Any] = {field: tuple(header[field]) for field in _TEXTS}
        if not all(isinstance(text, str) for part in texts.values() for text in part):
            raise InvalidMapsError("names, methods and sources must be text")
        columns: dict[str, Any] = {field: arrays[field] for field in _ARRAYS}
        return ReleaseTraces(**texts, **columns)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidMapsError(f"{path}: damaged: {error}") from error
