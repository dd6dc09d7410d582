"""A checker of environments over counted queries: one small check a promise, run before anything is trained on one.

`check_semrob_env(env)` returns nothing if all hold, else raises ContractError; its message says which promise is
broken, the likely cause and what to do. It takes any single or vector environment of Gymnasium whose
`unwrapped.oracle` is its QueryOracle, by whomever it is; what is asked of it beyond that, it declares by its
`Traits`. What an environment is to Gymnasium (types, seeds, own arrays) and what it
spends is checked with all wrappers around it; the rules of the games inside them. Gymnasium's own `check_env` runs
last. Its known false pass, an environment that hands out one and the same array again and again and so agrees with
itself, is none here: every observation is copied as it comes, and compared with what it was in the end.

A wrapper that keeps something from one episode to the next, as `NormalizeObservation` does, breaks a promise: check the
environment without it.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Dict, Space
from gymnasium.utils.env_checker import check_env

from semrob_env.envs.check_actions import ACTIONS
from semrob_env.envs.check_case import MOST_STEPS, PLAYED_STEPS, Case, Environment, Turn, Vector, arrays, require, same
from semrob_env.envs.check_rules import RULES
from semrob_env.envs.check_watch import Watch
from semrob_env.errors import ContractError


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


def _check_order(case: Case) -> None:
    with Watch(case.function) as watch:
        try:
            case.bare.step(case.constant(0.5))
        except ResetNeeded:
            pass
        else:
            raise ContractError(
                "step() works before any reset(); raise an error that is a gymnasium.error.ResetNeeded, or, if it has "
                "been reset before, give the checker an environment that has just been made"
            )
    require(watch.asked == 0, "step() asks the function before it refuses; look whether an episode runs first")


def _check_spaces(case: Case) -> None:
    for env in (case.env, case.bare):
        action = env.action_space
        require(
            action.is_bounded() and len(action.shape) == 1
            if isinstance(action, Box)
            else not case.traits.clips_actions,
            f"the action space is {action}; give a bounded Box of one axis, as agents for continuous actions want it",
        )
        observation = env.observation_space
        parts = list(observation.spaces.values()) if isinstance(observation, Dict) else [observation]
        require(
            all(isinstance(part, Box) and part.is_bounded() for part in parts),
            f"the observation space is {observation}; give a bounded Box, or a Dict of such: every entry has limits",
        )


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


def _check_own_arrays(case: Case) -> None:
    turns = case.play(case.actions(PLAYED_STEPS))
    again = case.play(case.actions(PLAYED_STEPS))  # what an episode handed out survives the next one as well
    for step, turn in enumerate([*turns, *again]):
        require(
            same(turn.returned[0], turn.observation),
            f"the observation returned at call {step} changes later; return a new array each time, no buffer (an "
            "environment with a buffer agrees with itself, and so passes checks of determinism without copies)",
        )
        kept = {key: (turn.returned[1].get(key), turn.info.get(key)) for key in sorted(case.keys)}
        wrong = [key for key, (now, then) in kept.items() if not same(now, then)]
        require(not wrong, f"info{wrong[:1]} returned at call {step} changes later; return a new dict and new arrays")
    held = [[id(array) for array in arrays(turn.returned)] for turn in turns]
    require(
        len({one for own in held for one in own}) == sum(map(len, held)),
        "two calls return the same array; return a new one each time",
    )


def _check_own_state(case: Case) -> None:
    spoiled = case.play(case.actions(PLAYED_STEPS), seed=1, after=_spoil)
    where = case.difference(spoiled, case.play(case.actions(PLAYED_STEPS), seed=1))
    require(where is None, f"{where} changes when arrays that were returned are overwritten; hand out copies of state")


def _spoil(turn: Turn) -> None:
    for array in arrays(turn.returned):
        if array.flags.writeable and array.dtype.kind in "fiub":
            array[...] = 0


def _check_seeds(case: Case) -> None:
    actions = case.actions(PLAYED_STEPS)

    def played() -> list[Any]:
        return [*case.play(actions, seed=5), *case.play(actions[:2], seed=None)]

    first = played()
    case.play(actions[:3], seed=6)
    where = case.difference(first, played())
    require(
        where is None,
        f"{where} differs with the same seed and actions; draw from self.np_random only, begin every episode afresh in "
        "reset(), and give reset(seed=...) to super().reset(seed=seed)",
    )


def _check_global_numbers(case: Case) -> None:
    actions = case.actions(PLAYED_STEPS)
    state, plain = np.random.get_state(), random.getstate()  # noqa: NPY002 (looks whether anybody else uses it)
    undisturbed = case.play(actions, seed=2)
    after, plain_after = np.random.get_state(), random.getstate()  # noqa: NPY002
    require(
        same(list(state), list(after)) and plain == plain_after,
        "it draws from, or seeds, the global random numbers of NumPy or Python; use self.np_random",
    )
    where = case.difference(undisturbed, case.play(actions, seed=2))
    require(where is None, f"{where} differs in a second run; use self.np_random")


def _check_meter(case: Case) -> None:
    for seed in (0, 1):
        before = 0.0
        for step, turn in enumerate(case.play(case.actions(PLAYED_STEPS), seed=seed)):
            missing = [key for key in ("forward_queries", "gradient_queries", "spent") if key not in turn.info]
            require(not missing, f"info has no {missing[:1]} at step {step}; tell what the oracle has counted")
            told = turn.info["forward_queries"], turn.info["gradient_queries"], turn.info["spent"]
            require(
                told == (turn.forward, turn.gradient, turn.spent),
                f"info tells {told} at step {step}, the oracle has counted {(turn.forward, turn.gradient, turn.spent)} "
                "forward and gradient queries and spent; read info from the oracle after its answer",
            )
            charged = turn.forward + turn.gradient - before
            before = turn.forward + turn.gradient
            require(
                turn.asked <= charged,
                f"the function was asked {turn.asked:g} points at step {step}, {charged:g} were charged: points are "
                "asked past the oracle; an environment asks through oracle.query only, for its reward as well",
            )
            require(
                turn.asked == charged,
                f"{charged:g} queries were charged at step {step}, the function was asked {turn.asked:g} points: "
                + (
                    "the meter of the last episode goes on; begin each with a fresh one"
                    if step == 0
                    else "answers are kept, or come from elsewhere; the oracle charges what the function answers"
                ),
            )


_INTERFACE: dict[str, Callable[[Case], None]] = {
    "declare bounded spaces": _check_spaces,
    "refuse a step before a reset": _check_order,
    "return what Gymnasium's reset and step return": _check_types,
    "keep observations in their space": _check_observations,
    "hand out arrays of its own": _check_own_arrays,
    "agree with the oracle to the unit": _check_meter,
    "repeat itself by its seed": _check_seeds,
    "keep its state to itself": _check_own_state,
    "leave global random numbers alone": _check_global_numbers,
}


def _check_gymnasium(case: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            check_env(case.bare, skip_render_check=True, skip_close_check=True)
        except (AssertionError, Warning) as error:
            text = " ".join(str(error).split())
            raise ContractError(f"gymnasium.utils.env_checker.check_env says: {text}") from error


def _check_end(case: Case) -> None:
    case.env.reset(seed=0)


PROMISES: dict[str, Callable[[Case], None]] = {
    **_INTERFACE,
    **RULES,
    **ACTIONS,
    "pass Gymnasium's own checker without a warning": _check_gymnasium,
    "begin again after all": _check_end,
}
"""Every promise, as what an environment is to do, and its check, in the order of checking."""
