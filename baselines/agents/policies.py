"""Policies by name, as `baselines.reinforcement` plays them, and the rules that they play by."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from baselines.agents.actor import Actor
from semrob_env.errors import InvalidParameterError, NameClashError
from semrob_env.questions import Goal, MeanGoal
from semrob_env.types import Float32Array

if TYPE_CHECKING:
    from semrob_env.envs.game import RegionRules

Policy = Callable[[Float32Array], Any]
"""The action (2n,) for one observation (D,)."""

RANDOM = "random"

POLICIES: dict[str, tuple[Policy | Actor | None, Mapping[str, Any] | None]] = {}


def register_policy(name: str, policy: Any, *, rules: Mapping[str, Any] | None = None) -> None:
    """Make a policy known to the method `reinforcement`, in this process.

    Args:
        name: What `policy=` calls it.
        policy: A policy or model of stable-baselines3 (anything with `predict(observation, deterministic=True)`), an
            `Actor`, or a function from one observation (D,) to an action (2n,). All but an `Actor` are asked row by
            row, so that no answer depends on the batch. None: random actions, as `random`.
        rules: Fields of `RegionRules` to play by, apart from the budget, the goal as text; None: the defaults.

    Raises:
        NameClashError: The name is taken.
        InvalidParameterError: No policy.
    """
    if name == RANDOM or name in POLICIES:
        raise NameClashError(f"policy {name!r} is registered already; choose another name")
    if hasattr(policy, "predict"):
        predict = policy.predict
        POLICIES[name] = (lambda observation: predict(observation, deterministic=True)[0]), rules
    elif policy is None or isinstance(policy, Actor) or callable(policy):
        POLICIES[name] = policy, rules
    else:
        raise InvalidParameterError(
            f"policy {name!r}: give a model, an Actor or a function, not {type(policy).__name__}"
        )


@contextmanager
def lent_policy(name: str, policy: Any, *, rules: Mapping[str, Any] | None = None) -> Iterator[str]:
    """The same for a while."""
    register_policy(name, policy, rules=rules)
    try:
        yield name
    finally:
        del POLICIES[name]


def game_rules(rules: Mapping[str, Any] | None, budget: int, goal: Goal | None = None) -> RegionRules:
    """`RegionRules` from plain fields, the goal as text, and a budget; `goal` where they have none.

    Agents that were saved before there were goals have `epsilon_m` and `epsilon_v` in place of one.

    Raises:
        InvalidParameterError: Fields that there are not, or out of their limits.
    """
    from semrob_env.envs.game import RegionRules

    given = {**(rules or {}), "budget": budget}
    bounds = {name: given.pop(name) for name in ("epsilon_m", "epsilon_v") if name in given}
    given.setdefault("goal", goal if goal is not None and not bounds else MeanGoal(**bounds))
    try:
        return RegionRules(**given)
    except TypeError as error:
        raise InvalidParameterError(f"rules {dict(rules or {})}: {error}; give fields of RegionRules") from error


def plain_rules(rules: RegionRules) -> dict[str, Any]:
    """The fields of rules as plain data that `game_rules` reads."""
    fields = {field.name: getattr(rules, field.name) for field in dataclasses.fields(rules)}
    return {**fields, "goal": rules.goal.text}
