"""Nothing in a stranger's file is executed: plain values come out, or one clear refusal."""

from __future__ import annotations

import os
import pickle
import struct
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semrob_env.errors import MissingFileError, RefusedFileError
from semrob_env.recorded.pickles import MOST_FILE_BYTES, Box, parse_legacy, read_bounded
from tests.release_writer import MAGIC, Interval, NInterval, legacy, legacy_file, map_value, optim_value, pickled

_armed: list[bool] = []
_events: list[str] = []
_CALM = ("object.__getattr__", "array.__new__", "sys.monitoring", "gc.")


def _note(event: str, _: tuple[Any, ...]) -> None:
    if _armed and not event.startswith(_CALM):
        _events.append(event)


sys.addaudithook(_note)


@contextmanager
def nothing_happens() -> Iterator[None]:
    """Fails where Python imports, compiles, executes, opens or starts anything, or asks pickle for a class."""
    _events.clear()
    _armed.append(True)
    try:
        yield
    finally:
        _armed.clear()
    assert not _events


def text(words: str) -> bytes:
    """BINUNICODE."""
    return b"X" + struct.pack("<I", len(words.encode())) + words.encode()


class Calls:
    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced


ARRAY = b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85c_codecs\nencode\nX\x01\x00\x00\x00b" + (
    b"X\x06\x00\x00\x00latin1\x86R\x87R"
)
FLOAT = (
    b"cnumpy\ndtype\n"
    + text("f8")
    + b"\x89\x88\x87R(K\x03"
    + text("<")
    + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
)


def array_of(shape: bytes, data: str, dtype: bytes = FLOAT) -> bytes:
    """An array with a shape and bytes of our choice."""
    return ARRAY + b"(K\x01" + shape + dtype + b"\x89c_codecs\nencode\n" + text(data) + text("latin1") + b"\x86Rtb"


def laughs(levels: int) -> bytes:
    """Lists of ten references to the list before."""
    program = b"((" + b"K\x01" * 10 + b"tq\x00"
    for level in range(levels):
        program += b"](" + (b"h" + bytes([level])) * 10 + b"eq" + bytes([level + 1])
    return program + b"t"


