"""The score function of a photograph: f(theta) = score of its label when the photo is turned, moved, tilted, corrupted.

Ids: `photo:NETWORK/LABEL/SOURCE?params=rotation,shift_x`, where LABEL is a class of the network (its name or index) and
SOURCE is `file:PATH` or `folder:PATH#NAME`. Further options, left out where they have their default, are those of
`PhotoId`. The question is that of Engstrom et al., *Exploring the Landscape of Spatial Robustness* (ICML 2019, arXiv
1712.02779), here asked for regions of changes, not for the worst single one.

How a photo becomes an image. As the network's weights ask, its shorter side is resized to a number of pixels (256 for
an input of 224, unless they say otherwise) and the middle is cut out: at the default point the image is to the last
bit what that preprocessing gives. A change moves the window over the resized photo, so that what comes in at the
borders is the photo's own margin, and `beyond` that black, the border, or the mirror image. `margin=none` cuts first,
so that only the middle moves and black comes in at once, as in attack libraries.

The photo is a plane, seen by a camera with an opening angle of 60 degrees; it is tilted about its vertical middle
(tilt_x) and its horizontal middle (tilt_y), then scaled, sheared, rotated and shifted in the image. Between pixels it
is interpolated bilinearly, and the gradient is the exact one of that. Corruptions of the image come after.

Nothing is averaged where a photo is shrunk: at a scale of 0.5 fine patterns may show as coarser ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar, Final, final

import numpy as np
from PIL import Image

from semrob_env.errors import InvalidParameterError, InvalidPictureError, ShapeMismatchError, UnknownNameError
from semrob_env.parameters import CORRUPTION_PARAMETERS, PARAMETERS, PHOTO_PARAMETERS, SemanticSpace
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.image_function import ImageFunction, ImageId, resolved
from semrob_env.scene.pictures import Picture, Pixels
from semrob_env.scene.sources.photos import PHOTO, canonical_photo, load_photo
from semrob_env.scene.warp import EDGE, REFLECT, ZERO, warp
from semrob_env.types import Float32Array, FloatArray

VERSION: Final = 1
"""Goes up with every change of the pixels, so that stored runs are never mixed."""

BEYOND: Final[Mapping[str, int]] = {"black": ZERO, "edge": EDGE, "reflect": REFLECT}
"""What may be beyond a photo."""

MARGINS: Final = ("photo", "none")
"""Whether the photo's own margin comes in around the middle that is cut out."""

MOST_ASPECT: Final = 32
"""Longest side of a photo by its shortest."""

_DEPTH: Final = 1 / np.tan(np.deg2rad(30.0))
"""Distance of the camera from the photo, in half sides."""

