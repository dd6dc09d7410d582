"""Failing regions: boxes of theta in which a network is wrong on a shape, found by `box_quadrature`, and views in them.

A view *fails* where its unit score is below 0.5. A failing region is a region of the complement low + high - f, in
which at least `FAILING_GOAL.reliability` of the views should fail. It is found from start points that fail, which a
first look at evenly spread views gives. What is drawn from it is asked again, and only what truly fails is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from optimizers.box_quadrature import BoxQuadrature
from optimizers.run import run
from semrob_env.errors import InvalidBudgetError
from semrob_env.functions import Complement, ScoreFunction
from semrob_env.metrics.survey import RIGHT
from semrob_env.oracle import QueryOracle
from semrob_env.questions import Questions, ReliabilityGoal
from semrob_env.regions import Regions
from semrob_env.sequences import evenly_spread, hashed_uniform
from semrob_env.types import FloatArray

FAILING_GOAL = ReliabilityGoal(level=0.5, reliability=0.9)
"""What makes a region of the complement a failing one."""

LOOKED = 64
"""Evenly spread views of a shape among which start points are looked for."""

MOST_REGIONS, BUDGET = 2, 60
"""Failing regions that are grown a shape, and queries of each, unless told otherwise."""

DRAWN = 64
"""Views that `failing_views` asks at once."""

MOST_DRAWN = 8
"""Views that it asks at most for each that is wanted, before it gives up."""


@final
@dataclass(frozen=True, eq=False)
class FailingRegions:
    """Where a network is wrong on one shape.

    Attributes:
        regions: R regions, that of the worst start point first; none where no view that was looked at fails.
        queries: What finding them cost.
    """

    regions: Regions
    queries: int


def failing_regions(
    function: ScoreFunction, members: Sequence[int], *, most: int = MOST_REGIONS, budget: int = BUDGET, seed: int = 0
) -> list[FailingRegions]:
    """Failing regions of several members of a family, one after another on each, on all members at once.

    Each starts at the worst of the views that were looked at and lie in no region found so far.

    Args:
        function: The family.
        members: Which of its members.
        most: Regions a member.
        budget: Queries of each region.
        seed: Of the method.

    Returns:
        What was found on each member.

    Raises:
        InvalidBudgetError: Not at least one region and one query.
    """
    if most < 1 or budget < 1:
        raise InvalidBudgetError(f"{most} failing regions of {budget} queries: give at least 1 of each")
    space, own, wrong = function.space, np.array(members, dtype=np.int64), Complement(function)
    looked = space.from_unit(evenly_spread(space.n, 0, LOOKED))
    scores = function.scale.unit(function.values(np.tile(looked, (len(own), 1, 1)), own))
    bounds: list[list[tuple[FloatArray, FloatArray]]] = [[] for _ in members]
    queries = np.full(len(own), LOOKED)
    for _ in range(most):
        rows = np.flatnonzero(scores.min(axis=1) < RIGHT)
        if not len(rows):
            break
        worst = scores[rows].argmin(axis=1)
        questions = Questions(space, looked[worst], member=own[rows], goal=FAILING_GOAL, budget=budget)
        found = run(BoxQuadrature(questions, seed=seed), QueryOracle(wrong, trajectories=len(rows), budget=budget))
        queries[rows] += found.forward_queries
        for place, row in enumerate(rows):
            bounds[row].append((found.regions.lower[place], found.regions.upper[place]))
            scores[row, found.regions[place].contains(looked[None])[0]] = 1.0
            scores[row, worst[place]] = 1.0  # its start point, whatever rounding says
    return [
        FailingRegions(Regions(space, *np.array(of_one).reshape(-1, 2, space.n).swapaxes(0, 1)), int(asked))
        for of_one, asked in zip(bounds, queries, strict=True)
    ]


def failing_views(
    function: ScoreFunction, member: int, regions: Regions | None, count: int, key: bytes
) -> tuple[FloatArray, FloatArray, int]:
    """Views that fail: drawn uniformly in failing regions, asked, and kept where the network is wrong.

    A region is drawn by its share of the volume of all of them, so that views fill what they cover; where two overlap
    they lie twice as dense.

    Args:
        function: The family.
        member: Which of its members.
        regions: The regions; None: the whole space, for views that fail wherever they are.
        count: Views that are wanted.
        key: Of the random numbers; more views begin with the same ones.

    Returns:
        At most `count` views (K, n), their unit scores (K,) below 0.5, and queries asked: at most `MOST_DRAWN` a view
        that is wanted, to the next multiple of `DRAWN`.
    """
    space = function.space
    regions = Regions.whole(space) if regions is None else regions
    kept, scores, asked = [np.empty((0, space.n))], [np.empty(0)], 0
    most = -(-MOST_DRAWN * count // DRAWN) * DRAWN if len(regions) else 0
    numbers = hashed_uniform(key, (most, space.n + 1))
    share = regions.share()
    ends = np.cumsum(share if share.sum() > 0 else np.ones(len(regions)))
    while sum(map(len, scores)) < count and asked < most:
        drawn = numbers[asked : asked + DRAWN]
        of = np.minimum(np.searchsorted(ends, drawn[:, 0] * ends[-1], side="right"), len(regions) - 1)
        theta = regions[of].from_fractions(drawn[:, None, 1:])[:, 0]
        told = function.scale.unit(function.values(theta[None], np.array([member]))[0])
        fails = told < RIGHT
        kept.append(theta[fails])
        scores.append(told[fails])
        asked += len(drawn)
    return np.concatenate(kept)[:count], np.concatenate(scores)[:count], asked