HOSTILE = {
    "eval through REDUCE": (b"c__builtin__\neval\nX\x03\x00\x00\x001+1\x85R", "the name '__builtin__.eval'"),
    "system through REDUCE": (b"cposix\nsystem\nX\x04\x00\x00\x00true\x85R", "the name 'posix.system' is not read"),
    "a name alone": (b"cos\nsystem\n", "the name 'os.system'"),
    "an allowed name alone": (b"cnumpy\nndarray\n", "bare name"),
    "an allowed name in a list": (b"]c_codecs\nencode\na", "bare name"),
    "an attribute of an allowed name": (b"cnumpy\nndarray.tofile\n", "'numpy.ndarray.tofile' is not read"),
    "a name in other letters": ("cnumpy\nndarrаy\n".encode(), "is not read"),
    "a name that is no text": (b"c\xff\xfe\nsystem\n", "text in another code"),
    "a name without end": (b"c" + b"a" * 1000, "GLOBAL without a name"),
    "system through STACK_GLOBAL": (text("posix") + text("system") + b"\x93" + text("true") + b"\x85R", "STACK_GLOBAL"),
    "EXT1": (b"\x82\x01", "EXT1"),
    "EXT2": (b"\x83\x01\x00", "EXT2"),
    "EXT4": (b"\x84\x01\x00\x00\x00", "EXT4"),
    "PERSID": (b"Pname\n", "PERSID"),
    "BINPERSID": (text("name") + b"Q", "BINPERSID"),
    "INST": (b"(iposix\nsystem\n", "INST"),
    "OBJ": (b"(cnumpy\nndarray\no", "OBJ"),
    "NEWOBJ of a stranger": (b"csubprocess\nPopen\n" + text("true") + b"\x85\x81", "'subprocess.Popen' is not read"),
    "NEWOBJ of an array": (b"cnumpy\nndarray\nK\x05\x85\x81", "NEWOBJ of ndarray"),
    "NEWOBJ of a number": (b"K\x01)\x81", "NEWOBJ of a int"),
    "NEWOBJ_EX": (b"cnumpy\nndarray\n)}\x92", "NEWOBJ_EX"),
    "a box with arguments": (b"cscale_robustness\nn_interval\nK\x01\x85\x81", "NEWOBJ of n_interval"),
    "a box that is not built": (b"cscale_robustness\nn_interval\n)\x81", "not built"),
    "a box without bounds": (b"cscale_robustness\nn_interval\n)\x81}b", "BUILD of n_interval"),
    "an interval of text": (b"cinterval\ninterval\n" + text("a") + b"\x85\x81", "NEWOBJ of interval"),
    "a long interval": (b"cinterval\ninterval\n(" + (b"G" + bytes(8)) * 2000 + b"t\x81", "NEWOBJ of interval"),
    "BUILD of a name": (b"cnumpy\nndarray\n}b", "BUILD of ndarray"),
    "BUILD of a list": (b"]}b", "BUILD of a list"),
    "BUILD of a number": (b"K\x01}b", "BUILD of a int"),
    "REDUCE of a number": (b"K\x01)R", "REDUCE of a int"),
    "REDUCE of an array type": (b"cnumpy\nndarray\nK\x05\x85R", "REDUCE of ndarray"),
    "REDUCE of an interval": (b"cinterval\ninterval\n)R", "REDUCE of interval"),
    "a codec that runs": (b"c_codecs\nencode\n" + text("a") + text("zlib") + b"\x86R", "REDUCE of encode"),
    "bytes beyond latin1": (b"c_codecs\nencode\n" + text("€") + text("latin1") + b"\x86R", "text in another code"),
    "bytes of an array": (b"c_codecs\nencode\n" + text("a") + array_of(b"K\x02\x85", "a" * 16) + b"\x86R", "encode"),
    "text that is no UTF-8": (b"X\x02\x00\x00\x00\xff\xfe", "text in another code"),
    "a huge text": (b"X\xff\xff\xff\xffabc", "ends in the middle"),
    "BINBYTES8 of 2^62": (b"\x8e" + struct.pack("<Q", 2**62), "BINBYTES8"),
    "BYTEARRAY8 of 2^62": (b"\x96" + struct.pack("<Q", 2**62), "BYTEARRAY8"),
    "BINUNICODE8 of 2^62": (b"\x8d" + struct.pack("<Q", 2**62), "BINUNICODE8"),
    "FRAME of 2^62": (b"\x95" + struct.pack("<Q", 2**62), "FRAME"),
    "NEXT_BUFFER": (b"\x97", "NEXT_BUFFER"),
    "LONG_BINPUT of 2^31": (b"Nr\x00\x00\x00\x80", "memo entry 2147483648"),
    "an empty memo entry": (b"h\x07", "memo entry 7 is empty"),
    "PUT as text": (b"Np99999999999999999999\n", "PUT"),
    "a number as text": (b"I" + b"9" * 100_000 + b"\n", "INT"),
    "a long number as text": (b"L" + b"9" * 100_000 + b"L\n", "LONG"),
    "LONG4": (b"\x8b\xff\xff\xff\x7f", "LONG4"),
    "an opcode that is none": (b"\xfe", "opcode 0xfe"),
    "another protocol": (b"\x80\x04N", "pickle protocol 4"),
    "dtype O": (b"cnumpy\ndtype\n" + text("O8") + b"\x89\x88\x87R", "dtype 'O8'"),
    "dtype V": (b"cnumpy\ndtype\n" + text("V8") + b"\x89\x88\x87R", "dtype 'V8'"),
    "dtype with fields": (b"cnumpy\ndtype\n" + text("f8,O") + b"\x89\x88\x87R", "dtype 'f8,O'"),
    "a dtype alone": (FLOAT, "bare name, or something"),
    "a dtype with a long byte order": (FLOAT.replace(text("<"), text("<>")), "BUILD of dtype"),
    "a dtype with text as flags": (FLOAT.replace(b"NNN", b"N]N"), "BUILD of dtype"),
    "a shape too large": (array_of(b"K\x03\x85", "a" * 16), "does not fit its 16 bytes"),
    "a shape too small": (array_of(b"K\x01\x85", "a" * 16), "does not fit its 16 bytes"),
    "a huge shape": (array_of(b"\x8a\x09" + b"\xff" * 8 + b"\x00\x85", "a" * 16), "does not fit"),
    "a huge shape without items": (array_of(b"(K\x00" + b"J\xff\xff\xff\x7f" * 6 + b"t", ""), "does not fit"),
    "a shape below zero": (array_of(b"J\xff\xff\xff\xffJ\xfe\xff\xff\xff\x86", "a" * 16), "does not fit"),
    "a shape of truth values": (array_of(b"\x88K\x02\x86", "a" * 16), "does not fit"),
    "a shape of arrays": (array_of(array_of(b"K\x01\x85", "a" * 8) + b"\x85", "a" * 16), "does not fit"),
    "a shape of 40 dimensions": (array_of(b"(" + b"K\x01" * 40 + b"t", "a" * 8), "does not fit"),
    "an array that is not built": (ARRAY, "not built"),
    "an array without a type": (array_of(b"K\x02\x85", "a" * 16, b"N"), "an array in a form"),
    "a state of arrays": (ARRAY + array_of(b"K\x02\x85", "a" * 16) + b"b", "BUILD of ndarray"),
    "a scalar without a type": (b"cnumpy.core.multiarray\nscalar\nN" + text("a") + b"\x86R", "an array in a form"),
    "tuples 100 000 deep": (b")" + b"\x85" * 100_000, "nested more than"),
    "lists 100 000 deep": (b"]" * 100_001 + b"a" * 100_000, "nested more than"),
    "a list in itself": (b"]q\x00h\x00a", "holds itself"),
    "a dict in itself": (b"}q\x00" + text("key") + b"h\x00s", "holds itself"),
    "a billion laughs": (laughs(9), "more than 1000000 items"),
    "wide laughs": (b"((" + b"K\x01" * 2000 + b"tq\x00](" + b"h\x00" * 2000 + b"et", "more than 1000000 items"),
    "endless opcodes": (b"N" * 2_100_000, "more than 2000000 opcodes"),
    "a list as a key": (b"}]Ns", "key that is no text"),
    "an array as a key": (b"}" + array_of(b"K\x02\x85", "a" * 16) + b"Ns", "key that is no text"),
    "half a character": (b"X\x03\x00\x00\x00\xed\xa0\x80", "text in another code"),
    "keys that all hash alike": (
        b"}(" + b"".join(b"\x8a\x0b" + (k * (2**61 - 1)).to_bytes(11, "little") + b"N" for k in range(100_000)) + b"u",
        "key that is no text",
    ),
    "a key that hashes for ages": (b"K\x01q\x00" + (b"(" + b"h\x00" * 10 + b"tq\x00") * 20 + b"}h\x00Ns", "no text"),
    "attributes for a name": (b"cnumpy\nndarray\nN}" + text("made") + b"Ns\x86b", "BUILD of ndarray"),
    "attributes for an array that is not built": (ARRAY + b"N}" + text("made") + b"Ns\x86b", "BUILD of ndarray"),
    "a number as a key": (b"}(K\x01Nu", "key that is no text"),
    "a key without a value": (b"}(" + text("key") + b"u", "no dict"),
    "items for a tuple": (b")Na", "no list"),
    "keys for a list": (b"](" + text("key") + b"Nu", "no dict"),
    "nothing left": (b"", "another number of values"),
    "two values": (b"NN", "another number of values"),
    "an open mark": (b"N(", "another number of values"),
    "a mark that is none": (b"Nt", "more values than there are"),
    "many marks": (b"(" * 100, "more than 16 marks"),
    "too few values": (b"N\x86", "more values than there are"),
    "POP": (b"NN0", "POP"),
    "much out of one text": (
        b"(" + text("a" * 2**20) + b"q\x00" + (b"c_codecs\nencode\nh\x00" + text("latin1") + b"\x86R") * 80 + b"t",
        "strings and arrays of more than 67108864 bytes",
    ),
    "bytes with arguments": (b"c__builtin__\nbytes\n" + b"J\xff\xff\xff\x7f\x85R", "REDUCE of bytes"),
}  # fmt: skip


