"""Values out of a stranger's torch file in the legacy format (.pt), read without running anything in it.

Such a file is five Python pickles in a row: a magic number, a protocol number, facts of the system, the value, and the
names of tensor storages (https://github.com/pytorch/pytorch, torch/serialization.py, `_legacy_save`). A pickle is a
program for a stack machine (https://docs.python.org/3/library/pickletools.html) that may call anything by its name.
The machine here is our own and calls nothing: it knows the opcodes of pickle protocol 2 that build None, truth values,
numbers, text, lists, tuples and dicts, and the few names of `pickle_names`. Every other opcode, name or argument is
refused, and so is what costs more memory than a file of the release could need.
"""

from __future__ import annotations

import os
import pickletools
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, Final, final

import numpy as np

from semrob_env.errors import MissingFileError, RefusedFileError
from semrob_env.recorded.pickle_names import NAMES, Box, Unbuilt, built, new_object, reduced

MOST_FILE_BYTES = 2**24
"""Largest file (16 MiB); those of the release have up to 2 MiB."""

MOST_OPCODES = 2_000_000
"""Most opcodes of a file; the traces of a shape take half a million."""

MOST_MADE_BYTES = 2**26
"""Most bytes (64 MiB) of all strings and arrays that a program makes out of others."""

MOST_ITEMS, MOST_DEPTH = 1_000_000, 16
"""Most items of a value, each counted as often as it appears in it, and deepest nesting."""

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_MOST_NAME = 200
_UINT_2, _UINT_4, _INT_4, _FLOAT_8 = (struct.Struct(code) for code in ("<H", "<I", "<i", ">d"))
_LEAVES = frozenset((NoneType, bool, int, float, str, bytes, np.ndarray, Box))


