"""What a person types (a folder, a library, a mesh file, "procedural") to the shapes that it means."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from semrob_env.errors import InvalidMeshError, LibraryError, UnknownNameError
from semrob_env.scene.classes import class_index
from semrob_env.scene.mesh import SUFFIXES
from semrob_env.scene.shapes import SHAPES
from semrob_env.scene.sources.class_of import class_of
from semrob_env.scene.sources.folders import list_folder
from semrob_env.scene.sources.libraries import list_library
from semrob_env.scene.sources.loading import file_source
from semrob_env.scene.sources.shape_info import ShapeInfo, pick
from semrob_env.scene.sources.texts import split_source

PROCEDURAL = "procedural"
LIBRARY_SUFFIX = ".sh3f"
STANDARD_NUMBERS = range(10)
"""Object numbers of the standard procedural shapes."""

ALLOWED = f"a folder of meshes, a {LIBRARY_SUFFIX} library, a mesh file ({' '.join(SUFFIXES)}), or {PROCEDURAL}"
"""For messages."""


def list_shapes(root: str, *, numbers: Iterable[int] = STANDARD_NUMBERS) -> tuple[ShapeInfo, ...]:
    """The shapes of a source: of a folder, a .sh3f library, a mesh file, or `procedural` (every class in `SHAPES`).

    Args:
        root: Path, or `procedural`. Not escaped.
        numbers: Object numbers of the procedural shapes.

    Raises:
        LibraryError: The folder or library cannot be used, or holds no shape.
        InvalidMeshError: A single file that is no mesh file.
    """
    if root == PROCEDURAL:
        chosen = list(numbers)
        return tuple(
            ShapeInfo(f"{PROCEDURAL}:{number}", f"{name}:{number}", name, name) for name in SHAPES for number in chosen
        )
    path = Path(root)
    if os.path.isdir(root):
        return list_folder(root)
    if path.suffix.lower() == LIBRARY_SUFFIX:
        return list_library(root)
    if not os.path.isfile(root):
        raise LibraryError(f"{root}: there is no such file or folder; give {ALLOWED}")
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidMeshError(f"{root}: file type {path.suffix!r} is not supported; give {ALLOWED}")
    return (ShapeInfo(file_source(root), path.name, path.stem, class_of(path.stem)),)


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
        return ShapeInfo(f"{PROCEDURAL}:{number}", f"{kind}:{number}", kind, kind)
    if kind in ("file", "folder", "sh3f"):
        _, root, name = split_source(text)
        return pick(list_shapes(root), name, root) if name else list_shapes(root)[0]
    raise LibraryError(f"{text}: there is no such file, folder or library; give {ALLOWED}, or one shape as SOURCE#NAME")


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
    for name in [*classes, *([as_class] if as_class else [])]:
        class_index(name)
    chosen = list(numbers)
    listed: list[ShapeInfo] = []
    for text in texts:
        is_root = text == PROCEDURAL or os.path.exists(text)
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
