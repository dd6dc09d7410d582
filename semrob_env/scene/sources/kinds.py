"""Kinds of places that shapes come from; from what an id or a person says (see the package) to shapes and meshes."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import final

from semrob_env.errors import InvalidMeshError, InvalidParameterError, LibraryError, UnknownNameError
from semrob_env.files import FileCache
from semrob_env.registry import Registry
from semrob_env.scene.classes import class_index, first_class, nearest_class
from semrob_env.scene.classifiers.labels import first_label
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.mesh_files import SUFFIXES, load_mesh, mesh_node_names
from semrob_env.scene.pose import Pose
from semrob_env.scene.shading import Shading
from semrob_env.scene.shapes import SHAPES, make_shape
from semrob_env.scene.sources.base import ShapeInfo, ShapeSource, pick
from semrob_env.scene.sources.folders import Folder
from semrob_env.scene.sources.libraries import Library
from semrob_env.scene.sources.photos import PHOTO, is_photo_place, list_photos, load_photo
from semrob_env.scene.sources.texts import source_text, unescape
from semrob_env.scene.surface import Surface

PROCEDURAL = "procedural"
LIBRARY_SUFFIX = ".sh3f"
MOST_DIGITS = 15
"""Longest number of a procedural shape."""

STANDARD_NUMBERS = range(10)
"""Object numbers of the standard procedural shapes."""

COLORS = ("white", "material", "texture")
"""How a shape may be painted: white as in the paper, each face in one color of its material, or with its textures."""

FLAT = Shading()
"""The paper's shading."""

ALLOWED = (
    f"a folder of meshes or photos, a {LIBRARY_SUFFIX} library, a mesh file ({' '.join(SUFFIXES)}), a photo, or "
    f"{PROCEDURAL}"
)
"""For messages."""


def procedural_shape(class_name: str, number: int | str) -> ShapeInfo:
    """Object `number` of a class."""
    return ShapeInfo(f"{PROCEDURAL}:{number}", f"{class_name}:{number}", class_name, class_name)


@final
class _Procedural(ShapeSource):
    form, has_names, is_procedural = "3", False, True

    def shapes(self, path: str) -> tuple[ShapeInfo, ...]:
        return tuple(procedural_shape(name, path) for name in SHAPES)

    def mesh(self, path: str, name: str, *, class_name: str, colors: bool) -> Mesh:
        if colors:
            raise InvalidParameterError("procedural shapes have no materials; leave colors=material away")
        return make_shape(class_name, int(path))

    def covered_mesh(self, path: str, name: str, *, class_name: str, node: str = "") -> Mesh:
        raise InvalidParameterError(
            "procedural shapes have neither textures nor a file; leave colors=texture and normals=file away"
        )

    def stamp(self, path: str, name: str, class_name: str) -> Hashable:
        return SHAPES.get(class_name)

    def split(self, text: str) -> tuple[str, str] | None:
        is_number = text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS
        return (str(int(text)), "") if is_number else None


@final
class _File(ShapeSource):
    form, has_names, has_nodes = "PATH", False, True

    def shapes(self, path: str) -> tuple[ShapeInfo, ...]:
        file = Path(path)
        if not os.path.isfile(path):
            raise LibraryError(f"{path}: there is no such file or folder; give {ALLOWED}")
        if file.suffix.lower() not in SUFFIXES:
            raise InvalidMeshError(f"{path}: file type {file.suffix!r} is not supported; give {ALLOWED}")
        hints = (file.stem, file.resolve().parent.name)
        return (ShapeInfo(source_text("file", path), file.name, file.stem, first_class(hints), hints=hints),)

    def mesh(self, path: str, name: str, *, class_name: str, colors: bool) -> Mesh:
        return load_mesh(path, colors=colors)

    def covered_mesh(self, path: str, name: str, *, class_name: str, node: str = "") -> Mesh:
        return load_mesh(path, surface=True, node=node)

    def node_names(self, path: str, name: str) -> list[str]:
        return mesh_node_names(path)

    def node_mesh(self, path: str, name: str, node: str, *, colors: bool) -> Mesh:
        return load_mesh(path, colors=colors, node=node)

    def split(self, text: str) -> tuple[str, str] | None:
        return unescape(text), ""


