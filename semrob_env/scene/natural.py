"""Folders of natural photographs: ImageNet's validation pictures, V2, A, R, O and V, and which answers count in each.

Every layout is a folder a class, with photographs in it: named by WordNet ids (`imagenet-a/n01498041/*.jpg`), by
indices of ImageNet-1k (`imagenetv2-matched-frequency-format-val/0/*.jpeg`) or by names of classes. A number is read as
a number: in the order of text 10 comes before 2, and labels that are places in a sorted list are then mostly wrong.

| name | benchmark | counted |
|---|---|---|
| `val` | ImageNet-1k, Russakovsky et al. 2015, arXiv 1409.0575 | right answers of 1000 |
| `v2` | ImageNetV2, Recht et al. 2019, arXiv 1902.10811 | right answers of 1000 |
| `a` | ImageNet-A, Hendrycks et al. 2021, arXiv 1907.07174 | right answers of the 200 classes it has |
| `r` | ImageNet-R, Hendrycks et al. 2021, arXiv 2006.16241 | right answers of the 200 classes it has |
| `o` | ImageNet-O, as ImageNet-A | area under precision and recall of an anomaly score, which needs known pictures |
| `v` | ImageNet-V, Dong et al. 2022 (ViewFool), arXiv 2210.03895 | right answers of 1000 |

Lists of WordNet ids, and the 200 of -A and -R, are those of timm (`timm/data/_info/*.txt`).
"""

from __future__ import annotations

import importlib.util
import os
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, final

from semrob_env.errors import (
    AmbiguousNameError,
    InvalidParameterError,
    LibraryError,
    MissingExtraError,
    UnknownNameError,
)
from semrob_env.files import read_regular
from semrob_env.scene.classifiers.labels import IMAGENET_CLASSES, Labels
from semrob_env.scene.pictures import picture_files

MOST_BYTES: Final = 2**20
"""Largest list of classes."""


@final
@dataclass(frozen=True)
class Benchmark:
    """A published set of photographs.

    Attributes:
        name: Short, as command lines have it.
        title: As people call it.
        photos: How many it has as published.
        listed: timm's list of the classes among which an answer is right or wrong; empty: all of ImageNet-1k.
        is_anomaly: No class is right: its photographs should be met with doubt.
    """

    name: str
    title: str
    photos: int
    listed: str = ""
    is_anomaly: bool = False


BENCHMARKS: Final = MappingProxyType({
    own.name: own
    for own in (
        Benchmark("val", "ImageNet", 50_000),
        Benchmark("v2", "ImageNetV2", 10_000),
        Benchmark("a", "ImageNet-A", 7_500, "imagenet_a"),
        Benchmark("r", "ImageNet-R", 30_000, "imagenet_r"),
        Benchmark("o", "ImageNet-O", 2_000, is_anomaly=True),
        Benchmark("v", "ImageNet-V", 10_000),
    )
})
"""All benchmarks by name."""

_FOLDERS: Final = re.compile(
    r"imagenet[-_ ]?(v2|a|r|o|v)(?![a-z0-9])|(?:(?:imagenet|ilsvrc2012|ilsvrc)[-_ ]?)?(val)(?:idation)?$"
)
"""What the names of their folders begin with, or are, in small letters."""


