"""Values out of a stranger's torch file in the legacy format (.pt), read without running anything in it.

Such a file is five Python pickles in a row: a magic number, a protocol number, facts of the system, the value, and the
names of tensor storages (https://github.com/pytorch/pytorch, torch/serialization.py, `_legacy_save`). A pickle is a
program for a stack machine (https://docs.python.org/3/library/pickletools.html) that may call anything by its name.
The standard library's `pickletools` takes the bytes apart here; what they say is not done but looked up: among the
opcodes of pickle protocol 2 that build None, truth values, numbers, text, lists, tuples and dicts, and among the few
names of `pickle_names`. Every other opcode, name or argument is refused, and so is what costs more memory than a file
of the release could need. (`pickle.Unpickler` with another `find_class` is no shelter: it hashes keys of any kind,
reserves memory for a memo entry by its number, and sets attributes of whatever `find_class` gave it.)
"""

from __future__ import annotations

import io
import os
import pickletools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Final

import numpy as np

from semrob_env.errors import MissingFileError, RefusedFileError
from semrob_env.recorded.pickle_names import NAMES, Box, Name, Unbuilt, built, new_object, reduced

MOST_FILE_BYTES = 2**24  # largest file (16 MiB); those of the release have up to 2 MiB
MOST_OPCODES = 2_000_000  # most opcodes of a file; the traces of a shape take half a million
MOST_MADE_BYTES = 2**26  # most bytes (64 MiB) of all strings and arrays that a program makes out of others

MOST_ITEMS, MOST_DEPTH = 1_000_000, 16
"""Most items of a value, each counted as often as it appears in it, and deepest nesting."""

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_MOST_NAME = 200
_LEAVES = frozenset((NoneType, bool, int, float, str, bytes, np.ndarray, Box))


