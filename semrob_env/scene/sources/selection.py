"""What a person types (a folder, a library, a mesh file, "procedural") to the shapes that it means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from semrob_env.errors import LibraryError, UnknownNameError
from semrob_env.scene.classes import class_index
from semrob_env.scene.shapes import SHAPES
from semrob_env.scene.sources.base import ShapeInfo, pick
from semrob_env.scene.sources.kinds import (
    ALLOWED,
    LIBRARY_SUFFIX,
    PROCEDURAL,
    SHAPE_SOURCES,
    procedural_shape,
    split_source,
)
from semrob_env.scene.sources.texts import unescape

STANDARD_NUMBERS = range(10)
"""Object numbers of the standard procedural shapes."""


def list_shapes(root: str, *, numbers: Iterable[int] = STANDARD_NUMBERS) -> tuple[ShapeInfo, ...]:
    """The shapes of a source: of a folder, a .sh3f library, a mesh file, `procedural` (every class), or `KIND:PATH`.

    Args:
        root: Path, or `procedural`, not escaped; or a kind in `SHAPE_SOURCES` and a path, escaped as in ids.
        numbers: Object numbers of the procedural shapes.

    Raises:
        LibraryError: The folder or library cannot be used, or holds no shape.
        InvalidMeshError: A single file that is no mesh file.
    """
    if root == PROCEDURAL:
        return tuple(procedural_shape(name, number) for name, number in product(SHAPES, numbers))
    if _is_place(root):
        kind, _, path = root.partition(":")
        return SHAPE_SOURCES[kind].shapes(unescape(path))
    is_library = Path(root).suffix.lower() == LIBRARY_SUFFIX
    return SHAPE_SOURCES["folder" if os.path.isdir(root) else "sh3f" if is_library else "file"].shapes(root)


def resolve_shape(text: str) -> ShapeInfo:
    """One shape as a person types it: a mesh file, `FOLDER#NAME`, `LIBRARY.sh3f#NAME` or a procedural `cup:3`.

    A source text of an id (`sh3f:PATH#NAME`, escaped) is taken as well.

    Raises:
        UnknownNameError, AmbiguousNameError, LibraryError, InvalidMeshError: As `list_shapes` and `pick`.
    """
    if os.path.exists(text):
        shapes = list_shapes(text)
        if len(shapes) > 1:
            raise LibraryError(f"{text}: holds {len(shapes)} shapes; choose one by {text}#NAME")
        return shapes[0]
    root, _, name = text.rpartition("#")
    if root and os.path.exists(root):
        return pick(list_shapes(root), name, root)
    kind = text.partition(":")[0]
    if kind in SHAPES:
        _, number, _ = split_source(f"{PROCEDURAL}:{text.partition(':')[2]}")
        return procedural_shape(kind, number)
    if kind in SHAPE_SOURCES and not SHAPE_SOURCES[kind].is_procedural:
        _, root, name = split_source(text)
        shapes = SHAPE_SOURCES[kind].shapes(root)
        return pick(shapes, name, root) if name else shapes[0]
    raise LibraryError(f"{text}: there is no such file, folder or library; give {ALLOWED}, or one shape as SOURCE#NAME")


def _is_place(text: str) -> bool:
    """Whether a text is KIND:PATH of a kind whose places hold several shapes."""
    kind, colon, path = text.partition(":")
    is_kind = not os.path.exists(text) and bool(colon) and kind in SHAPE_SOURCES
    return is_kind and SHAPE_SOURCES[kind].has_names and "#" not in path


def select_shapes(
    texts: Sequence[str],
    *,
    names: Sequence[str] = (),
    classes: Sequence[str] = (),
    as_class: str = "",
    numbers: Iterable[int] = STANDARD_NUMBERS,
) -> tuple[ShapeInfo, ...]:
    """The shapes of several sources, or those of them that are asked for; none twice.

    Args:
        texts: Each as for `list_shapes` or `resolve_shape`.
        names: Empty: all; else those that `pick` finds among all of them.
        classes: Empty: all; else shapes of these classes only.
        as_class: Empty: the class that the name of a shape tells; else this class for every shape.
        numbers: Object numbers of procedural shapes.

    Raises:
        UnknownNameError: An unknown class or name, or nothing is left.
        AmbiguousNameError, LibraryError, InvalidMeshError: As `list_shapes` and `pick`.
    """
    for name in (*classes, *filter(None, [as_class])):
        if name not in SHAPES:
            class_index(name)
    chosen = list(numbers)
    listed: list[ShapeInfo] = []
    for text in texts:
        is_root = text == PROCEDURAL or os.path.exists(text) or _is_place(text)
        listed += list_shapes(text, numbers=chosen) if is_root else [resolve_shape(text)]
    if names:
        listed = [pick(listed, name, ", ".join(texts)) for name in names]
    if as_class:
        listed = [
            shape if shape.source.startswith(f"{PROCEDURAL}:") else replace(shape, class_name=as_class)
            for shape in listed
        ]
    kept = tuple(dict.fromkeys(shape for shape in listed if not classes or shape.class_name in classes))
    if not kept:
        raise UnknownNameError(f"{', '.join(texts)}: no shape of the classes {', '.join(classes)} among {len(listed)}")
    return kept
