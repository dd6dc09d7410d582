"""The paper's acceptance rule: a shape serves if a reference network scores it at least 0.1 on average.

Hamdi & Ghanem 2020 (arXiv 1904.04621), section 5: a shape enters the study if the mean score over the whole space of
theta is at least 0.1. Here the mean is the plain one over a regular grid; `SemanticSpace.grid` says which points, the
ends of the elevation among them. The map stays with the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from semrob_env.errors import InvalidParameterError, SemrobError
from semrob_env.functions import ScoreFunction
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.classifiers.network_spec import NetworkSpec
from semrob_env.scene.function import SceneId, make_scene_function
from semrob_env.scene.shading import Shading
from semrob_env.scene.sources import FLAT, ShapeInfo
from semrob_env.types import FloatArray

THRESHOLD: Final = 0.1
"""Least mean score of an accepted shape (Hamdi & Ghanem 2020, section 5)."""

GRID: Final = (12, 7)
"""Azimuths by elevations: every 30 degrees, and from -10 to 90 every 16.7."""


@final
@dataclass(frozen=True, eq=False)
class Acceptance:
    """The verdict on one shape and network.

    Attributes:
        function_id: What was asked.
        space: Its parameters.
        scores: The map, (P, Q, ...): one axis a parameter, in the order of the space; float32 numbers.
        threshold: Least mean score.
        facts: The id and what else pins the answers (hashes of weights and mesh, versions).
        score_range: Lowest and highest score that the function may give.
    """

    function_id: str
    space: SemanticSpace
    scores: FloatArray
    threshold: float = THRESHOLD
    facts: Mapping[str, str] = field(default_factory=dict)
    score_range: tuple[float, float] = (0.0, 1.0)

    @property
    def mean(self) -> float:
        """Mean score over the grid."""
        return float(self.scores.mean())

    @property
    def is_accepted(self) -> bool:
        """Whether the mean reaches the threshold."""
        return self.mean >= self.threshold

    @property
    def axes(self) -> tuple[FloatArray, ...]:
        """Values of each parameter along the map, native units."""
        return grid_axes(self.space, self.scores.shape)


def grid_axes(space: SemanticSpace, counts: Sequence[int]) -> tuple[FloatArray, ...]:
    """Values of each parameter along a map of so many points, native units."""
    grid = space.grid(counts).reshape(*counts, space.n)
    return tuple(np.moveaxis(grid[..., k], k, 0).reshape(count, -1)[:, 0] for k, count in enumerate(counts))


def judge_shape(
    function: ScoreFunction,
    *,
    member: int = 0,
    counts: Sequence[int] = GRID,
    threshold: float = THRESHOLD,
    on_scores: Callable[[int], None] | None = None,
) -> Acceptance:
    """Score a shape over the whole space; asked of the function itself, so nobody is charged. NaN is the worst score.

    Args:
        function: Its shape and network; any number of parameters.
        member: Member of its family.
        counts: Grid points along each parameter.
        threshold: Least mean score of an accepted shape.
        on_scores: Called with the number of scores that came in, for progress.

    Raises:
        InvalidParameterError: Not one count of at least 1 a parameter, or a threshold that is no finite number.
    """
    if not np.isfinite(threshold):
        raise InvalidParameterError(f"threshold {threshold}: give a finite number; the paper's is {THRESHOLD}")
    columns = function.space.grid(counts).reshape(counts[0], -1, function.space.n)
    scores = []
    for column in columns:
        scores.append(function.values(column[None], [member])[0])
        if on_scores is not None:
            on_scores(len(column))
    raw = np.array(scores).reshape(*counts)
    # As they are stored, so that a verdict is the same after a restart.
    kept = np.where(np.isnan(raw), function.score_range[0], raw).astype(np.float32).astype(np.float64)
    facts = facts_of(function, member)
    return Acceptance(function.member_ids[member], function.space, kept, threshold, facts, function.score_range)


def facts_of(function: ScoreFunction, member: int = 0) -> dict[str, str]:
    """What pins the answers of a member: its id and its fingerprint."""
    return {"function": function.member_ids[member], **function.fingerprints[member]}


@final
@dataclass(frozen=True, eq=False)
class ShapeReport:
    """What several networks say of one shape.

    Attributes:
        info: The shape.
        faces: Its number of triangles; 0 where it could not be loaded.
        verdicts: One a network, by label, in the order asked; those of a shape without class are missing.
        error: Why it could not be loaded or scored, in one line; empty where it was.
    """

    info: ShapeInfo
    faces: int = 0
    verdicts: dict[str, Acceptance] = field(default_factory=dict)
    error: str = ""


def judge_for_networks(
    info: ShapeInfo,
    networks: Sequence[NetworkSpec],
    *,
    counts: Sequence[int] = GRID,
    threshold: float = THRESHOLD,
    colors: str = "white",
    shading: Shading = FLAT,
    feed: str = "normalized",
    known: Sequence[tuple[Mapping[str, str], FloatArray]] = (),
    on_scores: Callable[[int], None] | None = None,
    on_verdict: Callable[[Acceptance], None] | None = None,
) -> ShapeReport:
    """Load a shape and let each network judge it; a shape that fails is a report as well, not an error.

    Args:
        info: The shape; its class is what it is scored for.
        networks: The networks; verdicts are named by their labels.
        counts: Grid points of azimuth and elevation.
        threshold: As `judge_shape`.
        colors: As `SceneId`.
        shading: Normals and highlight.
        feed: As `SceneId`.
        known: Facts and scores (P, Q) of maps that are there already: nothing is asked for those again.
        on_scores: As `judge_shape`.
        on_verdict: Called with each new verdict as soon as it is there; what it raises is raised.
    """
    verdicts: dict[str, Acceptance] = {}
    faces = 0
    if info.class_name is None:
        return ShapeReport(
            info, error=f"the name {info.title!r} tells no class of the paper; say which it is scored for"
        )
    for network in networks:
        try:
            own = SceneId.of(info, network, feed=feed, colors=colors, **shading.in_ids())
            function = make_scene_function(str(own))
            faces = len(function.meshes[0].faces)
            facts = facts_of(function)
            found = [map_ for own_facts, map_ in known if own_facts == facts and map_.shape == tuple(counts)]
            if found:
                pinned = facts["function"], function.space, found[0], threshold, facts, function.score_range
                verdicts[network.label] = Acceptance(*pinned)
                continue
            verdict = judge_shape(function, counts=counts, threshold=threshold, on_scores=on_scores)
        except SemrobError as error:
            return ShapeReport(info, faces, error=" ".join(str(error).split()))
        verdicts[network.label] = verdict
        if on_verdict is not None:
            on_verdict(verdict)
    return ShapeReport(info, faces, verdicts)
