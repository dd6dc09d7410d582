"""What a run leaves: one flat row and its trace."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import final

from semrob_env.files import encodable
from semrob_env.store.task import RunTask

FAILED = "failed"
"""Status of a run that raised an error; every other status is how a run ended well."""


@final
@dataclass(frozen=True)
class TraceRow:
    """The recommended region at one checkpoint.

    Attributes:
        queries: Checkpoint; the region is the one after the last step whose bill is within it.
        lower: Lower bounds, one a parameter, canonical form.
        upper: Upper bounds.
    """

    queries: int
    lower: tuple[float, ...]
    upper: tuple[float, ...]


@final
@dataclass(frozen=True)
class RunRow:
    """One run, after it has run. The fields are the columns that `semrob_env.store` documents.

    Attributes:
        key: `task.key(fingerprint, method_version)`.
        task: What defines the run.
        fingerprint: Canonical JSON object.
        method_version: Version of the method's code.
        status: converged, budget, steps or failed.
        error: Class and message of the error of a failed run, as `encodable` writes it.
        space: Canonical JSON list of [name, unit, low, high, period].
        lower, upper: Final region, None if failed.
        share, mean, variance, purity, quantile_05, minimum: Measures of the final region, None if failed.
        feasible: Whether it meets both thresholds, None if failed.
        judge_queries, forward_queries, gradient_queries, steps: Counts.
        seconds: Share of the wall time of its batch.
        revision: Git revision or package version.
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
    lower: tuple[float, ...] | None = None
    upper: tuple[float, ...] | None = None
    share: float | None = None
    feasible: bool | None = None
    mean: float | None = None
    variance: float | None = None
    purity: float | None = None
    quantile_05: float | None = None
    minimum: float | None = None
    judge_queries: int = 0
    forward_queries: int = 0
    gradient_queries: int = 0
    steps: int = 0
    seconds: float = 0.0
    revision: str = ""
    created: str = ""
    trace: tuple[TraceRow, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        # Here, and not where it is stored: a row is the same before and after.
        object.__setattr__(self, "error", encodable(self.error))


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
