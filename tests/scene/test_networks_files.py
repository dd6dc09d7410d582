"""Whole models in files: ONNX and OpenVINO IR by OpenVINO, TorchScript and torch.export only where trusted."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semrob_env.errors import (
    ClassifierError,
    InvalidParameterError,
    MissingFileError,
    NoGradientError,
    RefusedFileError,
    UnknownNameError,
)
from semrob_env.functions import make_function
from semrob_env.scene.classifiers import openvino_file
from semrob_env.scene.classifiers import options as options_module
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.classifiers.options import NetworkOptions, trust_model_file
from semrob_env.scene.classifiers.quiet_openvino import openvino
from semrob_env.scene.classifiers.registry import forget_networks, load_network
from semrob_env.types import Float32Array

SIZE = 20


@pytest.fixture(autouse=True)
def no_trust_and_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options_module, "_TRUSTED", set())
    monkeypatch.setattr(openvino_file, "_try_out", lambda *told: None)  # takes a second each
    forget_networks()


def small_network(*, ends_in_softmax: bool = False) -> torch.nn.Sequential:
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 8, 5, stride=3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(8 * 36, 7)]
    with torch.no_grad():
        layers[-1].weight.mul_(5.0)  # type: ignore[operator]
    return torch.nn.Sequential(*layers, *([torch.nn.Softmax(1)] if ends_in_softmax else [])).eval()


def images(count: int) -> Float32Array:
    return np.random.default_rng(3).random((count, 3, SIZE, SIZE), dtype=np.float32)


def save(path: Path, module: torch.nn.Module, size: int = SIZE) -> Path:
    """Save a module in the format that the ending names."""
    example = torch.zeros(1, 3, size, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls TorchScript an old format
        if path.suffix == ".pt2":
            torch.export.save(torch.export.export(module, (example,)), path)
        elif path.suffix == ".pt":
            torch.jit.trace(module, example).save(path)  # type: ignore[no-untyped-call]
        elif path.suffix == ".xml":
            openvino.save_model(openvino.convert_model(module, example_input=example), path, compress_to_fp16=False)
        else:
            assert isinstance(module, torch.nn.Sequential)
            path.write_bytes(onnx_bytes(module))
    return path


def onnx_bytes(module: torch.nn.Sequential) -> bytes:
    """The small network as ONNX, written by hand: torch's own exporter needs one package more."""
    onnx = pytest.importorskip("onnx", reason="writes the test's model")
    helper, weights = onnx.helper, module.state_dict()
    nodes = [
        helper.make_node("Conv", ["x", "0.weight", "0.bias"], ["a"], strides=[3, 3]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "3.weight", "3.bias"], ["d"], transB=1),
    ]
    if len(list(module)) == 5:
        nodes.append(helper.make_node("Softmax", ["d"], ["y"], axis=1))
    floats = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", floats, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info(nodes[-1].output[0], floats, None)],
        [onnx.numpy_helper.from_array(value.numpy(), name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())


def load(path: Path, **options: Any) -> Classifier:
    return load_network("file", size=SIZE, options=NetworkOptions(str(path), **options))


def expected(module: torch.nn.Module, shown: Float32Array) -> Float32Array:
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (Preprocessing().mean, Preprocessing().std))
    with torch.no_grad():
        answers: Float32Array = torch.softmax(module((torch.from_numpy(shown) - mean) / std), dim=1).numpy()
    return answers


@pytest.mark.parametrize("ends_in_softmax", [False, True])
@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt", ".pt2"])
def test_a_model_file_answers_as_the_module_it_was_saved_from(
    tmp_path: Path, suffix: str, ends_in_softmax: bool
) -> None:
    path = save(tmp_path / f"model{suffix}", small_network(ends_in_softmax=ends_in_softmax))
    if suffix in (".pt", ".pt2"):
        trust_model_file(str(path))
    classifier = load(path)
    shown, classes = images(9), np.arange(9) % 7
    wanted = expected(small_network(), shown)[np.arange(9), classes]
    found = classifier.scores(shown, classes)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    for rows in ([4], [8, 2, 5]):
        assert classifier.scores(shown[rows], classes[rows]).tobytes() == found[rows].tobytes()
    assert classifier.labels == 7
    assert classifier.name == f"file:{path.name}"


