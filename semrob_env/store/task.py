"""A run as plain data: what defines it, the key it is stored under, and its random stream."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, final

import numpy as np

from semrob_env.errors import InvalidBudgetError, InvalidParameterError
from semrob_env.questions import Goal, Question, plain_numbers

_LARGEST = 2**63 - 1  # what an INTEGER column holds


@final
@dataclass(frozen=True)
class RunTask:
    """One run, before it has run: plain data that pickles to a few hundred bytes.

    Attributes:
        question: What is asked.
        method: Registered name of the method.
        settings: Hyperparameters of the method as a JSON object (see `canonical_json`); missing ones keep the
            method's defaults.
        finite_difference: None: the function's own gradients; half distances in native units, one a parameter, to
            estimate them by central differences; an empty tuple: the oracle's default distances.
        max_steps: Step limit; None: none. A task has a budget, a step limit or both.
        seed: Seed of the run, 0 or above.
        judge_points: Held-out points the judge asks.
        judge_seed: Seed of the judge's points.

    Raises:
        InvalidBudgetError: A step limit that is no whole number of at least 1, or neither a budget nor a step limit.
        InvalidParameterError: Any other field that is not well formed.
    """

    question: Question
    method: str
    settings: str = "{}"
    finite_difference: tuple[float, ...] | None = None
    max_steps: int | None = None
    seed: int = 0
    judge_points: int = 64
    judge_seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.question, Question):
            raise InvalidParameterError(f"task question {self.question!r}: give a Question")
        if not isinstance(self.method, str) or not self.method.strip():
            raise InvalidParameterError(f"task method {self.method!r}: give a name")
        self._set("settings", _settings(self.settings))
        if self.finite_difference is not None:
            steps = plain_numbers("task finite_difference", self.finite_difference)
            if not all(step > 0 for step in steps):
                raise InvalidParameterError(f"task finite_difference {steps}: each half distance must be above 0")
            self._set("finite_difference", steps)
        if self.max_steps is not None:
            self._set("max_steps", _whole("max_steps", self.max_steps, 1, InvalidBudgetError))
        elif self.question.budget is None:
            raise InvalidBudgetError("a task without an end: give its question a budget, or max_steps")
        for name, least in (("seed", 0), ("judge_seed", 0), ("judge_points", 1)):
            self._set(name, _whole(name, getattr(self, name), least, InvalidParameterError))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def settings_mapping(self) -> dict[str, Any]:
        """The hyperparameters as plain data (JSON lists stay lists)."""
        return dict(json.loads(self.settings))

    def record(self) -> dict[str, Any]:
        """All that defines the run as flat plain data: the fields of the question, then the others."""
        own = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "question"}
        asked = {field.name: getattr(self.question, field.name) for field in fields(self.question)}
        return {name: value.text if isinstance(value, Goal) else value for name, value in {**asked, **own}.items()}

    def key(self, fingerprint: Mapping[str, str], method_version: int) -> str:
        """SHA-256 (hex) of all that defines the run.

        Args:
            fingerprint: What pins the function's answers beyond its id: `ScoreFunction.fingerprints` of the member.
            method_version: Version of the method's code.
        """
        definition = {"task": self.record(), "fingerprint": dict(fingerprint), "method_version": method_version}
        return hashlib.sha256(canonical_json(definition).encode()).hexdigest()


def task_generator(task: RunTask) -> np.random.Generator:
    """The random Generator of a run, from a stable hash of its function, method, settings, start and seed.

    Goal, budget, step limit and judge do not enter: a run with twice the budget begins with the same steps.
    """
    stream = [task.question.function_id, task.method, task.settings, task.question.start, task.seed]
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


def _whole(name: str, value: Any, least: int, error: type[InvalidBudgetError] | type[InvalidParameterError]) -> int:
    try:
        number = operator.index(value)
    except TypeError as wrong:
        raise error(f"task {name} {value!r}: give a whole number") from wrong
    if not least <= number <= _LARGEST:
        raise error(f"task {name} {number}: give a whole number from {least} to 2^63 - 1")
    return number