SHAPE_SOURCES: Registry[ShapeSource] = Registry(
    "kind of shape source",
    "semrob.shape_sources",
    {PROCEDURAL: _Procedural(), "file": _File(), "folder": Folder(), "sh3f": Library()},
    accepts=lambda found: isinstance(found, ShapeSource),
)
"""Every kind by its word before the colon."""


def split_source(source: str) -> tuple[str, str, str]:
    """Kind, path (procedural: the number) and name of a source text; the name is empty where the kind has none.

    Raises:
        UnknownNameError: Not of the grammar.
        PluginError: Of a kind whose plug-in cannot be imported.
    """
    kind, colon, rest = source.partition(":")
    parts = SHAPE_SOURCES[kind].split(rest) if colon and kind in SHAPE_SOURCES else None
    if parts is None:
        *forms, last = (f"{known}:{own.form}" for known, own in SHAPE_SOURCES.items())
        raise UnknownNameError(f"unknown shape source {source!r}; write {', '.join(forms)} or {last}")
    return kind, *parts


def file_source(path: str) -> str:
    """The source text of a mesh file; characters that have a meaning in ids are escaped."""
    return source_text("file", path)


_KEPT: FileCache[Mesh] = FileCache(256)


def check_pose(source: str, pose: Pose) -> None:
    """Refuses a pose of a shape that has none to choose; loads nothing.

    Raises:
        UnknownNameError: Unknown kind of source.
        InvalidParameterError: A pose of a procedural shape.
    """
    if SHAPE_SOURCES[split_source(source)[0]].is_procedural and pose != Pose():
        raise InvalidParameterError(
            "built-in shapes stand as they are; up, front, rotate, scale and node are for files"
        )


def load_shape(
    class_name: str, source: str, colors: str = "white", pose: Pose | None = None, shading: Shading = FLAT
) -> Mesh:
    """The normalized mesh that a source text names; kept, until a file of it is written anew or its class replaced.

    Args:
        class_name: Class of the shape; procedural shapes are made of it, others do not need it.
        source: See the package.
        colors: One of `COLORS`.
        pose: How it is put up, which part of it, and whether it keeps its scale; None: as it is.
        shading: Normals and highlight.

    Raises:
        UnknownNameError: Another kind of source, an unknown procedural class, or no shape of that name.
        PluginError: A kind or class of a plug-in that cannot be imported.
        AmbiguousNameError: Several shapes of that name.
        LibraryError: The folder or library cannot be used.
        InvalidMeshError: The mesh cannot be used.
        InvalidParameterError: Other colors, or materials or a pose of a procedural shape.
    """
    if colors not in COLORS:
        raise InvalidParameterError(f"colors {colors!r}: choose {', '.join(COLORS[:-1])} or {COLORS[-1]}")
    kind, path, name = split_source(source)
    own, chosen = SHAPE_SOURCES[kind], pose or Pose()
    check_pose(source, chosen)
    key = (own, path, name, class_name, colors, chosen, shading, own.stamp(path, name, class_name))

    def bare() -> Mesh:
        is_painted = colors == "material"
        if chosen.node:
            return own.node_mesh(path, name, chosen.node, colors=is_painted)
        return own.mesh(path, name, class_name=class_name, colors=is_painted)

    def make() -> Mesh:
        mesh = None if colors == "texture" else bare()
        if colors == "texture" or shading.normals == "file":
            covered = own.covered_mesh(path, name, class_name=class_name, node=chosen.node)
            if mesh is None:
                mesh = covered
            elif covered.surface is not None:  # of the same faces: only their looks differ
                mesh = replace(mesh, surface=replace(Surface.plain(len(mesh.faces)), normals=covered.surface.normals))
        assert mesh is not None
        return shading.on(mesh if own.is_procedural else chosen.applied(mesh))

    return _KEPT.get(key, make)


