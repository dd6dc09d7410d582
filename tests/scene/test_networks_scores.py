"""Score kinds and class names: margins and top answers with their ranges, indices, names, ambiguity, label files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from semrob_env.errors import (
    AmbiguousNameError,
    ClassifierError,
    InvalidParameterError,
    MissingFileError,
    NoGradientError,
    UnknownNameError,
)
from semrob_env.functions import make_function
from semrob_env.oracle import Queries, QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.classes import CLASS_INDEX, IMAGENET_NAME
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.classifiers.labels import Labels, imagenet_categories, read_labels
from semrob_env.scene.classifiers.score_kinds import MARGIN_BOUND, ScoreKind, logits_of, score_kind, score_of
from semrob_env.scene.classifiers.torch_module import Backend, TorchClassifier
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.shapes import make_shape
from semrob_env.types import Float32Array, IntArray

SIZE = 24
SPACE = SemanticSpace.of("azimuth,elevation")
IMAGENET = Labels("net", 1000)


def small_network() -> torch.nn.Module:
    torch.manual_seed(0)
    head = torch.nn.Linear(8 * 36, 5)
    with torch.no_grad():
        head.weight.mul_(8.0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        head,
    )


def images(count: int) -> tuple[Float32Array, IntArray]:
    rng = np.random.default_rng(5)
    return rng.random((count, 3, SIZE, SIZE), dtype=np.float32), rng.integers(0, 5, count)


def test_the_margin_is_the_logit_minus_the_best_other_and_is_cut() -> None:
    logits = np.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [500.0, 1.0, 2.0], [np.nan, 1.0, 2.0]])
    found = score_of("margin", logits, np.array([0, 1, 0, 1]))
    np.testing.assert_array_equal(found, [1.0, -2.0, MARGIN_BOUND, np.nan])
    np.testing.assert_array_equal(score_of("top1", logits, np.array([0, 1, 0, 1])), [1.0, 0.0, 1.0, np.nan])


def test_margins_of_probabilities_are_those_of_their_logits() -> None:
    logits = np.random.default_rng(0).normal(size=(6, 4))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    classes = np.arange(6) % 4
    expected = score_of("margin", logits, classes)
    np.testing.assert_allclose(score_of("margin", logits_of(probabilities), classes), expected)
    certain = logits_of(np.array([[1.0, 0.0, 0.0]]).repeat(2, axis=0))
    np.testing.assert_array_equal(score_of("margin", certain, np.array([0, 1])), [MARGIN_BOUND, -MARGIN_BOUND])


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_margins_and_their_gradients_are_those_of_autograd(backend: Backend) -> None:
    network = small_network()
    classifier = TorchClassifier(network, Preprocessing(SIZE), name="small", backend=backend, score="margin")
    shown, classes = images(9)
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (Preprocessing().mean, Preprocessing().std))
    leaf = torch.from_numpy(shown).requires_grad_(True)
    logits = network((leaf - mean) / std)
    own = logits[torch.arange(9), torch.from_numpy(classes)]
    others = torch.stack([torch.cat([row[:c], row[c + 1 :]]).max() for row, c in zip(logits, classes, strict=True)])
    (slopes,) = torch.autograd.grad((own - others).sum(), leaf)
    expected = (own - others).detach().numpy()

    values, gradients = classifier.scores_and_gradients(shown, classes)
    assert classifier.backend_in_use("gradients") == backend
    assert classifier.score_range == (-MARGIN_BOUND, MARGIN_BOUND)
    np.testing.assert_allclose(values, expected, atol=1e-4)
    np.testing.assert_allclose(classifier.scores(shown, classes), expected, atol=1e-4)
    np.testing.assert_allclose(gradients, slopes.numpy(), atol=1e-4)


def test_top1_is_a_step_without_gradient() -> None:
    network = small_network()
    top1 = TorchClassifier(network, Preprocessing(SIZE), name="small", score="top1")
    softmax = TorchClassifier(network, Preprocessing(SIZE), name="small")
    shown, classes = images(20)
    best = softmax.probabilities(shown).argmax(axis=1)
    np.testing.assert_array_equal(top1.scores(shown, classes), (best == classes).astype(np.float64))
    with pytest.raises(NoGradientError, match="small of score top1 has no gradient; use finite differences"):
        top1.scores_and_gradients(shown, classes)
    assert top1.fingerprint["score"] == "top1"
    assert "score" not in softmax.fingerprint
    with pytest.raises(InvalidParameterError, match="score 'best': choose softmax, margin, top1"):
        score_kind("best")


@pytest.mark.parametrize("score", ["softmax", "margin", "top1"])
def test_probabilities_and_the_first_answers_do_not_depend_on_what_a_score_is(score: ScoreKind) -> None:
    shown, _ = images(4)
    network = small_network()
    told = TorchClassifier(network, Preprocessing(SIZE), name="small", score=score)
    with torch.inference_mode():
        mean, std = (torch.tensor(own).reshape(1, 3, 1, 1) for own in (Preprocessing().mean, Preprocessing().std))
        expected = torch.softmax(network((torch.from_numpy(shown) - mean) / std), dim=1).double().numpy()
    np.testing.assert_allclose(told.probabilities(shown), expected, atol=1e-6)
    for row, answers in zip(expected, told.top(shown, 2), strict=True):
        assert [own.index for own in answers] == np.argsort(-row)[:2].tolist()
        assert [own.name for own in answers] == [str(own.index) for own in answers]  # nobody named them
        np.testing.assert_allclose([own.probability for own in answers], np.sort(row)[::-1][:2], atol=1e-6)
    with pytest.raises(InvalidParameterError, match="give at least 1"):
        told.top(shown, 0)


def test_a_function_of_margins_has_their_range_and_gradients() -> None:
    classifier = TorchClassifier(small_network(), Preprocessing(SIZE), name="small", score="margin")
    function = SceneFunction(classifier, [make_shape("cup", 0)], [3], SPACE)
    assert function.score_range == (-MARGIN_BOUND, MARGIN_BOUND)
    theta = SPACE.sample(4, np.random.default_rng(0))[None]
    values, gradients = function.values_and_gradients(theta)
    np.testing.assert_allclose(values, function.values(theta), atol=1e-4)
    assert values.min() < 0
    assert np.abs(gradients).max() > 0


def test_a_callable_that_throws_half_way_is_one_line_and_its_call_is_free() -> None:
    calls: list[int] = []

    def service(shown: Float32Array) -> Float32Array:
        calls.append(len(shown))
        if len(calls) == 4:
            raise TimeoutError("no answer\nfrom the server")
        return np.full((len(shown), 2), 0.5, dtype=np.float32)

    classifier = BlackBoxClassifier(service, labels=2, size=SIZE, name="service")
    oracle = QueryOracle(SceneFunction(classifier, [make_shape("cup", 0)], [0], SPACE))

    def ask(count: int) -> None:
        theta = SPACE.sample(count, np.random.default_rng(0))[None]
        oracle.query(Queries(theta, np.zeros(1, dtype=np.int64), np.ones((1, count), dtype=np.bool_)))

    ask(5)  # after the probe
    with pytest.raises(ClassifierError, match="service failed on 8 pictures, none is charged: TimeoutError: no answer"):
        ask(40)  # in two chunks; the second one throws
    assert calls == [1, 5, 32, 8]
    assert oracle.spent[0] == 5
    ask(3)
    assert oracle.spent[0] == 8


def test_the_papers_names_stand_for_the_papers_indices() -> None:
    categories = imagenet_categories()
    for name, index in CLASS_INDEX.items():
        assert IMAGENET.index(name) == index
        assert categories[index] == IMAGENET_NAME[name]
        assert IMAGENET.name(index) == name


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("404", 404),
        ("airliner", 404),
        ("Folding_Chair", 559),
        ("great white shark", 2),
        ("rifle", 413),  # the paper's; ImageNet's own "rifle" is 764
    ],
)
def test_an_index_or_a_name_of_imagenet_means_one_class(text: str, index: int) -> None:
    assert IMAGENET.index(text) == index


def test_a_name_of_several_classes_is_an_error_that_lists_them() -> None:
    fits = r"'cardigan' fits several of net: 264 Cardigan, 474 cardigan; give the index"
    with pytest.raises(AmbiguousNameError, match=fits):
        IMAGENET.index("cardigan")
    with pytest.raises(AmbiguousNameError, match="2 great white shark, 3 tiger shark"):
        IMAGENET.index("shark")
    assert IMAGENET.name(264) == "264"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1000", r"class 1000: net has classes 0\.\.999"),
        ("-1", "class '-1' is not known"),
        ("9" * 5000, "class 9999"),
        ("dragon", "'dragon' is not known to net; known are aeroplane.* near: 48 Komodo dragon"),
        ("airlinr", "near: .*404 airliner"),
        ("", "class '' is not known"),
    ],
)
def test_an_unknown_class_is_told_with_what_is_near(text: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message) as caught:
        IMAGENET.index(text)
    assert len(str(caught.value)) < 400


def test_other_label_sets_bring_their_own_names() -> None:
    own = Labels("mine", 3, ("mug, cup", "chair", "a/b"))
    assert [own.index(text) for text in ("cup", "MUG", "chair", "2", "a/b")] == [0, 0, 1, 2, 2]
    assert [own.name(index) for index in range(3)] == ["mug", "chair", "2"]
    with pytest.raises(UnknownNameError, match="'rifle' is not known to mine; give an index"):
        own.index("rifle")
    with pytest.raises(UnknownNameError, match=r"'cup': ten has 10 classes and no names .* give an index 0\.\.9"):
        Labels("ten", 10).index("cup")
    with pytest.raises(InvalidParameterError, match="2 labels for mine, which has 3 classes"):
        Labels("mine", 3, ("a", "b"))


def test_a_thousand_classes_of_another_set_are_not_imagenets() -> None:
    own = Labels("other", 1000, tuple(f"thing {index}" for index in range(1000)))
    assert own.index("thing 7") == 7
    with pytest.raises(UnknownNameError, match="'cup' is not known to other"):
        own.index("cup")


def test_labels_are_read_from_lines_or_json(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_text("cup\n\nfolding chair\n")
    assert read_labels(path) == ("cup", "folding chair")
    path.write_text('["a", "b, c"]')
    assert read_labels(path) == ("a", "b, c")
    for content, message in (("[1, 2]", "give one name a line"), ("[", "no JSON list"), ("", "give one name a line")):
        path.write_text(content)
        with pytest.raises(InvalidParameterError, match=message):
            read_labels(path)
    path.write_bytes(b"\xff\x00")
    for missing in (path, tmp_path / "none"):
        with pytest.raises(MissingFileError, match="cannot read labels"):
            read_labels(missing)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        (b"\xef\xbb\xbfcup\r\nchair\r\n", ("cup", "chair")),
        (2 * b"\xef\xbb\xbfcup\n", ("cup", "cup")),
        (b'\xef\xbb\xbf["cup",\n"chair"]', ("cup", "chair")),
        ("cup\nchair".encode("utf-16"), ("cup", "chair")),
        ('["cup", "chair"]'.encode("utf-32"), ("cup", "chair")),
        ("a\u2028b\nc\x0cd\re\x85f".encode(), ("a\u2028b", "c\x0cd", "e\x85f")),
    ],
)
@pytest.mark.parametrize("suffix", ["txt", "json"])
def test_labels_are_known_by_their_bytes_and_end_at_line_ends(
    tmp_path: Path, suffix: str, data: bytes, names: tuple[str, ...]
) -> None:
    path = tmp_path / f"labels.{suffix}"
    path.write_bytes(data)
    assert read_labels(path) == names


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[" * 100_000, "are no JSON list"),
        (b'["a", " "]', "give one name a line, or a JSON list of names"),
        (b'{"0": "cup"}', "give one name a line, or a JSON list of names"),
        (b"\x0c\n \n", "give one name a line, or a JSON list of names"),
        (b'["\\ud800"]', "cannot be written into ids and tables"),
        (b"a\0b", "cannot be written into ids and tables"),
    ],
    ids=["deep", "blank", "object", "nothing", "surrogate", "null"],
)
def test_other_labels_are_refused_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "labels"
    path.write_bytes(data)
    with pytest.raises(InvalidParameterError, match=message) as caught:
        read_labels(path)
    assert "\n" not in str(caught.value)


def test_labels_that_never_end_are_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes(5 * 2**20))
    for path in (tmp_path / "pipe", tmp_path / "large", "/dev/zero"):
        with pytest.raises(MissingFileError, match="cannot read labels"):
            read_labels(path)
    with pytest.raises(MissingFileError, match="cannot read labels /dev/zero"):
        make_function("scene:efficientnet_lite0/cup/procedural:0?labels=/dev/zero")