def load_legacy(path: str | os.PathLike[str]) -> object:
    """The value in a legacy torch file; see `parse_legacy`.

    Raises:
        MissingFileError: There is no such file.
        RefusedFileError: It cannot be read, or holds what `parse_legacy` refuses.
    """
    return parse_legacy(read_bounded(path))


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
        RefusedFileError: Anything else, with the opcode or name and its place in the file.
    """
    if not data:
        raise RefusedFileError("the file is empty")
    if data.startswith(b"PK"):
        raise RefusedFileError("torch's zip format; only the legacy format of the release is read")
    if data[0] != 0x80:
        raise RefusedFileError("not a legacy torch file: it does not begin with a pickle")
    machine = _Machine(data)
    magic = machine.run()
    if type(magic) is not int or magic != _MAGIC:
        raise RefusedFileError("not a legacy torch file: it does not begin with torch's magic number")
    protocol, system = machine.run(), machine.run()
    if type(protocol) is not int or protocol != _PROTOCOL or type(system) is not dict:
        raise RefusedFileError(f"not a legacy torch file of protocol {_PROTOCOL}")
    value = machine.run()
    storages = machine.run()
    if type(storages) is not list or storages:
        raise RefusedFileError("holds tensors; only arrays and plain values are read")
    if machine.position != len(data):
        raise RefusedFileError(f"byte {machine.position}: something follows the last pickle")
    return value


@final
class _Machine:
    """Runs the pickles in `data` one after the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0
        self._opcodes_left, self._bytes_left = MOST_OPCODES, MOST_MADE_BYTES
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> object:
        """The value of the pickle at `position`, which moves behind it.

        Raises:
            RefusedFileError: See `parse_legacy`.
        """
        self._stack, self._below, self._memo = [], [], {}
        data, steps, at = self.data, _STEPS, self.position
        try:
            for left in range(self._opcodes_left, 0, -1):
                at = self.position
                code = data[at]
                self.position = at + 1
                step = steps[code]
                if step is not None:
                    step(self)
                elif code == _STOP:
                    self._opcodes_left = left - 1
                    return self._result()
                else:
                    raise RefusedFileError(f"opcode {_opcode_name(code)} is not read")
            raise RefusedFileError(f"more than {MOST_OPCODES} opcodes")
        except RefusedFileError as error:
            raise RefusedFileError(f"byte {at}: {error}") from error
        except UnicodeError as error:
            raise RefusedFileError(f"byte {at}: text in another code than is told") from error
        except (IndexError, struct.error) as error:
            if self.position >= len(data) or isinstance(error, struct.error):
                raise RefusedFileError(f"byte {at}: the file ends in the middle") from error
            raise RefusedFileError(f"byte {at}: takes more values than there are") from error

    def _result(self) -> object:
        """The value that is left, if it is one and plain; by levels, so that nesting and circles need no recursion."""
        if self._below or len(self._stack) != 1:
            raise RefusedFileError("STOP with another number of values than one")
        level, items = self._stack, 1
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
                return self._stack[0]
            level = [item for part in inner for item in part]
        raise RefusedFileError(f"a value that is nested more than {MOST_DEPTH} deep, or holds itself")

    def push(self, value: object) -> None:
        self._stack.append(value)

    def protocol(self) -> None:
        if self.data[self.position] != 2:
            raise RefusedFileError(f"pickle protocol {self.data[self.position]}; only 2 is read")
        self.position += 1

    def int_1(self) -> None:
        self._stack.append(self.data[self.position])
        self.position += 1

    def int_2(self) -> None:
        self._stack.append(_UINT_2.unpack_from(self.data, self.position)[0])
        self.position += 2

    def int_4(self) -> None:
        self._stack.append(_INT_4.unpack_from(self.data, self.position)[0])
        self.position += 4

    def int_long(self) -> None:
        length = self.data[self.position]
        self.position += 1
        self._stack.append(int.from_bytes(self._taken(length), "little", signed=True))

    def float_8(self) -> None:
        self._stack.append(_FLOAT_8.unpack_from(self.data, self.position)[0])
        self.position += 8

    def text(self) -> None:
        (length,) = _UINT_4.unpack_from(self.data, self.position)
        self.position += 4
        self._stack.append(self._taken(length).decode())

    def _taken(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self.data):
            raise RefusedFileError("the file ends in the middle")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def name(self) -> None:
        words = []
        for _ in range(2):
            end = self.data.find(b"\n", self.position, self.position + _MOST_NAME)
            if end < 0:
                raise RefusedFileError(f"GLOBAL without a name of at most {_MOST_NAME} bytes")
            words.append(self.data[self.position : end].decode())
            self.position = end + 1
        module, name = words
        if (module, name) not in NAMES:
            raise RefusedFileError(f"the name {module + '.' + name!a:.100} is not read")
        self._stack.append(NAMES[module, name])

    def put_1(self) -> None:
        self._put(self.data[self.position])
        self.position += 1

    def put_4(self) -> None:
        self._put(_UINT_4.unpack_from(self.data, self.position)[0])
        self.position += 4

    def _put(self, place: int) -> None:
        value = self._stack[-1]
        if place >= MOST_OPCODES:
            raise RefusedFileError(f"memo entry {place}; at most {MOST_OPCODES} are read")
        self._memo[place] = value
        if type(value) is Unbuilt:
            value.places.append(place)

    def get_1(self) -> None:
        self._get(self.data[self.position])
        self.position += 1

    def get_4(self) -> None:
        self._get(_UINT_4.unpack_from(self.data, self.position)[0])
        self.position += 4

    def _get(self, place: int) -> None:
        if place not in self._memo:
            raise RefusedFileError(f"memo entry {place} is empty")
        self._stack.append(self._memo[place])

    def mark(self) -> None:
        if len(self._below) >= MOST_DEPTH:
            raise RefusedFileError(f"more than {MOST_DEPTH} marks")
        self._below.append(self._stack)
        self._stack = []

    def _marked(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def tuple_marked(self) -> None:
        items = self._marked()
        self._stack.append(tuple(items))

    def tuple_1(self) -> None:
        self._stack[-1] = (self._stack[-1],)

    def tuple_2(self) -> None:
        last = self._stack.pop()
        self._stack[-1] = (self._stack[-1], last)

    def tuple_3(self) -> None:
        last, middle = self._stack.pop(), self._stack.pop()
        self._stack[-1] = (self._stack[-1], middle, last)

    def append(self) -> None:
        self._extend([self._stack.pop()])

    def appends(self) -> None:
        self._extend(self._marked())

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise RefusedFileError("items for something that is no list")
        target += items

    def set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._update([key, value])

    def set_items(self) -> None:
        self._update(self._marked())

    def _update(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise RefusedFileError("keys and values for something that is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is not str:
                raise RefusedFileError("a dict with a key that is no text")
            target[key] = value

    def reduce(self) -> None:
        args, name = self._stack.pop(), self._stack.pop()
        self._stack.append(self._counted(reduced(name, args)))

    def new_object(self) -> None:
        args, name = self._stack.pop(), self._stack.pop()
        self._stack.append(new_object(name, args))

    def build(self) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        self._stack[-1] = made = self._counted(built(target, state))
        for place in target.places:
            self._memo[place] = made
        target.places = []  # another BUILD of a copy must not renew them all again

    def _counted(self, made: object) -> object:
        """Charges bytes and arrays: a string that is kept in the memo may be turned into many."""
        if type(made) is bytes:
            self._bytes_left -= len(made)
        elif type(made) is np.ndarray:
            self._bytes_left -= made.nbytes
        if self._bytes_left < 0:
            raise RefusedFileError(f"strings and arrays of more than {MOST_MADE_BYTES} bytes")
        return made


def _opcode_name(code: int) -> str:
    known = {opcode.code: opcode.name for opcode in pickletools.opcodes}
    return known.get(chr(code), f"{code:#04x}")


_STOP = ord(".")
_READ: Final[Mapping[int, Callable[[_Machine], None]]] = MappingProxyType({
    0x80: _Machine.protocol,
    ord("N"): lambda machine: machine.push(None),
    0x88: lambda machine: machine.push(True),
    0x89: lambda machine: machine.push(False),
    ord("K"): _Machine.int_1,
    ord("M"): _Machine.int_2,
    ord("J"): _Machine.int_4,
    0x8A: _Machine.int_long,
    ord("G"): _Machine.float_8,
    ord("X"): _Machine.text,
    ord("c"): _Machine.name,
    ord("q"): _Machine.put_1,
    ord("r"): _Machine.put_4,
    ord("h"): _Machine.get_1,
    ord("j"): _Machine.get_4,
    ord("("): _Machine.mark,
    ord(")"): lambda machine: machine.push(()),
    ord("t"): _Machine.tuple_marked,
    0x85: _Machine.tuple_1,
    0x86: _Machine.tuple_2,
    0x87: _Machine.tuple_3,
    ord("]"): lambda machine: machine.push([]),
    ord("a"): _Machine.append,
    ord("e"): _Machine.appends,
    ord("}"): lambda machine: machine.push({}),
    ord("s"): _Machine.set_item,
    ord("u"): _Machine.set_items,
    ord("R"): _Machine.reduce,
    0x81: _Machine.new_object,
    ord("b"): _Machine.build,
})
"""Every opcode that is read, by its byte (https://docs.python.org/3/library/pickletools.html)."""
_STEPS: Final = tuple(_READ.get(code) for code in range(256))
