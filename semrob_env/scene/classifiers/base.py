"""What the scene function asks of a classifier, and how pictures are prepared for a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import ClassifierError, InvalidParameterError, NoGradientError, UnknownNameError
from semrob_env.scene.classifiers.labels import IMAGENET_CLASSES, Labels
from semrob_env.scene.classifiers.premises import ASSUMED, Premise, Sources
from semrob_env.scene.classifiers.score_kinds import (
    LOGISTIC_SCORES,
    SCORE_RANGES,
    ScoreKind,
    probabilities_of,
    score_of,
)
from semrob_env.types import Float32Array, FloatArray, IntArray

INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
"""How photographs may be resized, in Pillow's words."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue, in picture units: what most networks for ImageNet are trained with."""

DEFAULT_SIZE = 224

Channels = Literal["rgb", "bgr"]
Layout = Literal["nchw", "nhwc"]


@final
@dataclass(frozen=True)
class Preprocessing:
    """How a picture in [0, 1] becomes a network's input: (picture - mean) / std, at size x size pixels.

    Photographs are resized and cut to that size first, by rules that come with a network's weights. Renders are made
    at the input size itself, so there is nothing to resize or to cut: of those rules only the size is used.

    Attributes:
        size: Height and width of the input in pixels.
        mean: Of red, green and blue, in picture units, whatever the order of the channels.
        std: Of red, green and blue, in picture units.
        channels: Order in which the network takes them.
        layout: Whether channels come before rows and columns, or after them.
        is_bytes: The input is whole numbers, round(255 * picture), with no mean and std: it has no gradient.
        sources: Who says so, for people: no part of what it is.
        photo_ratio: Shorter side of a photograph before its middle is cut out, by the size; as the next, no part of
            what it is for renders.
        interpolation: One of `INTERPOLATIONS`, by which a photograph is resized.

    Raises:
        InvalidParameterError: Numbers that are not finite, a std that is not above 0, mean or std of bytes, or another
            order or layout.
    """

    size: int = DEFAULT_SIZE
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    channels: Channels = "rgb"
    layout: Layout = "nchw"
    is_bytes: bool = False
    sources: Sources = field(default=Sources(), compare=False)
    photo_ratio: float = field(default=256 / 224, compare=False)
    interpolation: str = field(default="bilinear", compare=False)

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            raise InvalidParameterError(f"interpolation {self.interpolation!r}: choose {', '.join(INTERPOLATIONS)}")
        if not 1 <= self.photo_ratio <= 8:
            raise InvalidParameterError(f"photo_ratio {self.photo_ratio}: give 1 to 8 times the size")
        numbers = np.array([*self.mean, *self.std], dtype=np.float64)
        if numbers.shape != (6,) or not np.isfinite(numbers).all() or min(self.std) <= 0:
            raise InvalidParameterError(f"mean {self.mean} and std {self.std}: give 3 finite numbers each, std above 0")
        if self.channels not in {"rgb", "bgr"} or self.layout not in {"nchw", "nhwc"}:
            raise InvalidParameterError(
                f"channels {self.channels!r} and layout {self.layout!r}: choose rgb or bgr, nchw or nhwc"
            )
        if self.is_bytes and not self.is_plain:
            raise InvalidParameterError("an input of bytes is the picture itself: leave mean and std away")

    @property
    def is_plain(self) -> bool:
        """Whether pictures are fed as they are: mean 0, std 1."""
        return self.mean == (0.0, 0.0, 0.0) and self.std == (1.0, 1.0, 1.0)

    def unnormalized(self) -> Preprocessing:
        """The feed of the paper's released code: pictures in [0, 1] as they are (method section 1)."""
        sources = replace(self.sources, numbers="as asked: unnormalized")
        return replace(self, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), sources=sources)

    @property
    def photo_side(self) -> int:
        """Shorter side of a photograph, in pixels, before its middle is cut out."""
        return round(self.size * self.photo_ratio)

    def fed(self, images: Float32Array) -> Float32Array | npt.NDArray[np.uint8]:
        """Pictures (N, 3, H, W) in [0, 1] as the network takes them."""
        fed: Float32Array | npt.NDArray[np.uint8]
        if self.is_bytes:
            fed = np.rint(255.0 * images).astype(np.uint8)
        else:
            mean, std = (np.array(own, dtype=np.float32).reshape(3, 1, 1) for own in (self.mean, self.std))
            fed = (images - mean) / std
        fed = fed[:, ::-1] if self.channels == "bgr" else fed
        return np.ascontiguousarray(fed.transpose(0, 2, 3, 1) if self.layout == "nhwc" else fed)

    @property
    def identity(self) -> str:
        """Text that enters run keys; what concerns photographs alone is in those of `photo:` functions."""
        others = {"channels": self.channels, "layout": self.layout, "bytes": self.is_bytes}
        usual = {"channels": "rgb", "layout": "nchw", "bytes": False}
        changed = "".join(f";{name}={value}" for name, value in others.items() if value != usual[name])
        return f"size={self.size};mean={self.mean};std={self.std}{changed}"

    @property
    def premises(self) -> tuple[Premise, ...]:
        """What it says of the input, and who says so."""
        order = self.channels if self.layout == "nchw" else f"{self.channels}, channels last"
        if (self.mean, self.std) == (IMAGENET_MEAN, IMAGENET_STD):
            numbers = "mean and std of ImageNet"
        elif self.is_bytes:
            numbers = "none, bytes 0 to 255"
        elif len({*self.mean}) == len({*self.std}) == 1:
            low, high = (round((shade - self.mean[0]) / self.std[0], 3) for shade in (0, 1))
            numbers = f"numbers {low:g} to {high:g}"
        else:
            mean, std = (" ".join(f"{number:.4g}" for number in own) for own in (self.mean, self.std))
            numbers = f"mean {mean}, std {std} of r g b in 0 to 1"
        return (
            Premise(
                "input", f"{self.size} x {self.size} pixels", self.sources.size or _made(self.size == DEFAULT_SIZE)
            ),
            Premise("normalization", f"{numbers}; {order}", self.sources.numbers or _made(self.mean == IMAGENET_MEAN)),
        )


