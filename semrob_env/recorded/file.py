"""The file of maps: one compressed .npz without pickles, checked when it is read.

Format, version 1. Arrays in the zip: `axis_0` ... `axis_{n-1}` (P_k,) float64; `scores` (F, P_1, ..., P_n) float32;
`header`, a JSON text: format, version, space (per parameter: name, unit, low, high, period, default, sense),
score_range, names, facts (see `ScoreMaps`), and `sha256`, the hash of all maps' digests. Readers refuse other versions.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidMapsError, MissingFileError, RefusedFileError, SemrobError
from semrob_env.files import FileCache, encodable, require_regular, write_whole
from semrob_env.parameters import Parameter, SemanticSpace
from semrob_env.recorded.maps import ScoreMaps

FORMAT, VERSION = "semrob maps", 1

MOST_BYTES = 2**28  # largest file, and largest total of its unpacked arrays (256 MiB, 40 times the released maps)

_MOST_ARRAYS, _MOST_DIRECTORY_BYTES, _READ_BYTES = 64, 2**16, 2**20
_END, _END_MARK = struct.Struct("<10xHI6x"), b"PK\x05\x06"  # of a zip: members and bytes of its directory
_NPY: Any = np.lib.format  # its functions carry no types


def save_maps(maps: ScoreMaps, path: str | os.PathLike[str]) -> Path:
    """Write maps to a file, whole or not at all; equal maps give equal bytes.

    Raises:
        OutputError: The file cannot be written.
    """
    header = {
        "format": FORMAT,
        "version": VERSION,
        "space": [vars(parameter) for parameter in maps.space.parameters],
        "score_range": list(maps.score_range),
        "names": list(maps.names),
        "facts": [dict(sorted(fact.items())) for fact in maps.facts],
        "sha256": _sha256(maps),
    }
    axes = {f"axis_{k}": axis for k, axis in enumerate(maps.axes)}
    return write_arrays(path, header, {**axes, "scores": maps.scores})


_KEPT: FileCache[ScoreMaps] = FileCache(4)


def load_maps(path: str | os.PathLike[str]) -> ScoreMaps:
    """Read a file of maps; the last few stay in memory until their file changes.

    Raises:
        MissingFileError: There is no such file.
        InvalidMapsError: It is not a file of maps, of another version, too large, or damaged.
    """
    found = os.path.abspath(path)
    if not os.path.exists(found):
        raise MissingFileError(
            f"no file of maps at {encodable(str(path))}: scripts/import_recorded.py makes one from the released maps, "
            "scripts/semantic_map.py from a live function"
        )
    return _KEPT.get(found, lambda: _load(found))


def _load(path: str) -> ScoreMaps:
    header, arrays = read_arrays(path, FORMAT, VERSION)
    try:
        space = SemanticSpace(tuple(Parameter(**parameter) for parameter in header["space"]))
        maps = ScoreMaps(
            space,
            tuple(arrays[f"axis_{k}"] for k in range(space.n)),
            arrays["scores"],
            tuple(header["names"]),
            tuple(header["facts"]),
            tuple(header["score_range"]),
        )
        if not all(isinstance(value, str) for fact in maps.facts for value in (*fact, *fact.values())):
            raise InvalidMapsError("facts of maps must be text")
    except (KeyError, TypeError, ValueError, OverflowError, SemrobError) as error:
        raise InvalidMapsError(f"{path}: damaged: {error}") from error
    if header.get("sha256") != _sha256(maps):
        raise InvalidMapsError(f"{path}: damaged: the scores do not fit their checksum; make the file again")
    return maps


def write_arrays(path: str | os.PathLike[str], header: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> Path:
    """Write a header and arrays as a compressed .npz without pickles, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    save: Callable[..., None] = np.savez_compressed
    save(buffer, header=text, **arrays)
    return write_whole(path, buffer.getvalue())


