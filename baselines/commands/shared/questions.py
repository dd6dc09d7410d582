"""What the options of a command ask: tasks, start points where a network is wrong, and whether a budget pays a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from baselines.commands.shared.options import HIGHEST, LOWEST, Asked, start_points
from baselines.experiments.functions import Functions
from baselines.experiments.runner import OnStep, execute
from optimizers.base import Optimizer, Settings
from optimizers.corner_method import CornerSettings, settings_of_form
from optimizers.registry import get_optimizer
from semrob_env.errors import InvalidBudgetError, InvalidParameterError, OutputError
from semrob_env.functions import ScoreFunction
from semrob_env.metrics import Judge
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Question, Questions
from semrob_env.sequences import golden_ratios
from semrob_env.store import FAILED, RunRow, RunTask, canonical_json
from semrob_env.types import FloatArray

EVEN_POINTS, RANKED_POINTS = 64, 4
"""Points that `ranked_starts` looks at, and those that it takes."""


def region_methods(names: Sequence[str]) -> dict[str, type[Optimizer[Any]]]:
    """Methods by name, in the order given.

    Raises:
        InvalidParameterError: One recommends points.
        UnknownNameError: One is not registered.
    """
    methods = {name: get_optimizer(name) for name in names}
    for name, method in methods.items():
        if method.recommends != "regions":
            raise InvalidParameterError(f"--methods {name} recommends points; what is asked for here is regions")
    return methods


def settings_of(asked: Asked) -> dict[str, Settings]:
    """Settings of each method in the form asked for, with sampled corners where it knows them."""
    settings = {name: settings_of_form(method, asked.form) for name, method in region_methods(asked.methods).items()}
    return {
        name: replace(own, corners=asked.corners) if isinstance(own, CornerSettings) else own
        for name, own in settings.items()
    }


def step_price(asked: Asked, name: str, settings: Settings, space: SemanticSpace) -> tuple[int, int]:
    """Forward and gradient queries of the first step of one start point."""
    questions = Questions(space, space.default, goal=asked.goal, budget=asked.method_budget())
    queries = get_optimizer(name)(questions, settings=settings, seed=asked.seed).ask()
    points = queries.theta.shape[1]
    return points, points * queries.wants_gradient


def prices(asked: Asked, space: SemanticSpace) -> dict[str, tuple[int, int]]:
    """`step_price` of each method, after a look at all that is asked.

    Raises:
        InvalidBudgetError: The budget pays no step of a method.
        InvalidParameterError: A judge or settings that are not well formed.
    """
    Judge(asked.goal, asked.judge_points, asked.seed, asked.certificate_points, asked.confidence)
    budget, rest = asked.limits()[0], asked.method_budget()
    if rest is not None and rest < 1:
        raise InvalidBudgetError(
            f"--budget {budget} cannot pay --certificate-points {asked.certificate_points}; give at least "
            f"{asked.certificate_points + 1}, or --certify judge"
        )
    found = {name: step_price(asked, name, own, space) for name, own in settings_of(asked).items()}
    for name, price in found.items():
        if budget is not None and rest is not None and sum(price) > rest:
            raise InvalidBudgetError(
                f"--budget {budget} cannot pay one step of {name}, which costs {sum(price)} queries a start point; "
                f"give at least {sum(price) + budget - rest}, or fewer --corners to a method that has them"
            )
    return found


def tasks_of(asked: Asked, starts: Mapping[str, FloatArray]) -> list[RunTask]:
    """One task a function id, method and start point (S, n), in this order."""
    budget, max_steps = asked.limits()
    confidence = asked.confidence_of(len(asked.methods) * sum(map(len, starts.values())))
    settings = {name: canonical_json(own.to_mapping()) for name, own in settings_of(asked).items()}
    return [
        RunTask(
            Question(function_id, tuple(start), asked.goal, budget, levels=levels_of(name, asked.levels)),
            name,
            text,
            max_steps=max_steps,
            seed=asked.seed,
            judge_points=asked.judge_points,
            judge_seed=asked.seed,
            certificate_points=asked.certificate_points,
            confidence=confidence,
            certify=asked.certify,
        )
        for function_id, points in starts.items()
        for name, text in settings.items()
        for start in points.tolist()
    ]


def levels_of(method: str, levels: tuple[float, ...]) -> tuple[float, ...]:
    """Levels that a method is asked a profile at: none if one run of it answers one goal only."""
    kind = get_optimizer(method)
    return levels if kind.answers_goals or not kind.uses_goal else ()


def run_all(tasks: Sequence[RunTask], function: ScoreFunction, on_step: OnStep) -> list[RunRow]:
    """The rows of tasks about one family.

    Raises:
        OutputError: A run failed.
    """
    rows = execute(tasks, Functions(given=[function]), on_step)
    for row in rows:
        if row.status == FAILED:
            raise OutputError(f"a run of {row.task.method} failed: {row.error}")
    return rows


def rank_of(asked: Asked, starts: str) -> str:
    """Whether start points are those of `lowest` or `highest` score; empty: neither."""
    return LOWEST if asked.adversarial and not starts else starts if starts in (LOWEST, HIGHEST) else ""


def rank_words(asked: Asked, starts: str) -> str:
    """How start points were chosen by their score, and what that cost; empty if they were not."""
    rank = rank_of(asked, starts)
    return rank and (
        f"start points: the {RANKED_POINTS} of {rank} score among {EVEN_POINTS} evenly spread views of each function, "
        f"{EVEN_POINTS} queries that no method is charged"
    )


def starts_of(asked: Asked, starts: str, function: ScoreFunction, member: int = 0) -> FloatArray:
    """Start points (S, n) on a member of a function, chosen as --starts says."""
    if rank := rank_of(asked, starts):
        return ranked_starts(function, member, highest=rank == HIGHEST)
    return start_points(function.space, starts)


def ranked_starts(function: ScoreFunction, member: int = 0, *, highest: bool) -> FloatArray:
    """Of `EVEN_POINTS` evenly spread points the `RANKED_POINTS` of lowest or highest score (S, n); not charged."""
    space = function.space
    shares = np.round((0.5 + np.arange(EVEN_POINTS)[:, None] * golden_ratios(space.n)) % 1, 3)
    points = space.project(np.round(space.low + shares * space.width, 6))
    scores = function.scale.unit(function.values(points[None], [member])[0])
    return np.asarray(points[np.argsort(-scores if highest else scores, kind="stable")[:RANKED_POINTS]])