AS_MADE = "as made in Python"
"""Source of what the code that made a classifier says."""


def _made(is_default: bool) -> str:
    return f"{AS_MADE}, or left at its default" if is_default else AS_MADE


@final
@dataclass(frozen=True)
class Answer:
    """A class that a network sees in a picture.

    Attributes:
        index: Number of the class.
        name: Its shortest name; its number where nobody named it.
        probability: Of the class, by the network.
    """

    index: int
    name: str
    probability: float


class Classifier(ABC):
    """Scores pictures (N, 3, H, W), float32 in [0, 1]; each picture is answered alone, whatever the batch.

    Args:
        name: What messages call it.
        preprocessing: Its input size and normalisation.
        labels: Number of classes.
        has_gradient: Whether `scores_and_gradients` works.
        fingerprint: Facts that enter run keys: hashes of weights and code, preprocessing, backend.
        score: What a score is; a step (`top1`) has no gradient.
        categories: Name of each class; None: not told.

    Attributes:
        score_range: Lowest and highest score.
        is_logistic: Whether a score becomes a unit score as a logit margin does (`UnitScale`).
    """

    def __init__(
        self,
        name: str,
        preprocessing: Preprocessing,
        labels: int,
        *,
        has_gradient: bool,
        fingerprint: dict[str, str],
        score: ScoreKind = "softmax",
        categories: Sequence[str] | None = None,
    ) -> None:
        self.name = name
        self.preprocessing = preprocessing
        self.labels = labels
        self.has_gradient = has_gradient and score != "top1"
        self.score: ScoreKind = score
        self.score_range = SCORE_RANGES[score]
        self.is_logistic = score in LOGISTIC_SCORES
        self.classes = Labels(name, labels, None if categories is None else tuple(categories))
        self._facts = {"classifier": name, "preprocessing": preprocessing.identity, **fingerprint}
        self._facts |= {} if score == "softmax" else {"score": score}
        if preprocessing.size < 1 or labels < 2:
            raise InvalidParameterError(
                f"{name}: input size {preprocessing.size} and {labels} classes; give at least 1 pixel and 2 classes"
            )

    @final
    @property
    def premises(self) -> tuple[Premise, ...]:
        """What the network is taken to be, and who says so; print it before you believe a score."""
        names, source = self.classes.names, self.preprocessing.sources.classes or AS_MADE
        if names is not None:
            shown = ", ".join(name.partition(",")[0] for name in names[:3])
            told = Premise("classes", f"{self.labels}: {shown}, ...", source)
        elif self.labels == IMAGENET_CLASSES:
            source = self.preprocessing.sources.classes or f"{ASSUMED} for {IMAGENET_CLASSES} classes: --labels FILE"
            told = Premise("classes", f"{self.labels}, those of ImageNet", source)
        else:
            told = Premise("classes", f"{self.labels} without names", "nothing names them: --labels FILE, or an index")
        return (*self.preprocessing.premises, self._answers_premise(), told)

    def _answers_premise(self) -> Premise:
        """What its answers are taken for."""
        return Premise("answers", "probabilities", AS_MADE)

    @final
    @property
    def fingerprint(self) -> dict[str, str]:
        """Facts that enter run keys; those of the weights as they are now."""
        self._follow()
        return dict(self._facts)

    @final
    def scores(self, images: Float32Array, class_index: IntArray) -> FloatArray:
        """Scores (N,) of classes (N,) for pictures (N, 3, H, W).

        Raises:
            ClassifierError: The answer has the wrong shape. NaN and range are the function's to judge.
            UnknownNameError: A class index outside 0..labels-1.
        """
        self.check_classes(class_index)
        self._follow()
        answers = self._told(images)
        return self._in_range(np.asarray(score_of(self.score, answers, class_index), dtype=np.float64))

    @final
    def probabilities(self, images: Float32Array) -> FloatArray:
        """Probabilities (N, labels) of all classes for pictures (N, 3, H, W), whatever a score is.

        Raises:
            ClassifierError: The answer has the wrong shape.
        """
        self._follow()
        answers = np.asarray(self._told(images), dtype=np.float64)
        return answers if self.score == "softmax" else probabilities_of(answers)

    @final
    def scores_and_probabilities(self, images: Float32Array, class_index: IntArray) -> tuple[FloatArray, FloatArray]:
        """`scores` (N,) of classes (N,) and `probabilities` (N, labels) of all classes, from one answer of the network.

        Raises:
            ClassifierError, UnknownNameError: As `scores`.
        """
        self.check_classes(class_index)
        self._follow()
        answers = self._told(images)
        scores = self._in_range(np.asarray(score_of(self.score, answers, class_index), dtype=np.float64))
        everything = np.asarray(answers, dtype=np.float64)
        return scores, everything if self.score == "softmax" else probabilities_of(everything)

    @final
    def top(self, images: Float32Array, count: int = 3) -> list[tuple[Answer, ...]]:
        """The classes of highest probability for each picture (N, 3, H, W), the highest first.

        Raises:
            ClassifierError: As `probabilities`.
            InvalidParameterError: Not at least one class.
        """
        if count < 1:
            raise InvalidParameterError(f"the first {count} answers: give at least 1")
        probabilities = self.probabilities(images)
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
        return [
            tuple(Answer(int(index), self.classes.name(int(index)), float(row[index])) for index in indices)
            for row, indices in zip(probabilities, order, strict=True)
        ]

    @final
    def scores_and_gradients(self, images: Float32Array, class_index: IntArray) -> tuple[FloatArray, Float32Array]:
        """Scores (N,) and their gradients in the image, (N, 3, H, W).

        The scores may differ from those of `scores` by rounding: where OpenVINO answers, another graph computes them.

        Raises:
            NoGradientError: The classifier has none.
        """
        if not self.has_gradient:
            kind = " of score top1" if self.score == "top1" else ""
            raise NoGradientError(f"{self.name}{kind} has no gradient; use finite differences")
        self.check_classes(class_index)
        self._follow()
        values, gradients = self._scores_and_gradients(images, class_index)
        if np.shape(values) != (len(images),) or gradients.shape != images.shape:
            raise ClassifierError(
                f"{self.name} answered scores {np.shape(values)} and gradients {gradients.shape} to {images.shape}"
            )
        return self._in_range(np.asarray(values, dtype=np.float64)), gradients

    @final
    def probe(self, image: Float32Array, class_index: int) -> None:
        """Ask for one picture (3, H, W) before any query, so that a broken classifier is told at once.

        Raises:
            ClassifierError: The score is NaN or outside `score_range`.
        """
        score = float(self.scores(image[None], np.array([class_index]))[0])
        low, high = self.score_range
        if not low <= score <= high:
            raise ClassifierError(
                f"{self.name} scores the start-up picture {score}; a score lies in [{low:g}, {high:g}]: check weights "
                "and softmax"
            )

    @final
    def check_classes(self, class_index: IntArray) -> None:
        """Refuse classes that the classifier does not have.

        Raises:
            UnknownNameError: An index outside 0..labels-1.
        """
        if class_index.size and (class_index.min() < 0 or class_index.max() >= self.labels):
            raise UnknownNameError(
                f"class index {class_index.min()}..{class_index.max()}: {self.name} has classes 0..{self.labels - 1}"
            )

    def _follow(self) -> None:  # noqa: B027 (most have nothing to follow)
        """Called before every answer: take over what has changed in a network that others go on training."""

    def _told(self, images: Float32Array) -> FloatArray | Float32Array:
        answers = self._answers(images)
        if answers.shape != (len(images), self.labels):
            raise ClassifierError(
                f"{self.name} answered shape {answers.shape} to {len(images)} pictures; "
                f"must be ({len(images)}, {self.labels})"
            )
        return answers

    @abstractmethod
    def _answers(self, images: Float32Array) -> FloatArray | Float32Array:
        """Probabilities (N, labels) where the score is `softmax`, else logits up to a constant a row."""

    def _scores_and_gradients(
        self, images: Float32Array, class_index: IntArray
    ) -> tuple[FloatArray | Float32Array, Float32Array]:
        """Scores (N,) and gradients (N, 3, H, W); required where `has_gradient`."""
        del images, class_index
        raise NoGradientError(f"{type(self).__name__} says has_gradient but implements no _scores_and_gradients")

    def _in_range(self, scores: FloatArray) -> FloatArray:
        """Scores at most `ROUNDING` outside the range put back to its ends; what is farther out stays to be told."""
        nearest = np.clip(scores, *self.score_range)
        return np.where(np.abs(scores - nearest) <= ROUNDING, nearest, scores)


ROUNDING = 1e-6
"""How far outside its range a float32 score may round."""
