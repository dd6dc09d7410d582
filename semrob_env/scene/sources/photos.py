"""Where photos come from: `file:PATH` and `folder:PATH#NAME`, in the grammar of shapes; class folders tell classes."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Final

from semrob_env.errors import UnknownNameError
from semrob_env.scene.classes import class_of, first_class
from semrob_env.scene.mesh_files import SUFFIXES as MESH_SUFFIXES
from semrob_env.scene.pictures import SUFFIXES, Picture, has_pictures, picture_files, picture_in, read_picture
from semrob_env.scene.sources.base import ShapeInfo
from semrob_env.scene.sources.texts import source_text, unescape

PHOTO: Final = "photo"
"""The scheme of the functions of photos."""


def is_photo_place(root: str) -> bool:
    """Whether a path is a picture file, or a folder that holds pictures and no meshes."""
    if not os.path.isdir(root):
        return os.path.isfile(root) and Path(root).suffix.lower() in SUFFIXES
    return has_pictures(root) and not any(
        Path(file).suffix.lower() in MESH_SUFFIXES for _, _, files in os.walk(root) for file in files
    )


def list_photos(root: str) -> tuple[ShapeInfo, ...]:
    """The photos of a folder, or a picture file; of each the class that its folder tells, or the file's own name.

    Raises:
        LibraryError: No picture in the folder.
    """
    if not os.path.isdir(root):
        file = Path(root)
        hints = (file.stem, file.resolve().parent.name)
        own = ShapeInfo(source_text("file", root), file.name, file.stem, first_class(hints), hints=hints, scheme=PHOTO)
        return (own,)
    found = []
    for name in picture_files(root):
        inner = PurePosixPath(name)
        class_name = inner.parent.name or class_of(inner.stem)
        found.append(ShapeInfo(source_text("folder", root, name), name, inner.stem, class_name, scheme=PHOTO))
    return tuple(found)


def split_photo(source: str) -> str:
    """The path of the picture that a source text names.

    Raises:
        UnknownNameError: Not of the grammar.
        MissingFileError: The folder has no such picture.
    """
    kind, _, rest = source.partition(":")
    path, _, name = rest.partition("#")
    if kind == "file" and rest:
        return unescape(rest)
    if kind == "folder" and path and name:
        return picture_in(unescape(path), unescape(name))
    raise UnknownNameError(f"unknown photo {source!r}; write file:PATH or folder:PATH#NAME")


def load_photo(source: str) -> Picture:
    """The picture that a source text names.

    Raises:
        UnknownNameError, MissingFileError, RefusedFileError, InvalidPictureError: As `split_photo` and `read_picture`.
    """
    return read_picture(split_photo(source))


def canonical_photo(source: str) -> str:
    """The one spelling of a source text; errors as `split_photo`."""
    split_photo(source)
    kind, _, rest = source.partition(":")
    path, _, name = rest.partition("#") if kind == "folder" else (rest, "", "")
    return source_text(kind, unescape(path), unescape(name))
