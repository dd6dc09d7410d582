"""Work in the workers of an engine: threads, processes of loky, a Dask cluster or Ray; results as they are finished.

No engine is of our own making. Each gives futures of the standard library, which one loop feeds and collects. What a
worker had in hand when it died, or its node was lost, runs again.

The loop, and not `joblib.Parallel`, whose Dask backend waits for ever for a task whose worker died too often
(`KilledWorker`), whose Ray backend gives nothing before all is finished, and which under loky gives up after one death.
The processes are those of joblib all the same (https://joblib.readthedocs.io, BSD): loky carries classes that were
defined in a script or notebook to its workers.

Workers trust whoever sends them work, and the other way round: each engine unpickles what comes over its own
connections, and nothing here opens another one. loky talks through pipes. Dask and Ray listen on sockets, in a cluster
that is started here on those of this machine (127.0.0.1); whoever reaches a scheduler can run code on its workers, so
keep clusters of many machines in a network of their own, or behind the engine's TLS.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, final

from joblib.externals import loky
from joblib.externals.loky import process_executor

from semrob_env.errors import InvalidParameterError, MissingExtraError, SemrobError, UnknownNameError, WorkerError

AHEAD = 2
"""Calls that an engine is given for each one that runs: the next one is there when a worker is free."""

MOST_LOSSES = 8
"""Calls for each one that may run, lost one after another without one finished, after which it is given up."""

IDLE_SECONDS, WATCH_SECONDS = 300.0, 1.0
"""After how long idle processes end, and how often one looks whether its parent is still there."""

WorkT = TypeVar("WorkT")
ResultT = TypeVar("ResultT")


@final
@dataclass(frozen=True)
class Workers:
    """Who works.

    Attributes:
        count: How many at once; 0: one a core, or all that a running cluster has; 1 without a cluster: this process.
        backend: Name of the engine, one of `ENGINES`.
        scheduler: Address of a running cluster, for engines that have one; empty: that of the environment variable
            that the engine knows, else one is started on this machine.

    Raises:
        UnknownNameError: No such engine.
        MissingExtraError: It is not installed.
        InvalidParameterError: Less than 0 workers, or a scheduler for an engine that has none.
    """

    count: int = 1
    backend: str = "loky"
    scheduler: str = ""

    def __post_init__(self) -> None:
        if self.backend not in ENGINES:
            raise UnknownNameError(f"unknown backend {self.backend!r}; known are {', '.join(ENGINES)}")
        if self.count < 0:
            raise InvalidParameterError(f"{self.count} workers: give 0 for one a core, or how many")
        try:
            importlib.import_module(self._engine.package)
        except ImportError as error:
            raise MissingExtraError(
                f'--backend {self.backend} needs {self._engine.package}: pip install -e ".[{self.backend}]"'
            ) from error
        if self.scheduler and self._engine.address_variable is None:
            raise InvalidParameterError(f"--scheduler {self.scheduler}: backend {self.backend} has none; leave it away")

    @property
    def _engine(self) -> type[Engine]:
        return ENGINES[self.backend]

    @property
    def address(self) -> str:
        """Of the running cluster; empty: none."""
        return self.scheduler or os.environ.get(self._engine.address_variable or "", "")

    @property
    def is_here(self) -> bool:
        """Whether this process does the work itself."""
        return self.count == 1 and not self.address

    @property
    def shares_memory(self) -> bool:
        """Whether workers see the objects of this process."""
        return self._engine.shares_memory

    @property
    def local_count(self) -> int:
        """How many, where no cluster runs."""
        return self.count or available_cores()

    def begin(self, modules: Sequence[str]) -> None:
        """Let processes of this machine load modules by name while this one still plans; of other engines nothing."""
        if not self.is_here:
            self._engine.begin(self, modules)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def finished(
    workers: Workers, call: Callable[[WorkT], ResultT], works: Sequence[WorkT]
) -> Generator[tuple[int, ResultT], None, None]:
    """The result of a call for each work, with its index, as workers finish them.

    Closed early, or left by an exception (Ctrl-C, too), it ends what runs.

    Args:
        workers: Who does them.
        call: Pickles, by cloudpickle, unless workers share memory.
        works: The first ones are begun first.

    Raises:
        WorkerError: Workers die before anything is finished, or raise what is no `SemrobError`; or the cluster is gone.
    """
    if not works:
        return
    engine = ENGINES[workers.backend](workers, len(works))
    waiting, losses = deque(range(len(works))), 0
    running: dict[Future[ResultT], int] = {}
    is_done = False
    try:
        while waiting or running:
            at_once = engine.at_once()
            # After a loss alone, until one is finished: what kills its worker takes no other with it again and again.
            most = 1 if losses else AHEAD * at_once
            while waiting and len(running) < most:
                index = waiting.popleft()
                running[engine.submit(call, works[index])] = index
            for future in wait(running, 1.0, FIRST_COMPLETED).done:  # in short pieces: Ctrl-C must come through
                index = running.pop(future)
                try:
                    result = future.result()
                except engine.lost as error:
                    losses += 1
                    if losses > MOST_LOSSES * at_once:
                        raise WorkerError(
                            f"workers of {workers.backend} die before they finish anything ({_one_line(error)}); what "
                            "was finished is kept: give fewer --workers if memory is short, or --workers 1 to see why"
                        ) from error
                    waiting.append(index)  # at the end: what kills its workers must not keep others from running
                except SemrobError:
                    raise
                except Exception as error:  # whatever a worker, or the way to it, raises
                    raise WorkerError(
                        f"a worker of {workers.backend} cannot run this ({_one_line(error)}); install the same release "
                        "and plug-ins on all machines"
                    ) from error
                else:
                    losses = 0
                    yield index, result
        is_done = True
    finally:
        engine.close(ends=not is_done)


class Engine(ABC):
    """Workers that take calls and give futures.

    Args:
        workers: Who works.
        most: Calls that there will be.
    """

    lost: tuple[type[BaseException], ...] = ()
    """What the future of a call raises whose worker died, or never had one."""
    package: ClassVar[str] = "joblib"
    """What must be installed."""
    address_variable: ClassVar[str | None] = None
    """Environment variable with the address of a running cluster, known to the library itself; None: no clusters."""
    shares_memory: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, workers: Workers, most: int) -> None: ...

    @classmethod
    def begin(cls, workers: Workers, modules: Sequence[str]) -> None:
        """Let workers that can be kept load modules, while they are not needed yet."""
        del workers, modules

    @abstractmethod
    def at_once(self) -> int:
        """Calls that run at the same time, now."""

    @abstractmethod
    def submit(self, call: Callable[[WorkT], ResultT], work: WorkT) -> Future[ResultT]:
        """Begin a call when a worker is free."""

    @abstractmethod
    def close(self, *, ends: bool) -> None:
        """Let go of the workers; `ends`: what runs is no longer wanted."""


@final
class _Threads(Engine):
    """Threads of this process: for functions that exist here only, where NumPy, numba and networks take the time."""

    shares_memory = True

    def __init__(self, workers: Workers, most: int) -> None:
        self._count = min(workers.local_count, most)
        self._executor = ThreadPoolExecutor(self._count)

    def at_once(self) -> int:
        return self._count

    def submit(self, call: Callable[[WorkT], ResultT], work: WorkT) -> Future[ResultT]:
        return self._executor.submit(call, work)

    def close(self, *, ends: bool) -> None:
        self._executor.shutdown(wait=True, cancel_futures=ends)


@final
class _Loky(Engine):
    """Processes of this machine; they are kept for a while, so that the next comparison finds them warm."""

    lost = (loky.BrokenProcessPool, process_executor.ShutdownExecutorError)

    _begun: ClassVar[set[Workers]] = set()
    """Whose processes are loading: to end some of them would mean to wait for that."""

    def __init__(self, workers: Workers, most: int) -> None:
        self._count = min(workers.local_count, most)
        self._processes = workers.local_count if workers in self._begun else self._count
        self._variables = _thread_variables(max(1, available_cores() // workers.local_count))
        self._variables |= {"PWD": os.getcwd()}  # workers of another folder would not find its files and modules

    @classmethod
    def begin(cls, workers: Workers, modules: Sequence[str]) -> None:
        cls._begun.add(workers)
        engine = cls(workers, workers.local_count)
        for _ in range(engine.at_once()):
            engine.submit(_load, modules)

    def at_once(self) -> int:
        return self._count

    def _executor(self) -> Any:
        """The pool, a new one where a death has broken it."""
        return loky.get_reusable_executor(
            self._processes, timeout=IDLE_SECONDS, initializer=_follow, initargs=(os.getpid(),), env=self._variables
        )

    def submit(self, call: Callable[[WorkT], ResultT], work: WorkT) -> Future[ResultT]:
        future: Future[ResultT]
        try:
            future = self._executor().submit(call, work)
        except self.lost as error:  # it broke just now
            future = Future()
            future.set_exception(error)
        return future

    def close(self, *, ends: bool) -> None:
        if ends:
            self._executor().shutdown(kill_workers=True)


@final
class _Dask(Engine):
    """Workers of a Dask cluster, wherever they are: a running one, or one of processes of this machine."""

    package, address_variable = "distributed", "DASK_SCHEDULER_ADDRESS"

    def __init__(self, workers: Workers, most: int) -> None:
        distributed, config = importlib.import_module("distributed"), importlib.import_module("dask.config")
        self.lost = (distributed.scheduler.KilledWorker, distributed.client.FutureCancelledError, CancelledError)
        self._most = workers.count
        with contextlib.ExitStack() as opened:
            if not workers.address:
                # Dask leaves what it sets for its workers in our own environment. So what threads they may use is set
                # by `_in_one_thread`: numba, here, takes another number for an error.
                leaked = (*config.get("distributed.nanny.pre-spawn-environ"), "PYTHONHASHSEED")
                opened.callback(_set_variables, {name: os.environ.get(name) for name in leaked})
                cluster = distributed.LocalCluster(
                    n_workers=min(workers.local_count, most),
                    threads_per_worker=1,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
                opened.enter_context(cluster)
            try:
                self._client = opened.enter_context(
                    distributed.Client(workers.address or cluster, set_as_default=False)
                )
            except (OSError, ValueError) as error:  # what an address that is none, or nobody's, raises
                raise WorkerError(
                    f"--scheduler {workers.address}: no Dask scheduler answers ({_one_line(error)}); give its address, "
                    "tcp://HOST:8786"
                ) from error
            self._executor = self._client.get_executor(pure=False)
            self._opened = opened.pop_all()

    def at_once(self) -> int:
        threads = int(sum(self._client.nthreads().values()))  # workers of a queue come and go
        return max(1, min(threads, self._most or threads))

    def submit(self, call: Callable[[WorkT], ResultT], work: WorkT) -> Future[ResultT]:
        future: Future[ResultT] = self._executor.submit(_in_one_thread, call, work)
        return future

    def close(self, *, ends: bool) -> None:
        self._executor.shutdown(wait=not ends)  # which cancels what has not begun
        self._opened.close()


@final
class _Ray(Engine):
    """Workers of Ray: of a running cluster, of one that this process is connected to, or of this machine."""

    package, address_variable = "ray", "RAY_ADDRESS"

    def __init__(self, workers: Workers, most: int) -> None:
        self._ray = ray = importlib.import_module("ray")
        errors = importlib.import_module("ray.exceptions")
        self.lost = (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError, errors.ObjectLostError)
        self._is_ours = not ray.is_initialized()
        if self._is_ours:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that it runs
            options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
            if not workers.address:
                options |= {"num_cpus": min(workers.local_count, most), "include_dashboard": False}
                options |= {"_node_ip_address": "127.0.0.1"}
            handler = signal.getsignal(signal.SIGTERM)
            try:
                ray.init(workers.address or "local", **options)
            except (OSError, ValueError, RuntimeError) as error:
                raise WorkerError(
                    f"--scheduler {workers.address}: no Ray cluster answers ({_one_line(error)}); give its address, "
                    "HOST:6379"
                ) from error
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, handler)  # Ray sets its own, which ends us without a word
        self._most = workers.count
        self._run = ray.remote(max_retries=0)(_in_one_thread)

    def at_once(self) -> int:
        cores = int(self._ray.cluster_resources().get("CPU", 1))
        return max(1, min(cores, self._most or cores))

    def submit(self, call: Callable[[WorkT], ResultT], work: WorkT) -> Future[ResultT]:
        future: Future[ResultT] = self._run.remote(call, work).future()
        return future

    def close(self, *, ends: bool) -> None:
        del ends  # Ray ends what belongs to a driver that goes
        if self._is_ours:
            self._ray.shutdown()


ENGINES: dict[str, type[Engine]] = {"loky": _Loky, "threading": _Threads, "dask": _Dask, "ray": _Ray}
"""Every engine by name."""


def _thread_variables(threads: int) -> dict[str, str]:
    """Environment of a process that may use so many threads; BLAS one: matrices here are small."""
    shared = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), str(threads))
    return {**shared, **dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")}


def _set_variables(variables: dict[str, str | None]) -> None:
    """Set variables of the environment of this process, and delete those that are None."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _in_one_thread(call: Callable[[WorkT], ResultT], work: WorkT) -> ResultT:
    """A call in the worker of a cluster, which runs one a core, in a process that may have begun otherwise."""
    variables = _thread_variables(1)  # for what is imported later
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    if "numba" in sys.modules:
        sys.modules["numba"].set_num_threads(1)
        del variables["NUMBA_NUM_THREADS"]  # it refuses another number once its threads run
    os.environ.update(variables)
    return call(work)


def _load(modules: Sequence[str]) -> None:
    with contextlib.suppress(ImportError):  # of whom it is needed tells it
        for name in modules:
            importlib.import_module(name)


def _follow(parent: int) -> None:
    """Let this process end soon after its parent: it would go on for nobody. Ctrl-C is the parent's to answer.

    loky takes networks, which are kept, for a leak, and would put a new process in place of this one after each call:
    one that makes them anew.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    process_executor._MAX_MEMORY_LEAK_SIZE = sys.maxsize
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.name == "posix":
        threading.Thread(target=watch, daemon=True, name="parent watch").start()


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
