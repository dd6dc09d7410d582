"""Model files as others write them: several outputs, bytes, channels last, weights beside them, and hostile ones."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from semrob_env.errors import InvalidParameterError, MissingFileError, RefusedFileError
from semrob_env.functions import make_function
from semrob_env.scene.classifiers import openvino_file
from semrob_env.scene.classifiers import options as options_module
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.classifiers.network_spec import NetworkSpec
from semrob_env.scene.classifiers.options import NetworkOptions, trust_model_file
from semrob_env.scene.classifiers.quiet_openvino import openvino
from semrob_env.scene.classifiers.registry import forget_networks, load_network
from semrob_env.types import FloatArray

onnx: Any = pytest.importorskip("onnx", reason="writes the tests' models")
SIZE, LABELS = 16, 5
_RNG = np.random.default_rng(0)
WEIGHTS = (_RNG.normal(size=(3 * SIZE * SIZE, LABELS)) * 0.05).astype(np.float32)
BIAS = _RNG.normal(size=LABELS).astype(np.float32)
SHOWN = _RNG.random((3, 3, SIZE, SIZE), dtype=np.float32)
FLOAT, BYTES, WHOLE = 1, 2, 7


def node(kind: str, given: str, gives: str, **settings: Any) -> Any:
    return onnx.helper.make_node(kind, given.split(","), gives.split(","), **settings)


LINEAR = (node("Flatten", "x", "f"), node("Gemm", "f,W,B", "y"))


def save(
    path: Path,
    nodes: Sequence[Any],
    outputs: Sequence[tuple[str, int, int]] = (("y", FLOAT, LABELS),),
    *,
    kind: int = FLOAT,
    shape: Sequence[int | str] = (1, 3, SIZE, SIZE),
    beside: str = "",
    sign: float = 1.0,
    held: Mapping[str, npt.ArrayLike] | None = None,
) -> Path:
    """Write a model of nodes; outputs are name, type and length; `held` are its constants beside W and B."""
    helper, arrays = onnx.helper, {"W": sign * WEIGHTS, "B": BIAS, **(held or {})}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, own, [1, length]) for name, own, length in outputs],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path, save_as_external_data=bool(beside), location=beside or None, size_threshold=0)
    return path


def load(path: Path, *, unnormalized: bool = False, **options: Any) -> Classifier:
    return load_network("file", unnormalized=unnormalized, options=NetworkOptions(str(path), **options))


def scores(classifier: Classifier) -> FloatArray:
    return np.stack([classifier.scores(SHOWN, np.full(len(SHOWN), label)) for label in range(LABELS)], axis=1)


def softmax(fed: npt.NDArray[Any]) -> FloatArray:
    powers = np.exp(fed.reshape(len(fed), -1).astype(np.float64) @ WEIGHTS + BIAS)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def normalized() -> FloatArray:
    mean, std = (np.array(own).reshape(3, 1, 1) for own in (Preprocessing().mean, Preprocessing().std))
    return np.asarray((SHOWN - mean) / std)


@pytest.fixture(autouse=True)
def no_trust_and_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options_module, "_TRUSTED", set())
    monkeypatch.setattr(openvino_file, "_try_out", lambda *told: None)  # takes a second each
    forget_networks()


def test_of_several_outputs_one_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "two.onnx", LINEAR, [("f", FLOAT, 3 * SIZE * SIZE), ("y", FLOAT, LABELS)])
    told = r"two.onnx: it has 2 outputs \(f \[1,768\], y \[1,5\]\); say which one holds the classes: --output NAME"
    with pytest.raises(RefusedFileError, match=told):
        load(path)
    with pytest.raises(RefusedFileError, match=r"output 'z' is none of its 2 outputs"):
        load(path, output="z")
    by_name, by_place = load(path, output="y"), load(path, output="1")
    np.testing.assert_allclose(scores(by_name), softmax(normalized()), atol=1e-6)
    np.testing.assert_allclose(scores(by_place), softmax(normalized()), atol=1e-6)
    assert by_name.fingerprint["output"] == "y"
    function = make_function(f"scene:file/cup/procedural:0?weights={path}&output=y&label=2")
    assert "&output=y" in function.id
    assert make_function(function.id).fingerprints == function.fingerprints
    spec = NetworkSpec.parse(f"mine=file:{path}?output=y")
    assert (spec.options.output, NetworkSpec.parse(str(spec))) == ("y", spec)


def test_an_output_of_whole_numbers_holds_no_classes(tmp_path: Path) -> None:
    top = node("TopK", "y,k", "v,i", axis=1)
    outputs = [("v", FLOAT, LABELS), ("i", WHOLE, LABELS)]
    path = save(tmp_path / "top.onnx", [*LINEAR, top], outputs, held={"k": np.array([LABELS])})
    with pytest.raises(RefusedFileError, match=r"answers whole numbers \(i64\)"):
        load(path, output="i")


@pytest.mark.parametrize("suffix", [".pt", ".pt2", ".xml"])
def test_other_kinds_of_files_have_their_outputs_by_place(tmp_path: Path, suffix: str) -> None:
    class Two(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            flat = images.flatten(1)
            return flat, flat @ torch.from_numpy(WEIGHTS) + torch.from_numpy(BIAS)

    path, example = tmp_path / f"two{suffix}", torch.zeros(1, 3, SIZE, SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls TorchScript an old format
        if suffix == ".pt":
            torch.jit.trace(Two(), example).save(path)  # type: ignore[no-untyped-call]
        elif suffix == ".pt2":
            torch.export.save(torch.export.export(Two(), (example,)), path)
        else:
            openvino.save_model(openvino.convert_model(Two(), example_input=example), path, compress_to_fp16=False)
    if suffix != ".xml":
        trust_model_file(str(path))

    def made(output: str) -> Classifier:
        return load_network("file", size=SIZE, options=NetworkOptions(str(path), output=output))

    with pytest.raises((RefusedFileError, RuntimeError), match=r"2 outputs \("):
        made("")
    np.testing.assert_allclose(scores(made("1")), softmax(normalized()), atol=1e-6)


def test_a_network_that_is_no_file_has_one_output() -> None:
    with pytest.raises(InvalidParameterError, match="efficientnet_lite0 has one output; leave output=y away"):
        load_network("efficientnet_lite0", options=NetworkOptions(output="y"))


@pytest.mark.parametrize("unnormalized", [False, True])
def test_a_model_of_bytes_gets_bytes(tmp_path: Path, unnormalized: bool) -> None:
    nodes = [node("Cast", "x", "c", to=FLOAT), node("Div", "c,k", "n"), node("Flatten", "n", "f"), LINEAR[1]]
    path = save(tmp_path / "bytes.onnx", nodes, kind=BYTES, held={"k": np.float32(255)})
    classifier = load(path, unnormalized=unnormalized)
    np.testing.assert_allclose(scores(classifier), softmax(np.rint(255 * SHOWN) / 255), atol=1e-6)
    assert classifier.fingerprint["input"] == "bytes"


@pytest.mark.parametrize("shape", [(1, SIZE, SIZE, 3), ("n", "h", "w", 3), (1, 3, SIZE, SIZE), ("n", "c", "h", "w")])
def test_channels_come_first_or_last(tmp_path: Path, shape: Sequence[int | str]) -> None:
    turned = [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Flatten", "t", "f"), LINEAR[1]]
    path = save(tmp_path / "model.onnx", turned if shape[-1] == 3 else LINEAR, shape=shape)
    classifier = load_network("file", size=SIZE, options=NetworkOptions(str(path)))
    np.testing.assert_allclose(scores(classifier), softmax(normalized()), atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        (FLOAT, (1, 3, SIZE, 24), "takes images of 16 x 24; only square ones are rendered"),
        (FLOAT, (1, 24, SIZE, 3), "takes images of 24 x 16; only square ones are rendered"),
        (FLOAT, (1, 1, SIZE, SIZE), r"takes \[1,1,16,16\] of f32; must take one image"),
        (WHOLE, (1, 3, SIZE, SIZE), r"takes \[1,3,16,16\] of i64; must take one image"),
        (FLOAT, (1, 3, 10**6, 10**6), "at most 2048 pixels a side"),
    ],
)
def test_other_inputs_are_refused(tmp_path: Path, kind: int, shape: Sequence[int], message: str) -> None:
    nodes = [node("Cast", "x", "c", to=FLOAT), node("GlobalAveragePool", "c", "p"), node("Flatten", "p", "y")]
    with pytest.raises(RefusedFileError, match=message):
        load(save(tmp_path / "model.onnx", nodes, [("y", FLOAT, 3)], kind=kind, shape=shape))


def test_probabilities_are_known_though_a_black_image_has_none(tmp_path: Path) -> None:
    nodes = [
        *LINEAR,
        node("Softmax", "y", "p", axis=1),
        node("ReduceSum", "x", "s", keepdims=0),
        node("Sign", "s", "g"),
        node("Abs", "g", "a"),
        node("Div", "p,a", "z"),  # nothing by nothing on a black image
    ]
    classifier = load(save(tmp_path / "model.onnx", nodes, [("z", FLOAT, LABELS)]), unnormalized=True)
    assert classifier.fingerprint["answers"] == "probabilities"
    np.testing.assert_allclose(scores(classifier), softmax(SHOWN), atol=1e-6)


# --- files that belong to a model ------------------------------------------------------------------------------


def test_weights_beside_a_model_are_in_its_run_key_and_are_followed(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", LINEAR, beside="m.data")
    (tmp_path / "labels").write_text("a\nb\nc\nd\ne\n")
    text = path.read_bytes()
    function_id = f"scene:file/cup/procedural:0?weights={path}&labels={tmp_path / 'labels'}&label=c"
    old, function = load(path), make_function(function_id)
    theta = function.space.default[None, None]
    assert load(path) is old
    (tmp_path / "m.data").unlink()
    save(path, LINEAR, beside="m.data", sign=-1.0)
    assert path.read_bytes() == text
    os.utime(path, ns=(0, 0))
    new = load(path)
    assert new.fingerprint["weights"] != old.fingerprint["weights"]
    assert np.abs(scores(new) - scores(old)).max() > 0.1
    assert make_function(function_id).values(theta).tobytes() != function.values(theta).tobytes()
    (tmp_path / "labels").write_text("a\nc\nb\nd\ne\n")
    assert load(path, labels=str(tmp_path / "labels")).classes.index("c") == 1
    (tmp_path / "m.data").unlink()
    with pytest.raises(MissingFileError, match=r"m.onnx: its weights m.data are not beside it"):
        load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_beside_a_model_is_not_read(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", LINEAR, beside="m.data")
    (tmp_path / "m.data").unlink()
    os.mkfifo(tmp_path / "m.data")
    with pytest.raises(MissingFileError, match=r"its weights m\.data are not beside it"):
        load(path)


# --- what ends a process -------------------------------------------------------------------------------------


@pytest.fixture
def with_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(openvino_file, "MOST_SECONDS", 20)


@pytest.mark.usefixtures("with_trial")
def test_a_file_that_ends_the_process_that_reads_it_is_one_line(tmp_path: Path) -> None:
    broken = save(tmp_path / "broken.onnx", [node("Pad", "x", "p"), *LINEAR])  # OpenVINO asks for a second input
    with pytest.raises(RefusedFileError, match=r"broken.onnx: a process that read it ended with -\d+: it is broken"):
        load(broken)
    np.testing.assert_allclose(scores(load(save(tmp_path / "good.onnx", LINEAR))), softmax(normalized()), atol=1e-6)


def test_a_trial_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(openvino_file, "MOST_SECONDS", 0.01)
    with pytest.raises(RefusedFileError, match=r"OpenVINO took more than 0\.01 s to read and ask it"):
        load(save(tmp_path / "slow.onnx", LINEAR))


# --- what a model may cost --------------------------------------------------------------------------------------


def turns(count: int) -> tuple[list[Any], dict[str, npt.ArrayLike]]:
    info = onnx.helper.make_tensor_value_info
    body = onnx.helper.make_graph(
        [node("Identity", "c", "c2"), node("Mul", "v,two", "v2")],
        "body",
        [info("i", WHOLE, []), info("c", 9, []), info("v", FLOAT, [1, LABELS])],
        [info("c2", 9, []), info("v2", FLOAT, [1, LABELS])],
    )
    held: dict[str, npt.ArrayLike] = {"n": np.array(count), "go": np.array(True), "two": np.float32(1.0)}
    return [*LINEAR, node("Loop", "n,go,y", "z", body=body)], held


def grown(*nodes: Any) -> list[Any]:
    return [*LINEAR, *nodes, node("ReduceMean", "k", "r", keepdims=0), node("Add", "y,r", "z")]


POOLED = [node("GlobalAveragePool", "u", "p"), node("Flatten", "p", "z")]

COUNTED = {"count_include_pad": 1}

COSTLY: dict[str, tuple[list[Any], dict[str, npt.ArrayLike], str]] = {
    "endless loop": (*turns(2**62), "how often its Loop turns is not told"),
    "long loop": (*turns(10**9), "takes more than"),
    "constant": (grown(node("ConstantOfShape", "s", "k")), {"s": [10**9]}, "Broadcast makes 1000000000 numbers"),
    "range": (
        grown(node("Range", "a,b,c", "k")),
        {"a": np.float32(0), "b": np.float32(1e9), "c": np.float32(1)},
        "Range makes 1000000000 numbers",
    ),
    "resize": (
        [node("Resize", "x,,s", "u", mode="nearest"), *POOLED],
        {"s": np.array([1, 1, 2000, 2000], dtype=np.float32)},
        "Interpolate makes 3072000000 numbers",
    ),
    "size from the image": (
        grown(
            node("ReduceMax", "x", "m", keepdims=0),
            node("Cast", "m", "c", to=WHOLE),
            node("Unsqueeze", "c,axes", "s"),
            node("ConstantOfShape", "s", "k"),
        ),
        {"axes": [0]},
        "has no bound, as it depends on the image",
    ),
    "products": (
        grown(
            node("ConstantOfShape", "s", "k0"),
            node("ReduceMean", "y", "m", keepdims=0),
            node("Add", "k0,m", "k1"),
            *(node("MatMul", f"k{i},k{i}", f"k{i + 1}") for i in range(1, 9)),
            node("Identity", "k9", "k"),
        ),
        {"s": [8000, 8000]},
        "takes more than",
    ),
    "half a bias": (
        [node("LRN", "x", "u", size=3, bias=1.5), *POOLED],
        {},
        "LRN of bias 1.5",
    ),
    "an even size": (
        [node("LRN", "x", "u", size=4, bias=1.0), *POOLED],
        {},
        "LRN of size 4",
    ),
    "antialias": (
        [node("Resize", "x,,s", "u", mode="linear", antialias=1), *POOLED],
        {"s": np.array([1, 1, 0.5, 0.5], dtype=np.float32)},
        "Resize with antialias",
    ),
    "exclude outside": (
        [node("Resize", "x,,s", "u", mode="cubic", exclude_outside=1), *POOLED],
        {"s": np.array([1, 1, 2, 2], dtype=np.float32)},
        "has exclude_outside '1', which OpenVINO passes over",
    ),
    "keep aspect": (
        [node("Resize", "x,,,s", "u", mode="linear", keep_aspect_ratio_policy="not_larger"), *POOLED],
        {"s": np.array([1, 3, 9, 30])},
        "has keep_aspect_ratio_policy 'not_larger'",
    ),
    "maximum of regions": (
        [node("RoiAlign", "x,rois,first", "u", mode="max", output_height=2, output_width=2), *POOLED],
        {"rois": np.array([[0, 0, 4, 4]], dtype=np.float32), "first": [0]},
        "RoiAlign by the maximum",
    ),
    "window of padding": (
        [node("MaxPool", "x", "u", kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 2, 2], ceil_mode=1), *POOLED],
        {},
        "MaxPool with ceil_mode",
    ),
    "overhanging mean": (
        [
            node(
                "AveragePool", "x", "u", kernel_shape=[4, 4], strides=[3, 3], pads=[0, 0, 1, 1], ceil_mode=1, **COUNTED
            ),
            *POOLED,
        ],
        {},
        "AveragePool with ceil_mode",
    ),
    "random": (grown(node("RandomUniformLike", "y", "k")), {}, "RandomUniform draws random numbers"),
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_costs_too_much_or_changes_is_refused_before_it_runs(tmp_path: Path, name: str) -> None:
    nodes, held, message = COSTLY[name]
    path = save(tmp_path / "model.onnx", nodes, [("z", FLOAT, LABELS)], held=held)
    start = time.process_time()
    with pytest.raises(RefusedFileError, match=message) as caught:
        load(path)
    assert time.process_time() - start < 2.0
    assert "\n" not in str(caught.value)


def test_a_short_loop_is_right(tmp_path: Path) -> None:
    nodes, held = turns(3)
    path = save(tmp_path / "model.onnx", nodes, [("z", FLOAT, LABELS)], held=held)
    np.testing.assert_allclose(scores(load(path)), softmax(normalized()), atol=1e-6)
