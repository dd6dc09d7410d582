"""The one place where a goal of a command line goes into judges, tasks and settings of methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from optimizers.base import Optimizer, Settings
from optimizers.corner_method import settings_of_form
from optimizers.registry import get_optimizer
from semrob_env.errors import InvalidParameterError
from semrob_env.metrics import Thresholds
from semrob_env.questions import Goal, MeanGoal


def thresholds(goal: Goal) -> Thresholds:
    """A goal as judges and tasks take it.

    Raises:
        InvalidParameterError: A goal that they cannot judge.
    """
    if not isinstance(goal, MeanGoal):
        raise InvalidParameterError(f"--goal {goal}: what is judged here is a mean and a variance; write mean=0.5")
    return Thresholds(goal.epsilon_m, goal.epsilon_v)


def limits_of(goals: Sequence[Goal]) -> tuple[tuple[float, float], ...]:
    """Goals as suites and protocols take them: pairs of epsilon_m and epsilon_v.

    Raises:
        InvalidParameterError: As `thresholds`.
    """
    found = map(thresholds, goals)
    return tuple((round(limits.epsilon_m, 12), limits.epsilon_v) for limits in found)


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


def told_settings(method: type[Optimizer[Any]], form: str, goal: Goal, budget: float | None) -> Settings:
    """Settings of a method in a form, those that are about the question as the question has them.

    Raises:
        InvalidParameterError: The method has no such form, or the goal cannot be told to it.
    """
    settings, limits = settings_of_form(method, form), thresholds(goal)
    question = {"epsilon_m": limits.epsilon_m, "epsilon_v": limits.epsilon_v, "budget": budget}
    known = {field.name for field in fields(settings)}
    return replace(settings, **{name: value for name, value in question.items() if name in known and value is not None})
