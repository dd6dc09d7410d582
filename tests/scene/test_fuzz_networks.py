"""Files of labels and of models, broken at random: each ends in a value or in one of the house's errors, in time."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from semrob_env.errors import SemrobError
from semrob_env.scene.classifiers.labels import read_labels
from tests.scene import test_model_file_kinds as kinds

LONGEST_S = 5.0
"""Most processor time for one file."""

NAMES = ["cup", "folding chair", "Ohr, Krug", "a\u2028b", "\u017ca\u0142uzja", "[hintergrund]"]
SEEDS = [
    "\n".join(NAMES).encode(),
    "\r\n".join(NAMES).encode("utf-8-sig"),
    json.dumps(NAMES).encode("utf-16"),
    json.dumps(NAMES, indent=1).encode("utf-8-sig"),
    b'{"0": "cup"}',
]
ODD = (
    b"[",
    b"{",
    b'"',
    b"\\ud800",
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\x0c",
    b"9" * 400,
    b"[" * 3000,
    b"\r",
    b"\n",
)
NUMBERS = (0, 1, -1, 2, 3, 7, 1000, 10**5, 2**31 - 1, 2**62, -(2**63))


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with some of them changed, put in, taken out, or cut off."""
    own = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(own) + 1))
        way = rng.integers(4)
        if way == 0:
            own[at : at + 1] = bytes([rng.integers(256)])
        elif way == 1:
            own[at:at] = ODD[rng.integers(len(ODD))]
        elif way == 2:
            del own[at : at + int(rng.integers(1, 9))]
        else:
            own = own[: max(1, at)] if rng.random() < 0.3 else own
    return bytes(own)


def cases(seconds: float, short: int) -> Iterator[int]:
    """Numbers of cases: a fixed count, or as many as there is time for."""
    end = time.monotonic() + seconds
    number = 0
    while number < short or time.monotonic() < end:
        yield number
        number += 1


def ends_well(read: Callable[[], object], what: str) -> bool:
    """Whether it gives a value; an error of the house is well, too."""
    start, told = time.process_time(), None
    try:
        read()
    except SemrobError as error:
        told = str(error)
    assert told != "", what
    assert time.process_time() - start < LONGEST_S, what
    return told is None


def test_broken_labels_end_in_names_or_in_an_error(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    path, good = tmp_path / "labels", 0
    for number in cases(pytestconfig.getoption("--fuzz-seconds"), 600):
        rng = np.random.default_rng(number)
        path.write_bytes(mutated(SEEDS[rng.integers(len(SEEDS))], rng))

        def read() -> None:
            names = read_labels(path)
            assert names
            assert all(name.strip() == name != "" for name in names)
            assert "".join(names).encode()

        good += ends_well(read, f"case {number}: {path.read_bytes()[:200]!r}")
    assert good > 60


def models(folder: Path) -> list[Any]:
    """Small models of many operators, to be broken."""
    node, floats = kinds.node, kinds.FLOAT
    held: dict[str, npt.ArrayLike] = {}
    held |= {"s": np.array([1, 1, 2, 2], dtype=np.float32), "p": [0, 0, 1, 1, 0, 0, 1, 1], "t": [1, 4], "r": [1, 3, 4]}
    shapes = [
        node("Resize", "x,,s", "a", mode="nearest"),
        node("Pad", "a,p", "b"),
        node("GlobalAveragePool", "b", "c"),
        node("Flatten", "c", "d"),
        node("Tile", "d,t", "e"),
        node("Reshape", "e,r", "f"),
        node("Transpose", "f", "g", perm=[0, 2, 1]),
        node("ReduceMean", "g", "y", axes=[1], keepdims=0),
    ]
    layers = [
        node("Conv", "x,C", "a", strides=[2, 2]),
        node("Relu", "a", "b"),
        node("MaxPool", "b", "c", kernel_shape=[2, 2], strides=[1, 1]),
        node("GlobalAveragePool", "c", "d"),
        node("Flatten", "d", "e"),
        node("Softmax", "e", "y", axis=1),
    ]
    loop, turns = kinds.turns(3)
    filters = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32)
    written = [
        kinds.save(folder / "0.onnx", shapes, [("y", floats, 3)], held=held),
        kinds.save(folder / "1.onnx", layers, [("y", floats, 8)], held={"C": filters}),
        kinds.save(folder / "2.onnx", loop, [("z", floats, kinds.LABELS)], held=turns),
    ]
    return [kinds.onnx.load(path) for path in written]


