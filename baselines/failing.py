"""Failing regions: boxes of theta in which a network is wrong on a shape, found by `box_quadrature`, and views in them.

A view *fails* where its unit score is below 0.5. A failing region is a region of the complement low + high - f, in
which at least `FAILING_GOAL.reliability` of the views should fail. It is found from start points that fail, which a
first look at evenly spread views gives. What is drawn from it is asked again, and only what truly fails is kept.
A data set wants views unlike each other: `spread_order` says which of those that were drawn are asked first.
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
from semrob_env.parameters import PARAMETERS, POLES, SemanticSpace
from semrob_env.questions import Questions, ReliabilityGoal
from semrob_env.regions import Regions
from semrob_env.sequences import evenly_spread, hashed_uniform
from semrob_env.types import FloatArray, IntArray

FAILING_GOAL = ReliabilityGoal(level=0.5, reliability=0.9)
"""What makes a region of the complement a failing one."""

LOOKED = 64
"""Evenly spread views of a shape among which start points are looked for."""

MOST_REGIONS, BUDGET = 2, 60
"""Failing regions that are grown a shape, and queries of each, unless told otherwise."""

DRAWN = 64
"""Views that `failing_views` asks at once."""

SPREAD = 4096
"""Views that are drawn before `spread_order` says which are asked first."""

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
    function: ScoreFunction,
    members: Sequence[int],
    *,
    most: int = MOST_REGIONS,
    budget: int = BUDGET,
    seed: int = 0,
    is_spread: bool = False,
) -> list[FailingRegions]:
    """Failing regions of several members of a family, one after another on each, on all members at once.

    Each starts at the worst of the views that were looked at and lie in no region found so far.

    Args:
        function: The family.
        members: Which of its members.
        most: Regions a member.
        budget: Queries of each region.
        seed: Of the method.
        is_spread: After the first, start at the view that is farthest from all before it, not at the worst.

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
    places, nearest = coordinates(space, looked), np.full((len(own), LOOKED), np.inf)
    for _ in range(most):
        rows = np.flatnonzero(scores.min(axis=1) < RIGHT)
        if not len(rows):
            break
        worst = scores[rows].argmin(axis=1)
        if is_spread:
            for place, row in enumerate(rows):
                before = len(bounds[row])
                fails = np.where(scores[row] < RIGHT, nearest[row], -1.0)
                worst[place] = fails.argmax() if before else worst[place]
                off = ((places - places[worst[place]]) ** 2).sum(axis=1)
                nearest[row] = np.minimum(nearest[row], off)
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
    function: ScoreFunction, member: int, regions: Regions | None, count: int, key: bytes, *, is_spread: bool = False
) -> tuple[FloatArray, FloatArray, int]:
    """Views that fail: drawn uniformly in failing regions, asked, and kept where the network is wrong.

    A region is drawn by its share of the volume of all of them, so that views fill what they cover; where two overlap
    they lie twice as dense.

    Args:
        function: The family.
        member: Which of its members.
        regions: The regions; None: the whole space, for views that fail wherever they are.
        count: Views that are wanted.
        key: Of the random numbers; more views begin with the same ones, unless they are spread.
        is_spread: Draw as many in each region, and ask in `spread_order`, of `SPREAD` at a time, not as they are drawn.

    Returns:
        At most `count` views (K, n), their unit scores (K,) below 0.5, and queries asked: at most `MOST_DRAWN` a view
        that is wanted, to the next multiple of `DRAWN`.
    """
    space = function.space
    regions = Regions.whole(space) if regions is None else regions
    kept, scores, asked = [np.empty((0, space.n))], [np.empty(0)], 0
    most = -(-MOST_DRAWN * count // DRAWN) * DRAWN if len(regions) else 0
    numbers = hashed_uniform(key, (most, space.n + 1))
    share = np.ones(len(regions)) if is_spread else regions.share()
    ends = np.cumsum(share if share.sum() > 0 else np.ones(len(regions)))
    drawn = np.empty((0, space.n))
    if most:
        of = np.minimum(np.searchsorted(ends, numbers[:, 0] * ends[-1], side="right"), len(regions) - 1)
        drawn = regions[of].from_fractions(numbers[:, None, 1:])[:, 0]
    while sum(map(len, scores)) < count and asked < most:
        if is_spread and asked % SPREAD == 0:
            own = drawn[asked : asked + SPREAD]
            drawn[asked : asked + SPREAD] = own[spread_order(space, own)]
        theta = drawn[asked : asked + DRAWN]
        told = function.scale.unit(function.values(theta[None], np.array([member]))[0])
        fails = told < RIGHT
        kept.append(theta[fails])
        scores.append(told[fails])
        asked += len(theta)
    return np.concatenate(kept)[:count], np.concatenate(scores)[:count], asked


def spread_order(space: SemanticSpace, theta: FloatArray) -> IntArray:
    """An order of views (N, n): the first, and then always the one that is farthest from all before it (N,).

    Farthest-first traversal (Gonzalez, *Clustering to minimize the maximum intercluster distance*, 1985). Distances are
    Euclidean, of directions of camera and light on a sphere of diameter 1, of other periodic parameters on a circle of
    that diameter, and of the rest in shares of their ranges: all azimuths straight from above are one direction.
    """
    places, order = coordinates(space, theta), np.zeros(len(theta), dtype=np.int64)
    nearest = np.full(len(theta), np.inf)
    for rank in range(1, len(theta)):
        nearest = np.minimum(nearest, ((places - places[order[rank - 1]]) ** 2).sum(axis=1))
        nearest[order[rank - 1]] = -1.0
        order[rank] = nearest.argmax()
    return order


def coordinates(space: SemanticSpace, theta: FloatArray) -> FloatArray:
    """Where views (N, n) lie for `spread_order` (N, K)."""
    values = dict(zip(space.names, theta.T, strict=True))
    columns = []
    for around, above in POLES.items():
        if around in values or above in values:
            turn, height = (
                np.deg2rad(values.pop(name, np.full(len(theta), PARAMETERS[name].default))) for name in (around, above)
            )
            columns += [np.cos(height) * np.cos(turn) / 2, np.cos(height) * np.sin(turn) / 2, np.sin(height) / 2]
    for name, value in values.items():
        own = space.parameters[space.index(name)]
        share = (value - own.low) / (own.high - own.low)
        turn = 2 * np.pi * share
        columns += [share] if own.period is None else [np.cos(turn) / 2, np.sin(turn) / 2]
    return np.stack(columns, axis=1)