@pytest.mark.parametrize("suffix", [".onnx", ".xml"])
def test_what_openvino_runs_has_values_only(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"model{suffix}", small_network())
    classifier = load(path)
    with pytest.raises(NoGradientError, match="has no gradient; use finite differences"):
        classifier.scores_and_gradients(images(1), np.zeros(1, dtype=np.int64))
    with pytest.raises(InvalidParameterError, match="OpenVINO runs it on the CPU; leave device 'cuda' away"):
        load(path, device="cuda")
    raw = load_network("file", size=SIZE, unnormalized=True, options=NetworkOptions(str(path)))
    assert raw.fingerprint != classifier.fingerprint
    margins = load(path, score="margin").scores(images(3), np.zeros(3, dtype=np.int64))
    logits = np.log(expected(small_network(), images(3)))
    np.testing.assert_allclose(margins, logits[:, 0] - logits[:, 1:].max(axis=1), atol=1e-4)


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_a_file_that_can_run_code_is_loaded_only_where_it_is_trusted(tmp_path: Path, suffix: str) -> None:
    path, other = (save(tmp_path / f"{name}{suffix}", small_network()) for name in ("model", "other"))
    trust_model_file(str(other))
    with pytest.raises(RefusedFileError, match="can run code in them; give --trust-model-file") as caught:
        load(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(RefusedFileError, match="--trust-model-file"):
        make_function(f"scene:file/cup/procedural:0?size={SIZE}&weights={path}&label=1")
    trust_model_file(str(path))
    function = make_function(f"scene:file/cup/procedural:0?size={SIZE}&weights={path}&label=1")
    theta = function.space.sample(2, np.random.default_rng(0))[None]
    values, gradients = function.values_and_gradients(theta)
    np.testing.assert_allclose(values, function.values(theta), atol=1e-6)
    assert np.isfinite(gradients).all()
    with pytest.raises(MissingFileError, match="there is no such model file"):
        trust_model_file(str(tmp_path / "none.pt"))


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".pt", ".pt2"])
def test_a_cut_off_file_is_one_line(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"model{suffix}", small_network())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    trust_model_file(str(path))
    with pytest.raises(RefusedFileError, match="is cut off") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_other_misuses_of_model_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="network file is a whole model: give --weights FILE"):
        load_network("file")
    with pytest.raises(MissingFileError, match=r"none.onnx: there is no such model file"):
        load(tmp_path / "none.onnx")
    (tmp_path / "model.h5").write_bytes(b"x")
    with pytest.raises(RefusedFileError, match=r"no known kind of model file; known endings are .onnx"):
        load(tmp_path / "model.h5")
    path = save(tmp_path / "model.xml", small_network())
    with pytest.raises(RefusedFileError, match=r"does not take images of 64 x 64|cannot run it"):
        load_network("file", size=64, options=NetworkOptions(str(path)))
    path.with_suffix(".bin").unlink()
    with pytest.raises(MissingFileError, match=r"its weights model.bin are not beside it"):
        load(path)
    state = tmp_path / "state.pt"
    torch.save(small_network().state_dict(), state)
    trust_model_file(str(state))
    with pytest.raises(RefusedFileError, match="cannot be read as a TorchScript model"):
        load(state)
    planes = save(tmp_path / "planes.xml", torch.nn.Conv2d(3, 2, 3))
    with pytest.raises(ClassifierError, match=r"answers shape .* to one image; must be"):
        load(planes)


def test_seven_classes_have_imagenets_names_only_from_a_file(tmp_path: Path) -> None:
    path = save(tmp_path / "model.onnx", small_network())
    with pytest.raises(UnknownNameError, match=r"class 'cup': file:model.onnx has 7 classes and no names"):
        load(path).classes.index("cup")
    labels = tmp_path / "labels.json"
    labels.write_text('["a", "b", "cup", "d", "e", "f", "g"]')
    assert load(path, labels=str(labels)).classes.index("cup") == 2
