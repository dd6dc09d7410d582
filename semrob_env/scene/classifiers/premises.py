"""What a network is taken to be, premise by premise, and who says so: so that nothing is assumed in silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

ASSUMED: Final = "assumed"
"""What a source begins with that is a guess of ours."""


GIVE_SIZE: Final = "give the size it was trained at: --size PIXELS (in an id size=PIXELS)"
GIVE_NUMBERS: Final = "else --mean, --std, --range, --bgr"
"""What to do, for messages."""


@final
@dataclass(frozen=True)
class Premise:
    """One thing that a network is taken to be.

    Attributes:
        what: Which: `input`, `normalization`, `answers`, `classes`.
        value: In words.
        source: Who says so; a guess begins with `ASSUMED`.
    """

    what: str
    value: str
    source: str

    @property
    def is_assumed(self) -> bool:
        """Whether nobody says so."""
        return self.source.startswith(ASSUMED)

    def __str__(self) -> str:
        return f"{self.what}: {self.value} ({self.source})"


@final
@dataclass(frozen=True)
class Sources:
    """Who says what of a network's input and classes; empty: whoever made it, in Python.

    Attributes:
        size: Of its size.
        numbers: Of its normalization, order of channels, and layout.
        classes: Of the names of its classes.
    """

    size: str = ""
    numbers: str = ""
    classes: str = ""