_Factor = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""Gives for B values of a parameter matrices (B, 3, 3) from the changed photo back to the plain one, x to the right and
y down in half sides, and their derivatives per native unit."""


def _pair(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    matrix, derivative = np.zeros((2, len(values), 3, 3))
    matrix[:] = np.eye(3)
    return matrix, derivative


def _shift(axis: int, sense: float) -> _Factor:
    def factor(length: FloatArray) -> tuple[FloatArray, FloatArray]:
        matrix, derivative = _pair(length)
        matrix[:, axis, 2], derivative[:, axis, 2] = -sense * length, -sense
        return matrix, derivative

    return factor


def _rotation(degrees: FloatArray) -> tuple[FloatArray, FloatArray]:
    matrix, derivative = _pair(degrees)
    angle, unit = np.deg2rad(degrees), np.pi / 180
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix[:, 0, 0] = matrix[:, 1, 1] = cosine
    matrix[:, 0, 1], matrix[:, 1, 0] = sine, -sine
    derivative[:, 0, 0] = derivative[:, 1, 1] = -unit * sine
    derivative[:, 0, 1], derivative[:, 1, 0] = unit * cosine, -unit * cosine
    return matrix, derivative


def _shear(degrees: FloatArray) -> tuple[FloatArray, FloatArray]:
    matrix, derivative = _pair(degrees)
    angle = np.deg2rad(degrees)
    matrix[:, 0, 1], derivative[:, 0, 1] = np.tan(angle), np.pi / 180 / np.cos(angle) ** 2
    return matrix, derivative


def _scale(factor: FloatArray) -> tuple[FloatArray, FloatArray]:
    matrix, derivative = _pair(factor)
    for axis in (0, 1):
        matrix[:, axis, axis], derivative[:, axis, axis] = 1 / factor, -1 / factor**2
    return matrix, derivative


def _tilt(axis: int, sense: float) -> _Factor:
    """What is on the positive side of an axis, times `sense`, turns away; the perspective's own inverse."""

    def factor(degrees: FloatArray) -> tuple[FloatArray, FloatArray]:
        matrix, derivative = _pair(degrees)
        angle, unit = np.deg2rad(degrees), np.pi / 180
        cosine, tangent = np.cos(angle), np.tan(angle)
        matrix[:, axis, axis], derivative[:, axis, axis] = 1 / cosine, unit * tangent / cosine
        matrix[:, 2, axis], derivative[:, 2, axis] = -sense * tangent / _DEPTH, -sense * unit / cosine**2 / _DEPTH
        return matrix, derivative

    return factor


_FACTORS: Final[Mapping[str, _Factor]] = {
    "tilt_x": _tilt(0, 1.0),
    "tilt_y": _tilt(1, -1.0),
    "scale": _scale,
    "shear": _shear,
    "rotation": _rotation,
    "shift_x": _shift(0, 1.0),
    "shift_y": _shift(1, -1.0),
}
"""From the photo to the image; their product, in this order, leads back."""

assert set(_FACTORS) == set(PHOTO_PARAMETERS)


@final
class _Prepared:
    """A photo as it is looked up: resized, with the place of the middle that the network sees unchanged."""

    def __init__(self, picture: Picture, preprocessing: Preprocessing, margin: str) -> None:
        pixels = resized(picture.pixels, preprocessing)
        size, (height, width) = preprocessing.size, pixels.shape[:2]
        self.top, self.left = round((height - size) / 2.0), round((width - size) / 2.0)
        if margin == "none":
            pixels = pixels[self.top : self.top + size, self.left : self.left + size]
            self.top = self.left = 0
        self.digest = hashlib.sha256(repr((pixels.shape, self.top, self.left)).encode() + pixels.tobytes()).hexdigest()
        self.values: Float32Array = pixels.astype(np.float32) / np.float32(255)


def resized(pixels: Pixels, preprocessing: Preprocessing) -> Pixels:
    """A photo (H, W, 3) with the shorter side that the preprocessing asks for, the longer one in proportion.

    Raises:
        InvalidPictureError: One side is more than `MOST_ASPECT` times the other.
    """
    height, width = pixels.shape[:2]
    short = min(height, width)
    if max(height, width) > MOST_ASPECT * short:
        raise InvalidPictureError(f"a photo of {width} x {height} pixels: one side is more than {MOST_ASPECT} times")
    side = preprocessing.photo_side
    shape = (int(side * width / short), int(side * height / short))
    if shape == (width, height):
        return pixels
    kind = Image.Resampling[preprocessing.interpolation.upper()]
    return np.asarray(Image.fromarray(pixels).resize(shape, kind))


def plain_image(picture: Picture, preprocessing: Preprocessing) -> Float32Array:
    """The image (3, S, S) in [0, 1] of an unchanged photo: resized as the weights ask, its middle cut out.

    Raises:
        InvalidPictureError: As `resized`.
    """
    image: Float32Array = _Prepared(picture, preprocessing, "none").values.transpose(2, 0, 1)
    return image


