"""Promises about actions, pictures and batches, checked inside all wrappers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import load_env_creator
from gymnasium.spaces import Box

from semrob_env.envs.check_case import CLOSE, PLAYED_STEPS, Case, FirstRow, Turn, require, same
from semrob_env.envs.check_watch import Watch
from semrob_env.errors import ContractError, InvalidActionError


def _check_bad_actions(case: Case) -> None:
    if not case.traits.clips_actions:
        return
    good = case.actions(3, of=case.bare)
    bad: dict[str, Any] = {"NaN": np.full_like(good[0], np.nan), "a number too many": np.append(good[0], good[0][:1])}
    bad |= {"a row for a single action": good[0][None], "text": "widen"}
    reference = case.play(good, bare=True)
    with Watch(case.function) as watch:
        for name, action in bad.items():
            before = case.play(good[:1], bare=True, watch=watch)[-1]
            asked = watch.asked
            try:
                case.bare.step(action)
            except InvalidActionError:
                pass
            else:
                raise ContractError(f"step() takes {name} as action; raise InvalidActionError and say what is allowed")
            require(
                watch.asked == asked and case.spent == before.spent,
                f"an action that is refused ({name}) asks or charges; check the action before anything else",
            )
            turn = case.bare.step(good[1].copy())
            require(
                same(turn[0], reference[2].observation) and same(turn[1], reference[2].reward),
                f"the episode goes on differently after an action was refused ({name}); check it before "
                "any state moves",
            )


def _check_clipping(case: Case) -> None:
    if not case.traits.clips_actions:
        return
    space = case.bare.action_space
    far = [3 * action for action in case.actions(PLAYED_STEPS, of=case.bare)]
    near = [np.clip(action, space.low, space.high) for action in far]
    where = case.difference(case.play(far, bare=True), case.play(near, bare=True))
    require(where is None, f"{where} differs if actions beyond the action space are clipped first; clip them in step()")


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

    where = case.difference(case.play(actions, bare=True), case.play(handed_over(), bare=True, copied=False))
    require(where is None, f"{where} changes when an action is overwritten after its step; keep a copy of it, or none")


def _check_moves(case: Case) -> None:
    space = case.function.space
    if case.traits.seeks is not None:
        _check_points(case)
    if case.traits.goal is None:
        return
    for name, share in (("+1", 1.0), ("-1", 0.0), ("random", None)):
        wide = [case.constant(1.0)] * 2
        actions = case.actions(PLAYED_STEPS, of=case.bare) if share is None else [*wide, *[case.constant(share)] * 2]
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
            sign = {"+1": 1.0, "-1": -1.0, "random": 0.0}[name]
            below, above = before.info["lower"] - turn.info["lower"], turn.info["upper"] - before.info["upper"]
            require(
                bool((sign * below >= 0).all() and (sign * above >= 0).all()),
                f"an action of {name} moves the bounds by {(-below).tolist()} and {above.tolist()} at step {step}; "
                "positive numbers widen the region, negative ones shrink it, on both sides",
            )


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
    where = case.difference(case.play(actions, bare=True), rendered)
    require(where is None, f"{where} differs when it is rendered; draw nothing from self.np_random, and move no state")
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
            wrong = [key for key in case.keys if not _equal(info.get(key), turn.info[key])]
            require(
                is_same and not wrong,
                f"environment {row} of {count} differs from one alone at step {step}"
                + (f" in info[{wrong[0]!r}]" if wrong else "")
                + "; seed it with seed + row, draw in the same order, and use nothing across environments (no matrix "
                "product, no shared generator)",
            )
    if case.vector is None:
        vector.close()


def _equal(one: Any, other: Any) -> bool:
    return bool(np.array_equal(np.asarray(one), np.asarray(other)))


ACTIONS: dict[str, Callable[[Case], None]] = {
    "refuse actions it cannot read": _check_bad_actions,
    "leave the arrays of actions alone": _check_action_arrays,
    "clip actions that reach too far": _check_clipping,
    "move as its actions say": _check_moves,
    "render without a trace": _check_render,
    "play in a vector as it plays alone": _check_vector,
}
