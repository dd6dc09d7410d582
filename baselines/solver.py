"""A library's minimiser that holds the loop, asked one candidate at a time.

The loop runs in a thread of its own that works only while its candidate is waited for: never two at once, so nothing
depends on timing. Where a library draws from numpy's or Python's global generators, these are the loop's own while it
works, and as they were afterwards.

The thread is a daemon, and so are those that the library starts in it (a thread inherits this), so that a loop that
nobody answers any more does not keep the interpreter from ending. It ends by itself once its `Solver` is forgotten.
"""

from __future__ import annotations

import contextlib
import random
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import final

import numpy as np

from semrob_env.errors import ProtocolError
from semrob_env.types import FloatArray

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
        numbers = np.random.RandomState(seed % 2**32).get_state()
        self._own: tuple[object, object] = random.Random(seed).getstate(), numbers

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """The loop's own state, and then the one from before."""
        before = _global_state()
        _set_global_state(self._own)
        try:
            yield
        finally:
            self._own = _global_state()
            _set_global_state(before)


def _global_state() -> tuple[object, object]:
    return random.getstate(), np.random.get_state()  # noqa: NPY002 - to leave it as it was


def _set_global_state(state: tuple[object, object]) -> None:
    random.setstate(state[0])  # type: ignore[arg-type]  # opaque: what getstate gave
    np.random.set_state(state[1])  # type: ignore[arg-type]  # noqa: NPY002


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