@final
class PhotoFunction(ImageFunction):
    """A family of photos under 2-D changes, seen by one classifier; see the module for how.

    Args:
        classifier: Scores images.
        photos: One a member.
        class_indices: The class that each member is scored for.
        space: Parameters that theta sets; the others keep their defaults.
        names: One id a member; None: built from the photos' hashes, which `make_function` does not know.
        beyond: One of `BEYOND`.
        margin: One of `MARGINS`.
        noise_seed: See `ImageFunction`.

    Raises:
        ShapeMismatchError: Not one class a photo.
        UnknownNameError: A class index that the classifier does not have, or a parameter that no photo has.
        InvalidPictureError: A photo that is too long.
        InvalidParameterError: Another `beyond` or `margin`.
    """

    def __init__(
        self,
        classifier: Classifier,
        photos: Sequence[Picture],
        class_indices: Sequence[int],
        space: SemanticSpace,
        *,
        names: Sequence[str] | None = None,
        beyond: str = "black",
        margin: str = "photo",
        noise_seed: int = 0,
    ) -> None:
        if len(class_indices) != len(photos):
            raise ShapeMismatchError(f"{len(photos)} photos and {len(class_indices)} classes; give one a photo")
        known = (*PHOTO_PARAMETERS, *CORRUPTION_PARAMETERS)
        unknown = [name for name in space.names if name not in known]
        if unknown:
            raise UnknownNameError(f"parameter {unknown[0]!r}: a photo has none such; it has {', '.join(known)}")
        _check_options(beyond, margin)
        self._photos = [_Prepared(photo, classifier.preprocessing, margin) for photo in photos]
        self._beyond = beyond
        super().__init__(
            classifier,
            class_indices,
            space,
            names or [f"photo-object:{classifier.name}/{photo.digest[:12]}" for photo in photos],
            noise_seed=noise_seed,
        )

    @property
    def fingerprints(self) -> tuple[dict[str, str], ...]:
        """Per member: hashes of weights, as they are now, and of the photo as it is looked up; versions."""
        common = {**self.classifier.fingerprint, "warp": f"{VERSION}?beyond={self._beyond}"}
        common |= self.corruptions.fingerprint
        return tuple(
            {**common, "photo": photo.digest, "class_index": str(index)}
            for photo, index in zip(self._photos, self.class_indices, strict=True)
        )

    def described(self, member: int) -> str:
        """The size of the photo as it is looked up."""
        height, width, _ = self._photos[member].values.shape
        return f"a photo, resized to {width} x {height} pixels"

    def _pictures(self, member: int, theta: FloatArray) -> Float32Array:
        return self._warped(member, theta, ())[0]

    def _pictures_and_slopes(self, member: int, theta: FloatArray) -> tuple[Float32Array, Float32Array]:
        return self._warped(member, theta, self.own_names)

    def _warped(self, member: int, theta: FloatArray, parameters: Sequence[str]) -> tuple[Float32Array, Float32Array]:
        photo, size = self._photos[member], self.classifier.preprocessing.size
        given = dict(zip(self.own_names, theta.T, strict=True))
        default = np.ones(len(theta))
        pairs = {name: factor(given.get(name, default * PARAMETERS[name].default)) for name, factor in _FACTORS.items()}
        factors = {name: matrix for name, (matrix, _) in pairs.items()}
        images = np.empty((len(theta), 3, size, size), dtype=np.float32)
        slopes = np.empty((len(theta), len(parameters), 3, size, size), dtype=np.float32)
        matrices = _in_pixels(_product(factors), size, photo)
        tangents = np.zeros((len(theta), len(parameters), 3, 3))
        for k, name in enumerate(parameters):
            change = _product(factors | {name: pairs[name][1]})
            tangents[:, k] = _in_pixels(change, size, photo)
        for view in range(len(theta)):
            warp(photo.values, matrices[view], tangents[view], BEYOND[self._beyond], images[view], slopes[view])
        return images, slopes


def _product(factors: Mapping[str, FloatArray]) -> FloatArray:
    return reduce(np.matmul, [factors[name] for name in _FACTORS])


