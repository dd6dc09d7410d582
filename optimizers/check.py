"""A checker for optimizers: one small check a promise of `optimizers.base.Optimizer`, run before a method is trusted.

`check_optimizer(MyMethod)` returns nothing if all hold, else raises ContractError; its message says which promise is
broken, the likely cause and what to do. The idea of a checker as a part of the product is Gymnasium's `check_env`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

import numpy as np
import numpy.typing as npt

from optimizers.base import BUDGET, RUNNING, STEPS, Optimizer, Settings, trajectory_generators
from optimizers.run import run
from semrob_env.errors import ContractError, ProtocolError
from semrob_env.functions import CallableFunction, ScoreFunction
from semrob_env.oracle import Answers, FiniteDifferences, Queries, QueryOracle
from semrob_env.parameters import AZIMUTH, ELEVATION, Parameter, SemanticSpace
from semrob_env.questions import Goal, MeanGoal, Questions, ReliabilityGoal
from semrob_env.regions import Regions
from semrob_env.types import FloatArray, IntArray

TRAJECTORIES, FEW, PLAYED_STEPS = 7, 2, 3
"""How many trajectories a check plays where their number matters, how many elsewhere, and for how many steps."""

BUDGET_OF_CHECKS = 150
"""What a method that plans by its budget is told where nothing else is checked."""


def check_optimizer(
    method: type[Optimizer[Any]], *, functions: Sequence[ScoreFunction] | None = None, settings: Settings | None = None
) -> None:
    """Check every promise of an optimizer class on some functions.

    Args:
        method: The class, as it would be registered.
        functions: What to ask; None: `example_functions()`, n = 1, 2 and 3. Each must have a member 0.
        settings: Hyperparameters; None: the method's defaults.

    Raises:
        ContractError: A promise is broken; the message names it, the likely cause and the fix.
    """
    for function in example_functions() if functions is None else functions:
        case = _Case(method, function, settings)
        for promise, check in _PROMISES.items():
            try:
                check(case)
            except ContractError as error:
                raise ContractError(f"{_name(method)} with n = {function.space.n}: {error}") from error
            except Exception as error:
                raise ContractError(
                    f"{_name(method)} with n = {function.space.n} raised {type(error).__name__} where it should "
                    f"{promise}: {error}; make it work for every space, start point and score"
                ) from error


def example_functions() -> list[ScoreFunction]:
    """Smooth functions with gradients over spaces of 1, 2 and 3 parameters, periodic and plain, of unlike ranges."""
    distance = Parameter("distance", "", 1.0, 5.0, None, 2.7, "grows away from the object")
    spaces = [SemanticSpace(chosen) for chosen in ((AZIMUTH,), (ELEVATION,), (AZIMUTH, ELEVATION))]
    return [_waves(space) for space in (*spaces, SemanticSpace((ELEVATION, distance, AZIMUTH)))]


def _waves(space: SemanticSpace) -> ScoreFunction:
    phase = np.arange(space.n)

    def scores(theta: FloatArray) -> FloatArray:
        return np.asarray(np.mean(0.5 + 0.45 * np.cos(2 * np.pi * space.to_unit(theta) + phase), axis=-1))

    def gradients(theta: FloatArray) -> FloatArray:
        slope = -0.45 * np.sin(2 * np.pi * space.to_unit(theta) + phase)
        return slope * 2 * np.pi / space.width / space.n

    return CallableFunction(space, scores, gradients=gradients, name="waves")


def _constant(function: ScoreFunction, score: float) -> ScoreFunction:
    """The score everywhere; NaN also as gradient."""
    return CallableFunction(
        function.space,
        lambda theta: np.full(len(theta), score),
        gradients=lambda theta: theta * 0 + (score if np.isnan(score) else 0.0),
        score_range=function.score_range,
        name=f"constant {score}",
    )


def _name(method: type[Optimizer[Any]]) -> str:
    return str(getattr(method, "name", method.__name__))


@final
@dataclass(frozen=True, eq=False)
class _Case:
    """A method, what it asks and its settings."""

    method: type[Optimizer[Any]]
    function: ScoreFunction
    settings: Settings | None

    @property
    def starts(self) -> FloatArray:
        """Start points (TRAJECTORIES, n) somewhere in the space."""
        return self.function.space.sample(TRAJECTORIES, np.random.default_rng(0))

    @property
    def few(self) -> FloatArray:
        """The first of them, (FEW, n)."""
        return self.starts[:FEW]

    @cached_property
    def plain(self) -> Played:
        """What the few ask and recommend if nothing special is done."""
        return self.played(self.make(self.few))

    def make(
        self,
        start: npt.ArrayLike,
        *,
        rows: IntArray | None = None,
        seed: int = 0,
        goal: Goal | None = None,
        budget: float = BUDGET_OF_CHECKS,
    ) -> Optimizer[Any]:
        """The optimizer; with rows, only those of the start points, each with the Generator it has in the whole."""
        points = np.atleast_2d(np.asarray(start, dtype=np.float64))
        chosen = np.arange(len(points)) if rows is None else rows
        generators = trajectory_generators(seed, len(points))
        questions = Questions(self.function.space, points[chosen], goal=goal, budget=budget)
        return self.method(questions, settings=self.settings, rngs=[generators[row] for row in chosen])

    def oracle(self, optimizer: Optimizer[Any], budget: float | None = None) -> QueryOracle:
        """An oracle for it, with finite differences where the function has no gradient."""
        estimate = None if self.function.has_gradient else FiniteDifferences()
        return QueryOracle(self.function, trajectories=len(optimizer), budget=budget, finite_differences=estimate)

    def play(self, optimizer: Optimizer[Any], steps: int = PLAYED_STEPS) -> Iterator[tuple[Queries, Answers]]:
        """Ask and tell, yielding what was asked and answered after each tell, until nothing runs."""
        oracle = self.oracle(optimizer)
        for _ in range(steps):
            if not optimizer.running.any():
                return
            queries = optimizer.ask()
            answers = oracle.query(queries)
            optimizer.tell(answers)
            yield queries, answers

    def played(self, optimizer: Optimizer[Any], steps: int = PLAYED_STEPS) -> Played:
        """Play, and keep what was asked and is recommended."""
        return [queries.theta.copy() for queries, _ in self.play(optimizer, steps)], optimizer.recommend()


def _require(promise: bool, message: str) -> None:
    if not promise:
        raise ContractError(message)


Played = tuple[list[FloatArray], Regions]
"""What was asked in each step, (B, m, n) each, and what was recommended after all."""


def _same(one: Regions, other: Regions) -> bool:
    return _equal([one.lower, one.upper], [other.lower, other.upper])


def _alike(one: Played, other: Played) -> bool:
    return _equal(one[0], other[0]) and _same(one[1], other[1])


def _require_regions(optimizer: Optimizer[Any], when: str, goal: Goal | None = None) -> None:
    """What is recommended is one region a trajectory, canonical, in the space, around its start (or one point)."""
    regions, space = optimizer.recommend(goal), optimizer.space
    _require(
        regions.space == space and len(regions) == len(optimizer),
        f"recommend() {when} gives {len(regions)} regions for {len(optimizer)} trajectories; give one each",
    )
    _require(
        _same(regions, regions.clip()),
        f"recommend() {when} leaves the space or its canonical form; answer Regions(space, lower, upper).clip()",
    )
    if optimizer.recommends == "points":
        is_point = bool((regions.lower == regions.upper).all())
        _require(is_point, f"a method of points recommends a volume {when}; answer Regions(space, point, point).clip()")
        return
    if not optimizer.keeps_start:
        return
    outside = np.flatnonzero(~regions.contains(optimizer.start))
    _require(
        not outside.size,
        f"the region recommended {when} has lost its start point, first in trajectory {outside[:1]}; "
        "keep lower <= start <= upper when a side moves (unwrapped, along a periodic parameter)",
    )


def _check_traits(case: _Case) -> None:
    method = case.method
    for trait in ("name", "title", "settings_class"):
        _require(hasattr(method, trait), f"the class has no {trait}; set it beside the class's other traits")
    defaults = method.settings_class()
    again = method.settings_class.from_mapping(json.loads(json.dumps(defaults.to_mapping())))
    _require(again == defaults, "settings change when stored as JSON; use numbers, words and tuples of numbers only")


def _check_asks(case: _Case) -> None:
    optimizer = case.make(case.starts)
    space = optimizer.space
    for step in range(PLAYED_STEPS):
        running = optimizer.running
        if not running.any():
            return
        queries = optimizer.ask()
        shape = queries.theta.shape
        _require(
            len(shape) == 3 and shape[0] == len(optimizer) and shape[1] > 0 and shape[2] == space.n,
            f"ask() gives theta {shape} in step {step}; _ask must return ({len(optimizer)}, m > 0, {space.n})",
        )
        _require(
            bool(space.contains(queries.theta[running]).all()),
            f"ask() leaves the space in step {step}, likely by NaN or inf in a bound; check divisions and logarithms",
        )
        _require(
            queries.wants_gradient == case.method.uses_gradient,
            f"ask() says wants_gradient={queries.wants_gradient}, the class uses_gradient={case.method.uses_gradient}; "
            "set the trait and leave ask() to the base class",
        )
        _require(
            bool((queries.active == running[:, None]).all()),
            "ask() has active entries of ended trajectories, or skips running ones; leave ask() to the base class",
        )
        optimizer.tell(case.oracle(optimizer).query(queries))


def _check_regions(case: _Case) -> None:
    optimizer = case.make(case.few)
    _require_regions(optimizer, "before any tell")
    for step, _ in enumerate(case.play(optimizer)):
        _require_regions(optimizer, f"after step {step}")


def _check_edges(case: _Case) -> None:
    space = case.function.space
    highest = np.where(space.is_periodic, np.nextafter(space.high, -np.inf), space.high)
    middle = space.from_unit(np.full(space.n, 0.5))
    each = np.eye(space.n, dtype=np.bool_)
    sides = [np.where(axis, bound, middle) for axis in each for bound in (space.low, highest)]
    optimizer = case.make(np.stack([space.low, highest, middle, *sides]))
    _require_regions(optimizer, "at a corner, an edge or the seam of the space before any tell")
    for step, _ in enumerate(case.play(optimizer)):
        _require_regions(optimizer, f"from a start at a corner, an edge or the seam of the space after step {step}")


def _check_scores(case: _Case) -> None:
    for score in (np.nan, case.function.score_range[1]):  # the oracle tells NaN as the lowest score
        flat = replace(case, function=_constant(case.function, score))
        optimizer = flat.make(case.few)
        for step, _ in enumerate(flat.play(optimizer)):
            _require_regions(optimizer, f"under the constant score {score} after step {step}")


def _check_budget(case: _Case) -> None:
    for budget in (1, 20, 60):
        optimizer = case.make(case.few, budget=budget)
        oracle = case.oracle(optimizer, budget)
        result = run(optimizer, oracle, max_steps=budget + 1)
        _require(bool((oracle.spent <= budget).all()), f"a run spends {oracle.spent.max():g} of a budget of {budget}")
        # A step costs at least 1, so a run that is not over by then has asked nothing in some of them.
        _require(
            STEPS not in result.status,
            f"a run with a budget of {budget} does not end: a step asks nothing; ask at least one point a step, "
            "or end the trajectory by a boolean `converged` in the state",
        )
        _require_regions(optimizer, f"at the end of a budget of {budget}")


def _check_seeds(case: _Case) -> None:
    _require(
        _alike(case.plain, case.played(case.make(case.few))),
        "the same seed gives another answer; draw from self.rngs only, never from a global or fresh generator",
    )
    same = _alike(case.plain, case.played(case.make(case.few, seed=1)))
    if case.method.is_stochastic or (case.settings is not None and case.settings.draws):
        _require(not same, "another seed gives the same answer; draw from self.rngs, or set is_stochastic = False")
    else:
        _require(same, "the answer depends on the seed; set is_stochastic = True")


def _check_neighbors(case: _Case) -> None:
    asked, regions = case.played(case.make(case.starts))
    for rows in (np.array([2]), np.array([5, 0, 3])):
        alone = case.played(case.make(case.starts, rows=rows))
        _require(
            _alike(([theta[rows] for theta in asked], regions[rows]), alone),
            f"trajectories {rows.tolist()} alone differ from the same ones in a batch of {len(regions)}; use nothing "
            "across the first axis: no batch mean, no shared generator, no matrix product (its bits depend on B)",
        )


def _check_restart(case: _Case) -> None:
    optimizer = case.make(case.few, seed=3)
    case.played(optimizer, 3)
    file = io.BytesIO()
    arrays: dict[str, Any] = optimizer.save()
    np.savez(file, **arrays)
    file.seek(0)
    continued = case.played(optimizer, 3)
    restored = case.make(case.few, seed=4)
    with np.load(file, allow_pickle=False) as saved:
        restored.restore(saved)
    _require(
        _alike(continued, case.played(restored, 3)) and optimizer.status == restored.status,
        "a saved and restored optimizer goes on differently; keep all that changes in the state dict, as arrays, and "
        "nothing in attributes",
    )


def _check_stopped(case: _Case) -> None:
    optimizer, undisturbed = case.make(case.few), case.make(case.few)
    case.played(optimizer, 2)
    case.played(undisturbed, 2)
    stopped = np.arange(len(optimizer)) % 2 == 0
    optimizer.stop(stopped, BUDGET)
    ended = optimizer.recommend()
    case.played(optimizer, 3)
    case.played(undisturbed, 3)
    now, other = optimizer.recommend(), undisturbed.recommend()
    _require(
        _same(ended[stopped], now[stopped]) and RUNNING not in np.array(optimizer.status)[stopped],
        "a stopped trajectory still moves; _tell must return new arrays and not change those of the state in place",
    )
    _require(
        _same(now[~stopped], other[~stopped]),
        "trajectories go on differently when others have stopped; use nothing across the first axis",
    )


def _check_sharing(case: _Case) -> None:
    for queries, _ in case.play(case.make(case.starts)) if case.method.shares_samples else ():
        asked = queries.theta[queries.active.all(axis=1)]
        same = bool((asked == asked[:1]).all())
        _require(same, "start points change what is asked; set shares_samples = False")


def _check_questions(case: _Case) -> None:
    method = case.method
    for goal in (MeanGoal(0.1, 0.02), ReliabilityGoal(0.8, 0.9)):
        optimizer = case.make(case.few, goal=goal)
        same = _alike(case.plain, case.played(optimizer))
        _require_regions(optimizer, f"for the goal {goal}")
        _require(same or method.uses_goal, f"the goal {goal} changes what it does; set uses_goal = True")
    if method.answers_goals:
        optimizer, other = case.make(case.few), MeanGoal(0.1, 0.02)
        case.played(optimizer)
        own = optimizer.recommend()
        _require_regions(optimizer, f"for the goal {other} of others", other)
        _require(_same(own, optimizer.recommend()), "answering another goal changes the answer; leave the state alone")
    same = _alike(case.plain, case.played(case.make(case.few, budget=2 * BUDGET_OF_CHECKS)))
    _require(same or method.plans_by_budget, "a larger budget changes its first steps; set plans_by_budget = True")


def _check_protocol(case: _Case) -> None:
    optimizer = case.make(case.few)
    queries = case.make(case.few).ask()
    answers = case.oracle(optimizer).query(queries)
    for when in ("before any ask", "twice for one ask"):
        try:
            optimizer.tell(answers)
        except ProtocolError:
            pass
        else:
            raise ContractError(f"tell() works {when}; raise ProtocolError, as tell() of the base class does")
        if when == "before any ask":
            optimizer.ask()
            optimizer.tell(answers)


def _check_arrays(case: _Case) -> None:
    """Nothing given or handed out is changed, kept, or used again for something else."""
    plain = case.make(case.few)
    handed_out = []
    oracle = case.oracle(plain)
    for _ in range(PLAYED_STEPS):
        queries = plain.ask()
        answers = oracle.query(queries)
        told = [array.copy() for array in _arrays(answers)]
        handed_out.append((queries.theta, queries.theta.copy()))
        plain.tell(answers)
        _require(_equal(told, _arrays(answers)), "tell() changes the arrays of its answers; copy before writing")
    _require(
        all(theta.tobytes() == copy.tobytes() for theta, copy in handed_out),
        "an array that ask() handed out changes later; give a new array each time, no buffer",
    )
    given = case.few
    spoiled = case.make(given)
    _spoil(given)
    for queries, answers in case.play(spoiled):
        _spoil(queries.theta, queries.active, queries.member, *_arrays(answers), *spoiled.save().values())
    _require(
        _same(plain.recommend(), spoiled.recommend()),
        "writing into arrays that were given or handed out changes the answer; keep copies, and hand out copies",
    )


def _arrays(answers: Answers) -> list[npt.NDArray[Any]]:
    return [answers.values, answers.active] + ([] if answers.gradients is None else [answers.gradients])


def _spoil(*arrays: npt.NDArray[Any]) -> None:
    for array in arrays:
        if array.flags.writeable and array.dtype.kind in "fib":
            array[...] = not array.any()


def _equal(some: Sequence[npt.NDArray[Any]], others: Sequence[npt.NDArray[Any]]) -> bool:
    pairs = zip(some, others, strict=False)
    return len(some) == len(others) and all(a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)


_PROMISES: dict[str, Callable[[_Case], None]] = {
    "declare its traits": _check_traits,
    "ask points inside the space": _check_asks,
    "recommend regions around the start, before any tell and after each": _check_regions,
    "start at the corners, edges and seam of the space": _check_edges,
    "survive NaN and constant scores": _check_scores,
    "end within its budget": _check_budget,
    "repeat itself by its seed": _check_seeds,
    "answer each trajectory alone": _check_neighbors,
    "continue after save and restore": _check_restart,
    "leave stopped trajectories as they are": _check_stopped,
    "ask the same whatever the start point if it shares samples": _check_sharing,
    "take any goal, and goal and budget into account only as its traits say": _check_questions,
    "refuse a tell without an ask": _check_protocol,
    "leave given and handed-out arrays alone": _check_arrays,
}
