"""Classifiers by words, as CLIP: an image is compared with sentences about each class, in a space that both share.

Radford et al., Learning Transferable Visual Models From Natural Language Supervision (ICML 2021, arXiv 2103.00020),
section 3.1: the features of the sentences of a class are normalized, averaged and normalized again; logits are cosines
times a scale that was learned, at most 100.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import torch

from semrob_env.errors import ClassifierError, InvalidParameterError
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.classifiers.premises import Sources
from semrob_env.scene.classifiers.score_kinds import ScoreKind, probabilities_of
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.types import Float32Array

TEMPLATES: Final = ("a photo of a {}.",)
"""Sentences about a class, whose name stands for the braces."""

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""What CLIP's images are normalized with (its code, `clip.py`): others than ImageNet's."""

Encoder = Callable[[Any], Any]


def zero_shot(
    images: torch.nn.Module | Encoder,
    texts: Encoder,
    classes: Sequence[str],
    *,
    preprocessing: Preprocessing,
    templates: Sequence[str] = TEMPLATES,
    scale: float = 100.0,
    name: str = "zero_shot",
    score: ScoreKind = "softmax",
    device: str = "cpu",
) -> Classifier:
    """The classifier of two encoders; with a gradient where the one of images is a torch module.

    Args:
        images: From images (N, 3, size, size), as `preprocessing` makes them, to features (N, d). A torch module is
            asked as every other one, with gradients; any other callable gets and gives arrays.
        texts: From a list of T sentences to features (T, d), an array or tensor; called once a class.
        classes: Name of each class, as it stands in the sentences; two or more.
        preprocessing: How images are made; `Preprocessing(224, CLIP_MEAN, CLIP_STD)` for CLIP.
        templates: Sentences, each with `{}` where the name stands.
        scale: What cosines are multiplied by, the exponential of CLIP's `logit_scale`.
        name: What messages and run keys call it; without a torch module name the version, as weights cannot be hashed.
        score: What a score is.
        device: Of torch.

    Raises:
        InvalidParameterError: No template with braces, fewer than two classes, or a scale that is not above 0.
        ClassifierError: The encoders do not answer features of one length.
    """
    if len(classes) < 2 or not templates or not all("{}" in template for template in templates) or not scale > 0:
        raise InvalidParameterError("zero_shot: give two classes or more, templates with {} in each, a scale above 0")
    sentences = _sentences(texts, classes, templates)
    told = replace(preprocessing, sources=replace(preprocessing.sources, classes="as given, in sentences"))
    if isinstance(images, torch.nn.Module):
        module = _Similarity(images, torch.from_numpy(sentences), scale)
        return TorchClassifier(
            module, told, name=name, score=score, categories=classes, device=device, answers="logits"
        )

    def probabilities(shown: Float32Array) -> npt.NDArray[Any]:
        features = _normalized(_array(images(told.fed(shown))))
        if features.ndim != 2 or features.shape[1] != sentences.shape[1]:
            raise ClassifierError(f"{name}: features {features.shape} of images, {sentences.shape} of sentences")
        return probabilities_of(scale * features @ sentences.T)

    digest = hashlib.sha256(sentences.tobytes()).hexdigest()[:12]
    return BlackBoxClassifier(
        probabilities,
        labels=len(classes),
        name=f"{name}@{digest}-{scale:g}",
        score=score,
        categories=classes,
        preprocessing=told,
    )


def transformers_clip(
    model: Any,
    tokenizer: Any,
    classes: Sequence[str],
    *,
    templates: Sequence[str] = TEMPLATES,
    name: str = "clip",
    score: ScoreKind = "softmax",
    device: str = "cpu",
) -> Classifier:
    """`zero_shot` of a `CLIPModel` of transformers, or a model like it, and its tokenizer.

    Args:
        model: It is put into eval mode; has `vision_model`, `visual_projection`, `get_text_features`, `logit_scale` and
            `config.vision_config.image_size`.
        tokenizer: Called with a list of sentences, `padding=True`, `truncation=True`, `return_tensors="pt"`.
        classes: See `zero_shot`, as all that follow.
        templates: Sentences.
        name: Of the classifier.
        score: What a score is.
        device: Of torch.

    Raises:
        InvalidParameterError, ClassifierError: As `zero_shot`.
    """
    model.eval()

    def texts(sentences: Sequence[str]) -> Any:
        with torch.no_grad():
            tokens = tokenizer(list(sentences), padding=True, truncation=True, return_tensors="pt")
            return _features(model.get_text_features(**tokens))

    sources = Sources("from the model's config", "CLIP's own mean and std")
    return zero_shot(
        _ImageFeatures(model),
        texts,
        classes,
        preprocessing=Preprocessing(int(model.config.vision_config.image_size), CLIP_MEAN, CLIP_STD, sources=sources),
        templates=templates,
        scale=float(model.logit_scale.detach().exp()),
        name=name,
        score=score,
        device=device,
    )


@final
class _Similarity(torch.nn.Module):
    """Cosines of the features of images with those of sentences (labels, d), times a scale."""

    sentences: torch.Tensor

    def __init__(self, images: torch.nn.Module, sentences: torch.Tensor, scale: float) -> None:
        super().__init__()
        self.images, self.scale = images, scale
        self.register_buffer("sentences", sentences)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = _features(self.images(images))
        return self.scale * torch.nn.functional.normalize(features, dim=-1) @ self.sentences.T


@final
class _ImageFeatures(torch.nn.Module):
    """The images' half of a model of transformers."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.vision_model, self.visual_projection = model.vision_model, model.visual_projection

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.visual_projection(self.vision_model(pixel_values=images).pooler_output)
        return features


def _sentences(texts: Encoder, classes: Sequence[str], templates: Sequence[str]) -> Float32Array:
    """Features (labels, d) of classes."""
    rows: list[npt.NDArray[np.float64]] = []
    for own in classes:
        features = _array(texts([template.replace("{}", own) for template in templates]))
        if features.ndim != 2 or len(features) != len(templates) or (rows and features.shape[1] != len(rows[0])):
            raise ClassifierError(f"texts answered {features.shape} to {len(templates)} sentences; must be (T, d)")
        rows.append(_normalized(features).mean(axis=0))
    return _normalized(np.array(rows)).astype(np.float32)


def _features(answer: Any) -> Any:
    """Features of an answer that is a tensor, or holds one as newer models of transformers do."""
    return answer if isinstance(answer, torch.Tensor) else answer.pooler_output


def _array(answer: Any) -> npt.NDArray[np.float64]:
    plain = answer.detach().cpu().numpy() if isinstance(answer, torch.Tensor) else answer
    return np.asarray(plain, dtype=np.float64)


def _normalized(features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    lengths = np.linalg.norm(features, axis=-1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, 1e-12))
