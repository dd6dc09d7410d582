"""Fixtures that every folder of tests may use."""

from __future__ import annotations

import os
import time
from collections.abc import Generator

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: matrices here are small, and threads cost five times

from pathlib import Path

import pytest

from semrob_env.recorded.release import Release, read_release

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

SECONDS = 6.0
"""What a test without the mark `slow` may take."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test without the mark that takes too long by the clock and by the processor, with what it starts.

    By both: a loaded machine stretches the one, threads that wait on many cores the other. Fixtures are not counted.
    """
    clock, processor = time.perf_counter(), sum(os.times()[:4])
    result = yield
    taken = min(time.perf_counter() - clock, sum(os.times()[:4]) - processor)
    if taken > SECONDS and not item.get_closest_marker("slow"):
        pytest.fail(f"it took {taken:.1f} s, and may take {SECONDS:g}: shorten it or mark it slow", pytrace=False)
    return result


def folder_or_skip(name: str, what: str) -> Path:
    """A folder beside the checkout; skips the test where it is absent."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"{what} not found: they are expected in ../shared/{name}, beside the checkout")
    return folder


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def recorded_folder() -> Path:
    """The recorded maps and traces of the paper's authors (method section 5)."""
    return folder_or_skip("recorded", "recorded maps")


@pytest.fixture(scope="session")
def release(recorded_folder: Path) -> Release:
    """All of it, read once: it takes seconds."""
    return read_release(recorded_folder)


@pytest.fixture(scope="session")
def shapes_folder() -> Path:
    """A part of ShapeNet: one folder a class, with an index."""
    return folder_or_skip("shapes", "ShapeNet meshes")
