"""Examiners: who asks a network, query by query, for views that it fails on; agents and point methods on one meter.

After Shu, Liu, Qiu & Yuille, *Identifying model weakness with adversarial examiner*, AAAI 2020, arXiv 1911.11230, who
let a reinforced policy and a Bayesian optimizer choose the scenes that a network is asked about, one after another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from baselines.agents.actor import Actor
from optimizers.registry import get_optimizer
from optimizers.run import run
from semrob_env.errors import InvalidParameterError
from semrob_env.functions import ScoreFunction
from semrob_env.metrics.intervals import share_interval
from semrob_env.oracle import Queries, QueryLog, QueryOracle
from semrob_env.questions import Questions
from semrob_env.types import FloatArray, IntArray


@final
@dataclass(frozen=True, eq=False)
class Examination:
    """What is examined: every member from every start point, each with a budget.

    Attributes:
        function: The family.
        members: Members (M,).
        starts: Start points (K, n).
        budget: Queries of each.
    """

    function: ScoreFunction
    members: IntArray
    starts: FloatArray
    budget: int

    @property
    def pairs(self) -> tuple[IntArray, FloatArray]:
        """Member (M K,) and start point (M K, n) of each trajectory."""
        return np.repeat(self.members, len(self.starts)), np.tile(self.starts, (len(self.members), 1))


def examined_by_agent(asked: Examination, actor: Actor) -> FloatArray:
    """Lowest unit score so far after each query (M K, budget) of an agent; its first query is the start point."""
    from semrob_env.envs.point_search import PointGame, PointRules

    member, starts = asked.pairs
    game = PointGame(asked.function.space, PointRules(asked.budget), count=len(member))
    game.restart(np.arange(len(member)), starts, np.zeros((len(member), 0)))
    oracle = QueryOracle(asked.function, trajectories=len(member), budget=asked.budget)
    scores = []
    for query in range(asked.budget):
        if query:
            game.move(actor.actions(game.observation()))
        points = game.queries()
        answers = oracle.query(Queries(points, member, np.ones(points.shape[:2], dtype=np.bool_)))
        game.take(answers.values)
        scores.append(answers.values[:, 0])
    return np.minimum.accumulate(np.stack(scores, axis=1), axis=1)


def examined_by_method(asked: Examination, method: str, settings: dict[str, Any], seed: int) -> FloatArray:
    """The same of a point method; one that ends early keeps what it has.

    Raises:
        InvalidParameterError: A method that recommends regions.
    """
    kind = get_optimizer(method)
    if kind.recommends != "points":
        raise InvalidParameterError(f"method {method} recommends regions; an examiner looks for points")
    member, starts = asked.pairs
    space, log = asked.function.space, QueryLog()
    optimizer = kind(
        Questions(space, starts, member=member, budget=asked.budget),
        settings=kind.settings_class.from_mapping(settings),
        seed=seed,
    )
    oracle = QueryOracle(asked.function, trajectories=len(member), budget=asked.budget, log=log)
    run(optimizer, oracle)
    told = log.arrays()
    units = asked.function.scale.unit(told["value"].astype(np.float64))
    best = np.ones((len(member), asked.budget))
    for row in range(len(member)):
        own = units[told["trajectory"] == row][: asked.budget]
        best[row, : len(own)] = own
    return np.minimum.accumulate(best, axis=1)


@final
@dataclass(frozen=True, eq=False)
class Examined:
    """What one examiner found with S seeds: lowest scores so far (S, M, K, budget)."""

    label: str
    lowest: FloatArray

    @classmethod
    def of(cls, label: str, asked: Examination, runs: list[FloatArray]) -> Examined:
        """From one array (M K, budget) a seed."""
        shape = len(runs), len(asked.members), len(asked.starts), asked.budget
        return cls(label, np.stack(runs).reshape(shape))

    def by_member(self, level: float, query: int) -> FloatArray:
        """Lowest score and share of failures found (2, M) after so many queries, means over seeds and start points."""
        after = self.lowest[..., query - 1]
        return np.stack([after.mean(axis=(0, 2)), (after < level).mean(axis=(0, 2))])

    def row(self, level: float, query: int) -> dict[str, Any]:
        """Means over members with 95 % intervals that speak of other members."""
        each = self.by_member(level, query)
        weights = np.full(each.shape[1], 1 / each.shape[1])
        low, high = share_interval(each, weights, np.random.default_rng(0))
        score, failing = each.mean(axis=1)
        return {
            "examiner": self.label,
            "seeds": len(self.lowest),
            "queries": query,
            "lowest_score": float(score),
            "lowest_low": float(low[0]),
            "lowest_high": float(high[0]),
            "failures_found": float(failing),
            "failures_low": float(low[1]),
            "failures_high": float(high[1]),
        }
