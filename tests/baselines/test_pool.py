"""Engines of workers: the same rows from each, and a worker that dies, or was left behind, costs nothing but time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from joblib.externals import loky

from baselines.experiments.plugins import import_modules
from baselines.experiments.pool import ENGINES, Workers, finished
from baselines.experiments.runner import run_tasks
from semrob_env.errors import InvalidParameterError, MissingExtraError, UnknownNameError, WorkerError
from semrob_env.functions import SCHEMES
from semrob_env.questions import Question
from semrob_env.store import FAILED, RunRow, RunStore, RunTask

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = {"dask": "distributed", "ray": "ray"}

MODULE = """
import os
import time
from pathlib import Path
from semrob_env.functions import CallableFunction, register_scheme
from semrob_env.parameters import SemanticSpace

HERE = os.getpid()
FOLDER = Path(__file__).parent

def ramp(name):
    return lambda theta: theta[:, 0] / 360

def mortal(name):
    # The first worker that is asked dies, and each one if the name says so.
    def scores(theta):
        mark = FOLDER / f"{name[7:]}.dead"
        if os.environ.get("ALIVE") != str(os.getpid()) and (name == "mortal:always" or not mark.exists()):
            mark.touch()
            os._exit(9)
        return theta[:, 0] / 360
    return scores

def slow(name):
    def scores(theta):
        (FOLDER / f"{os.getpid()}.slow").touch()
        time.sleep(0.05)
        return theta[:, 0] / 360
    return scores

def make(kind):
    def made(name):
        function = CallableFunction(SemanticSpace.of("azimuth"), (kind or ramp)(name), name=name)
        if kind is None:
            function._fingerprints = ({"pid": str(os.getpid())},)
        return function
    return made

