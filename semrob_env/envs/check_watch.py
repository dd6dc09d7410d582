"""Looking over the shoulder of a score function: which points it is asked, and other answers in place of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, final

import numpy as np

from semrob_env.functions import ScoreFunction
from semrob_env.types import FloatArray, IntArray

_ANSWERS = ("_values", "_values_and_gradients")
"""What a score function is made of."""


def leaves(function: ScoreFunction) -> list[ScoreFunction]:
    """The functions that answer in the end, without complements and stacks around them, each once."""
    found = (function.leaf(member).function for member in range(function.members))
    return list({id(leaf): leaf for leaf in found}.values())


@final
class Watch(AbstractContextManager["Watch"]):
    """A context in which every point that a function is asked is kept, whoever asks.

    Args:
        function: The function; complements and stacks are watched where they ask in turn.
        answer: None: the function answers itself; else every score is this number (NaN as well).

    Attributes:
        theta: Points asked so far, in order, (m, n) a call and row ...
        member_ids: ... and the id of the innermost member that was asked.
    """

    def __init__(self, function: ScoreFunction, answer: float | None = None) -> None:
        self.answer = answer
        self.theta: list[FloatArray] = []
        self.member_ids: list[str] = []
        self._leaves = leaves(function)
        self._before: list[dict[str, Any]] = []

    @property
    def asked(self) -> int:
        """Number of points asked so far."""
        return sum(map(len, self.theta))

    def __enter__(self) -> Watch:
        # On the instance, where it hides the method of the class until __exit__; watches may lie in each other.
        self._before = [{name: vars(leaf)[name] for name in _ANSWERS if name in vars(leaf)} for leaf in self._leaves]
        for leaf in self._leaves:
            vars(leaf).update({name: self._watched(leaf, getattr(leaf, name)) for name in _ANSWERS})
        return self

    def __exit__(self, *error: object) -> None:
        for leaf, before in zip(self._leaves, self._before, strict=True):
            for name in _ANSWERS:
                del vars(leaf)[name]
            vars(leaf).update(before)

    def _watched(self, leaf: ScoreFunction, method: Callable[[FloatArray, IntArray], Any]) -> Callable[..., Any]:
        def watched(theta: FloatArray, member: IntArray) -> Any:
            answers = method(theta, member)
            self.theta += list(np.array(theta))
            self.member_ids += [leaf.member_ids[row] for row in member.tolist()]
            if self.answer is None:
                return answers
            scores = np.full(theta.shape[:2], self.answer)
            return (scores, 0.0 * answers[1]) if isinstance(answers, tuple) else scores

        return watched
