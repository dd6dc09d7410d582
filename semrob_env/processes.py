"""Which process this is: what counts or computes in one process is neither seen nor found again in another.

A meter that is forked or pickled counts where its owner never looks, and the threads of native libraries do not follow
a fork: a child that asks them waits for ever, or is ended. Both are told at the first call instead.
"""

from __future__ import annotations

import os
from typing import final

from semrob_env.errors import OtherProcessError


class _Process:
    """This process by a name that no other one has, whatever numbers the system gives away again."""

    def __init__(self) -> None:
        self.name = os.urandom(16)
        self.is_forked = False

    def begin(self) -> None:
        """Take a name of its own, in a child that was forked just now."""
        self.name = os.urandom(16)
        self.is_forked = True


THIS = _Process()
"""What remembers `THIS.name` can tell that it is elsewhere."""

if hasattr(os, "register_at_fork"):  # not where nothing forks
    os.register_at_fork(after_in_child=THIS.begin)


@final
class NativeThreads:
    """The threads of a library: found in the process that started them, lost in what is forked from it.

    Args:
        library: What messages call it.
    """

    def __init__(self, library: str) -> None:
        self.library = library
        self._home: bytes | None = None

    def require(self) -> None:
        """Refuse to go on where the threads are lost.

        Raises:
            OtherProcessError: They run in a process that this one was forked from.
        """
        if self._home is not None and self._home != THIS.name:
            raise OtherProcessError(
                f"{self.library} was used before this process was forked, and its threads stayed behind: here it would "
                'wait for ever; start workers by spawn, as AsyncVectorEnv(..., context="spawn") and '
                'multiprocessing.get_context("spawn") do, or fork before the first answer'
            )

    def enter(self) -> None:
        """Require them, and remember that they run here from now on.

        Raises:
            OtherProcessError: As `require`.
        """
        self.require()
        self._home = THIS.name


TORCH, OPENVINO, OPENMP = NativeThreads("torch"), NativeThreads("OpenVINO"), NativeThreads("the renderer (OpenMP)")
