"""What may be said about a network beside its name: in ids, on command lines, to `load_network`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast, final

from semrob_env.errors import InvalidParameterError, MissingFileError
from semrob_env.scene.classifiers.base import Channels, Layout, Preprocessing
from semrob_env.scene.classifiers.score_kinds import ScoreKind, score_kind

_TRUSTED: set[Path] = set()
_TRUSTED_FACTORIES: set[str] = set()

RANGES: Final = MappingProxyType({"0-1": (0.0, 1.0), "0-255": (0.0, 255.0), "-1-1": (-1.0, 1.0)})
"""What black and white become before mean and std, by name."""

BYTES: Final = "bytes"
"""The range of whole numbers 0 to 255."""

ESCAPED: Final = ("weights", "labels", "output")
"""Options that ids write escaped: paths and names."""

ANSWERS: Final = ("logits", "probabilities")

_CHOICES: Final = MappingProxyType({
    "range": (*RANGES, BYTES),
    "channels": ("rgb", "bgr"),
    "layout": ("nchw", "nhwc"),
    "answers": ANSWERS,
})
_FACTORY: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


@final
@dataclass(frozen=True)
class NetworkOptions:
    """Options of a network.

    Attributes:
        weights: File of weights; of the whole model for the network `file`. Empty: those of the network's own.
        labels: File of class names. Empty: those of the network's own.
        score: See `semrob_env.scene.classifiers.score_kinds`.
        device: `cpu`, or a torch device as `cuda` or `cuda:1`; a device other than the CPU answers by torch.
        output: Of a model file with several outputs the one that holds the classes: its name, or its place from 0.
        size: Input size in pixels; 0: the network's own.
        mean: Of red, green and blue, comma separated, or one number for all, in units of `range`; empty: its own.
        std: As `mean`.
        range: What black and white become before mean and std, one of `RANGES`, or `BYTES`; where it is given, no mean
            and std but those given here. Empty: 0-1, with the network's own.
        channels: `rgb` or `bgr`; empty: its own. Mean and std stay in the order r, g, b.
        layout: `nchw` or `nhwc`; empty: its own.
        answers: What its answers are, `logits` or `probabilities`; empty: told by their sums.
        factory: `module:function` that makes the module for `weights`; see `trust_factory`.

    Raises:
        InvalidParameterError: An unknown score, or a word or number that is none of the above.
    """

    weights: str = ""
    labels: str = ""
    score: ScoreKind = "softmax"
    device: str = "cpu"
    output: str = ""
    size: int = 0
    mean: str = ""
    std: str = ""
    range: str = ""
    channels: str = ""
    layout: str = ""
    answers: str = ""
    factory: str = ""

    def __post_init__(self) -> None:
        score_kind(self.score)
        if not 0 <= self.size <= MOST_SIDE:
            raise InvalidParameterError(f"size {self.size}: give 1 to {MOST_SIDE} pixels, or 0 for the network's own")
        for name in ("mean", "std"):  # one spelling, so that one feed has one id
            object.__setattr__(self, name, ",".join(map(_shown, _three(name, getattr(self, name)) or ())))
        for name, allowed in _CHOICES.items():
            if (own := getattr(self, name)) and own not in allowed:
                raise InvalidParameterError(f"{name} {own[:40]!r}: choose {', '.join(allowed)}")
        if self.factory and not _FACTORY.fullmatch(self.factory):
            raise InvalidParameterError(f"factory {self.factory[:60]!r}: write module:function")

    def feed(self, own: Preprocessing, *, unnormalized: bool = False) -> Preprocessing:
        """How pictures are prepared: as a network has it, but for what is said here.

        Args:
            own: The network's.
            unnormalized: Feed pictures in [0, 1] as they are.

        Raises:
            InvalidParameterError: `unnormalized` beside a normalization, or mean and std of bytes.
        """
        given = [name for name in ("mean", "std", "range", "channels", "layout") if getattr(self, name)]
        sources, said = own.sources, f"as asked: {', '.join(given)}"
        if own.sources.numbers and not self.range and not (self.mean and self.std):  # part of it is as it was
            said = f"{own.sources.numbers}; {said}"
        own = replace(
            own,
            size=self.size or own.size,
            channels=cast(Channels, self.channels or own.channels),
            layout=cast(Layout, self.layout or own.layout),
            sources=replace(
                sources,
                size="as asked: size" if self.size else sources.size,
                numbers=said if given else sources.numbers,
                classes="as asked: labels" if self.labels else sources.classes,
            ),
        )
        numbers = [name for name in ("mean", "std", "range") if getattr(self, name)]
        if unnormalized:
            if numbers:
                raise InvalidParameterError(
                    f"unnormalized feeds pictures in [0, 1] as they are; leave it or {', '.join(numbers)} away"
                )
            return own.unnormalized()
        if not numbers:
            return own
        if self.range == BYTES or (own.is_bytes and not self.range):
            if self.mean or self.std:
                raise InvalidParameterError("an input of bytes is the picture itself: leave mean and std away")
            return replace(own, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), is_bytes=True)
        low, high = RANGES[self.range or "0-1"]
        mean, std = _three("mean", self.mean), _three("std", self.std)
        if self.range:  # of which mean and std are numbers: none where they are not given
            mean, std = mean or (0.0, 0.0, 0.0), std or (1.0, 1.0, 1.0)
        width = high - low
        return replace(
            own,
            mean=own.mean if mean is None else _each(mean, lambda number: (number - low) / width),
            std=own.std if std is None else _each(std, lambda number: number / width),
            is_bytes=False,
        )

    def changed(self) -> dict[str, str]:
        """The options that differ from their defaults."""
        own = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        return {field.name: own[field.name] for field in fields(self) if own[field.name] != str(field.default)}

    def in_ids(self) -> dict[str, Any]:
        """The changed options as ids write them, paths and names escaped."""
        from semrob_env.scene.sources.texts import escape  # its package loads meshes, which names do without

        changed = {name: escape(value) if name in ESCAPED else value for name, value in self.changed().items()}
        return {**changed, **({"size": self.size} if self.size else {})}


def trust_model_file(path: str) -> None:
    """Allow this process to load a file that can run code when loaded (TorchScript, torch.export).

    An id cannot say this: ids come from stores and strangers.

    Raises:
        MissingFileError: There is no such file.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: there is no such model file; give its path")
    _TRUSTED.add(Path(path).resolve())