for scheme, kind in {"ramp": ramp, "mortal": mortal, "slow": slow, "elsewhere": None}.items():
    register_scheme(scheme, make(kind))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the module that registers the functions of these tests lies; this process does not die of them."""
    place = tmp_path_factory.mktemp("pool")
    (place / "pool_module.py").write_text(MODULE)
    loky.get_reusable_executor().shutdown(kill_workers=True)  # that of other tests does not know the place
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.syspath_prepend(str(place))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(place), str(Path(__file__).parent)]))
        patch.setenv("ALIVE", str(os.getpid()))
        import_modules(["pool_module"])
        yield place
    loky.get_reusable_executor().shutdown(kill_workers=True)
    del sys.modules["pool_module"]
    for scheme in ("ramp", "mortal", "slow", "elsewhere"):
        del SCHEMES[scheme]


def tasks_of(*names: str) -> list[RunTask]:
    questions = [Question(name, (start,), budget=20) for name in names for start in (200.0, 300.0)]
    return [
        RunTask(question, method, judge_points=8, seed=1)
        for question in questions
        for method in ("naive", "random_search")
    ]


def rows_of(store: RunStore) -> dict[str, RunRow]:
    rows = [replace(row, seconds=0.0, created="", revision="") for row in store.rows()]
    return {row.key: replace(row, trace=store.trace(row.key)) for row in rows}


def needs(backend: str) -> None:
    if backend in PACKAGES:
        pytest.importorskip(PACKAGES[backend], reason=f'pip install -e ".[{backend}]"', exc_type=ImportError)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.filterwarnings("default")  # what engines say of sockets and processes that a death leaves behind
def test_every_engine_gives_the_rows_of_one_process_though_a_worker_dies(
    folder: Path, backend: str, tmp_path: Path
) -> None:
    needs(backend)
    tasks = tasks_of("ramp:0", "ramp:1", "ramp:2", f"mortal:{backend}")
    here, there = RunStore(tmp_path / "here.sqlite"), RunStore(tmp_path / "there.sqlite")
    run_tasks(tasks, here)
    seen: list[str] = []
    threads = {name: value for name, value in os.environ.items() if "THREAD" in name}
    summary = run_tasks(
        tasks,
        there,
        chunk=2,
        workers=Workers(2, backend),
        modules=["pool_module"],
        on_rows=lambda rows, _: seen.extend(row.key for row in rows),
    )
    assert (folder / f"{backend}.dead").exists() == (backend != "threading")
    assert (summary.done, summary.failed) == (len(tasks), 0)
    assert len(seen) == len(set(seen)) == len(tasks)
    assert rows_of(there) == rows_of(here)
    assert {name: value for name, value in os.environ.items() if "THREAD" in name} == threads


@pytest.mark.slow
def test_a_running_dask_cluster_is_used_and_left_running(folder: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason='pip install -e ".[dask]"', exc_type=ImportError)
    tasks = tasks_of("ramp:0", "ramp:1")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        workers = Workers(0, "dask", cluster.scheduler_address)
        store = RunStore(tmp_path / "runs.sqlite")
        assert not workers.is_here
        assert run_tasks(tasks, store, chunk=2, workers=workers, modules=["pool_module"]).done == len(tasks)
        with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
            assert len(client.scheduler_info()["workers"]) == 1
    with pytest.raises(WorkerError, match="no Dask scheduler answers"):
        list(finished(Workers(0, "dask", "tcp://nobody"), len, [()]))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_run_that_kills_every_worker_is_told_after_the_others_are_kept(folder: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs.sqlite")
    others = tasks_of("ramp:0", "ramp:1")
    with pytest.raises(WorkerError, match="die before they finish anything"):
        run_tasks(tasks_of("mortal:always") + others, store, chunk=1, workers=Workers(2), modules=["pool_module"])
    assert {row.task.question.function_id for row in store.rows()} == {"ramp:0", "ramp:1"}
    assert len(store.rows()) == len(others)


def test_a_row_of_another_function_than_the_one_here_is_a_failed_one(folder: Path, tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs.sqlite")
    summary = run_tasks(tasks_of("elsewhere:0", "ramp:0"), store, workers=Workers(2), modules=["pool_module"])
    assert (summary.done, summary.failed) == (4, 4)
    assert all("has not the function or method that is here" in row.error for row in store.rows(status=FAILED))
    assert run_tasks(tasks_of("elsewhere:0"), store, retry_failed=True).done == 4


def test_threads_stop_when_nobody_waits_for_them(folder: Path, tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    long, *_ = tasks_of("slow:0")
    long = replace(long, question=replace(long.question, budget=4000))  # minutes, and the first to begin
    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        run_tasks(
            [long, *tasks_of("ramp:0")],
            RunStore(tmp_path / "runs.sqlite"),
            workers=Workers(2, "threading"),
            on_rows=interrupt,
        )
    assert time.perf_counter() - started < 30


KEPT: list[object] = []


def grown(seconds: float) -> int:
    """The process that answers, larger by what a network with its graphs takes."""
    KEPT.append(np.ones(45_000_000))
    time.sleep(seconds)
    return os.getpid()


def is_loaded(module: str) -> bool:
    """Whether a worker has a module."""
    time.sleep(0.2)  # so that each worker answers
    return module in sys.modules


def test_workers_that_keep_much_are_kept(folder: Path) -> None:
    loky.get_reusable_executor().shutdown(kill_workers=True)
    answers = [pid for _, pid in finished(Workers(2), grown, [1.1] * 8)]  # longer than loky waits to look again
    assert len(set(answers)) <= 2
    loky.get_reusable_executor().shutdown(kill_workers=True)


def test_workers_may_load_modules_before_there_is_work(folder: Path) -> None:
    (folder / "loaded_early.py").touch()
    Workers(1).begin(["loaded_early"])
    Workers(2, "threading").begin(["loaded_early"])
    assert "loaded_early" not in sys.modules
    Workers(2).begin(["nowhere"])  # whoever needs it tells of it
    Workers(2).begin(["loaded_early"])
    # A quick worker may have taken both calls.
    assert any(answer for _, answer in finished(Workers(2), is_loaded, ["loaded_early"] * 4))
    (folder / "loaded_slowly.py").write_text("import time; time.sleep(1)")
    Workers(2).begin(["loaded_slowly"])
    assert [answer for _, answer in finished(Workers(2), is_loaded, ["time"])] == [True]  # fewer than processes


def test_what_a_worker_raises_is_one_line() -> None:
    with pytest.raises(WorkerError, match=r"a worker of threading cannot run this \(TypeError: object of type 'int'"):
        list(finished(Workers(2, "threading"), len, [1]))  # type: ignore[arg-type]  # what must not be


def test_results_come_with_their_index_as_they_are_finished() -> None:
    with closing(finished(Workers(2, "threading"), partial(pow, 2), [3, 4, 5])) as results:
        assert sorted(results) == [(0, 8), (1, 16), (2, 32)]
    assert list(finished(Workers(2, "threading"), len, [])) == []


def test_workers_are_checked_before_any_work() -> None:
    with pytest.raises(UnknownNameError, match="unknown backend 'spark'; known are loky, threading, dask, ray"):
        Workers(2, "spark")
    with pytest.raises(InvalidParameterError, match="-1 workers"):
        Workers(-1)
    with pytest.raises(InvalidParameterError, match="backend loky has none"):
        Workers(2, "loky", "tcp://host:8786")


@pytest.mark.parametrize("backend", PACKAGES)
def test_an_engine_that_is_not_installed_is_a_hint(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGES[backend], None)
    with pytest.raises(MissingExtraError, match=rf'pip install -e "\.\[{backend}\]"'):
        Workers(2, backend)


def test_the_address_of_a_cluster_may_stand_in_the_variable_of_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("dask")
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://10.0.0.1:8786")
    assert Workers(1, "dask").address == "tcp://10.0.0.1:8786"
    assert Workers(1, "dask", "tcp://other:1").address == "tcp://other:1"
    assert Workers(1).is_here


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="looks at parents by their ids")
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_parent(folder: Path, tmp_path: Path, blow: signal.Signals) -> None:
    code = (
        "from baselines.experiments import runner; "
        "from baselines.experiments.pool import Workers; from semrob_env.store import RunStore; store = RunStore('r'); "
        "import pool_module; from test_pool import tasks_of; from dataclasses import replace; "
        "from baselines.commands.program import guarded; import sys; "
        "tasks = [replace(t, question=replace(t.question, budget=4000)) for t in tasks_of('slow:0', 'slow:1')]; "
        "work = lambda: runner.run_tasks(tasks, store, chunk=1, workers=Workers(2), modules=['pool_module']);"
        "sys.exit(guarded(work, 'kept'))"
    )
    for mark in folder.glob("*.slow"):
        mark.unlink()
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as parent:
        deadline = time.monotonic() + 60
        while len(list(folder.glob("*.slow"))) < 2 and parent.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        workers = [int(path.stem) for path in folder.glob("*.slow")]
        parent.send_signal(blow)
        _, told = parent.communicate(timeout=60)
    assert len(workers) == 2, told
    assert parent.returncode == (143 if blow == signal.SIGTERM else -9)
    assert blow == signal.SIGKILL or told == "terminated: kept\n"
    deadline = time.monotonic() + 20
    while any(map(_is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_is_running, workers))


def _is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path("/proc").is_dir()
