"""What a network is fed and taken to be: told with its source, said by options, in run keys, right in gradients."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from semrob_env.errors import InvalidParameterError, RefusedFileError
from semrob_env.functions import make_function
from semrob_env.scene.classifiers import openvino_file
from semrob_env.scene.classifiers import options as options_module
from semrob_env.scene.classifiers.base import IMAGENET_MEAN, IMAGENET_STD, Classifier, Preprocessing
from semrob_env.scene.classifiers.network_spec import NetworkSpec
from semrob_env.scene.classifiers.options import NetworkOptions, trust_model_file
from semrob_env.scene.classifiers.registry import forget_networks, load_network
from semrob_env.scene.classifiers.torch_module import Backend, TorchClassifier
from semrob_env.types import Float32Array

SIZE, LABELS = 12, 4
SHOWN: Float32Array = np.random.default_rng(0).random((3, 3, SIZE, SIZE), dtype=np.float32)
CLASSES = np.array([0, 3, 1])


@pytest.fixture(autouse=True)
def no_trust_and_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options_module, "_TRUSTED", set())
    monkeypatch.setattr(openvino_file, "_try_out", lambda *told: None)  # takes a second each
    forget_networks()


class Plain(torch.nn.Module):
    """Takes numbers (1, 3, size, size), or channels last; told apart: the weight of each channel is another one."""

    def __init__(self, *, is_last: bool = False, scale: float = 1.0) -> None:
        super().__init__()
        self.is_last, self.scale = is_last, scale
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.nn.Parameter(torch.randn(3 * SIZE * SIZE, LABELS, generator=generator) * 0.05)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = images.permute(0, 3, 1, 2) if self.is_last else images
        return torch.tanh(self.scale * first.float().flatten(1) @ self.weight)


def expected(fed: npt.NDArray[Any], scale: float = 1.0) -> npt.NDArray[np.float64]:
    weight = Plain().weight.detach().numpy().astype(np.float64)
    powers = np.exp(np.tanh(scale * fed.reshape(len(fed), -1).astype(np.float64) @ weight))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def by_hand(
    images: Float32Array, low: float, high: float, mean: float | list[float], std: float | list[float]
) -> npt.NDArray[np.float64]:
    """Pixel by pixel, as a training script would: to the range, then mean and std of r, g, b."""
    fed = low + (high - low) * images.astype(np.float64)
    return (fed - np.reshape(np.broadcast_to(mean, 3), (3, 1, 1))) / np.reshape(np.broadcast_to(std, 3), (3, 1, 1))


FEEDS: dict[str, tuple[dict[str, Any], npt.NDArray[np.float64]]] = {
    "nothing said": ({}, by_hand(SHOWN, 0, 1, list(IMAGENET_MEAN), list(IMAGENET_STD))),
    "mean and std": ({"mean": "0.5,0.4,0.3", "std": "0.2"}, by_hand(SHOWN, 0, 1, [0.5, 0.4, 0.3], 0.2)),
    "minus one to one": ({"range": "-1-1"}, by_hand(SHOWN, -1, 1, 0, 1)),
    "bytes as floats": ({"range": "0-255"}, by_hand(SHOWN, 0, 255, 0, 1)),
    "as Caffe": (
        {"range": "0-255", "mean": "123,117,104", "channels": "bgr"},
        by_hand(SHOWN, 0, 255, [123, 117, 104], 1)[:, ::-1],
    ),
    "blue first": ({"range": "0-1", "channels": "bgr"}, by_hand(SHOWN, 0, 1, 0, 1)[:, ::-1]),
}


@pytest.mark.parametrize("backend", ["openvino", "torch"])
@pytest.mark.parametrize(("name", "is_last"), [(name, place % 2 == 1) for place, name in enumerate(FEEDS)])
def test_what_is_said_is_what_a_module_is_fed(name: str, is_last: bool, backend: Backend) -> None:
    said, fed = FEEDS[name]
    options = NetworkOptions(layout="nhwc" if is_last else "", **said)
    scale = 1 / 255 if "255" in said.get("range", "") else 1.0
    feed = options.feed(Preprocessing(SIZE))
    classifier = TorchClassifier(Plain(is_last=is_last, scale=scale), feed, name="own", backend=backend)
    wanted = expected(fed, scale)[np.arange(3), CLASSES]
    np.testing.assert_allclose(classifier.scores(SHOWN, CLASSES), wanted, atol=1e-6)
    values, gradients = classifier.scores_and_gradients(SHOWN, CLASSES)
    np.testing.assert_allclose(values, wanted, atol=1e-6)
    # Differences of the formula by hand, in some pixels of every channel.
    step = 1e-3
    for at in [(0, 0, 0, 0), (0, 1, 5, 7), (1, 2, 11, 3), (2, 0, 4, 4), (2, 2, 8, 8)]:
        sides = []
        for sign in (1, -1):
            moved = SHOWN.astype(np.float64)
            moved[at] += sign * step
            sides.append(classifier.scores(moved.astype(np.float32), CLASSES)[at[0]])
        assert gradients[at] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=0.02, abs=5e-4)


def test_bytes_are_whole_numbers_and_have_no_gradient() -> None:
    feed = NetworkOptions(range="bytes", channels="bgr", layout="nhwc").feed(Preprocessing(SIZE))
    for backend in ("openvino", "torch"):
        classifier = TorchClassifier(Plain(is_last=True, scale=1 / 255), feed, name="own", backend=backend)
        whole = np.rint(255 * SHOWN)[:, ::-1]
        np.testing.assert_allclose(
            classifier.scores(SHOWN, CLASSES), expected(whole, 1 / 255)[np.arange(3), CLASSES], atol=1e-6
        )
        assert not classifier.has_gradient
    with pytest.raises(InvalidParameterError, match="bytes is the picture itself: leave mean and std away"):
        NetworkOptions(range="bytes", mean="0.5").feed(Preprocessing(SIZE))


def test_every_feed_has_a_run_key_and_an_id_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "own.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls TorchScript an old format
        torch.jit.trace(Plain(), torch.zeros(1, 3, SIZE, SIZE)).save(path)  # type: ignore[no-untyped-call]
    trust_model_file(str(path))
    common = NetworkOptions(str(path), size=SIZE)
    texts = [
        "",
        "?mean=0.5",
        "?std=0.5",
        "?range=0-255",
        "?range=-1-1",
        "?channels=bgr",
        "?answers=probabilities",
        "?mean=0.5&channels=bgr",
    ]
    keys, ids = set(), set()
    for text in texts:
        spec = NetworkSpec.parse(f"file:{path}{text}", common)
        assert NetworkSpec.parse(str(spec)) == spec
        said = "".join(f"&{name}={value}" for name, value in spec.in_ids().items())
        function = make_function(f"scene:file/cup/procedural:0?params=azimuth{said}&label=1")
        assert make_function(function.id).fingerprints == function.fingerprints
        keys.add(str(sorted(function.fingerprints[0].items())))
        ids.add(function.id)
    assert len(keys) == len(ids) == len(texts)
    same = [NetworkSpec.parse(f"file:{path}?mean={mean}", common) for mean in ("0.5", "0.50%2C.5%2C0.5")]
    assert same[0] == same[1]


def onnx_file(
    path: Path, shape: tuple[int | str, ...] = (1, 3, SIZE, SIZE), *, ends: str = "", begins: str = "", kind: int = 1
) -> Path:
    """A model that any size fits: a convolution, the mean over the image, and LABELS answers."""
    onnx = pytest.importorskip("onnx", reason="writes the tests' models")
    helper, rng = onnx.helper, np.random.default_rng(1)
    held = {"W": rng.normal(size=(6, 3, 3, 3)), "G": rng.normal(size=(6, LABELS)), "H": np.array(0.5)}
    nodes = [helper.make_node(begins, ["x", "H"], ["s"])] if begins else []
    nodes += [
        helper.make_node("Conv", ["s" if begins else "x", "W"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "G"], ["y"]),
    ]
    nodes += [helper.make_node(ends, ["y"], ["z"])] if ends else []
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("z" if ends else "y", 1, None)],
        [onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in held.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def told(classifier: Classifier) -> dict[str, str]:
    return {
        premise.what: f"{'! ' * premise.is_assumed}{premise.value} ({premise.source})"
        for premise in classifier.premises
    }


def test_a_file_that_takes_any_size_wants_to_be_told_its_own(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "any.onnx", ("n", 3, "h", "w"))
    with pytest.raises(RefusedFileError, match=r"any size, .* give the size it was trained at: --size PIXELS"):
        load_network("file", options=NetworkOptions(str(path)))
    with pytest.raises(RefusedFileError, match="size=PIXELS"):
        make_function(f"scene:file/cup/procedural:0?weights={path}&label=1")
    one, other = (load_network("file", options=NetworkOptions(str(path), size=size)) for size in (64, 224))
    assert told(one)["input"] == "64 x 64 pixels (as asked: size)"
    assert one.fingerprint != other.fingerprint
    state = tmp_path / "model.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Plain(), torch.zeros(1, 3, SIZE, SIZE)).save(state)  # type: ignore[no-untyped-call]
    trust_model_file(str(state))
    with pytest.raises(RefusedFileError, match="does not tell the size of its images; give the size it was trained at"):
        load_network("file", options=NetworkOptions(str(state)))


def test_an_exported_program_tells_its_size(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(Plain(is_last=True), (torch.zeros(1, SIZE, SIZE, 3),)), path)
    trust_model_file(str(path))
    classifier = load_network("file", options=NetworkOptions(str(path), range="0-1"))
    assert classifier.preprocessing.size == SIZE
    assert classifier.preprocessing.layout == "nhwc"
    assert told(classifier)["input"] == "12 x 12 pixels (from the shape (1, 12, 12, 3) in the file)"
    np.testing.assert_allclose(classifier.scores(SHOWN, CLASSES), expected(SHOWN)[np.arange(3), CLASSES], atol=1e-6)


def test_premises_say_what_is_a_guess_and_what_is_not(tmp_path: Path) -> None:
    def made(name: str, options: dict[str, Any] | None = None, **how: Any) -> dict[str, str]:
        path = onnx_file(tmp_path / f"{name}.onnx", **how)
        return told(load_network("file", options=NetworkOptions(str(path), **(options or {}))))

    plain = made("plain")
    assert plain["input"] == "12 x 12 pixels (from the shape [1,3,12,12] in the file)"
    assert plain["normalization"].startswith("! mean and std of ImageNet; rgb (assumed, as the file says nothing;")
    assert plain["answers"].startswith("logits (rows sum to ")
    assert plain["classes"].startswith("4 without names (nothing names them: --labels FILE")
    assert "its first step is Subtract: it may normalize by itself" in made("own", begins="Sub")["normalization"]
    assert made("soft", ends="Softmax")["answers"] == "probabilities (their rows sum to 1)"
    assert made("sigmoid", ends="Sigmoid")["answers"].startswith("! logits (assumed, though all lie in 0 to 1")
    forced = made("forced", {"answers": "probabilities"}, ends="Sigmoid")["answers"]
    assert forced.startswith("probabilities (as asked; rows sum to ")
    partly = made("partly", {"channels": "bgr"})["normalization"]
    assert partly.startswith("! mean and std of ImageNet; bgr (assumed")
    assert partly.endswith("as asked: channels)")
    asked = made("asked", {"mean": "0.5", "std": "0.5"})["normalization"]
    assert asked == "numbers -1 to 1; rgb (as asked: mean, std)"


def test_named_networks_tell_where_their_numbers_come_from() -> None:
    lite = told(load_network("efficientnet_lite0"))
    assert lite["input"] == "224 x 224 pixels (from its authors' code)"
    assert not any(text.startswith("!") for text in lite.values())


def test_sigmoids_that_are_forced_are_their_own_scores(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "sigmoid.onnx", ends="Sigmoid")
    raw, forced = (
        load_network("file", options=NetworkOptions(str(path), answers=answers)) for answers in ("", "probabilities")
    )
    rows = np.stack([forced.scores(SHOWN, np.full(3, label)) for label in range(LABELS)], axis=1)
    powers = np.exp(rows)
    wanted = (powers / powers.sum(axis=1, keepdims=True))[np.arange(3), CLASSES]
    np.testing.assert_allclose(raw.scores(SHOWN, CLASSES), wanted, atol=1e-6)
    assert raw.fingerprint["answers"] != forced.fingerprint["answers"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"mean": "0.5,0.5"}, "mean '0.5,0.5': give one number or three"),
        ({"mean": "nan"}, "give one number or three"),
        ({"std": "0"}, "std '0': give one number or three, comma separated; std above 0"),
        ({"range": "0-2"}, "range '0-2': choose 0-1, 0-255, -1-1, bytes"),
        ({"channels": "gbr"}, "channels 'gbr': choose rgb, bgr"),
        ({"layout": "hwc"}, "layout 'hwc': choose nchw, nhwc"),
        ({"answers": "odds"}, "answers 'odds': choose logits, probabilities"),
        ({"size": 5000}, "size 5000: give 1 to 2048 pixels"),
        ({"factory": "os.system"}, "factory 'os.system': write module:function"),
    ],
)
def test_what_cannot_be_said_is_one_line(said: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        NetworkOptions(**said)


def test_what_contradicts_the_file_or_itself_is_refused(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "own.onnx")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"layout": "nhwc"}, "which is not nhwc"),
        ({"range": "bytes"}, "takes f32, so range bytes is not its"),
    ]
    for said, message in cases:
        with pytest.raises(RefusedFileError, match=message):
            load_network("file", options=NetworkOptions(str(path), **said))
    with pytest.raises(InvalidParameterError, match="leave it or mean away"):
        load_network("file", unnormalized=True, options=NetworkOptions(str(path), mean="0.5"))
    with pytest.raises(InvalidParameterError, match="efficientnet_lite0 is made by its own name; leave factory="):
        load_network("efficientnet_lite0", options=NetworkOptions(factory="a:b"))
