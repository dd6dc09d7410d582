"""A checker of environments over counted queries: one small check a promise, run before anything is trained on one.

`check_semrob_env(env)` returns nothing if all hold, else raises ContractError; its message says which promise is
broken, the likely cause and what to do. It takes any single or vector environment of Gymnasium whose
`unwrapped.oracle` is its QueryOracle, by whomever it is; what is asked of it beyond that, it declares by its `Traits`.
What an environment is to Gymnasium (types, seeds, own arrays) and what it spends is checked with all wrappers around
it; the rules of the games inside them. Gymnasium's own `check_env` runs last; its known false pass, an environment that
hands out one array again and again and so agrees with itself, is none here: observations are copied as they come.

A wrapper that keeps something from one episode to the next, as `NormalizeObservation` does, breaks a promise: check the
environment without it.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import load_env_creator
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Dict, Space
from gymnasium.utils.env_checker import check_env

from semrob_env.envs.check_case import (
    CLOSE,
    MOST_STEPS,
    PLAYED_STEPS,
    Case,
    Environment,
    FirstRow,
    Turn,
    Vector,
    Watch,
    arrays,
    require,
    same,
)
from semrob_env.errors import ContractError, InvalidActionError
from semrob_env.regions import Regions

MEMBER_RESETS = 24
"""Episodes that are begun to see which members they draw."""

Check = Callable[[Case], None]

PROMISES: dict[str, Check] = {}
"""Every promise, as what an environment is to do, and its check, in the order of checking."""


def check_semrob_env(env: Environment | Vector) -> None:
    """Check every promise of an environment.

    Args:
        env: An environment, just made and not reset yet; wrappers may be around it. It is played for some dozens of
            episodes, most of them cut short, and left as it is after a reset. Its frames are checked if it has a render
            mode, its vector environment if `gymnasium.make` made it. Of a vector environment, all rows are played
            alike, and then each by itself.

    Raises:
        ContractError: A promise is broken; the message names it, the likely cause and the fix.
    """
    case = Case.of(env)
    for promise, check in PROMISES.items():
        try:
            check(case)
        except ContractError as error:
            raise ContractError(f"{case.name} does not {promise}: {error}") from error
        except Exception as error:
            raise ContractError(
                f"{case.name} raised {type(error).__name__} where it should {promise}: {error}; make it work for "
                "every action in the action space, every seed and every score"
            ) from error


def _promise(promise: str) -> Callable[[Check], Check]:
    def kept(check: Check) -> Check:
        PROMISES[promise] = check
        return check

    return kept


@_promise("declare bounded spaces")
def _check_spaces(case: Case) -> None:
    for env in (case.env, case.bare):
        action, seen = env.action_space, env.observation_space
        parts = seen.values() if isinstance(seen, Dict) else [seen]
        is_flat_box = isinstance(action, Box) and action.is_bounded() and len(action.shape) == 1
        require(
            is_flat_box or not (isinstance(action, Box) or case.traits.clips_actions),
            f"the action space is {action}; give a bounded Box of one axis, as agents for continuous actions want it",
        )
        require(
            all(isinstance(part, Box) and part.is_bounded() for part in parts),
            f"the observation space is {seen}; give a bounded Box, or a Dict of such: every entry has limits",
        )


@_promise("refuse a step before a reset")
def _check_order(case: Case) -> None:
    case.require_refusal(
        case.constant(0.5),
        ResetNeeded,
        "step() works before any reset(); raise a gymnasium.error.ResetNeeded, or, if it has been reset before, "
        "give the checker an environment that has just been made",
        "step() asks the function before it refuses; look whether an episode runs first",
    )


@_promise("return what Gymnasium's reset and step return")
def _check_types(case: Case) -> None:
    env = case.env
    first = env.reset(seed=0)
    require(
        isinstance(first, tuple) and len(first) == 2 and isinstance(first[1], dict),
        f"reset() returns {type(first).__name__}; return (observation, info), info a dict",
    )
    result = env.step(case.actions(1)[0])
    require(
        isinstance(result, tuple) and len(result) == 5 and isinstance(result[4], dict),
        f"step() returns {type(result).__name__}; return (observation, reward, terminated, truncated, info)",
    )
    _, reward, terminated, truncated, _ = result
    require(
        isinstance(reward, float) and isinstance(terminated, bool) and isinstance(truncated, bool),
        f"step() returns reward {reward!r}, terminated {terminated!r}, truncated {truncated!r}; give a plain float and "
        "two plain bools (float(...), bool(...) around what NumPy gives)",
    )
    case.keys |= set(case.bare.reset(seed=0)[1]) & set(first[1])


@_promise("keep observations in their space")
def _check_observations(case: Case) -> None:
    extremes = [case.constant(share, of=case.env) for share in (1.0, 0.0)]
    plays = {
        "random actions": case.actions(MOST_STEPS),
        "the highest action": extremes[:1] * MOST_STEPS,
        "the lowest action": extremes[1:] * PLAYED_STEPS,
        "the highest and the lowest action by turns": extremes * PLAYED_STEPS,
    }
    for seed, (name, actions) in enumerate(plays.items()):
        for step, turn in enumerate(case.play(actions, seed=seed)):
            wrong = _outside(case.env.observation_space, turn.observation)
            require(wrong is None, f"{wrong} at step {step} of an episode with {name}")
            require(bool(np.isfinite(turn.reward)), f"the reward is {turn.reward} at step {step} with {name}")


@_promise("hand out arrays of its own")
def _check_own_arrays(case: Case) -> None:
    # What an episode handed out survives the next one as well.
    turns, again = case.play(case.actions(PLAYED_STEPS)), case.play(case.actions(PLAYED_STEPS))
    for step, turn in enumerate([*turns, *again]):
        require(
            same(turn.returned[0], turn.observation),
            f"the observation returned at call {step} changes later; return a new array each time, no buffer (an "
            "environment with a buffer agrees with itself, and so passes checks of determinism without copies)",
        )
        wrong = [key for key in sorted(case.keys) if not same(turn.returned[1].get(key), turn.info.get(key))]
        require(not wrong, f"info{wrong[:1]} returned at call {step} changes later; return a new dict and new arrays")
    held = [id(array) for turn in turns for array in arrays(turn.returned)]
    require(len(set(held)) == len(held), "two calls return the same array; return a new one each time")


@_promise("agree with the oracle to the unit")
def _check_meter(case: Case) -> None:
    turns = [
        (step, turn) for seed in (0, 1) for step, turn in enumerate(case.play(case.actions(PLAYED_STEPS), seed=seed))
    ]
    charged = 0.0
    for step, turn in turns:
        missing = [key for key in ("forward_queries", "gradient_queries", "spent") if key not in turn.info]
        require(not missing, f"info has no {missing[:1]} at step {step}; tell what the oracle has counted")
        told = turn.info["forward_queries"], turn.info["gradient_queries"], turn.info["spent"]
        require(
            told == (turn.forward, turn.gradient, turn.spent),
            f"info tells {told} at step {step}, the oracle has counted {(turn.forward, turn.gradient, turn.spent)} "
            "forward and gradient queries and spent; read info from the oracle after its answer",
        )
        before, charged = charged if step else 0.0, turn.forward + turn.gradient
        require(
            turn.asked <= charged - before,
            f"the function was asked {turn.asked:g} points at step {step}, {charged - before:g} were charged: points "
            "are asked past the oracle; an environment asks through oracle.query only, for its reward as well",
        )
        why = "answers are kept, or come from elsewhere; the oracle charges what the function answers"
        require(
            turn.asked == charged - before,
            f"{charged - before:g} queries were charged at step {step}, the function was asked {turn.asked:g} points: "
            + (why if step else "the meter of the last episode goes on; begin each with a fresh one"),
        )


@_promise("repeat itself by its seed")
def _check_seeds(case: Case) -> None:
    actions = case.actions(PLAYED_STEPS)

    def played() -> list[Any]:
        return [*case.play(actions, seed=5), *case.play(actions[:2], seed=None)]

    first = played()
    case.play(actions[:3], seed=6)
    case.require_same(
        first,
        played(),
        "differs with the same seed and actions; draw from self.np_random only, begin every episode afresh in reset(), "
        "and give reset(seed=...) to super().reset(seed=seed)",
    )


@_promise("keep its state to itself")
def _check_own_state(case: Case) -> None:
    def spoil(turn: Turn) -> None:
        for array in arrays(turn.returned):
            if array.flags.writeable and array.dtype.kind in "fiub":
                array[...] = 0

    spoiled, plain = (case.play(case.actions(PLAYED_STEPS), seed=1, after=after) for after in (spoil, None))
    case.require_same(
        spoiled, plain, "changes when arrays that were returned are overwritten; hand out copies of state"
    )


@_promise("leave global random numbers alone")
def _check_global_numbers(case: Case) -> None:
    actions = case.actions(PLAYED_STEPS)
    state, plain = np.random.get_state(), random.getstate()  # noqa: NPY002 (looks whether anybody else uses it)
    undisturbed = case.play(actions, seed=2)
    after, plain_after = np.random.get_state(), random.getstate()  # noqa: NPY002
    require(
        same(list(state), list(after)) and plain == plain_after,
        "it draws from, or seeds, the global random numbers of NumPy or Python; use self.np_random",
    )
    case.require_same(undisturbed, case.play(actions, seed=2), "differs in a second run; use self.np_random")


def _outside(space: Space[Any], observation: Any, name: str = "the observation") -> str | None:
    """What is wrong with an observation, in words."""
    if isinstance(space, Dict):
        if not isinstance(observation, Mapping) or observation.keys() != space.spaces.keys():
            return f"{name} must have the keys {', '.join(space.spaces)}"
        wrong = [_outside(part, observation[key], f"observation[{key!r}]") for key, part in space.spaces.items()]
        return next((text for text in wrong if text is not None), None)
    assert isinstance(space, Box)  # checked before
    if not isinstance(observation, np.ndarray) or (observation.shape, observation.dtype) != (space.shape, space.dtype):
        told = getattr(observation, "shape", type(observation).__name__), getattr(observation, "dtype", "")
        return f"{name} is {told[0]} {told[1]}, must be an array {space.shape} {space.dtype}; convert it (astype, copy)"
    off = np.argwhere(~((observation >= space.low) & (observation <= space.high)))
    if not len(off):
        return None
    at = tuple(off[0].tolist())
    return (
        f"{name} has {observation[at]:g} at {at}, allowed is [{space.low[at]:g}, {space.high[at]:g}]; widen the space, "
        "or clip what rounding to float32 takes over its limits"
    )


@_promise("keep within its budget")
def _check_budget(case: Case) -> None:
    for seed, actions in enumerate((case.actions(MOST_STEPS), [case.constant(0.0)] * MOST_STEPS)):
        for step, turn in enumerate(case.play(actions, seed=seed, bare=True)):
            budget = case.oracle.budget
            require(
                np.isfinite(budget) and turn.spent <= budget,
                f"{turn.spent:g} of a budget of {budget:g} is spent at step {step}; give the oracle the budget, and "
                "end the episode when it cannot pay the next step",
            )


@_promise("begin each episode with a fresh meter")
def _check_fresh_meter(case: Case) -> None:
    first = case.play(case.actions(PLAYED_STEPS), bare=True)[0]
    for _ in range(2):
        again = case.play(case.actions(2), seed=None, bare=True)[0]
        require(
            again.spent == first.spent and again.asked == first.asked,
            f"{again.spent:g} is spent after a later reset, {first.spent:g} after the first one; begin each episode "
            "with a meter at 0, and charge its first observation",
        )


@_promise("reward the gain of the objective it tells")
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


@_promise("tell the objective of its formula")
def _check_objective(case: Case) -> None:
    goal, seeks, function = case.traits.goal, case.traits.seeks, case.function
    plays = (case.actions(PLAYED_STEPS), [case.constant(1.0)] * PLAYED_STEPS)
    for step, turn in [pair for actions in plays for pair in enumerate(case.play(actions, seed=3, bare=True))]:
        if goal is None:
            break
        info = turn.info
        share = float(Regions(function.space, info["lower"], info["upper"]).share()[0])
        missed = float(goal.shortfall(info["mean"], info["variance"]))
        expected = -missed if missed > 0 else share
        if info.get("claimed"):
            expected = share if info["confirmed"] else -missed - case.traits.stake * share
        require(
            abs(info["region"] - share) <= CLOSE and abs(info["objective"] - expected) <= CLOSE,
            f"info tells a region of {info['region']:g} and an objective of {info['objective']:g} at step {step}; by "
            f"the bounds, mean and variance told beside them they are {share:g} and {expected:g}",
        )
    best = 0.0
    for step, turn in enumerate(case.play(case.actions(PLAYED_STEPS), seed=3, bare=True) if seeks else ()):
        member = int(turn.info["member"])
        score = float(function.scale.unit(function.values(turn.info["theta"][None, None], [member]))[0, 0])
        best = max(best, 1 - score if seeks == "low" else score)
        require(
            abs(turn.info["objective"] - best) <= CLOSE,
            f"info tells an objective of {turn.info['objective']:g} at step {step}; the best of the scores so far is "
            f"worth {best:g} with the goal {seeks}",
        )


@_promise("judge by charged answers alone")
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


@_promise("end exactly when it says")
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


@_promise("refuse to go on after the end")
def _check_after_end(case: Case) -> None:
    turns = case.play([case.constant(1.0)] * MOST_STEPS, bare=True)
    if not turns[-1].is_over:
        return
    case.require_refusal(
        case.constant(0.5),
        ResetNeeded,
        "step() works after the end of an episode; raise a gymnasium.error.ResetNeeded",
        "a step after the end asks or charges before it is refused; refuse it first",
    )


@_promise("ask the members it names")
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
            row = turn.info.get("member")
            told = function.member_ids[row] if row in case.traits.members else None
            require(
                told is not None,
                f"an episode is played on member {row!r}, not one of the {len(allowed)} members of this environment; "
                "draw among `members`, and tell which in info['member']",
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


@_promise("let the agent see the budget")
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


def _is_settled(case: Case, turn: Turn, *, is_last: bool) -> bool:
    """Whether no bound can move outward; without a goal, what the environment says itself, at the last step."""
    if case.traits.goal is not None:
        width = turn.info["upper"] - turn.info["lower"]
        return bool((width >= case.function.space.width * (1 - CLOSE)).all())
    settled = getattr(case.bare, "settled", None)
    return bool(turn.terminated) if settled is None else is_last and bool(settled[0])


@_promise("refuse actions it cannot read")
def _check_bad_actions(case: Case) -> None:
    if not case.traits.clips_actions:
        return
    good = case.actions(3, of=case.bare)
    bad: dict[str, Any] = {"NaN": np.full_like(good[0], np.nan), "a number too many": np.append(good[0], good[0][:1])}
    bad |= {"a row for a single action": good[0][None], "text": "widen"}
    reference = case.play(good, bare=True)
    for name, action in bad.items():
        case.play(good[:1], bare=True)
        case.require_refusal(
            action,
            InvalidActionError,
            f"step() takes {name} as action; raise InvalidActionError and say what is allowed",
            f"an action that is refused ({name}) asks or charges; check the action before anything else",
        )
        turn = case.bare.step(good[1].copy())
        require(
            same(turn[0], reference[2].observation) and same(turn[1], reference[2].reward),
            f"the episode goes on differently after an action was refused ({name}); check it before any state moves",
        )


@_promise("leave the arrays of actions alone")
def _check_action_arrays(case: Case) -> None:
    if not isinstance(case.bare.action_space, Box):
        return
    actions = case.actions(PLAYED_STEPS, of=case.bare)

    def handed_over() -> Iterator[npt.NDArray[Any]]:
        for action in actions:
            given = action.copy()
            yield given
            require(same(given, action), "step() changes the action that it is given; copy before writing")
            given[...] = 0

    case.require_same(
        case.play(actions, bare=True),
        case.play(handed_over(), bare=True, copied=False),
        "changes when an action is overwritten after its step; keep a copy of it, or none",
    )


@_promise("clip actions that reach too far")
def _check_clipping(case: Case) -> None:
    if not case.traits.clips_actions:
        return
    space = case.bare.action_space
    far = [3 * action for action in case.actions(PLAYED_STEPS, of=case.bare)]
    near = [np.clip(action, space.low, space.high) for action in far]
    case.require_same(
        case.play(far, bare=True),
        case.play(near, bare=True),
        "differs if actions beyond the action space are clipped first; clip them in step()",
    )


@_promise("move as its actions say")
def _check_moves(case: Case) -> None:
    space = case.function.space
    if case.traits.seeks is not None:
        _check_points(case)
    if case.traits.goal is None:
        return
    wide = [case.constant(1.0)] * 2
    plays = {f"{2 * share - 1:+g}": (2 * share - 1, [*wide, *[case.constant(share)] * 2]) for share in (1.0, 0.0)}
    for name, (sign, actions) in {**plays, "random": (0.0, case.actions(PLAYED_STEPS, of=case.bare))}.items():
        turns = case.play(actions, seed=4, bare=True)
        start = case.bare.game.start[0]
        for step, turn in enumerate(turns):
            lower, upper = turn.info["lower"], turn.info["upper"]
            inside = (lower >= space.low - CLOSE) & (upper <= space.high + CLOSE) | space.is_periodic
            around = (lower <= start) & (start <= upper) & (upper - lower <= space.width * (1 + CLOSE))
            require(
                bool((inside & around).all()),
                f"the region is {lower.tolist()} to {upper.tolist()} at step {step} with actions {name}, theta0 "
                f"{start.tolist()}; it must lie in the space, hold theta0 and end after one turn",
            )
        for step, (before, turn) in enumerate(pairwise(turns[2:]), start=3):
            below, above = before.info["lower"] - turn.info["lower"], turn.info["upper"] - before.info["upper"]
            require(
                bool((sign * below >= 0).all() and (sign * above >= 0).all()),
                f"an action of {name} moves the bounds by {(-below).tolist()} and {above.tolist()} at step {step}; "
                "positive numbers widen the region, negative ones shrink it, on both sides",
            )


@_promise("render without a trace")
def _check_render(case: Case) -> None:
    mode = case.bare.render_mode
    if mode is None:
        return
    actions, frames = case.actions(PLAYED_STEPS, of=case.bare), []

    def render(turn: Turn) -> None:
        frames.append(case.bare.render())
        require(
            case.spent == turn.spent,
            "render() charges queries; ask the function itself for a picture, never through the oracle",
        )

    rendered = case.play(actions, bare=True, after=render)
    plain = case.play(actions, bare=True)
    case.require_same(
        plain, rendered, "differs when it is rendered; draw nothing from self.np_random, and move no state"
    )
    if mode == "ansi":
        require(all(isinstance(frame, str) and frame for frame in frames), "ansi frames must be text; return a str")
    if mode == "rgb_array":
        case.play(actions[:2], seed=None, bare=True, after=render)
        forms = {(getattr(f, "shape", None), str(getattr(f, "dtype", ""))) for f in frames}
        (shape, dtype), *others = forms
        require(
            not others and shape is not None and len(shape) == 3 and shape[2] == 3 and dtype == "uint8",
            f"rgb_array frames are {sorted(map(str, forms))}; all must be (H, W, 3) uint8 of one shape",
        )
        require(len({id(frame) for frame in frames}) == len(frames), "two frames are one array; return a new one each")


@_promise("play in a vector as it plays alone")
def _check_vector(case: Case) -> None:
    spec, seed = case.bare.spec, 7
    vector: Any = case.vector
    if vector is None:
        if spec is None or spec.vector_entry_point is None:
            return
        make = spec.vector_entry_point
        make = load_env_creator(make) if isinstance(make, str) else make
        vector = make(num_envs=3, **{name: value for name, value in spec.kwargs.items() if name != "render_mode"})
    count, rows = vector.num_envs, FirstRow(vector)
    actions = [case.actions(PLAYED_STEPS, seed=row, of=case.bare) for row in range(count)]
    alone = [case.play(actions[row], seed=seed + row, bare=True) for row in range(min(count, 3))]
    for step in range(min(map(len, alone))):
        given = np.stack([own[step - 1] for own in actions])
        told: Any = vector.reset(seed=seed) if step == 0 else vector.step(given)
        for row, turns in enumerate(alone):
            turn, info = turns[step], rows.told(told[-1], row)
            is_same = same(turn.observation, rows.row(told[0], row))
            if step:
                is_same &= float(told[1][row]) == turn.reward and bool(told[2][row]) == turn.terminated
            wrong = [
                key for key in case.keys if not np.array_equal(np.asarray(info.get(key)), np.asarray(turn.info[key]))
            ]
            require(
                is_same and not wrong,
                f"environment {row} of {count} differs from one alone at step {step}"
                + (f" in info[{wrong[0]!r}]" if wrong else "")
                + "; seed it with seed + row, draw in the same order, and use nothing across environments (no matrix "
                "product, no shared generator)",
            )
    if case.vector is None:
        vector.close()


def _check_points(case: Case) -> None:
    space = case.function.space
    with Watch(case.function) as watch:
        for action in case.actions(3, of=case.bare):
            case.play([action], bare=True, watch=watch)
            expected = space.from_unit((action.astype(np.float64) + 1) / 2)
            asked = watch.theta[-1][-1]
            require(
                bool(np.allclose(asked, expected, rtol=0, atol=1e-6 * space.width.max())),
                f"the action {action.tolist()} asks {asked.tolist()}, not {expected.tolist()}; -1 is the low end of a "
                "parameter and 1 the high end",
            )


@_promise("pass Gymnasium's own checker without a warning")
def _check_gymnasium(case: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            check_env(case.bare, skip_render_check=True, skip_close_check=True)
        except (AssertionError, Warning) as error:
            text = " ".join(str(error).split())
            raise ContractError(f"gymnasium.utils.env_checker.check_env says: {text}") from error


@_promise("begin again after all")
def _check_last(case: Case) -> None:
    case.env.reset(seed=0)
