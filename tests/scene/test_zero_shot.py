"""Classifiers by words: formula, gradients, callables, and a tiny random CLIP of transformers where that is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from semrob_env.errors import ClassifierError, InvalidParameterError
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.zero_shot import CLIP_MEAN, CLIP_STD, transformers_clip, zero_shot
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.shapes import make_shape
from semrob_env.types import Float32Array

SIZE, NAMES = 32, ("a cup", "a seat", "a lamp")
SHOWN: Float32Array = np.random.default_rng(0).random((3, 3, SIZE, SIZE), dtype=np.float32)
CLASSES = np.array([0, 2, 1])
FEED = Preprocessing(SIZE, CLIP_MEAN, CLIP_STD)


class Eyes(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 5, stride=4), torch.nn.Tanh(), torch.nn.Flatten())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.layers(images)
        return features


WIDTH = Eyes()(torch.zeros(1, 3, SIZE, SIZE)).shape[1]


def read(sentences: Sequence[str]) -> npt.NDArray[np.float64]:
    return np.array([
        np.random.default_rng(len(sentence) * 7 + ord(sentence[-2])).normal(size=WIDTH) for sentence in sentences
    ])


def by_hand(templates: Sequence[str], scale: float) -> npt.NDArray[np.float64]:
    """Radford et al., section 3.1, a sentence and an image at a time."""
    mean, std = (np.array(own).reshape(3, 1, 1) for own in (CLIP_MEAN, CLIP_STD))
    rows = []
    for image in SHOWN:
        with torch.no_grad():
            features = Eyes()(torch.from_numpy(((image - mean) / std)[None].astype(np.float32)))[0].numpy()
        logits = []
        for name in NAMES:
            units = [own / np.linalg.norm(own) for own in read([template.format(name) for template in templates])]
            middle = np.mean(units, axis=0)
            cosine = features @ middle / np.linalg.norm(features) / np.linalg.norm(middle)
            logits.append(scale * cosine)
        powers = np.exp(np.array(logits) - max(logits))
        rows.append(powers / powers.sum())
    return np.array(rows)


TEMPLATES = ("a photo of {}.", "a render of {}!")


def test_a_torch_encoder_and_a_plain_one_answer_as_the_formula_and_one_has_gradients() -> None:
    wanted = by_hand(TEMPLATES, 20.0)[np.arange(3), CLASSES]
    common: dict[str, Any] = {"preprocessing": FEED, "templates": TEMPLATES, "scale": 20.0}
    eyes = Eyes()

    def plain(images: Float32Array) -> Float32Array:
        with torch.no_grad():
            answer: Float32Array = eyes(torch.from_numpy(images)).numpy()
        return answer

    by_torch, by_call = (zero_shot(images, read, NAMES, **common) for images in (eyes, plain))
    for classifier in (by_torch, by_call):
        np.testing.assert_allclose(classifier.scores(SHOWN, CLASSES), wanted, atol=2e-6)
        assert classifier.classes.index("A seat") == 1
        assert str(classifier.premises[-1]) == "classes: 3: a cup, a seat, a lamp, ... (as given, in sentences)"
    assert (by_torch.has_gradient, by_call.has_gradient) == (True, False)
    _, gradients = by_torch.scores_and_gradients(SHOWN, CLASSES)
    at, step = (1, 2, 9, 9), 1e-2
    sides = []
    for sign in (1, -1):
        moved = SHOWN.copy()
        moved[at] += sign * step
        sides.append(by_torch.scores(moved, CLASSES)[1])
    assert gradients[at] == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=0.05)
    others = zero_shot(eyes, read, NAMES, preprocessing=FEED, templates=("{} here",), scale=20.0)
    assert others.fingerprint["weights"] != by_torch.fingerprint["weights"]


def test_what_cannot_be_a_classifier_by_words_is_told() -> None:
    for wrong in ({"classes": ("one",)}, {"templates": ("no braces",)}, {"scale": 0.0}):
        given: dict[str, Any] = {"classes": NAMES, "preprocessing": FEED, **wrong}
        with pytest.raises(InvalidParameterError, match=r"two classes or more, templates with \{\} in each"):
            zero_shot(Eyes(), read, **given)
    with pytest.raises(ClassifierError, match=r"texts answered \(3,\) to 1 sentences"):
        zero_shot(Eyes(), lambda sentences: np.zeros(3), NAMES, preprocessing=FEED)


@pytest.mark.slow
def test_a_tiny_clip_of_transformers_scores_renders() -> None:
    transformers = pytest.importorskip("transformers", reason="pip install semrob[clip]")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = transformers.CLIPModel(
        transformers.CLIPConfig(
            text_config={**sizes, "vocab_size": 99, "max_position_embeddings": 16, "eos_token_id": 98},
            vision_config={**sizes, "image_size": SIZE, "patch_size": 8},
            projection_dim=12,
        )
    ).eval()

    def tokenizer(sentences: Sequence[str], **how: Any) -> dict[str, torch.Tensor]:
        del how
        rows = [[ord(letter) % 97 for letter in sentence[-15:]] + [98] for sentence in sentences]
        return {
            "input_ids": torch.tensor(rows),
            "attention_mask": torch.ones(len(rows), len(rows[0]), dtype=torch.long),
        }

    classifier = transformers_clip(model, tokenizer, NAMES)
    mean, std = (torch.tensor(own).reshape(3, 1, 1) for own in (CLIP_MEAN, CLIP_STD))
    tokens = [tokenizer([f"a photo of a {name}."]) for name in NAMES]
    with torch.no_grad():
        images = ((torch.from_numpy(SHOWN) - mean) / std).float()
        logits = torch.cat([model(pixel_values=images, **own).logits_per_image for own in tokens], dim=1)
    wanted = torch.softmax(logits, dim=1).numpy()
    found = np.stack([classifier.scores(SHOWN, np.full(3, label)) for label in range(3)], axis=1)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    scene = SceneFunction(classifier, [make_shape("cup", 0)], [0], SemanticSpace.of("azimuth,elevation"))
    values, gradients = scene.values_and_gradients(np.array([[[200.0, 10.0]]]))
    assert 0 < values[0, 0] < 1
    assert np.isfinite(gradients).all()
