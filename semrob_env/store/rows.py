"""What a run leaves: one flat row and its trace."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field, fields
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, final

from semrob_env.files import encodable
from semrob_env.metrics.measures import Measures
from semrob_env.store.task import RunTask

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
        forward_queries: Charged to the method.
        gradient_queries: Charged to the method.
        steps: Steps told.
        seconds: Share of the wall time of its batch; not reproducible.
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