@final
@dataclass(frozen=True)
class PhotoSet:
    """Photographs of a folder with the classes that they are of.

    Attributes:
        benchmark: Which one it is, or is laid out as.
        root: The folder.
        photos: Path of each below the folder, in the order of names.
        labels: ImageNet-1k index of the class of each; of an anomaly, of the class that it is taken for.
        candidates: Classes, rising, among which an answer is looked for.
    """

    benchmark: Benchmark
    root: str
    photos: tuple[str, ...]
    labels: tuple[int, ...]
    candidates: tuple[int, ...]

    @classmethod
    def read(cls, text: str) -> PhotoSet:
        """The photographs of `FOLDER` or `BENCHMARK=FOLDER`.

        Raises:
            InvalidParameterError: The name of the folder does not tell the benchmark, and nobody did.
            LibraryError: No such folder, nothing in it, or not of the layout: a folder a class.
            MissingExtraError: Its classes are listed by timm, which is not installed.
            UnknownNameError: A folder whose name is no class of the benchmark.
        """
        benchmark, root = _split(text)
        photos = picture_files(root)
        loose = next((name for name in photos if "/" not in name), None)
        if loose is not None:
            raise LibraryError(f"{root}: {loose} lies in no folder of a class; give a folder that holds one a class")
        names = [name.partition("/")[0] for name in photos]
        index = {name: _class_of(name, root) for name in dict.fromkeys(names)}
        known = listed_classes(benchmark.listed) if benchmark.listed else tuple(range(IMAGENET_CLASSES))
        odd = next((name for name in index if index[name] not in known), None)
        if odd is not None:
            raise UnknownNameError(
                f"{root}: folder {odd!r} is class {index[odd]}, none of the {len(known)} of {benchmark.title}; "
                "say which benchmark it is, as in val=FOLDER"
            )
        return cls(benchmark, root, photos, tuple(index[name] for name in names), known)

    def only(self, classes: frozenset[int]) -> PhotoSet:
        """Those of some classes alone."""
        kept = [own for own in zip(self.photos, self.labels, strict=True) if own[1] in classes]
        return replace(self, photos=tuple(name for name, _ in kept), labels=tuple(label for _, label in kept))

    def __len__(self) -> int:
        return len(self.photos)

    @property
    def words(self) -> str:
        """How many photographs of how many classes, and among how many an answer is looked for."""
        found = len(set(self.labels))
        counted = "AUPR of an anomaly score" if self.benchmark.is_anomaly else f"{len(self.candidates)}-way accuracy"
        part = "" if len(self) == self.benchmark.photos else f" (published: {self.benchmark.photos:,})"
        return f"{self.benchmark.title}: {len(self):,} photographs{part} of {found} classes, {counted}"


def _split(text: str) -> tuple[Benchmark, str]:
    name, equals, root = text.partition("=")
    if equals and name in BENCHMARKS and not os.path.isdir(text):
        return BENCHMARKS[name], root
    found = _FOLDERS.match(Path(os.path.abspath(text)).name.casefold())
    if found is None:
        raise InvalidParameterError(
            f"{text}: its name tells no benchmark; write BENCHMARK=FOLDER with one of {', '.join(BENCHMARKS)}"
        )
    return BENCHMARKS[found[1] or found[2]], text


def _class_of(name: str, root: str) -> int:
    """ImageNet-1k index that the name of a folder means."""
    wordnet = re.match(r"n\d{8}(?![0-9])", name)
    if wordnet:
        known = wordnet_indices()
        if wordnet[0] not in known:
            raise UnknownNameError(f"{root}: folder {name!r} is no class of ImageNet-1k")
        return known[wordnet[0]]
    try:
        return Labels("ImageNet-1k", IMAGENET_CLASSES).index(name)
    except (UnknownNameError, AmbiguousNameError) as error:
        raise UnknownNameError(
            f"{root}: {error}; folders are named by WordNet id (n01498041), index or class of ImageNet-1k"
        ) from error


@lru_cache(maxsize=1)
def wordnet_indices() -> MappingProxyType[str, int]:
    """ImageNet-1k index of each WordNet id.

    Raises:
        MissingExtraError: timm is not installed.
    """
    return MappingProxyType({name: index for index, name in enumerate(_lines("imagenet_synsets"))})


@lru_cache(maxsize=8)
def listed_classes(listed: str) -> tuple[int, ...]:
    """ImageNet-1k indices of the classes of a benchmark, rising, by the name of its list in timm.

    Raises:
        MissingExtraError: timm is not installed.
    """
    return tuple(sorted(int(line) for line in _lines(f"{listed}_indices")))


def _lines(name: str) -> list[str]:
    found = importlib.util.find_spec("timm")  # its folder alone: to import it takes seconds
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError('the class lists of natural photographs come with timm; pip install "semrob[networks]"')
    path = Path(found.submodule_search_locations[0], "data", "_info", f"{name}.txt")
    return read_regular(path, MOST_BYTES).decode("ascii").split()