def _in_pixels(matrices: FloatArray, size: int, photo: _Prepared) -> FloatArray:
    """From pixels of the image to pixels of the photo; no rounding where a matrix is the identity."""
    half = size / 2
    scaled = matrices.copy()
    scaled[..., :2, 2] *= half
    scaled[..., 2, :2] /= half
    before = np.array([[1.0, 0.0, -half], [0.0, 1.0, -half], [0.0, 0.0, 1.0]])
    after = np.array([[1.0, 0.0, photo.left + half], [0.0, 1.0, photo.top + half], [0.0, 0.0, 1.0]])
    return np.ascontiguousarray(after @ (scaled @ before))


def _check_options(beyond: str, margin: str) -> None:
    if beyond not in BEYOND:
        raise InvalidParameterError(f"beyond {beyond!r}: choose {', '.join(BEYOND)}")
    if margin not in MARGINS:
        raise InvalidParameterError(f"margin {margin!r}: choose {' or '.join(MARGINS)}")


@final
@dataclass(frozen=True)
class PhotoId(ImageId):
    """The parts of a `photo:` id; `str` gives the canonical text, in which options at their default are left out.

    Attributes:
        network: Name of a network, as `canonical_network` reads it.
        class_name: Escaped name or index of the class that the photo is scored for.
        source: `file:PATH` or `folder:PATH#NAME`, escaped.
        params: Parameter names, comma separated, as `SemanticSpace.of` reads them.
        feed: `normalized`, or `unnormalized`: images in [0, 1] as they are.
        size: Image size; 0: the network's own.
        score: Option of the network, as the next three and `output`: `softmax`, `margin` or `top1`.
        weights: Escaped path.
        labels: Escaped path.
        device: Of torch.
        label: Escaped name or index of the class to score, where it is not `class_name`, which then is a mere word.
        alias: What tables call the network; empty: `network`.
        output: Escaped name of an output; see `NetworkOptions`.
        mean: As the next six, see `NetworkOptions`.
        std: Of the network.
        range: Of the network.
        channels: Of the network.
        layout: Of the network.
        answers: Of the network.
        factory: Of the network.
        noise_seed: Chooses the pattern of the parameter `noise`.
        beyond: What is beyond the photo: `black`, `edge` or `reflect`.
        margin: `photo`, or `none`: nothing but the middle that the network sees is moved.
    """

    network: str
    class_name: str
    source: str
    params: str = "rotation,shift_x"
    feed: str = "normalized"
    size: int = 0
    score: str = "softmax"
    weights: str = ""
    labels: str = ""
    device: str = "cpu"
    label: str = ""
    alias: str = ""
    output: str = ""
    mean: str = ""
    std: str = ""
    range: str = ""
    channels: str = ""
    layout: str = ""
    answers: str = ""
    factory: str = ""
    noise_seed: int = 0
    beyond: str = "black"
    margin: str = "photo"

    scheme: ClassVar[str] = PHOTO
    example: ClassVar[str] = "photo:NETWORK/LABEL/file:PATH"

    def __post_init__(self) -> None:
        self._check()
        _check_options(self.beyond, self.margin)


def make_photo_function(function_id: str) -> PhotoFunction:
    """The function of a `photo:` id; networks are shared within a process.

    Raises:
        UnknownNameError: Unknown network, class or parameter.
        InvalidParameterError: A malformed id.
        InvalidPictureError: The photo cannot be used.
        MissingExtraError, MissingFileError, RefusedFileError, ClassifierError: Photo or network cannot be loaded.
    """
    own = PhotoId.parse(function_id)
    own, classifier, index, space = resolved(own, canonical_photo(own.source))
    return PhotoFunction(
        classifier,
        [load_photo(own.source)],
        [index],
        space,
        names=[str(own)],
        beyond=own.beyond,
        margin=own.margin,
        noise_seed=own.noise_seed,
    )