def read_arrays(
    path: str | os.PathLike[str], file_format: str, version: int
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Header and arrays of a file of `write_arrays`, after checking format, version and sizes; never unpickles.

    Raises:
        MissingFileError: There is no such file.
        InvalidMapsError: It is something else, of another version, too large, or damaged.
    """
    try:
        require_regular(path, MOST_BYTES)
        with open(path, "rb") as stream:
            if _directory_bytes(stream) > _MOST_DIRECTORY_BYTES:
                raise InvalidMapsError(f"{path}: holds too much; at most {_MOST_ARRAYS} arrays")
            with zipfile.ZipFile(stream) as archive:
                header, arrays = _read(archive, path)
    except FileNotFoundError as error:
        raise MissingFileError(f"no such file: {path}") from error
    except InvalidMapsError:
        raise
    except RefusedFileError as error:
        raise InvalidMapsError(str(error)) from error
    except Exception as error:  # zipfile, zlib, struct, json and the system each have their own
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InvalidMapsError(f"{path}: not a file of {file_format!r}, or damaged ({reason})") from error
    if not isinstance(header, dict) or header.get("format") != file_format:
        raise InvalidMapsError(f"{path}: not a file of {file_format!r}")
    if header.get("version") != version:
        raise InvalidMapsError(
            f"{path}: format version {header.get('version')}, this program reads {version}; make the file again"
        )
    return header, arrays


def _directory_bytes(stream: IO[bytes]) -> int:
    """What the directory of a zip says to hold; all of it is read before any name is known."""
    stream.seek(0, os.SEEK_END)
    stream.seek(max(0, stream.tell() - 2**16 - _END.size))
    tail = stream.read()
    last = tail[-_END.size :]
    at = len(tail) - _END.size if last[:4] == _END_MARK and last[-2:] == b"\0\0" else tail.rfind(_END_MARK)
    if at < 0 or len(tail) - at < _END.size:
        raise ValueError("not a zip")
    members, size = _END.unpack_from(tail, at)
    return int(size) if members <= _MOST_ARRAYS else 2**32


def _read(archive: zipfile.ZipFile, path: str | os.PathLike[str]) -> tuple[Any, dict[str, npt.NDArray[Any]]]:
    """Header and arrays; nothing is unpacked before all sizes that the zip states are within bounds."""
    entries = archive.infolist()
    if len(entries) > _MOST_ARRAYS or sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise InvalidMapsError(f"{path}: holds too much; at most {_MOST_ARRAYS} arrays and {MOST_BYTES} bytes")
    arrays = {}
    for entry in entries:
        with archive.open(entry) as member:  # ends at the stated size, then checks the sum
            arrays[entry.filename.removesuffix(".npy")] = _array(member, entry.file_size)
    return json.loads(arrays.pop("header").tobytes()), arrays


def _array(member: IO[bytes], size: int) -> npt.NDArray[Any]:
    """The array in a member of so many bytes, read into its place."""
    if _NPY.read_magic(member) != (1, 0):
        raise ValueError("an array of an unknown kind")
    shape, is_fortran, dtype = _NPY.read_array_header_1_0(member)
    count = math.prod(shape)
    if dtype.kind not in "biuf" or dtype.itemsize > 8 or is_fortran not in (True, False):
        raise ValueError(f"an array of {dtype}; only numbers are read")
    if min(shape, default=0) < 0 or count * dtype.itemsize != size - member.tell():
        raise ValueError("an array whose size does not fit its header")
    flat = np.empty(count, dtype)
    into, at = flat.view(np.uint8), 0
    while at < len(into):
        read = member.read(min(_READ_BYTES, len(into) - at))
        if not read:
            raise ValueError("an array that ends in the middle")
        into[at : at + len(read)] = np.frombuffer(read, np.uint8)
        at += len(read)
    member.read(1)  # nothing is left, so that the sum is checked
    return np.asarray(flat.reshape(shape, order="F" if is_fortran else "C"))


def _sha256(maps: ScoreMaps) -> str:
    return hashlib.sha256("".join(maps.digests).encode()).hexdigest()
