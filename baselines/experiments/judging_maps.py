"""Maps of live functions, by which a comparison judges regions: asked once, and alike for all methods.

Points that judge each region apart cost several times the views that all methods ask. A map costs the same however
many regions there are; of it the mean over any region and the largest feasible one are known exactly. It is not f
itself: what lies between its lines is interpolated (`semrob_env.recorded.held_out_error`), so certificates ask f.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path

from baselines.experiments.functions import Functions
from baselines.experiments.suites import Suite
from semrob_env.functions import ScoreFunction
from semrob_env.maps import live_maps, map_axes, map_steps
from semrob_env.recorded import RecordedMaps
from semrob_env.types import FloatArray


def with_maps(
    suite: Suite, step: float, folder: str | PathLike[str], progress: Callable[[int, int], None] | None = None
) -> Suite:
    """The same questions about maps of the functions.

    Args:
        suite: The questions.
        step: Between grid lines; degrees, or see `semrob_env.maps.map_steps`.
        folder: Where the maps are kept, finished or not; those that are there are not asked again.
        progress: Called with how many points of how many have been asked.

    Raises:
        InvalidParameterError: A step that does not fit a parameter.
        InvalidMapsError: Too many points.
        OutputError: The folder cannot be written to.
    """
    ids = list(dict.fromkeys(question.function_id for question in suite.questions))
    spaces = [suite.functions.member(function_id)[0].space for function_id in ids]
    axes = [map_axes(space, map_steps(space, step)) for space in spaces]
    sizes, done = [_points(own) for own in axes], 0
    maps: dict[str, tuple[ScoreFunction, int]] = {}
    for function_id, own, size in zip(ids, axes, sizes, strict=True):
        function, member = suite.functions.member(function_id)
        file = Path(folder) / f"{hashlib.sha256(function.id.encode()).hexdigest()[:16]}.npz"
        on_points = None if progress is None else partial(_told, progress, done, sum(sizes))
        maps[function_id] = RecordedMaps(live_maps(function, own, file=file, on_points=on_points)), member
        done += size
    return replace(suite, functions=Functions.standing_in(maps))


def map_points(suite: Suite, step: float) -> int:
    """How many points the maps of a suite's functions have, all together."""
    ids = {question.function_id for question in suite.questions}
    spaces = [suite.functions.member(function_id)[0].space for function_id in sorted(ids)]
    return sum(_points(map_axes(space, map_steps(space, step))) for space in spaces)


def _told(progress: Callable[[int, int], None], before: int, total: int, own: int) -> None:
    progress(min(before + own, total), total)


def _points(axes: tuple[FloatArray, ...]) -> int:
    return math.prod(len(axis) for axis in axes)
