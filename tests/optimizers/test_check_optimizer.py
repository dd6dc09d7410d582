"""The checker of optimizers: passes every registered method, and names the broken promise of each broken one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import baselines  # noqa: F401 - fills the registry
import optimizers  # noqa: F401 - fills the registry
from optimizers.base import Optimizer, RegionOptimizer, Settings, State
from optimizers.check import PLAYED_STEPS, check_optimizer, example_functions
from optimizers.corner_method import CornerMethod
from optimizers.registry import OPTIMIZERS
from semrob_env.errors import ContractError
from semrob_env.functions import CallableFunction
from semrob_env.oracle import Answers, Queries
from semrob_env.regions import Regions
from semrob_env.types import FloatArray, IntArray


@dataclass(frozen=True)
class PlainSettings(Settings):
    """A hyperparameter that JSON keeps."""

    pace: float = 0.02


@dataclass(frozen=True)
class NestedSettings(Settings):
    """A hyperparameter that JSON turns into something else."""

    pairs: tuple[tuple[int, int], ...] = ((1, 2),)


def ends_after(steps: Callable[[Toy], IntArray | int]) -> dict[str, Any]:
    """What makes the toy end after some steps of each trajectory, and refuse to be asked when all have ended."""

    def start(self: Toy) -> State:
        return {**Toy._start(self), "told": np.zeros(len(self)), "converged": np.zeros(len(self), dtype=np.bool_)}

    def ask(self: Toy, state: State) -> FloatArray:
        assert not state["converged"].all(), "asked after the end"
        points = Toy._ask(self, state)
        points[state["converged"]] = len(self)  # nothing that a caller may look at
        return points

    def tell(self: Toy, state: State, answers: Answers) -> State:
        told = state["told"] + 1
        return {**Toy._tell(self, state, answers), "told": told, "converged": told >= steps(self)}

    return {"_start": start, "_ask": ask, "_tell": tell}


class Toy(RegionOptimizer[PlainSettings]):
    """Grows evenly by the mean score at its bounds and start: keeps every promise."""

    name = "toy"
    title = "Toy"
    settings_class = PlainSettings

    def _start(self) -> State:
        half = 0.01 * self.space.width
        return {"lower": self.start - half, "upper": self.start + half}

    def _ask(self, state: State) -> FloatArray:
        return np.stack([state["lower"], self.start, state["upper"]], axis=1)

    def _tell(self, state: State, answers: Answers) -> State:
        step = 0.02 * answers.values.mean(axis=1, keepdims=True) * self.space.width
        return {"lower": state["lower"] - step, "upper": state["upper"] + step}


def toy(**changes: Any) -> type[Optimizer[Any]]:
    """The toy with some of its members changed."""
    return cast("type[Optimizer[Any]]", type("ChangedToy", (Toy,), changes))


def shrunk(self: Toy, state: State, factor: FloatArray | float) -> State:
    """The region around the start by a factor."""
    return {name: self.start + (state[name] - self.start) * factor for name in ("lower", "upper")}


def draws_own_numbers(self: Toy, state: State, answers: Answers) -> State:
    return shrunk(self, state, float(np.random.default_rng().random()))


def draws_numbers(self: Toy, state: State, answers: Answers) -> State:
    return shrunk(self, state, np.array([[rng.random()] for rng in self.rngs]))


def divides_by_spread(self: Toy, state: State, answers: Answers) -> State:
    with np.errstate(invalid="ignore"):
        return shrunk(
            self, state, 1 + np.ptp(answers.values, axis=1, keepdims=True) / np.ptp(answers.values, axis=1)[:, None]
        )


def follows_batch_mean(self: Toy, state: State, answers: Answers) -> State:
    return shrunk(self, state, 1 + float(answers.values.mean()))


def follows_running_share(self: Toy, state: State, answers: Answers) -> State:
    return shrunk(self, state, 1 + float(self.running.mean()))


def counts_in_attribute(self: Toy, state: State, answers: Answers) -> State:
    self.told = getattr(self, "told", 0) + 1  # type: ignore[attr-defined]
    return shrunk(self, state, 1 + 1 / self.told)  # type: ignore[attr-defined]


def moves_in_place(self: Toy, state: State, answers: Answers) -> State:
    state["lower"] -= 0.01 * self.space.width
    return state


def stays(self: Toy, state: State, answers: Answers) -> State:
    return shrunk(self, state, 1.0)


def loses_start(self: Toy, state: State, answers: Answers) -> State:
    return {name: state[name] + 0.1 * self.space.width for name in ("lower", "upper")}


def scales_answers(self: Toy, state: State, answers: Answers) -> State:
    answers.values[...] *= 0.5
    return shrunk(self, state, 1.0)


def needs_two_parameters(self: Toy, state: State, answers: Answers) -> State:
    return shrunk(self, state, 1 + 0 * state["lower"][:, 1:2])


def asks_nan(self: Toy, state: State) -> FloatArray:
    return np.full((len(self), 3, self.space.n), np.nan)


def asks_nothing(self: Toy, state: State) -> FloatArray:
    return np.empty((len(self), 0, self.space.n))


def asks_one_point_for_all(self: Toy, state: State) -> FloatArray:
    return np.asarray(state["lower"])


def asks_nothing_later(self: Toy, state: State) -> FloatArray:
    theta = Toy._ask(self, state)
    return theta[:, :0] if self.steps.max() > PLAYED_STEPS else theta


def starts_nowhere_at_low(self: Toy) -> State:
    state = Toy._start(self)
    return {**state, "lower": np.where(self.start == self.space.low, np.nan, state["lower"])}


def recommends_best_only(self: Toy) -> Regions:
    return cast(Regions, self.best)  # type: ignore[attr-defined]


def recommends_unclipped(self: Toy) -> Regions:
    return Regions(self.space, self._state["lower"] - self.space.width, self._state["upper"])


def recommends_first(self: Toy) -> Regions:
    return Toy._recommend(self)[0]


def wants_gradient(self: Toy) -> Queries:
    return replace(Toy.ask(self), wants_gradient=True)


def asks_inactive(self: Toy) -> Queries:
    queries = Toy.ask(self)
    return replace(queries, active=np.zeros_like(queries.active))


def asks_from_buffer(self: Toy) -> Queries:
    queries = Toy.ask(self)
    self.buffer = getattr(self, "buffer", np.empty_like(queries.theta))  # type: ignore[attr-defined]
    self.buffer[...] = queries.theta  # type: ignore[attr-defined]
    return replace(queries, theta=self.buffer)  # type: ignore[attr-defined]


def hands_out_members(self: Toy) -> Queries:
    queries = Toy.ask(self)
    self.member = getattr(self, "member", queries.member.copy())  # type: ignore[attr-defined]
    return replace(queries, member=self.member)  # type: ignore[attr-defined]


def asks_by_itself(self: Toy, answers: Answers) -> None:
    self.ask()
    Toy.tell(self, answers)


def asks_again_by_itself(self: Toy, answers: Answers) -> None:
    if self.steps.any():
        self.ask()
    Toy.tell(self, answers)


def follows_goal(self: Toy, state: State, answers: Answers) -> State:
    return shrunk(self, state, 1 + self.questions.goal.least)


def follows_budget(self: Toy, state: State, answers: Answers) -> State:
    return shrunk(self, state, 1 + 1 / self.questions.budget)


def knows_means_only(self: Toy, state: State, answers: Answers) -> State:
    return shrunk(self, state, 1 + self.questions.goal.epsilon_m)  # type: ignore[attr-defined]


def saves_views(self: Toy) -> State:
    return {**Toy.save(self), "state.lower": self._state["lower"]}


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"settings_class": NestedSettings}, "settings change when stored as JSON"),
    ({"_ask": asks_nan}, r"ask\(\) leaves the space in step 0, likely by NaN"),
    ({"_ask": asks_nothing}, r"ask\(\) gives theta \(7, 0, 1\) in step 0"),
    ({"_ask": asks_one_point_for_all}, "raised ShapeMismatchError where it should ask points inside the space"),
    ({"ask": wants_gradient}, "wants_gradient=True, the class uses_gradient=False"),
    ({"ask": asks_inactive}, r"active entries of ended trajectories, or skips running ones"),
    ({"_tell": needs_two_parameters}, "n = 1 raised ValueError where it should"),
    (
        {"_recommend": recommends_best_only},
        "raised AttributeError where it should recommend regions .* before any tell",
    ),
    ({"_recommend": recommends_unclipped}, r"recommend\(\) before any tell leaves the space or its canonical form"),
    ({"_recommend": recommends_first}, r"recommend\(\) before any tell gives 1 regions for 2 trajectories"),
    ({"_tell": loses_start}, "recommended after step 0 has lost its start point, first in trajectory"),
    ({"_start": starts_nowhere_at_low}, "raised InvalidRegionError where it should start at the corners"),
    ({"_tell": divides_by_spread}, "raised InvalidRegionError where it should survive NaN and constant scores"),
    ({"_ask": asks_nothing_later, "_tell": stays}, "a run with a budget of 20 does not end: a step asks nothing"),
    ({"_tell": draws_own_numbers}, "the same seed gives another answer; draw from self.rngs only"),
    ({"is_stochastic": True}, "another seed gives the same answer"),
    ({"_tell": draws_numbers}, "the answer depends on the seed; set is_stochastic = True"),
    ({"_tell": follows_batch_mean}, "alone differ from the same ones in a batch of 7; use nothing across"),
    (
        {"_tell": counts_in_attribute},
        "saved and restored optimizer goes on differently; keep all that changes in the state",
    ),
    ({"_tell": moves_in_place}, "a stopped trajectory still moves; _tell must return new arrays"),
    ({"_tell": follows_running_share}, "go on differently when others have stopped"),
    ({"_tell": follows_goal, "uses_goal": False}, r"the goal mean=0\.9,.* changes what it does; set uses_goal = True"),
    ({"_tell": follows_budget}, "a larger budget changes its first steps; set plans_by_budget = True"),
    ({"_tell": knows_means_only}, "raised AttributeError where it should take any goal"),
    ({"tell": asks_by_itself}, r"tell\(\) works before any ask; raise ProtocolError"),
    ({"tell": asks_again_by_itself}, r"tell\(\) works twice for one ask; raise ProtocolError"),
    ({"_tell": scales_answers}, r"tell\(\) changes the arrays of its answers; copy before writing"),
    ({"ask": asks_from_buffer}, r"an array that ask\(\) handed out changes later"),
    ({"ask": hands_out_members}, "raised UnknownNameError where it should leave given and handed-out arrays alone"),
    ({"save": saves_views}, "writing into arrays that were given or handed out changes the answer"),
]


@pytest.mark.parametrize(
    "name",
    [
        name if issubclass(method, CornerMethod) else pytest.param(name, marks=pytest.mark.slow)
        for name, method in OPTIMIZERS.items()
    ],
)
def test_every_registered_method_keeps_every_promise(name: str) -> None:
    method = OPTIMIZERS[name]
    # One with a Gaussian process takes a second for what others do in a millisecond: one function must do.
    check_optimizer(method, functions=example_functions()[1:2] if method.answers_goals else None)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"is_stochastic": True, "_tell": draws_numbers},
        {"uses_goal": False},
        {"_tell": follows_goal},
        {"_tell": follows_budget, "plans_by_budget": True},
        ends_after(lambda self: 1),
        ends_after(lambda self: 2),
        ends_after(lambda self: 1 + (self.start[:, 0].astype(np.int64) % 2)),
    ],
    ids=["plain", "stochastic", "without goal", "by its goal", "by its budget", "one step", "two steps", "unlike ends"],
)
def test_a_method_that_keeps_its_promises_passes(changes: dict[str, Any]) -> None:
    check_optimizer(toy(**changes))


@pytest.mark.parametrize(("changes", "message"), BROKEN, ids=[message[:40] for _, message in BROKEN])
def test_each_broken_promise_is_named_with_its_cause(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_optimizer(toy(**changes))


def test_a_method_without_a_title_is_told_so() -> None:
    members = {name: value for name, value in vars(Toy).items() if name in {"name", "settings_class"}}
    methods: dict[str, Callable[..., Any]] = {"_start": Toy._start, "_ask": Toy._ask, "_tell": Toy._tell}
    untitled = type("Untitled", (RegionOptimizer,), {**members, **methods})
    with pytest.raises(ContractError, match="the class has no title"):
        check_optimizer(cast("type[Optimizer[Any]]", untitled))


def test_functions_and_settings_of_ones_own_are_used() -> None:
    space = example_functions()[2].space
    asked: list[int] = []

    def scores(theta: FloatArray) -> FloatArray:
        asked.append(len(theta))
        return np.full(len(theta), 0.5)

    check_optimizer(OPTIMIZERS["oir_w"], functions=[CallableFunction(space, scores)])  # gradients by differences
    assert asked
    with pytest.raises(ContractError, match="naive takes RegularizedSettings"):
        check_optimizer(OPTIMIZERS["naive"], settings=PlainSettings())


def test_the_checker_loads_no_heavy_library() -> None:
    code = "import sys; from optimizers.check import check_optimizer; print(*sys.modules)"
    root = Path(__file__).parents[2]
    printed = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    modules = printed.split()
    assert "optimizers.check" in modules
    assert not {"torch", "numba", "openvino", "trimesh"} & set(modules)