def broken(model: Any, rng: np.random.Generator) -> bytes:
    """A model with other operators, numbers, sizes or names here and there."""
    copy = kinds.onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    operators = sorted({schema.name for schema in kinds.onnx.defs.get_all_schemas()})
    for _ in range(rng.integers(1, 4)):
        own = graph.node[rng.integers(len(graph.node))]
        tensor = graph.initializer[rng.integers(len(graph.initializer))]
        number, way = NUMBERS[rng.integers(len(NUMBERS))], rng.integers(7)
        if way == 0:
            own.op_type = operators[rng.integers(len(operators))]
        elif way == 1 and own.attribute:
            attribute = own.attribute[rng.integers(len(own.attribute))]
            attribute.i = number
            attribute.ints[:] = [number if rng.random() < 0.5 else value for value in attribute.ints]
        elif way == 2 and tensor.dims:
            tensor.dims[rng.integers(len(tensor.dims))] = number
        elif (
            way == 3
            and tensor.data_type in {1, 7}
            and math.prod(tensor.dims) * (4, 8)[tensor.data_type // 7] == len(tensor.raw_data)
        ):
            values = kinds.onnx.numpy_helper.to_array(tensor).copy()
            values.reshape(-1)[rng.integers(values.size)] = number
            tensor.CopyFrom(kinds.onnx.numpy_helper.from_array(values, tensor.name))
        elif way == 4:
            own.input[rng.integers(len(own.input))] = ("x", "y", "W", "a", "", "none")[rng.integers(6)]
        elif way == 5:
            graph.input[0].type.tensor_type.elem_type = int(rng.integers(25))
        elif len(graph.node) > 1:
            del own.input[1:]
    data = bytes(copy.SerializeToString())
    return mutated(data, rng) if rng.random() < 0.2 else data


TRIAL = """
import pathlib, sys, time
import numpy as np
from semrob_env.errors import SemrobError
from semrob_env.scene.classifiers import openvino_file
for name in sys.argv[1:]:
    start = time.process_time()
    try:
        made = openvino_file.OpenVinoClassifier(name, is_trusted=True)
        scores = made.scores(np.full((1, 3, *[made.preprocessing.size] * 2), 0.5, dtype=np.float32), np.zeros(1, int))
        told = "score" if np.isnan(scores[0]) or 0 <= scores[0] <= 1 else f"answered {scores}"
    except SemrobError as error:
        told = "error" if str(error) and "\\n" not in str(error) else f"error of several lines: {error}"
    except Exception as error:
        told = f"{type(error).__name__}: {error}"
    taken = time.process_time() - start
    told = told if taken < LONGEST_S else f"took {taken:.1f} s"
    print(pathlib.Path(name).name, told, flush=True)
"""


def test_broken_models_end_in_a_score_or_in_an_error(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """What ends the process is tried again alone: then it must be told as such, as every user is told."""
    seeds, found, batch = models(tmp_path), dict[str, str](), 80
    for start in cases(pytestconfig.getoption("--fuzz-seconds"), 1):
        waiting = []
        for number in range(batch * start, batch * (start + 1)):
            rng = np.random.default_rng(number)
            waiting.append(tmp_path / f"case{number}.onnx")
            waiting[-1].write_bytes(broken(seeds[rng.integers(len(seeds))], rng))
        while waiting:
            command = [sys.executable, "-c", TRIAL.replace("LONGEST_S", str(LONGEST_S)), *map(str, waiting)]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            told = dict(line.split(" ", 1) for line in ended.stdout.splitlines() if line.startswith("case"))
            found |= told
            left = [path for path in waiting if path.name not in told]
            if left:  # the first of them ended the process
                with pytest.raises(SemrobError, match="a process that read it ended with"):
                    kinds.load(left[0])
            for path in {*waiting} - {*left[1:]}:
                path.unlink()
            waiting = left[1:]
    assert set(found.values()) == {"score", "error"}, [
        item for item in found.items() if item[1] not in {"score", "error"}
    ]
