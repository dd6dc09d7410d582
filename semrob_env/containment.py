"""Paths made from what files say: their final target lies in the folder that the file belongs to, or is refused.

Every reader of names from a stranger (members of archives, materials, textures and buffers of meshes, external data
of models, shapes of folders) asks here. A path that the user types, in an id as well, is not asked about.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from semrob_env.errors import RefusedFileError

_ROOTED = re.compile(r"/|[a-z]:|[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
"""Starts of names that leave any folder: an absolute path, a share, a drive, a scheme."""

_SLASHES = str.maketrans({"\\": "/", "\u2044": "/", "\u2215": "/", "\u29f8": "/", "\u2216": "/", "\u29f5": "/"})
"""Backslashes, and the slashes that NFKC leaves alone and some code pages turn into plain ones."""


def is_relative(name: str) -> bool:
    """Whether a name starts in the folder that it is read in, on every system and after any decoding."""
    return all("\0" not in reading and not _ROOTED.match(reading) for reading in _readings(name))


def is_plain(name: str) -> bool:
    """Whether a name is relative, holds no step upwards and names something, on every system and after any decoding."""
    steps = [[part.strip() for part in reading.split("/")] for reading in _readings(name)]
    return is_relative(name) and all(".." not in parts and set(parts) - {"", "."} for parts in steps)


def inside(folder: str | os.PathLike[str], name: str, *, start: str = "") -> Path:
    """The final target of a name, links followed; it need not be there.

    Args:
        folder: What must hold the target. It may be a link itself.
        name: As the file says it, with `/` between its parts.
        start: The folder below `folder` that the name starts from; steps upwards are taken as long as they stay inside.

    Raises:
        RefusedFileError: The target lies outside.
    """
    root = os.path.realpath(folder)
    whole = posixpath.normpath(posixpath.join(start, name)) if start else name
    if is_relative(name) and is_plain(whole):
        target = Path(os.path.realpath(os.path.join(root, whole)))
        if target.is_relative_to(root):
            return target
    raise outside(name, f"the folder {os.fspath(folder)}")


def files_below(folder: str | os.PathLike[str], suffixes: Collection[str]) -> Iterator[PurePosixPath]:
    """Files below a folder by their path there, at any depth, folder by folder in the order of names.

    Hidden ones, links of folders, and links that lead outside do not count.

    Args:
        folder: The folder.
        suffixes: Endings that count, in lower case, with their dot.
    """
    root = Path(folder)
    for above, folders, files in os.walk(root):
        folders[:] = sorted(inner for inner in folders if not inner.startswith("."))
        relative = Path(above).relative_to(root)
        for file in sorted(files):
            name = PurePosixPath((relative / file).as_posix())
            if not file.startswith(".") and name.suffix.lower() in suffixes and _stays(root, str(name)):
                yield name


def _stays(root: Path, name: str) -> bool:
    if not os.path.islink(root / name):  # the walk follows no link of a folder
        return is_plain(name)
    try:
        return bool(inside(root, name))
    except RefusedFileError:
        return False


def outside(name: str, where: str) -> RefusedFileError:
    """The error of a name that leads out of its folder."""
    shown = name if len(name) <= 200 else f"{name[:200]}..."
    return RefusedFileError(f"{shown!r} leads out of {where}, and nothing outside is read; put the file inside")


def _readings(name: str) -> tuple[str, ...]:
    """What a name may come to mean: percent-decoded, look-alikes made plain, backslashes as slashes."""
    decoded = (name, unquote(name))
    return tuple(unicodedata.normalize("NFKC", text).strip().translate(_SLASHES) for text in decoded)
