"""A run as plain data: what defines it, the key it is stored under, and its random stream."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from semrob_env.errors import InvalidBudgetError, InvalidParameterError

_LARGEST = 2**63 - 1  # what an INTEGER column holds


@final
@dataclass(frozen=True)
class RunTask:
    """One run, before it has run: plain data that pickles to a few hundred bytes.

    Attributes:
        function_id: Id of a function with one member, or of one member of a family.
        method: Registered name of the method.
        start: Start point theta0 in native units, in the order of the function's space.
        settings: Hyper-parameters of the method as a JSON object (see `canonical_json`); missing ones keep the
            method's defaults.
        budget: Most that the run may spend, forward + gradient_cost * gradients; None: no cap.
        gradient_cost: Weight of a gradient query against the budget.
        finite_difference: None: the function's own gradients; half distances in native units, one a parameter, to
            estimate them by central differences; an empty tuple: the oracle's default distances.
        max_steps: Step limit; None: none. A task has a budget, a step limit or both.
        seed: Seed of the run, 0 or above.
        epsilon_m: The judge calls a region feasible if its mean is >= 1 - epsilon_m, from 0 to 1, ...
        epsilon_v: ... and its variance <= epsilon_v (method section 2).
        judge_points: Held-out points the judge asks.
        judge_seed: Seed of the judge's points.

    Raises:
        InvalidBudgetError: A budget, step limit or gradient cost that is zero, negative or not a number, or neither a
            budget nor a step limit.
        InvalidParameterError: Any other field that is not well formed.
    """

    function_id: str
    method: str
    start: tuple[float, ...]
    settings: str = "{}"
    budget: float | None = None
    gradient_cost: float = 1.0
    finite_difference: tuple[float, ...] | None = None
    max_steps: int | None = None
    seed: int = 0
    epsilon_m: float = 0.5
    epsilon_v: float = 0.25
    judge_points: int = 64
    judge_seed: int = 0

    def __post_init__(self) -> None:
        for name in ("function_id", "method"):
            text = getattr(self, name)
            if not isinstance(text, str) or not text.strip():
                raise InvalidParameterError(f"task {name} {text!r}: give a name")
        self._set("start", _numbers("start", self.start))
        if not self.start:
            raise InvalidParameterError("task start is empty: give one number a parameter")
        self._set("settings", _settings(self.settings))
        self._check_budget()
        if self.finite_difference is not None:
            steps = _numbers("finite_difference", self.finite_difference)
            if not all(step > 0 for step in steps):
                raise InvalidParameterError(f"task finite_difference {steps}: each half distance must be above 0")
            self._set("finite_difference", steps)
        for name in ("epsilon_m", "epsilon_v"):
            (value,) = _numbers(name, (getattr(self, name),))
            if value < 0 or (name == "epsilon_m" and value > 1):
                raise InvalidParameterError(f"task {name} {value}: must be 0 or above, epsilon_m at most 1")
            self._set(name, value)
        for name, least in (("seed", 0), ("judge_seed", 0), ("judge_points", 1)):
            self._set(name, _whole(name, getattr(self, name), least, InvalidParameterError))

    def _check_budget(self) -> None:
        if self.budget is not None:
            budget = _number("budget", self.budget, InvalidBudgetError)
            if not 0 < budget < math.inf:
                raise InvalidBudgetError(
                    f"task budget {self.budget}: give a number of queries above 0, or none for no cap"
                )
            self._set("budget", budget)
        if self.max_steps is not None:
            self._set("max_steps", _whole("max_steps", self.max_steps, 1, InvalidBudgetError))
        elif self.budget is None:
            raise InvalidBudgetError("a task without an end: give it a budget or max_steps")
        cost = _number("gradient_cost", self.gradient_cost, InvalidBudgetError)
        if not 0 <= cost < math.inf:
            raise InvalidBudgetError(f"task gradient_cost {self.gradient_cost}: give a finite number, 0 or above")
        self._set("gradient_cost", cost)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def settings_mapping(self) -> dict[str, Any]:
        """The hyper-parameters as plain data (JSON lists stay lists)."""
        return dict(json.loads(self.settings))

    def key(self, fingerprint: Mapping[str, str], method_version: int) -> str:
        """SHA-256 (hex) of all that defines the run.

        Args:
            fingerprint: What pins the function's answers beyond its id: `ScoreFunction.fingerprints` of the member.
            method_version: Version of the method's code.
        """
        definition = {"task": asdict(self), "fingerprint": dict(fingerprint), "method_version": method_version}
        return hashlib.sha256(canonical_json(definition).encode()).hexdigest()


def task_generator(task: RunTask) -> np.random.Generator:
    """The random Generator of a run, from a stable hash of its function, method, settings, start and seed.

    Budget, step limit and judge do not enter: a run with twice the budget begins with the same steps.
    """
    stream = [task.function_id, task.method, task.settings, task.start, task.seed]
    digest = hashlib.sha256(canonical_json(stream).encode()).digest()
    # PCG64 by name: default_rng may change its choice in a later NumPy.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int.from_bytes(digest, "big"))))


def canonical_json(value: object) -> str:
    """One text per value: sorted keys, no spaces, floats by their exact shortest repr.

    Raises:
        InvalidParameterError: NaN, an infinity, or what is not plain data.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"{value!r} is not plain data ({error}); use finite numbers, text, lists and mappings"
        ) from error


def _settings(text: str) -> str:
    try:
        values = json.loads(text)
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(f"task settings {text!r} are not JSON; build them by canonical_json()") from error
    if not isinstance(values, dict):
        raise InvalidParameterError(f'task settings {text!r}: must be a JSON object such as {{"rate": 0.1}}')
    return canonical_json(values)


def _number(name: str, value: object, error: type[InvalidBudgetError] | type[InvalidParameterError]) -> float:
    try:
        return float(value) + 0.0  # type: ignore[arg-type]  # whatever float() takes; + 0.0 turns -0.0 into 0.0
    except (TypeError, ValueError, OverflowError) as wrong:
        raise error(f"task {name} {str(value)[:40]!r}: give a number") from wrong


def _numbers(name: str, values: object) -> tuple[float, ...]:
    try:
        numbers = tuple(_number(name, value, InvalidParameterError) for value in values)  # type: ignore[attr-defined]  # checked by trying
    except TypeError as wrong:
        raise InvalidParameterError(f"task {name} {values!r}: give a tuple of numbers") from wrong
    if not all(map(math.isfinite, numbers)):
        raise InvalidParameterError(f"task {name} {numbers}: every number must be finite")
    return numbers


def _whole(name: str, value: Any, least: int, error: type[InvalidBudgetError] | type[InvalidParameterError]) -> int:
    try:
        number = operator.index(value)
    except TypeError as wrong:
        raise error(f"task {name} {value!r}: give a whole number") from wrong
    if not least <= number <= _LARGEST:
        raise error(f"task {name} {number}: give a whole number from {least} to 2^63 - 1")
    return number
