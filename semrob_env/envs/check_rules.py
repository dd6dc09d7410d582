"""Promises of the games, checked inside all wrappers: budgets, rewards, ends, members."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from gymnasium.error import ResetNeeded

from semrob_env.envs.check_case import MOST_STEPS, PLAYED_STEPS, Case, Turn, arrays, require
from semrob_env.envs.check_watch import Watch
from semrob_env.envs.game import RegionGame
from semrob_env.errors import ContractError
from semrob_env.regions import Regions

CLOSE = 1e-9
"""How far numbers may differ that are reckoned in two ways."""

MEMBER_RESETS = 24
"""Episodes that are begun to see which members they draw."""

LARGEST_GAIN = 2.25
"""Of an objective in [-1.25, 1]."""


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
                abs(turn.reward) <= LARGEST_GAIN,
                f"the reward is {turn.reward:g} at step {step}; the objective must stay in its limits, at most 1",
            )


def _check_objective(case: Case) -> None:
    game = case.bare.game
    if not isinstance(game, RegionGame):
        _check_best(case)
        return
    rules = game.rules
    for actions in (case.actions(PLAYED_STEPS), [case.constant(1.0)] * PLAYED_STEPS):
        for step, turn in enumerate(case.play(actions, seed=3, bare=True)):
            info = turn.info
            region = Regions(case.function.space, info["lower"], info["upper"])
            share = float(region.share()[0])
            missed = max(0.0, 1 - rules.epsilon_m - info["mean"]) + max(0.0, info["variance"] - rules.epsilon_v)
            expected = -missed if missed > 0 else share
            require(
                abs(info["region"] - share) <= CLOSE and abs(info["objective"] - expected) <= CLOSE,
                f"info tells a region of {info['region']:g} and an objective of {info['objective']:g} at step {step}; "
                f"by the bounds, mean and variance told beside them they are {share:g} and {expected:g}",
            )


def _check_best(case: Case) -> None:
    function, goal = case.function, case.bare.game.rules.goal
    low, high = function.score_range
    best = 0.0
    for step, turn in enumerate(case.play(case.actions(PLAYED_STEPS), seed=3, bare=True)):
        member = function.member_ids.index(turn.info["member_id"])
        score = function.values(turn.info["theta"][None, None], [member])[0, 0]
        scaled = 0.0 if np.isnan(score) else (score - low) / (high - low)
        best = max(best, 1 - scaled if goal == "low" else scaled)
        require(
            abs(turn.info["objective"] - best) <= CLOSE,
            f"info tells an objective of {turn.info['objective']:g} at step {step}; the best of the scores so far is "
            f"worth {best:g} with the goal {goal}",
        )


def _check_answers(case: Case) -> None:
    """Whatever the function answers, that alone is what the episode is about."""
    function = case.function
    low, high = function.score_range
    for score in (low, high, (low + high) / 2, np.nan):
        with Watch(function, score) as watch:
            told = function.values(function.space.default[None, None])[0, 0]  # complements change it
            mean = 0.0 if np.isnan(told) else (told - low) / (high - low)
            turns = case.play(case.actions(PLAYED_STEPS), bare=True, watch=watch)
        for step, turn in enumerate(turns):
            numbers = [array for array in arrays([turn.observation, list(turn.info.values())]) if array.dtype != object]
            require(
                all(bool(np.isfinite(array).all()) for array in numbers),
                f"observation or info is not finite at step {step} if every score is {score:g}; read the oracle's "
                "answers, which are never NaN",
            )
            if isinstance(case.bare.game, RegionGame):
                info = turn.info
                require(
                    abs(info["mean"] - mean) <= CLOSE and abs(info["variance"]) <= CLOSE,
                    f"every answer is {told:g} (scaled {mean:g}), but mean {info['mean']:g} and variance "
                    f"{info['variance']:g} are told at step {step}: they come from elsewhere; use charged answers only",
                )
            else:
                require(
                    abs(turn.reward) <= CLOSE,
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
            must_end = left < cost or is_settled
            why = f"{left:g} of the budget is left, a step costs {cost:g}"
            why += ", and the game has come to its own end" if is_settled else ""
            require(
                bool(turn.terminated) == must_end,
                f"terminated is {turn.terminated} at step {step} with {name}, but {why}; terminate exactly when the "
                "budget cannot pay the next step or the game is decided",
            )
            require(not turn.truncated, f"truncated is True at step {step}; leave that to the wrapper TimeLimit")


def _is_settled(case: Case, turn: Turn, *, is_last: bool) -> bool:
    """Whether no bound can move outward; of other games, what they say themselves, at the last step."""
    if not isinstance(case.bare.game, RegionGame):
        return is_last and bool(case.bare.game.settled[0])
    width = turn.info["upper"] - turn.info["lower"]
    return bool((width >= case.function.space.width * (1 - CLOSE)).all())


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
        watch.asked == 0 and float(case.oracle.spent.sum()) == turns[-1].spent,
        "a step after the end asks or charges before it is refused; refuse it first",
    )


def _check_members(case: Case) -> None:
    function = case.function
    allowed = {function.member_ids[row] for row in case.bare.play.episodes.members}
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
            plain = str(told)
            while plain.startswith("complement(") and plain.endswith(")"):
                plain = plain[len("complement(") : -1]
            other = set(watch.member_ids[before:]) - {plain}
            require(not other, f"info tells member {plain}, but {sorted(other)[:1]} was asked; ask what you tell")
    require(
        len(drawn) > 1 or len(allowed) == 1,
        f"{MEMBER_RESETS} episodes all draw the same of {len(allowed)} members; draw one in every reset(), "
        "seeded or not",
    )


def _check_budget_seen(case: Case) -> None:
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
