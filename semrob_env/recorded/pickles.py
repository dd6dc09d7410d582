"""Values out of a stranger's torch file in the legacy format (.pt), read without running anything in it.

Such a file is five Python pickles in a row: a magic number, a protocol number, facts of the system, the value, and the
names of tensor storages (https://github.com/pytorch/pytorch, torch/serialization.py, `_legacy_save`). A pickle is a
program for a stack machine (https://docs.python.org/3/library/pickletools.html) that may call anything by its name.
The standard library's `pickletools` takes the bytes apart here; what they say is not done but looked up: among the
opcodes of pickle protocol 2 that build None, truth values, numbers, text, lists, tuples and dicts, and among the few
names in `NAMES`, each a token here with one fixed reading and never the thing that it names. Every other opcode, name
or argument is refused, and so is what costs more memory than a file of the release could need. (`pickle.Unpickler` with
another `find_class` is no shelter: it hashes keys of any kind, reserves memory for a memo entry by its number, and sets
attributes of whatever `find_class` gave it.)
"""

from __future__ import annotations

import io
import math
import os
import pickletools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, Final, TypeAlias, TypeGuard, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import MissingFileError, RefusedFileError
from semrob_env.types import FloatArray

MOST_ELEMENTS, MOST_DIMENSIONS = 2**23, 8
"""Largest product of the lengths of an array (a length of 0 counts as 1), and most dimensions."""

MOST_PARTS = 16  # most parts of an interval; those of the release have one

Array = npt.NDArray[Any]

_NUMERIC = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"))
_TYPE_STATE = (int, str, NoneType, NoneType, NoneType, int, int, int)
_TYPE_FIELDS = [None, None, None, -1, -1, 0]


@final
@dataclass(frozen=True, eq=False)
class Box:
    """Bounds of a region, all that is kept of a `scale_robustness.n_interval`.

    Attributes:
        lower: (n,) as recorded: may be NaN or infinite.
        upper: (n,) likewise.
    """

    lower: FloatArray
    upper: FloatArray


@final
class Name(Enum):
    """A name of a program."""

    RECONSTRUCT = "_reconstruct"
    SCALAR = "scalar"
    ARRAY = "ndarray"
    TYPE = "dtype"
    ENCODE = "encode"
    BYTES = "bytes"
    BOX = "n_interval"
    INTERVAL = "interval"


NAMES: Final[Mapping[tuple[str, str], Name]] = MappingProxyType({
    ("numpy.core.multiarray", "_reconstruct"): Name.RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): Name.RECONSTRUCT,
    ("numpy.core.multiarray", "scalar"): Name.SCALAR,
    ("numpy._core.multiarray", "scalar"): Name.SCALAR,
    ("numpy", "ndarray"): Name.ARRAY,
    ("numpy", "dtype"): Name.TYPE,
    ("_codecs", "encode"): Name.ENCODE,
    ("__builtin__", "bytes"): Name.BYTES,
    ("scale_robustness", "n_interval"): Name.BOX,
    ("interval", "interval"): Name.INTERVAL,
})
"""Module and name as files write them."""


Built: TypeAlias = Array | np.dtype[Any] | Box


@final
class Unbuilt:
    """An array, type or box before BUILD fills it: `made` is then what a memo entry of it stands for."""

    __slots__ = ("code", "made", "name")

    def __init__(self, name: Name, code: str = "") -> None:
        self.name, self.code = name, code
        self.made: Built | None = None


