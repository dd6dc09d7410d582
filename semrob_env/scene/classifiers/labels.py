"""Names of a network's classes: from text to the one index that is meant."""

from __future__ import annotations

import codecs
import difflib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, final

from semrob_env.errors import (
    AmbiguousNameError,
    InvalidParameterError,
    MissingFileError,
    RefusedFileError,
    UnknownNameError,
)
from semrob_env.files import encodable, read_regular
from semrob_env.scene.classes import CLASS_INDEX, IMAGENET_NAME, nearest_class

IMAGENET_CLASSES = 1000
"""A network of so many classes whose labels are not told is taken for one of ImageNet-1k."""

MOST_SHOWN = 8  # candidates that a message lists at most


@final
@dataclass(frozen=True)
class Labels:
    """The classes of a network.

    Attributes:
        owner: The network, for messages.
        count: Number of classes.
        names: Name of each class, None where nobody told; alternatives within a name stand between commas.
    """

    owner: str
    count: int
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.names is not None and len(self.names) != self.count:
            raise InvalidParameterError(
                f"{len(self.names)} labels for {self.owner}, which has {self.count} classes; give one a class"
            )

    @cached_property
    def known(self) -> tuple[str, ...] | None:
        """The names; those of ImageNet-1k for 1000 classes that nobody named."""
        if self.names is None and self.count == IMAGENET_CLASSES:
            return imagenet_categories()
        return self.names

    @property
    def is_imagenet(self) -> bool:
        """Whether the paper's class names mean what they mean on ImageNet-1k."""
        if self.count != IMAGENET_CLASSES or self.names is None:
            return self.count == IMAGENET_CLASSES
        return all(_plain(IMAGENET_NAME[own]) in _parts(self.names[i]) for own, i in CLASS_INDEX.items())

    def index(self, text: str) -> int:
        """The class that an index or a name means.

        On ImageNet-1k the paper's ten names come first: `rifle` is its 413 (assault rifle), not ImageNet's 764.
        Case, hyphens and underscores do not matter.

        Raises:
            UnknownNameError: No class of that index or name; near names are listed.
            AmbiguousNameError: Several classes fit; all are listed.
        """
        wanted = text.strip()
        if wanted.isascii() and wanted.isdigit():
            if len(wanted) > 9 or int(wanted) >= self.count:
                raise UnknownNameError(f"class {wanted[:20]}: {self.owner} has classes 0..{self.count - 1}")
            return int(wanted)
        if self.is_imagenet and _plain(wanted) in CLASS_INDEX:
            return CLASS_INDEX[_plain(wanted)]
        if self.known is None:
            raise UnknownNameError(
                f"class {text!r}: {self.owner} has {self.count} classes and no names for them, so ImageNet's do not "
                f"apply; give an index 0..{self.count - 1}, or all names (--labels FILE, "
                "labels=FILE in an id, categories=(...) in Python)"
            )
        return self._by_name(text, self.known)

    def name(self, index: int) -> str:
        """The shortest text that means a class: the paper's name, its own if no other class has it, or its index."""
        if self.is_imagenet:
            for paper_name, own in CLASS_INDEX.items():
                if own == index:
                    return paper_name
        name = "" if self.known is None else self.known[index].partition(",")[0].strip()
        try:
            return name if name and "/" not in name and self.index(name) == index else str(index)
        except (UnknownNameError, AmbiguousNameError):
            return str(index)

    def _by_name(self, text: str, known: Sequence[str]) -> int:
        wanted = _plain(text)
        exact = [index for index, name in enumerate(known) if wanted == _plain(name) or wanted in _parts(name)]
        if len(exact) == 1:
            return exact[0]
        candidates = exact or [index for index, name in enumerate(known) if f" {wanted} " in f" {_plain(name)} "]
        if len(candidates) > 1:
            raise AmbiguousNameError(
                f"class {text!r} fits several of {self.owner}: {_listed(candidates, known)}; "
                "give the index or the full name"
            )
        meant = nearest_class(text) if self.is_imagenet else None  # airplane: the paper's aeroplane
        candidates = candidates or self._near(text, known)
        told = [f"{meant} ({CLASS_INDEX[meant]} {known[CLASS_INDEX[meant]]})"] if meant else []
        told += (
            [_listed(own, known)] if (own := [i for i in candidates if not meant or i != CLASS_INDEX[meant]]) else []
        )
        hint = f"near: {', '.join(told)}" if told else f"give an index, or one of {_listed(range(len(known)), known)}"
        paper = f"; known are {', '.join(CLASS_INDEX)} and ImageNet's names" if self.is_imagenet else ""
        raise UnknownNameError(f"class {text!r} is not known to {self.owner}{paper}; {hint}")

    def _near(self, text: str, known: Sequence[str]) -> list[int]:
        """Classes that are spelt alike."""
        parts = [(part, index) for index, name in enumerate(known) for part in _parts(name)]
        near = difflib.get_close_matches(_plain(text), [part for part, _ in parts], n=3)
        return list(dict.fromkeys(index for word in near for part, index in parts if part == word))


