"""Promises of the games, checked inside all wrappers: budgets, rewards, ends, members."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from gymnasium.error import ResetNeeded

from semrob_env.envs.check_case import CLOSE, MOST_STEPS, PLAYED_STEPS, Case, Turn, arrays, require
from semrob_env.envs.check_watch import Watch
from semrob_env.errors import ContractError
from semrob_env.regions import Regions

MEMBER_RESETS = 24
"""Episodes that are begun to see which members they draw."""


def _check_budget(case: Case) -> None:
    for seed, actions in enumerate((case.actions(MOST_STEPS), [case.constant(0.0)] * MOST_STEPS)):
        for step, turn in enumerate(case.play(actions, seed=seed, bare=True)):
            budget = case.oracle.budget
            require(
                np.isfinite(budget) and turn.spent <= budget,
                f"{turn.spent:g} of a budget of {budget:g} is spent at step {step}; give the oracle the budget, and "
                "end the episode when it cannot pay the next step",
            )


def _check_fresh_meter(case: Case) -> None:
    first = case.play(case.actions(PLAYED_STEPS), bare=True)[0]
    for _ in range(2):
        again = case.play(case.actions(2), seed=None, bare=True)[0]
        require(
            again.spent == first.spent and again.asked == first.asked,
            f"{again.spent:g} is spent after a later reset, {first.spent:g} after the first one; begin each episode "
            "with a meter at 0, and charge its first observation",
        )


def _check_rewards(case: Case) -> None:
    if case.traits.objective_range is None:
        return
    low, high = case.traits.objective_range
    for actions in (case.actions(MOST_STEPS), [case.constant(1.0)] * PLAYED_STEPS):
        turns = case.play(actions, seed=1, bare=True)
        missing = [step for step, turn in enumerate(turns) if "objective" not in turn.info]
        require(not missing, f"info has no 'objective' at step {missing[:1]}; tell what rewards are gains of")
        for step, (before, turn) in enumerate(pairwise(turns), start=1):
            gain = turn.info["objective"] - before.info["objective"]
            require(
                abs(turn.reward - gain) <= CLOSE,
                f"the reward is {turn.reward:g} at step {step}, info['objective'] has gained {gain:g}; reward the gain "
                "of what is told, neither of another objective nor less or more than it",
            )
            require(
                abs(turn.reward) <= high - low,
                f"the reward is {turn.reward:g} at step {step}; the objective must stay in its limits [{low:g}, "
                f"{high:g}]",
            )


def _check_objective(case: Case) -> None:
    goal, seeks, function = case.traits.goal, case.traits.seeks, case.function
    if goal is not None:
        for actions in (case.actions(PLAYED_STEPS), [case.constant(1.0)] * PLAYED_STEPS):
            for step, turn in enumerate(case.play(actions, seed=3, bare=True)):
                info = turn.info
                share = float(Regions(function.space, info["lower"], info["upper"]).share()[0])
                missed = float(goal.shortfall(info["mean"], info["variance"]))
                expected = -missed if missed > 0 else share
                require(
                    abs(info["region"] - share) <= CLOSE and abs(info["objective"] - expected) <= CLOSE,
                    f"info tells a region of {info['region']:g} and an objective of {info['objective']:g} at step "
                    f"{step}; by the bounds, mean and variance told beside them they are {share:g} and {expected:g}",
                )
    if seeks is not None:
        best = 0.0
        for step, turn in enumerate(case.play(case.actions(PLAYED_STEPS), seed=3, bare=True)):
            member = function.member_ids.index(turn.info["member_id"])
            score = float(function.scale.unit(function.values(turn.info["theta"][None, None], [member]))[0, 0])
            best = max(best, 1 - score if seeks == "low" else score)
            require(
                abs(turn.info["objective"] - best) <= CLOSE,
                f"info tells an objective of {turn.info['objective']:g} at step {step}; the best of the scores so far "
                f"is worth {best:g} with the goal {seeks}",
            )


def _check_answers(case: Case) -> None:
    """Whatever the function answers, that alone is what the episode is about."""
    function, goal = case.function, case.traits.goal
    low, high = function.score_range
    for score in (low, high, (low + high) / 2, np.nan):
        with Watch(function, score) as watch:
            told = function.values(function.space.default[None, None])[0, 0]  # complements change it
            unit = function.scale.unit(np.array(told))
            turns = case.play(case.actions(PLAYED_STEPS), bare=True, watch=watch)
        for step, turn in enumerate(turns):
            info = turn.info
            numbers = [array for array in arrays([turn.observation, list(info.values())]) if array.dtype != object]
            require(
                all(bool(np.isfinite(array).all()) for array in numbers),
                f"observation or info is not finite at step {step} if every score is {score:g}; read the oracle's "
                "answers, which are never NaN",
            )
            require(
                goal is None or abs(info["mean"] - goal.counted(unit)) <= CLOSE >= abs(info["variance"]),
                f"every answer is {told:g} (unit score {unit:g}), but mean {info.get('mean', 0):g} and variance "
                f"{info.get('variance', 0):g} are told at step {step}: they come from elsewhere; use charged answers "
                "only",
            )
            require(
                case.traits.seeks is None or abs(turn.reward) <= CLOSE,
                f"the reward is {turn.reward:g} at step {step} though every answer is {told:g}: it comes from "
                "elsewhere; use charged answers only",
            )


def _check_end(case: Case) -> None:
    plays = {"random actions": case.actions(MOST_STEPS)}
    plays |= {"the highest action": [case.constant(1.0)] * MOST_STEPS}
    for seed, (name, actions) in enumerate(plays.items()):
        turns = case.play(actions, seed=seed, bare=True)
        for step, (before, turn) in enumerate(pairwise(turns), start=1):
            left, cost = case.oracle.budget - turn.spent, turn.spent - before.spent
            is_settled = _is_settled(case, turn, is_last=turn is turns[-1])
            why = f"{left:g} of the budget is left, a step costs {cost:g}"
            why += ", and the game has come to its own end" if is_settled else ""
            require(
                bool(turn.terminated) == (left < cost or is_settled),
                f"terminated is {turn.terminated} at step {step} with {name}, but {why}; terminate exactly when the "
                "budget cannot pay the next step or the game is decided",
            )
            require(not turn.truncated, f"truncated is True at step {step}; leave that to the wrapper TimeLimit")


def _is_settled(case: Case, turn: Turn, *, is_last: bool) -> bool:
    """Whether no bound can move outward; without a goal, what the environment says itself, at the last step."""
    if case.traits.goal is not None:
        width = turn.info["upper"] - turn.info["lower"]
        return bool((width >= case.function.space.width * (1 - CLOSE)).all())
    settled = getattr(case.bare, "settled", None)
    return bool(turn.terminated) if settled is None else is_last and bool(settled[0])


def _check_after_end(case: Case) -> None:
    turns = case.play([case.constant(1.0)] * MOST_STEPS, bare=True)
    if not turns[-1].is_over:
        return
    with Watch(case.function) as watch:
        try:
            case.bare.step(case.constant(0.5))
        except ResetNeeded:
            pass
        else:
            raise ContractError("step() works after the end of an episode; raise a gymnasium.error.ResetNeeded")
    require(
        watch.asked == 0 and case.spent == turns[-1].spent,
        "a step after the end asks or charges before it is refused; refuse it first",
    )


def _check_members(case: Case) -> None:
    if case.traits.members is None:
        return
    function = case.function
    allowed = {function.member_ids[row] for row in case.traits.members}
    drawn = set()
    with Watch(function) as watch:
        for episode in range(MEMBER_RESETS):
            before = len(watch.member_ids)
            turn = case.play(seed=0 if episode == 0 else None, bare=True, watch=watch)[0]
            told = turn.info.get("member_id")
            require(
                told in allowed,
                f"an episode is played on member {told!r}, not one of the {len(allowed)} members of this environment; "
                "draw among `members`, and tell which in info['member_id']",
            )
            drawn.add(told)
            leaf = function.leaf(function.member_ids.index(told))
            plain = leaf.function.member_ids[leaf.member]
            other = set(watch.member_ids[before:]) - {plain}
            require(not other, f"info tells member {plain}, but {sorted(other)[:1]} was asked; ask what you tell")
    require(
        len(drawn) > 1 or len(allowed) == 1,
        f"{MEMBER_RESETS} episodes all draw the same of {len(allowed)} members; draw one in every reset(), "
        "seeded or not",
    )


def _check_budget_seen(case: Case) -> None:
    if not case.traits.sees_budget:
        return
    turns = case.play(case.actions(PLAYED_STEPS), bare=True)
    seen = np.array([np.concatenate([a.ravel() for a in arrays(t.observation) if a.dtype.kind == "f"]) for t in turns])
    left = np.array([1 - turn.spent / case.oracle.budget for turn in turns])
    require(
        bool((np.abs(seen - left[:, None]).max(axis=0) <= 1e-6).any()),
        f"no entry of the observation is the share of the budget that is left, {left.round(4).tolist()}; an agent must "
        "see it, for it decides when the episode ends",
    )


RULES: dict[str, Callable[[Case], None]] = {
    "keep within its budget": _check_budget,
    "begin each episode with a fresh meter": _check_fresh_meter,
    "reward the gain of the objective it tells": _check_rewards,
    "tell the objective of its formula": _check_objective,
    "judge by charged answers alone": _check_answers,
    "end exactly when it says": _check_end,
    "refuse to go on after the end": _check_after_end,
    "ask the members it names": _check_members,
    "let the agent see the budget": _check_budget_seen,
}
