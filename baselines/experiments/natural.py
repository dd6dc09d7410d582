"""What networks answer to natural photographs: read, asked in batches, kept by the digests of files; and the figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np

from baselines.experiments.answers import KeptAnswers, answer_key
from semrob_env.errors import (
    InvalidParameterError,
    InvalidPictureError,
    MissingFileError,
    RefusedFileError,
    SemrobError,
)
from semrob_env.files import file_digest, require_regular
from semrob_env.metrics.ranks import average_precision, average_precision_interval
from semrob_env.metrics.survey import exact_interval
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.natural import PhotoSet
from semrob_env.scene.photo import VERSION, plain_image
from semrob_env.scene.pictures import MOST_BYTES, read_picture
from semrob_env.types import BoolArray, Float32Array, FloatArray, IntArray

BATCH: Final = 32
"""Photographs that a network is asked at once: what a kill can lose."""

BLOCK: Final = 512
"""Photographs whose kept answers are looked up at once."""

OnPhotos = Callable[[int], None]
"""Is told how many more photographs are done."""


@final
@dataclass(frozen=True, eq=False)
class PhotoAnswers:
    """Answers of one network to the photographs of a set.

    Attributes:
        photos: The set.
        first: Class of the highest probability among the candidates, (N,); -1 where the photograph cannot be read.
        confidence: Highest probability of all classes, (N,); NaN where it cannot.
        asked: How many were asked now; the others were kept.
        unread: Why photographs could not be read, one line each.
    """

    photos: PhotoSet
    first: IntArray
    confidence: FloatArray
    asked: int
    unread: tuple[str, ...]

    @property
    def is_read(self) -> BoolArray:
        """Which photographs were answered, (N,)."""
        return self.first >= 0

    @property
    def right(self) -> int:
        """How many answers are the class of the folder."""
        return int((self.first == np.array(self.photos.labels)).sum())


@final
@dataclass(frozen=True)
class Figure:
    """Accuracy or AUPR, as a share, with its 95 % interval: of other photographs that are taken alike.

    Attributes:
        estimate, low, high: NaN ends where there is no interval.
        photos: How many photographs it counts.
        right: Right answers; None: an AUPR.
        chance: What answers by chance give.
    """

    estimate: float
    low: float
    high: float
    photos: int
    right: int | None
    chance: float


def check_network(classifier: Classifier) -> None:
    """Refuse a network whose classes are not those of ImageNet-1k, in their order.

    Raises:
        InvalidParameterError: It is one.
    """
    if not classifier.classes.is_imagenet:
        raise InvalidParameterError(
            f"{classifier.name} has {classifier.labels} classes, not the 1000 of ImageNet-1k in their order, by which "
            "these photographs are labelled; give another network"
        )


def photo_answers(
    classifier: Classifier, photos: PhotoSet, kept: KeptAnswers | None = None, on_photos: OnPhotos | None = None
) -> PhotoAnswers:
    """Ask a network for every photograph of a set.

    Args:
        classifier: Of ImageNet's classes.
        photos: The set.
        kept: Answers by digests of files and of all that decides about an answer; None: ask all.
        on_photos: See `OnPhotos`.

    Raises:
        InvalidParameterError: As `check_network`.
        InvalidPictureError: No photograph can be read.
        ClassifierError: As `Classifier.probabilities`.
    """
    check_network(classifier)
    own = classifier.preprocessing
    facts = (classifier.fingerprint, own.identity, own.photo_side, own.interpolation, VERSION, list(photos.candidates))
    candidates = np.array(photos.candidates)
    first, confidence = np.full(len(photos), -1), np.full(len(photos), np.nan)
    unread: list[str] = []
    asked = 0
    for begin in range(0, len(photos), BLOCK):
        keys = {}
        for place in range(begin, min(begin + BLOCK, len(photos))):
            path = Path(photos.root, photos.photos[place])
            try:
                require_regular(path, MOST_BYTES)
                keys[place] = answer_key("photo", *facts, file_digest(path))
            except (MissingFileError, RefusedFileError, OSError) as error:
                unread.append(str(error))
        found = kept.find(list(keys.values())) if kept else {}
        for place, key in keys.items():
            if key in found:
                first[place], confidence[place] = int(found[key][0]), found[key][1]
        missing = [place for place, key in keys.items() if key not in found]
        done = min(BLOCK, len(photos) - begin) - len(missing)
        if on_photos:
            on_photos(done)
        for start in range(0, len(missing), BATCH):
            batch = missing[start : start + BATCH]
            places, images = _images(photos, batch, classifier, unread)
            if places:
                answers = classifier.probabilities(np.stack(images))
                first[places] = candidates[answers[:, candidates].argmax(axis=1)]
                confidence[places] = answers.max(axis=1)
                asked += len(places)
                if kept:
                    kept.add({keys[place]: (float(first[place]), float(confidence[place])) for place in places})
            if on_photos:
                on_photos(len(batch))
    if not (first >= 0).any():
        raise InvalidPictureError(f"{photos.root}: none of {len(photos)} photographs can be read: {unread[0]}")
    return PhotoAnswers(photos, first, confidence, asked, tuple(unread))


def _images(
    photos: PhotoSet, places: Sequence[int], classifier: Classifier, unread: list[str]
) -> tuple[list[int], list[Float32Array]]:
    readable, images = [], []
    for place in places:
        try:
            picture = read_picture(Path(photos.root, photos.photos[place]))
            images.append(plain_image(picture, classifier.preprocessing))
            readable.append(place)
        except SemrobError as error:
            unread.append(str(error))
    return readable, images


def accuracy_of(answers: PhotoAnswers) -> Figure:
    """Share of right answers, with the exact interval; those that cannot be read do not count."""
    count = int(answers.is_read.sum())
    low, high = exact_interval(answers.right, count)
    return Figure(
        answers.right / count, float(low), float(high), count, answers.right, 1 / len(answers.photos.candidates)
    )


def anomaly_of(unknown: PhotoAnswers, known: PhotoAnswers) -> Figure:
    """AUPR of doubt, 1 less the highest probability of all classes: photographs of no class should score high."""
    strange, usual = (1 - own.confidence[own.is_read] for own in (unknown, known))
    estimate = average_precision(strange, usual)
    low, high = average_precision_interval(estimate, len(strange))
    count = len(strange) + len(usual)
    return Figure(estimate, low, high, count, None, len(strange) / count)
