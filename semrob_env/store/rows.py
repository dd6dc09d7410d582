"""A run as plain data: its task with key and random stream, and what it leaves, one flat row and a trace."""

from __future__ import annotations

import hashlib
import json
import operator
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, final

import numpy as np

from semrob_env.errors import InvalidBudgetError, InvalidParameterError
from semrob_env.files import encodable
from semrob_env.metrics.certificates import CERTIFICATE_POINTS, CONFIDENCE, require_certificate
from semrob_env.metrics.measures import Measures
from semrob_env.questions import Goal, Question, plain_number, plain_numbers

JUDGE, BUDGET = "judge", "budget"
"""Who pays the points of a certificate: the judge, beside the run, or the budget of the question."""

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
        certificate_points: Points of the region's certificate.
        confidence: Of the certificate, in (0, 1).
        certify: Who pays it. "judge": nobody but the judge, and where the truth is known it is the certificate.
            "budget": the question's budget, of which the method gets the rest; points are asked in any case, for a
            method knows no truth.

    Raises:
        InvalidBudgetError: A step limit that is no whole number of at least 1, neither a budget nor a step limit, or a
            budget that does not pay its certificate and a query more.
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
    certificate_points: int = CERTIFICATE_POINTS
    confidence: float = CONFIDENCE
    certify: str = JUDGE

    def __post_init__(self) -> None:
        if not isinstance(self.question, Question):
            raise InvalidParameterError(f"task question {self.question!r}: give a Question")
        if not isinstance(self.method, str) or not self.method.strip():
            raise InvalidParameterError(f"task method {self.method!r}: give a name")
        if not isinstance(self.settings, str):
            raise InvalidParameterError(f"task settings {self.settings!r}: give a JSON text, built by canonical_json()")
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
        for name, least in (("seed", 0), ("judge_seed", 0), ("judge_points", 1), ("certificate_points", 0)):
            self._set(name, _whole(name, getattr(self, name), least, InvalidParameterError))
        self._set("confidence", plain_number("task confidence", self.confidence))
        require_certificate(self.certificate_points, self.confidence, self.judge_seed)
        if self.certify not in (JUDGE, BUDGET):
            raise InvalidParameterError(f"task certify {self.certify!r}: give {JUDGE} or {BUDGET}")
        budget = self.question.budget
        if self.pays_certificate and (budget is None or budget < self.certificate_points + 1):
            raise InvalidBudgetError(
                f"a budget of {'none' if budget is None else f'{budget:g}'} cannot pay a certificate of "
                f"{self.certificate_points} points: give at least {self.certificate_points + 1}, or fewer points"
            )

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def pays_certificate(self) -> bool:
        """Whether the question's budget pays the certificate."""
        return self.certify == BUDGET

    @property
    def method_budget(self) -> float | None:
        """What the method may spend; None: no cap."""
        budget = self.question.budget
        return budget - self.certificate_points if budget is not None and self.pays_certificate else budget

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


def _settings(text: object) -> str:
    if not isinstance(text, str):
        raise InvalidParameterError(f"task settings {text!r} are not JSON; build them by canonical_json()")
    return _canonical_settings(text)


@lru_cache(maxsize=1024)  # many tasks, few settings
def _canonical_settings(text: str) -> str:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidParameterError(
            f"task settings {text[:400]!r} are not JSON; build them by canonical_json()"
        ) from error
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


FAILED, UNPAID = "failed", "unpaid"
"""Status of a run that raised an error, and of one whose budget did not pay its first step: it says nothing."""


@final
@dataclass(frozen=True)
class TraceRow:
    """The recommended region at one checkpoint."""

    queries: int  # checkpoint; the region is the one after the last step whose bill is within it
    lower: tuple[float, ...]  # lower bounds, one a parameter, canonical form
    upper: tuple[float, ...]  # upper bounds


@final
@dataclass(frozen=True, kw_only=True)
class RunRow(Measures):
    """One run, after it has run. Columns of stores and CSV files are made of these fields and those of the task.

    Attributes:
        key: `task.key(fingerprint, method_version)`.
        task: What defines the run.
        fingerprint: Canonical JSON object: hashes of weights, mesh or map; versions, image size, ...
        method_version: Version of the method's code; rows of different versions are never mixed.
        status: converged, budget, steps: how the run ended; unpaid: its budget did not pay one step; failed: it raised.
        error: Class and message of the error of a failed run, as `encodable` writes it.
        space: Canonical JSON list, per parameter [name, unit, low, high, period or null].
        lower: Final region, lower bounds, canonical form, cut to the space; empty if failed.
        upper: Upper bounds; above `high` where a region crosses the seam.
        forward_queries: Charged to the method, and the certificate's where the budget pays it.
        gradient_queries: Charged to the method.
        steps: Steps told.
        seconds: Share of the wall time of its batch; not reproducible.
        profile_lower: Lower bounds of the regions at the levels of the question, level by level, L n numbers; none
            where the method cannot answer other goals.
        profile_upper: Their upper bounds.
        revision: Git revision or package version that ran it.
        created: UTC time, ISO 8601.
        trace: Regions at the checkpoints, by rising queries; `RunStore.rows` leaves it empty.
    """

    key: str
    task: RunTask
    fingerprint: str
    method_version: int
    status: str
    error: str = ""
    space: str = "[]"
    lower: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()
    forward_queries: int = 0
    gradient_queries: int = 0
    steps: int = 0
    seconds: float = 0.0
    profile_lower: tuple[float, ...] = ()
    profile_upper: tuple[float, ...] = ()
    revision: str = ""
    created: str = ""
    trace: tuple[TraceRow, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "error", encodable(self.error))

    @property
    def has_run(self) -> bool:
        """Whether it says something: it neither failed nor had a budget too small for one step."""
        return self.status not in (FAILED, UNPAID)

    def record(self) -> dict[str, Any]:
        """All of it but the trace as flat data, column by column: the task's first."""
        own = {part.name: getattr(self, part.name) for part in fields(self) if part.name not in ("task", "trace")}
        return {**self.task.record(), **own}


@lru_cache(maxsize=1)
def package_revision() -> str:
    """The git revision of this checkout (`+` if files differ from it), or the version of the installed package."""
    root = Path(__file__).resolve().parents[2]
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        except (OSError, subprocess.SubprocessError):
            pass  # no git here, or not our repository to read: the version says it less exactly
        else:
            return done.stdout.strip()
    try:
        return metadata.version("semrob")
    except metadata.PackageNotFoundError:
        return "unknown"