@lru_cache(maxsize=1)
def imagenet_categories() -> tuple[str, ...]:
    """Names of the 1000 classes of ImageNet-1k, from the metadata of torchvision's weights."""
    from torchvision.models import AlexNet_Weights  # only where a name is looked up: takes seconds to import

    return tuple(AlexNet_Weights.IMAGENET1K_V1.meta["categories"])


MOST_BYTES = 2**22
"""Largest file of labels (4 MiB): those of 21,841 classes have 0.6."""

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, which editors put first, and what they say of the rest."""


def read_labels(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Names of classes from a file: a JSON list, or one name a line; in UTF-8, or what its byte order mark says.

    What begins with a bracket is a JSON list, whatever the ending of the file. Lines end at line feeds and carriage
    returns alone; empty ones do not count.

    Raises:
        MissingFileError: It cannot be read: there is none, a pipe or device, or another encoding.
        InvalidParameterError: It holds no names, names that cannot be written, another kind of JSON, or too much.
    """
    try:
        data = read_regular(path, MOST_BYTES)
        encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
        text = data.decode(encoding)
    except (MissingFileError, RefusedFileError) as error:
        raise MissingFileError(f"cannot read labels {error} with one name a line, or a JSON list") from error
    except UnicodeDecodeError as error:
        raise MissingFileError(f"cannot read labels {path}: {error}; save them in UTF-8") from error
    names: object = re.split(r"\r\n|\r|\n", text)
    if text.lstrip().startswith(("[", "{")):
        try:
            names = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidParameterError(f"labels {path} are no JSON list: {error}") from error
        if isinstance(names, list) and not all(isinstance(name, str) and name.strip() for name in names):
            names = None
    bare = [name.replace("\ufeff", "").strip() for name in names] if isinstance(names, list) else []
    stripped = [name for name in bare if name]  # files that were put together have a mark before each
    if not stripped:
        raise InvalidParameterError(f"labels {path}: give one name a line, or a JSON list of names")
    odd = next((name for name in stripped if encodable(name) != name), None)
    if odd is not None:
        raise InvalidParameterError(f"labels {path}: {odd[:60]!a} cannot be written into ids and tables; rename it")
    return tuple(stripped)


def first_label(names: Iterable[str], labels: Sequence[str]) -> str | None:
    """The first of some names that is a label, or one of its alternatives, to the letter but for case and hyphens."""
    known = {form for label in labels for form in (_plain(label), *_parts(label))}
    return next((name for name in names if _plain(name) in known), None)


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").replace(",", " ").split())


def _parts(name: str) -> set[str]:
    return {_plain(part) for part in name.split(",")}


def _listed(indices: Sequence[int], names: Sequence[str]) -> str:
    shown = ", ".join(f"{index} {names[index]}" for index in indices[:MOST_SHOWN])
    return shown if len(indices) <= MOST_SHOWN else f"{shown} and {len(indices) - MOST_SHOWN} more"