def is_trusted(path: str) -> bool:
    """Whether `trust_model_file` named this file."""
    return Path(path).resolve() in _TRUSTED


def trusted_model_files() -> tuple[str, ...]:
    """The files that `trust_model_file` named: what another process of the same user must be told."""
    return tuple(sorted(map(str, _TRUSTED)))


def trust_factory(name: str) -> None:
    """Allow this process to import a module of the user and to call the function in it that makes a torch module.

    An id cannot say this, as for `trust_model_file`.

    Raises:
        InvalidParameterError: Not `module:function`.
    """
    if not _FACTORY.fullmatch(name):
        raise InvalidParameterError(f"factory {name[:60]!r}: write module:function")
    _TRUSTED_FACTORIES.add(name)


def is_trusted_factory(name: str) -> bool:
    """Whether `trust_factory` named it."""
    return name in _TRUSTED_FACTORIES


def trusted_factories() -> tuple[str, ...]:
    """What `trust_factory` named, as `trusted_model_files`."""
    return tuple(sorted(_TRUSTED_FACTORIES))


MOST_SIDE = 2048
"""Largest input in pixels a side."""


def _three(name: str, text: str) -> tuple[float, float, float] | None:
    """Three numbers of a text, or one for all; None of an empty one."""
    if not text:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    is_right = len(numbers) in {1, 3} and all(abs(number) < 1e6 for number in numbers)
    if not is_right or (name == "std" and min(numbers) <= 0):
        raise InvalidParameterError(f"{name} {text[:60]!r}: give one number or three, comma separated; std above 0")
    red, green, blue = numbers * (3 // len(numbers))
    return red, green, blue


def _each(numbers: tuple[float, float, float], change: Callable[[float], float]) -> tuple[float, float, float]:
    red, green, blue = map(change, numbers)
    return red, green, blue


def _shown(number: float) -> str:
    return f"{number:.12g}"