def check_loads(shape: ShapeInfo, colors: str = "white", shading: Shading = FLAT) -> None:
    """Load a shape or photo, which is kept; errors as `load_shape` or `load_photo`."""
    if shape.scheme == PHOTO:
        load_photo(shape.source)
    else:
        load_shape(shape.class_name or "", shape.source, colors, shape.pose, shading)


def canonical_source(source: str) -> str:
    """The one spelling of a source text: numbers without leading zeros, names as listed; errors as `load_shape`."""
    kind, path, name = split_source(source)
    return source_text(kind, path, SHAPE_SOURCES[kind].canonical_name(path, name))


def list_shapes(root: str, *, numbers: Iterable[int] = STANDARD_NUMBERS) -> tuple[ShapeInfo, ...]:
    """The shapes of a folder, a .sh3f library, a mesh file, or of `procedural`: objects `numbers` of every class.

    A picture file is a photo, and so is each of a folder that holds pictures and no mesh.

    The path is not escaped; also taken is a kind in `SHAPE_SOURCES` and a path, escaped as in ids: `KIND:PATH`.

    Raises:
        LibraryError: The folder or library cannot be used, or holds no shape.
        InvalidMeshError: A single file that is no mesh file.
    """
    if root == PROCEDURAL:
        return tuple(procedural_shape(name, number) for name, number in product(SHAPES, numbers))
    if _is_place(root):
        kind, _, path = root.partition(":")
        return SHAPE_SOURCES[kind].shapes(unescape(path))
    if is_photo_place(root):
        return list_photos(root)
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
    near = nearest_class(kind) if kind != text else None
    hint = f"; did you mean {near}:{text.partition(':')[2]}?" if near else ""
    raise LibraryError(
        f"{text}: there is no such file, folder or library; give {ALLOWED}, or one shape as SOURCE#NAME{hint}"
    )


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
    labels: Sequence[str] = (),
) -> tuple[ShapeInfo, ...]:
    """The shapes of several sources, or those of them that are asked for; none twice.

    Args:
        texts: Each as for `list_shapes` or `resolve_shape`.
        names: Empty: all; else those that `pick` finds among all of them.
        classes: Empty: all; else shapes of these classes only.
        as_class: Empty: the class that the name of a shape tells; else this class for every shape, as the network's
            labels or an index of them have it: only they know it.
        numbers: Object numbers of procedural shapes.
        labels: Classes of the networks that names and folders may tell, before those of the paper.

    Raises:
        UnknownNameError: An unknown class or name, or nothing is left.
        AmbiguousNameError, LibraryError, InvalidMeshError: As `list_shapes` and `pick`.
    """
    chosen = list(numbers)
    listed: list[ShapeInfo] = []
    for text in texts:
        is_root = text == PROCEDURAL or os.path.exists(text) or _is_place(text)
        listed += list_shapes(text, numbers=chosen) if is_root else [resolve_shape(text)]
    if any(shape.scheme != PHOTO for shape in listed):  # photos have the classes of their networks
        for name in classes:
            if name not in SHAPES and first_label([name], labels) is None:
                class_index(name)
    if names:
        listed = [pick(listed, name, ", ".join(texts)) for name in names]
    if labels:
        listed = [replace(shape, class_name=first_label(shape.hints, labels) or shape.class_name) for shape in listed]
    if as_class:
        listed = [
            replace(shape, scored_as="" if as_class == shape.class_name else as_class)
            if shape.source.startswith(f"{PROCEDURAL}:")
            else replace(shape, class_name=as_class)
            for shape in listed
        ]
    kept = tuple(dict.fromkeys(shape for shape in listed if not classes or shape.class_name in classes))
    if not kept:
        raise UnknownNameError(f"{', '.join(texts)}: no shape of the classes {', '.join(classes)} among {len(listed)}")
    return kept