@pytest.mark.parametrize(("program", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_programs_are_refused_with_one_line(program: bytes, reason: str) -> None:
    data = legacy((b"" if program.startswith(b"\x80") else b"\x80\x02") + program + b".")
    with nothing_happens(), pytest.raises(RefusedFileError, match=r"^byte \d+: ") as caught:
        parse_legacy(data)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("protocol", range(6))
def test_a_program_that_python_runs_does_nothing_here(protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hostile = pickle.dumps({"z": Calls(os.system, (f"touch {canary}",))}, protocol=protocol)
    with nothing_happens(), pytest.raises(RefusedFileError):
        parse_legacy(legacy(hostile))
    assert not canary.exists()
    pickle.loads(hostile)
    assert canary.exists(), "the canary must be able to sing"


def test_the_audit_of_these_tests_notices_a_real_unpickler() -> None:
    with pytest.raises(AssertionError), nothing_happens():
        pickle.loads(pickled(np.zeros(2)))


@pytest.mark.parametrize("part", range(5))
def test_every_pickle_of_a_file_is_guarded(part: int) -> None:
    parts = [pickled(MAGIC), pickled(1001), pickled({}), pickled(None), pickled([])]
    assert parse_legacy(b"".join(parts)) is None
    parts[part] = pickle.dumps(Calls(os.getcwd, ()), protocol=2)
    with nothing_happens(), pytest.raises(RefusedFileError, match="getcwd"):
        parse_legacy(b"".join(parts))
    parts[part] = pickled(np.zeros(3))
    if part != 3:
        with pytest.raises(RefusedFileError, match=r"legacy torch file|tensors"):
            parse_legacy(b"".join(parts))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"PK\x03\x04rest of a zip", "zip format"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not a legacy torch file"),
        (pickled(7) + pickled(1001) + pickled({}) + pickled(None) + pickled([]), "magic number"),
        (pickled(map_value()), "magic number"),
        (pickled(MAGIC), "ends in the middle"),
        (legacy_file(None).replace(pickled(1001), pickled(1002)), "protocol 1001"),
        (legacy_file(None)[: -len(pickled([]))] + pickled(["storage"]), "holds tensors"),
        (legacy_file(None) + b"\x00", "something follows"),
    ],
)
def test_other_files_are_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "map.pt"
    path.write_bytes(data)
    with nothing_happens(), pytest.raises(RefusedFileError, match=reason):
        parse_legacy(data)
    with pytest.raises(RefusedFileError, match=reason):
        parse_legacy(read_bounded(path))


def test_a_file_that_is_absent_or_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no file"):
        read_bounded(tmp_path / "map.pt")
    with pytest.raises(MissingFileError, match="no file"):
        read_bounded(tmp_path)
    large = tmp_path / "large.pt"
    with large.open("wb") as stream:
        stream.truncate(100 * MOST_FILE_BYTES)  # sparse
    tracemalloc.start()
    with pytest.raises(RefusedFileError, match="larger than"):
        read_bounded(large)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * MOST_FILE_BYTES


PLAIN: list[Any] = [
    None,
    True,
    [0, 255, 256, 65535, 65536, -1, 2**31, -(2**63), 2**100],
    [0.5, float("inf"), -0.0],
    "text with ü, € and 𝄞",
    {"a": [], "b": (), "c": {}, "d": (1,), "e": (1, 2), "f": (1, 2, 3), "g": (1, 2, 3, 4)},
    [list(range(2500)), [[[[[1]]]]]],
    {str(k): k for k in range(2500)},
    b"bytes \x00\xff",
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_plain_values_come_back(value: Any) -> None:
    with nothing_happens():
        read = parse_legacy(legacy_file(value))
    assert read == value
    assert repr(read) == repr(value)


@pytest.mark.parametrize("code", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"])
@pytest.mark.parametrize("order", "<>")
def test_arrays_and_scalars_of_every_numeric_type_come_back(code: str, order: str) -> None:
    flat = (np.arange(24) % 2 if code == "b1" else np.arange(24)).astype(f"{order}{code}")
    arrays = [
        flat,
        flat.reshape(2, 3, 4),
        np.asfortranarray(flat.reshape(4, 6)),
        flat[:0].reshape(0, 3),
        np.array(flat[3]),
    ]
    shared = [arrays[0], arrays[0]]
    with nothing_happens():
        read: Any = parse_legacy(legacy_file([*arrays, shared, flat[5], flat.reshape(4, 6).T]))
    for true, found in zip([*arrays, *shared, flat.reshape(4, 6).T], [*read[:5], *read[5], read[7]], strict=True):
        np.testing.assert_array_equal(found, true)
        assert found.dtype == true.dtype.newbyteorder("=")
        assert not found.flags.writeable
    assert read[6] == flat[5].item()
    assert type(read[6]) is type(flat[5].item())


def test_names_of_old_and_new_numpy_are_read() -> None:
    data = legacy_file([np.arange(3.0), np.float64(0.25)])
    new, old = b"numpy._core.multiarray", b"numpy.core.multiarray"
    assert new in data or old in data
    for spelling in (data.replace(old, new), data.replace(new, old)):
        read: Any = parse_legacy(spelling)
        assert read[0].tolist() == [0, 1, 2]
        assert read[1] == 0.25


def test_interval_classes_become_bounds() -> None:
    value = [NInterval([1, -np.inf], [2, np.nan]), Interval((1.0, 2.0), (3.0, 4.0)), Interval()]
    with nothing_happens():
        read: Any = parse_legacy(legacy_file(value))
    box, pairs, empty = read
    assert isinstance(box, Box)
    np.testing.assert_array_equal(box.lower, [1, -np.inf])
    np.testing.assert_array_equal(box.upper, [2, np.nan])
    assert pairs == ((1.0, 2.0), (3.0, 4.0))
    assert empty == ()


SMALL = legacy_file(optim_value(steps=2))


@pytest.mark.parametrize("place", range(50))
def test_truncated_files_are_refused(place: int) -> None:
    rng = np.random.default_rng([3, place])
    end = int(len(SMALL) * (place + rng.random()) / 50)
    with nothing_happens(), pytest.raises(RefusedFileError):
        parse_legacy(SMALL[:end])


def changed(data: bytes, rng: np.random.Generator) -> bytes:
    """A few random bytes replaced, cut out, put in or moved; half of the new ones are opcodes."""
    opcodes = b"NKMJGXcqrhj()t]}aesuRb.\x80\x81\x85\x86\x87\x88\x89\x8ai0oQP\x82\x93\x8c\x94"
    made = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        begin = int(rng.integers(len(made)))
        length = int(rng.integers(0, 4))
        new = (
            rng.choice(np.frombuffer(opcodes, dtype=np.uint8), length)
            if rng.random() < 0.5
            else rng.integers(0, 256, length)
        )
        if rng.random() < 0.1:
            source = int(rng.integers(len(made)))
            new = np.frombuffer(bytes(made[source : source + 40]), dtype=np.uint8)
        made[begin : begin + int(rng.integers(0, 4))] = bytes(new.astype(np.uint8))
    return bytes(made)


def outcome(data: bytes) -> str:
    try:
        parse_legacy(data)
    except RefusedFileError:
        return "refused"
    return "value"


def test_changed_files_give_a_value_or_a_refusal_and_nothing_else_happens() -> None:
    rng = np.random.default_rng(0)
    with nothing_happens():
        found = [outcome(changed(SMALL, rng)) for _ in range(1500)]
    assert found.count("refused") > 300
    assert found.count("value") > 10


def test_real_files_that_are_changed_give_a_value_or_a_refusal(recorded_folder: Path) -> None:
    rng = np.random.default_rng(1)
    data = (recorded_folder / "checkpoint/ResNet50/3/0/map.pt").read_bytes()
    assert outcome(data) == "value"
    with nothing_happens():
        found = [outcome(changed(data, rng)) for _ in range(200)]
    assert {"refused", "value"} == set(found)
    for end in np.linspace(0, len(data) - 1, 50).astype(int):
        assert outcome(data[:end]) == "refused"


def test_a_real_file_of_traces_holds_plain_values(recorded_folder: Path) -> None:
    data = (recorded_folder / "checkpoint/AlexNet/4/0/optim.pt").read_bytes()
    with nothing_happens():
        value: Any = parse_legacy(data)
    assert value["network_name"] == "AlexNet"
    assert [len(trace) for trace in value["naive"]["optim_trace"]] == [600] * 4
    assert all(isinstance(region, Box) for region in value["OIR_W"]["regions"])
    assert type(value["naive"]["loss_trace"][0][0]) is float
