"""A library's minimiser that holds the loop, asked one candidate at a time.

The loop runs in a thread of its own that works only while its candidate is waited for: never two at once, so nothing
depends on timing. Where a library draws from numpy's or Python's global generators, these are the loop's own while it
works, and as they were afterwards.

The thread is a daemon, and so are those that the library starts in it (a thread inherits this), so that a loop that
nobody answers any more does not keep the interpreter from ending. It ends by itself once its `Solver` is forgotten.
"""

from __future__ import annotations

import contextlib
import importlib
import random
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import MissingExtraError, ProtocolError
from semrob_env.types import BoolArray, FloatArray

Evaluate = Callable[[FloatArray], float]
"""The loss of a candidate (size,), cut to the unit cube (NaN: its middle); smaller is better."""

Loop = Callable[[Evaluate], None]
"""Minimises: calls `Evaluate` again and again, and would rather not return."""


@final
class _Stop(BaseException):
    """Unwinds a loop from within `Evaluate`; no library catches it, for it is no Exception."""


@final
class Solver:
    """A loop and its pending candidate.

    Args:
        loop: The minimiser.
        seed: Seeds the global generators as the loop sees them; by it and the losses, the candidates are known.
        draws_globally: Whether the loop may draw from the global generators.

    Raises:
        ProtocolError: The loop returned, now or later.
    """

    def __init__(self, loop: Loop, seed: int, *, draws_globally: bool = True) -> None:
        self._seed, self._losses = seed, list[float]()
        self._candidates: SimpleQueue[FloatArray | BaseException | None] = SimpleQueue()
        self._answers: SimpleQueue[float | None] = SimpleQueue()
        self._globals = _Globals(seed) if draws_globally else None
        weakref.finalize(self, self._answers.put, None).atexit = False
        thread = threading.Thread(target=_work, args=(loop, self._candidates, self._answers), daemon=True)
        with self._turn():
            thread.start()
            self._candidate = self._next()

    @property
    def candidate(self) -> FloatArray:
        """The candidate (size,) whose loss is waited for."""
        return np.array(self._candidate)

    def tell(self, loss: float) -> None:
        """The loss of the pending candidate; the next one is pending afterwards."""
        self._losses.append(loss)
        with self._turn():
            self._answers.put(loss)
            self._candidate = self._next()

    def has_heard(self, seed: int, losses: FloatArray) -> bool:
        """Whether it has this seed and was told exactly these losses."""
        return self._seed == seed and self._losses == losses.tolist()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Around all work of the loop: without its warnings, which nobody can act upon here."""
        with warnings.catch_warnings(), self._globals.lent() if self._globals else contextlib.nullcontext():
            warnings.simplefilter("ignore")
            yield

    def _next(self) -> FloatArray:
        message = self._candidates.get()
        if message is None:
            raise ProtocolError(f"the solver ended after {len(self._losses)} candidates; restart it in its loop")
        if isinstance(message, BaseException):
            raise message
        return message


@final
class _Globals:
    """The state of the global generators between two turns of a loop."""

    def __init__(self, seed: int) -> None:
        self._own: Any = random.Random(seed).getstate(), np.random.RandomState(seed % 2**32).get_state()

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """The loop's own state, and then the one from before."""
        before = self._swapped(self._own)
        try:
            yield
        finally:
            self._own = self._swapped(before)

    def _swapped(self, state: Any) -> Any:
        before = random.getstate(), np.random.get_state()  # noqa: NPY002 - to leave it as it was
        random.setstate(state[0])
        np.random.set_state(state[1])  # noqa: NPY002
        return before


def _work(
    loop: Loop, candidates: SimpleQueue[FloatArray | BaseException | None], answers: SimpleQueue[float | None]
) -> None:
    """The thread; it holds no reference to the `Solver`, or that could not be forgotten."""

    def evaluate(candidate: FloatArray) -> float:
        numbers = np.array(candidate, dtype=np.float64)
        candidates.put(np.clip(np.where(np.isnan(numbers), 0.5, numbers), 0.0, 1.0))
        loss = answers.get()
        if loss is None:
            raise _Stop
        return loss

    try:
        loop(evaluate)
        candidates.put(None)
    except _Stop:
        pass
    except BaseException as error:  # handed to who waits for a candidate
        candidates.put(error)


@final
class Solvers:
    """The solvers of a batch of trajectories, whose state is no more than their seeds and the losses told so far.

    After a restart, a loop is run again on those losses and goes on where it was; a library of another version, which
    would propose something else, is noticed.

    Args:
        name: The method, as messages call it.
        loop: Minimizes, as `Loop` does, by the named argument `seed`; it must not keep the optimizer alive.
        draws_globally: Whether the loop may draw from the global generators.
    """

    def __init__(self, name: str, loop: Callable[..., None], *, draws_globally: bool) -> None:
        self._name, self._loop, self._draws_globally = name, loop, draws_globally
        self.kept: list[Solver | None] = []

    def start(self, rngs: Sequence[np.random.Generator], most: int) -> dict[str, Any]:
        """First `seed`, `candidate` and `losses` of a state, for at most so many losses."""
        seed = np.array([int(rng.integers(2**31)) for rng in rngs])
        self.kept = [None] * len(seed)
        first = [self._solver(row, int(own), np.zeros(0)).candidate for row, own in enumerate(seed)]
        return {"seed": seed, "candidate": np.stack(first), "losses": np.full((len(seed), most), np.nan)}

    def tell(
        self, state: dict[str, Any], told: npt.ArrayLike, loss: FloatArray, rows: BoolArray, running: BoolArray
    ) -> dict[str, Any]:
        """Tell the losses of candidates and take the next ones.

        Args:
            state: With what `start` gives.
            told: Losses told so far (B,).
            loss: Of each candidate (B,).
            rows: Whose losses are told (B,).
            running: Which trajectories still run (B,); solvers of others are forgotten.

        Returns:
            The next `seed`, `candidate` and `losses`.

        Raises:
            ProtocolError: The library does not propose what it did before.
        """
        candidate, losses = state["candidate"].copy(), state["losses"].copy()
        for row in np.flatnonzero(rows):
            count = int(np.asarray(told)[row])
            if count + 1 < losses.shape[1]:  # else that was the last one: nobody asks for another
                solver = self._solver(row, int(state["seed"][row]), losses[row, :count])
                if solver.candidate.tobytes() != candidate[row].tobytes():
                    raise ProtocolError(f"{self._name}: the state is of another version of its library; start anew")
                solver.tell(float(loss[row]))
                candidate[row] = solver.candidate
            losses[row, count] = loss[row]
        for row in np.flatnonzero(~running):
            self.kept[row] = None
        return {"seed": state["seed"].copy(), "candidate": candidate, "losses": losses}

    def _solver(self, row: int, seed: int, heard: FloatArray) -> Solver:
        """The solver of a trajectory after it has heard these losses, run again if it heard others."""
        solver = self.kept[row]
        if solver is None or not solver.has_heard(seed, heard):
            solver = Solver(partial(self._loop, seed=seed), seed, draws_globally=self._draws_globally)
            for loss in heard.tolist():
                solver.tell(loss)
            self.kept[row] = solver
        return solver


def library(name: str) -> Any:
    """A library that is an extra.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(f"{name} is not installed; pip install semrob[baselines]") from error
