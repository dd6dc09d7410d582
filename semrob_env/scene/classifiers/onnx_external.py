"""Files that make up a model: beside an ONNX file where its tensors say that they lie, read without running anything.

ONNX is a protobuf; of its messages only those are walked through that can hold a tensor (numbers: onnx.proto).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from semrob_env.containment import inside
from semrob_env.errors import RefusedFileError
from semrob_env.files import Stamp, file_stamp

_FIELDS: Final = MappingProxyType({
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        1: "key",
        4: "value",
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse",
        23: "sparse",
        -3: "number",
    },
    "tensor": {13: "entry"},
    "entry": {1: "key", 2: "value"},
})
"""Messages by the number of their field in the message around them."""

_PASSED_OVER: Final = MappingProxyType({
    b"keep_aspect_ratio_policy": {b"", b"stretch"},
    b"exclude_outside": {b"", b"0"},
})
"""Attributes that OpenVINO, 2026.4, drops without a word, and the values of which that is right."""

_MEMORY: Final = "_ORT_MEM_ADDR_"
"""A location with this in it is no file but an address: OpenVINO would read the memory of this process there."""

MOST_PARTS: Final = 3_000_000
"""Most fields of messages that are looked at: seconds. Models of thousands of layers have some hundred thousand."""

MOST_NAME_BYTES: Final = 2**16
"""Longer texts name nothing that is looked for."""

_VARINT, _BYTES = 0, 2
_FIXED_BYTES: Final = MappingProxyType({1: 8, 5: 4})


def model_files(path: Path) -> tuple[Path, ...]:
    """A model file and the files beside it that belong to it; they need not be there.

    Raises:
        RefusedFileError: One lies outside the folder of the model, or an `.onnx` file is no ONNX.
    """
    if path.suffix == ".xml":
        try:
            return path, inside(path.parent, path.with_suffix(".bin").name)
        except RefusedFileError as error:
            raise RefusedFileError(f"{path}: its weights {error}") from error
    return (path, *external_files(path)) if path.suffix == ".onnx" and path.is_file() else (path,)


def external_files(path: Path) -> tuple[Path, ...]:
    """The files beside a model that hold tensors of it, sorted; they need not be there.

    Raises:
        RefusedFileError: One lies outside the folder of the model, or the file is no ONNX, has too many parts, or an
            attribute that OpenVINO passes over.
    """
    return _external_files(path, file_stamp(path))


@lru_cache(maxsize=16)
def _external_files(path: Path, stamp: Stamp) -> tuple[Path, ...]:
    del stamp  # part of the key
    with path.open("rb") as stream:
        try:
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                locations = sorted({location.decode() for location in _locations(data, path)})
        except RefusedFileError:
            raise
        except (ValueError, IndexError, OSError) as error:
            raise RefusedFileError(f"{path}: is no ONNX file, or it is cut off; save it again") from error
    if any(_MEMORY in location for location in locations):
        raise RefusedFileError(f"{path}: its weights lie at an address in memory; save it with its weights")
    try:
        return tuple(inside(path.parent, location) for location in locations)
    except RefusedFileError as error:
        raise RefusedFileError(f"{path}: its weights {error}") from error


def _locations(data: mmap.mmap, path: Path) -> Iterator[bytes]:
    waiting = [("model", 0, len(data))]
    left = MOST_PARTS
    while waiting:
        message, start, end = waiting.pop()
        if message == "sparse":  # its size when unpacked has no bound
            raise RefusedFileError(f"{path}: holds sparse weights, which are not read; save them dense")
        key = value = b""
        for number, first, last in _parts(data, start, end):
            left -= 1
            if left < 0:
                raise RefusedFileError(f"{path}: has more than {MOST_PARTS} parts; save its weights as raw data")
            inner = _FIELDS[message].get(number)
            if inner == "key":
                key = data[first:last] if last - first <= MOST_NAME_BYTES else b""
            elif inner == "value":
                value = data[first:last] if last - first <= MOST_NAME_BYTES else b""
            elif inner == "number":
                value = str(_varint(data, _varint(data, first)[1])[0]).encode()
            elif inner:
                waiting.append((inner, first, last))
        if message == "entry" and key == b"location":
            yield value
        if message == "attribute" and value not in _PASSED_OVER.get(key, {value}):
            name = key.decode()
            raise RefusedFileError(
                f"{path}: has {name} {value.decode(errors='replace')[:40]!r}, which OpenVINO passes over; export it "
                "anew without"
            )


def _parts(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field of a message; of whole numbers the negative one, of others 0."""
    while start < end:
        first = start
        tag, start = _varint(data, start)
        kind = tag & 7
        if kind == _BYTES:
            length, start = _varint(data, start)
            if start + length > end:
                raise ValueError("a field ends after its message")
            first, start = start, start + length
        elif kind == _VARINT:
            _, start = _varint(data, start)
        elif kind in _FIXED_BYTES:
            start += _FIXED_BYTES[kind]
        else:
            raise ValueError("no field of a message")
        if start > end or tag >> 32:
            raise ValueError("no field of a message")
        yield {_BYTES: 1, _VARINT: -1}.get(kind, 0) * (tag >> 3), first, start


def _varint(data: mmap.mmap, start: int) -> tuple[int, int]:
    """A number of up to ten bytes, and where it ends."""
    number = 0
    for place in range(10):
        byte = data[start + place]
        number |= (byte & 127) << 7 * place
        if byte < 128:
            return number, start + place + 1
    raise ValueError("a number without end")