def read_bounded(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file of at most `MOST_FILE_BYTES`.

    Raises:
        MissingFileError: There is no such file.
        RefusedFileError: It cannot be read, or is larger.
    """
    found = Path(path)
    try:
        if not found.is_file():  # a pipe or device would block, or never end
            raise MissingFileError(f"there is no file {found}")
        with found.open("rb") as stream:
            data = stream.read(MOST_FILE_BYTES + 1)
    except MissingFileError:
        raise
    except OSError as error:
        raise RefusedFileError(f"the file cannot be read: {error.strerror or error}") from error
    if len(data) > MOST_FILE_BYTES:
        raise RefusedFileError(f"the file is larger than {MOST_FILE_BYTES} bytes")
    return data


def parse_legacy(data: bytes) -> object:
    """The value in the bytes of a legacy torch file: the fourth of its five pickles.

    It is made of None, bool, int, float, str, bytes, NumPy arrays (read-only, of numbers or truth values), `Box`, and
    of lists, tuples and dicts with text as keys. Scalars of NumPy become plain numbers, an `interval.interval` becomes
    a tuple of (low, high) pairs, a `scale_robustness.n_interval` a `Box`.

    Raises:
        RefusedFileError: Anything else, with the opcode or name and the place in the file right after it.
    """
    if not data:
        raise RefusedFileError("the file is empty")
    if data.startswith(b"PK"):
        raise RefusedFileError("torch's zip format; only the legacy format of the release is read")
    if data[0] != 0x80:
        raise RefusedFileError("not a legacy torch file: it does not begin with a pickle")
    stream = io.BytesIO(data)
    values = _values(stream)
    magic = next(values)
    if type(magic) is not int or magic != _MAGIC:
        raise RefusedFileError("not a legacy torch file: it does not begin with torch's magic number")
    protocol, system = next(values), next(values)
    if type(protocol) is not int or protocol != _PROTOCOL or type(system) is not dict:
        raise RefusedFileError(f"not a legacy torch file of protocol {_PROTOCOL}")
    value, storages = next(values), next(values)
    if type(storages) is not list or storages:
        raise RefusedFileError("holds tensors; only arrays and plain values are read")
    if stream.tell() != len(data):
        raise RefusedFileError(f"byte {stream.tell()}: something follows the last pickle")
    return value


def _values(stream: io.BytesIO) -> Iterator[object]:
    """The values of the pickles in a stream, one after the other; all together may cost what a file may.

    Raises:
        RefusedFileError: See `parse_legacy`.
    """
    opcodes_left, bytes_left = iter(range(MOST_OPCODES)), [MOST_MADE_BYTES]
    while True:
        try:
            value = _value(stream, opcodes_left, bytes_left)
        except RefusedFileError as error:
            raise RefusedFileError(f"byte {stream.tell()}: {error}") from error
        except UnicodeError as error:
            raise RefusedFileError(f"byte {stream.tell()}: text in another code than is told") from error
        except ValueError as error:  # a reader of `pickletools`
            raise RefusedFileError(f"byte {stream.tell()}: the file ends in the middle") from error
        except IndexError as error:
            raise RefusedFileError(f"byte {stream.tell()}: takes more values than there are") from error
        yield value


def _value(stream: io.BytesIO, opcodes_left: Iterable[int], bytes_left: list[int]) -> object:
    """The value of the pickle that begins here in the stream; draws on both of what is left."""
    stack: list[Any] = []
    below: list[list[Any]] = []
    memo: dict[int, Any] = {}
    read = stream.read
    for _ in opcodes_left:
        code = read(1)
        if code in _PUT:
            place = _PUT[code](stream)
            if place >= MOST_OPCODES:
                raise RefusedFileError(f"memo entry {place}; at most {MOST_OPCODES} are read")
            memo[place] = stack[-1]
        elif code in _GET:
            place = _GET[code](stream)
            if place not in memo:
                raise RefusedFileError(f"memo entry {place} is empty")
            value = memo[place]
            stack.append(value.made if type(value) is Unbuilt and value.made is not None else value)
        elif code in _READ:
            stack.append(_READ[code](stream))
        elif code in _MADE:
            count, make = _MADE[code]
            if code in _MARKED:
                items, stack = stack, below.pop()
                begin = len(stack) - count
                stack += items
            else:
                begin = len(stack) - count
            if begin < 0:
                raise IndexError
            made = make(*stack[begin:])
            stack[begin:] = (made,)
            kind = type(made)
            if kind is bytes or kind is np.ndarray:  # a string that is kept in the memo may be turned into many
                bytes_left[0] -= memoryview(made).nbytes
                if bytes_left[0] < 0:
                    raise RefusedFileError(f"strings and arrays of more than {MOST_MADE_BYTES} bytes")
        elif code == _MARK:
            if len(below) >= MOST_DEPTH:
                raise RefusedFileError(f"more than {MOST_DEPTH} marks")
            below.append(stack)
            stack = []
        elif code == _PROTO:
            if (version := pickletools.read_uint1(stream)) != 2:
                raise RefusedFileError(f"pickle protocol {version}; only 2 is read")
        elif code == _STOP:
            if below or len(stack) != 1:
                raise RefusedFileError("STOP with another number of values than one")
            _check_plain(stack)
            return stack[0]
        elif code:
            raise RefusedFileError(f"opcode {_OPCODES.get(code, f'{code[0]:#04x}')} is not read")
        else:
            raise RefusedFileError("the file ends in the middle")
    raise RefusedFileError(f"more than {MOST_OPCODES} opcodes")


def _check_plain(level: list[Any]) -> None:
    """Refuses a value that is not plain; by levels, so that nesting and circles need no recursion."""
    items = 1
    for _ in range(MOST_DEPTH):
        inner: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is list or kind is tuple:
                inner.append(item)
            elif kind is dict:
                inner.append(item.values())
            elif kind not in _LEAVES:
                raise RefusedFileError("a value that holds a bare name, or something that is not built")
        items += sum(map(len, inner))
        if items > MOST_ITEMS:
            raise RefusedFileError(f"a value of more than {MOST_ITEMS} items")
        if not inner:
            return
        level = [item for part in inner for item in part]
    raise RefusedFileError(f"a value that is nested more than {MOST_DEPTH} deep, or holds itself")


def _read_name(stream: io.BytesIO) -> Name:
    lines = stream.readline(_MOST_NAME), stream.readline(_MOST_NAME)
    if not all(line.endswith(b"\n") for line in lines):
        raise RefusedFileError(f"GLOBAL without a name of at most {_MOST_NAME} bytes")
    module, name = (line[:-1].decode() for line in lines)
    if (module, name) not in NAMES:
        raise RefusedFileError(f"the name {module + '.' + name!a:.100} is not read")
    return NAMES[module, name]


def _read_text(stream: io.BytesIO) -> str:
    text = pickletools.read_unicodestring4(stream)
    text.encode()  # half a character is no text, which `pickletools` lets pass
    return text


def _tuple(*items: object) -> tuple[object, ...]:
    return items


def _extended(target: object, *items: object) -> object:
    if type(target) is not list:
        raise RefusedFileError("items for something that is no list")
    target += items
    return target


def _updated(target: object, *items: object) -> object:
    if type(target) is not dict or len(items) % 2:
        raise RefusedFileError("keys and values for something that is no dict")
    if any(type(key) is not str for key in items[::2]):
        raise RefusedFileError("a dict with a key that is no text")
    target.update(zip(items[::2], items[1::2], strict=True))
    return target


_OPCODES: Final = {opcode.code.encode("latin1"): opcode.name for opcode in pickletools.opcodes}
"""The name of each opcode there is, by its byte (https://docs.python.org/3/library/pickletools.html)."""
_PROTO, _MARK, _STOP = b"\x80", b"(", b"."
_PUT: Final = {b"q": pickletools.read_uint1, b"r": pickletools.read_uint4}
_GET: Final = {b"h": pickletools.read_uint1, b"j": pickletools.read_uint4}
_READ: Final[Mapping[bytes, Callable[[io.BytesIO], object]]] = {
    b"K": pickletools.read_uint1,
    b"M": pickletools.read_uint2,
    b"J": pickletools.read_int4,
    b"\x8a": pickletools.read_long1,
    b"G": pickletools.read_float8,
    b"X": _read_text,
    b"c": _read_name,
}
"""What puts the value that follows it on the stack."""
_MADE: Final[Mapping[bytes, tuple[int, Callable[..., Any]]]] = {
    b"N": (0, lambda: None),
    b"\x88": (0, lambda: True),
    b"\x89": (0, lambda: False),
    b")": (0, tuple),
    b"]": (0, list),
    b"}": (0, dict),
    b"\x85": (1, _tuple),
    b"\x86": (2, _tuple),
    b"\x87": (3, _tuple),
    b"R": (2, reduced),
    b"\x81": (2, new_object),
    b"b": (2, built),
    b"a": (2, _extended),
    b"s": (3, _updated),
    b"t": (0, _tuple),
    b"e": (1, _extended),
    b"u": (1, _updated),
}
"""What makes a value out of so many of the stack, and how."""
_MARKED: Final = frozenset((b"t", b"e", b"u"))  # those that take all above the last mark as well