def reduced(name: object, args: object) -> object:
    """What REDUCE makes of a name and its arguments.

    Raises:
        RefusedFileError: Another name, or arguments that NumPy does not write.
    """
    if type(args) is tuple:
        if name is Name.RECONSTRUCT and len(args) == 3 and args[0] is Name.ARRAY:
            return Unbuilt(Name.ARRAY)
        if name is Name.ENCODE and [type(arg) for arg in args] == [str, str] and args[1] == "latin1":
            return bytes(args[0], "latin1")
        if name is Name.BYTES and not args:
            return b""  # how protocol 2 writes no bytes
        if name is Name.SCALAR and len(args) == 2:
            return _array((), args[0], args[1], False).item()
        if name is Name.TYPE and len(args) == 3 and type(args[0]) is str:
            if args[0] in _NUMERIC:
                return Unbuilt(Name.TYPE, args[0])
            raise RefusedFileError(f"dtype {args[0]!a:.20} is not read; only numbers and truth values are")
    raise RefusedFileError(f"REDUCE of {_told(name)} in a form that is not read")


def new_object(name: object, args: object) -> object:
    """What NEWOBJ makes: an unbuilt box, or the (low, high) pairs of an interval.

    Raises:
        RefusedFileError: Anything else.
    """
    if type(args) is tuple:
        if name is Name.BOX and not args:
            return Unbuilt(Name.BOX)
        if name is Name.INTERVAL and len(args) <= MOST_PARTS and all(map(_is_pair, args)):
            return args
    raise RefusedFileError(f"NEWOBJ of {_told(name)} in a form that is not read")


def built(target: object, state: object) -> Built:
    """What BUILD makes of an unbuilt array, type or box and its state; also kept as its `made`.

    Raises:
        RefusedFileError: Another target, or a state that does not fit.
    """
    made: Built | None = None
    if type(target) is Unbuilt:
        if target.name is Name.BOX and type(state) is dict:
            lower, upper = state.get("a"), state.get("b")
            if _is_bound(lower) and _is_bound(upper) and lower.shape == upper.shape:
                with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
                    made = Box(lower.astype(np.float64), upper.astype(np.float64))
        elif target.name is Name.ARRAY and type(state) is tuple and len(state) == 5:
            version, shape, dtype, is_fortran, data = state
            if type(version) is int and version == 1 and type(shape) is tuple and type(is_fortran) is bool:
                made = _array(shape, dtype, data, is_fortran)
        elif target.name is Name.TYPE and type(state) is tuple and tuple(map(type, state)) == _TYPE_STATE:
            version, order, *fields = state
            if version == 3 and order in {"<", ">", "|", "="} and fields == _TYPE_FIELDS:
                made = np.dtype(f"{order}{target.code}")
        if made is not None:
            target.made = made
            return made
    raise RefusedFileError(f"BUILD of {_told(target)} in a form that is not read")


def _is_pair(part: object) -> bool:
    return type(part) is tuple and len(part) == 2 and type(part[0]) is type(part[1]) is float


def _is_bound(values: object) -> TypeGuard[Array]:
    return isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "fiu"


def _array(shape: tuple[Any, ...], dtype: object, data: object, is_fortran: bool) -> Array:
    """An array that shares the memory of `data`, read-only and of native byte order."""
    if not isinstance(dtype, np.dtype) or type(data) is not bytes:
        raise RefusedFileError("an array in a form that is not read")
    lengths = [length for length in shape if type(length) is int and length >= 0]
    count = math.prod(lengths)
    is_small = len(shape) <= MOST_DIMENSIONS and (count or math.prod(filter(None, lengths))) <= MOST_ELEMENTS
    if len(lengths) != len(shape) or not is_small or count * dtype.itemsize != len(data):
        raise RefusedFileError(f"an array whose shape does not fit its {len(data)} bytes")
    if dtype.kind == "b" and data.strip(b"\x00\x01"):
        raise RefusedFileError("truth values that are neither true nor false")
    array: Array = np.ndarray(lengths, dtype, buffer=data, order="F" if is_fortran else "C")
    if not dtype.isnative:
        array = array.astype(dtype.newbyteorder("="))
        array.setflags(write=False)
    return array


def _told(value: object) -> str:
    if isinstance(value, Unbuilt):
        value = value.name
    return value.value if isinstance(value, Name) else f"a {type(value).__name__}"


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
