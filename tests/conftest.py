"""Fixtures that every folder of tests may use."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: matrices here are small, and threads cost five times
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):  # threads of several processes wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))  # of torch and OpenVINO

from pathlib import Path

import pytest

from semrob_env.recorded.release import Release, read_release

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

SECONDS = 15.0
"""What a test without the mark `slow` may take: it should take 6 on a quiet machine, and some are twice as slow."""

FAST = {
    f"test_{noun}.py"
    for noun in ("parameters", "regions", "functions", "questions", "oracle", "registry", "imports", "task", "metrics")
} | {"test_front_doors.py", "test_corner_method.py"}
"""Files of tests of what all else stands on: what --fast runs."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test without the mark that takes too long by the clock and by the processor, with what it starts.

    By both: a loaded machine stretches the one, threads that wait on many cores the other. Fixtures do not count, nor
    does what numba compiles, once a checkout.
    """
    clock, processor = time.perf_counter(), sum(os.times()[:4])
    with compiling() as compiled:
        result = yield
    taken = min(time.perf_counter() - clock - compiled(), sum(os.times()[:4]) - processor)
    allowed = SECONDS + float(item.config.getoption("--fuzz-seconds"))
    if taken > allowed and not item.get_closest_marker("slow"):
        pytest.fail(f"it took {taken:.1f} s, and may take {allowed:g}: shorten it or mark it slow", pytrace=False)
    return result


@contextmanager
def compiling() -> Generator[Callable[[], float], None, None]:
    """Gives how many seconds numba has compiled; it is not loaded for that."""
    if "numba" not in sys.modules:
        yield lambda: 0.0
        return
    from numba.core import event

    timer = event.TimingListener()  # type: ignore[no-untyped-call]
    with event.install_listener("numba:compile", timer):
        yield lambda: float(timer.duration) if timer.done else 0.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --fast and --fuzz-seconds."""
    parser.addoption("--fast", action="store_true", help="only tests of FAST files, without those marked slow")
    parser.addoption(
        "--fuzz-seconds", type=float, default=0.0, metavar="FLOAT", help="how long each fuzz test goes on; 0: its least"
    )


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """How many processes the whole suite takes, up to four as each takes a gigabyte; a part of it runs in this one."""
    is_part = config.getoption("--fast") or config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    return 0 if is_part else min(os.cpu_count() or 1, 4)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files, with --fast: they are not even imported."""
    is_left_out = config.getoption("--fast") and collection_path.suffix == ".py" and collection_path.name not in FAST
    return True if is_left_out else None  # False would keep what others leave out


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow tests, with --fast."""
    if config.getoption("--fast"):
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


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
