"""Corruptions of an image as parameters: what each does to a picture in [0, 1], and how a gradient comes back through.

They are applied to a finished picture in this order: blur (the lens), brightness, contrast, saturation, hue (the
processing), noise (the sensor), JPEG (the file). At its default a corruption is left out, and the picture keeps its
bytes. Brightness, contrast and saturation are those of Pillow's ImageEnhance and of torchvision's `adjust_...`, hue
turns in HSV as torchvision's `adjust_hue`; the blur is a Gaussian, cut at four standard deviations, that repeats the
border; noise is a pattern of independent normal numbers, fixed by a seed, times its standard deviation. What leaves
[0, 1] is cut off after every step.

Derivatives are exact but for kinks, where they are those of the side inside [0, 1]. JPEG has none. One view is worked
on at a time, so that its bytes do not depend on the batch.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, final

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.special import ndtri

from semrob_env.parameters.table import CORRUPTION_PARAMETERS, PARAMETERS
from semrob_env.sequences import hashed_uniform
from semrob_env.types import BoolArray, Float32Array, FloatArray, IntArray

_GRAY: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in gray: ITU-R BT.601, as Pillow and torchvision have them."""

VERSION: Final = 1
"""Goes up with every change of the pixels, so that stored runs are never mixed."""

_Pulled = tuple[Float32Array, float]
"""Gradient in the picture before, and in the parameter."""


class _Stage(NamedTuple):
    """What a corruption does with a picture (3, S, S), its value and a seed; and with a gradient after it, or None."""

    forward: Callable[[Float32Array, float, int], Float32Array]
    pull: Callable[[Float32Array, float, int, Float32Array], _Pulled] | None


def _cut(image: Float32Array) -> Float32Array:
    return np.clip(image, np.float32(0), np.float32(1))


def _inside(image: Float32Array) -> BoolArray:
    return np.asarray((image >= 0) & (image <= 1))


def _dot(one: Float32Array, other: Float32Array) -> float:
    return float(np.sum(one * other, dtype=np.float64))


def _gray(image: Float32Array) -> Float32Array:
    """(1, S, S); by sums in one order, not by BLAS, whose order is its own."""
    gray: Float32Array = (image[:1] * _GRAY[0] + image[1:2] * _GRAY[1]) + image[2:] * _GRAY[2]
    return gray


def _gaussian(sigma: float) -> tuple[FloatArray, FloatArray]:
    """Weights of a Gaussian of `sigma` pixels, cut and of sum 1, and their derivatives in it."""
    places = np.arange(-int(np.ceil(4 * sigma)), int(np.ceil(4 * sigma)) + 1)
    raw = np.exp(-0.5 * (places / sigma) ** 2)
    slopes = raw * places**2 / sigma**3
    total, change = raw.sum(), slopes.sum()
    return raw / total, slopes / total - raw * change / total**2


def _along(image: Float32Array, weights: FloatArray, axis: int) -> Float32Array:
    return np.asarray(ndimage.correlate1d(image, weights, axis=axis, mode="nearest"))


def _along_back(upstream: Float32Array, weights: FloatArray, axis: int) -> Float32Array:
    """The transpose of `_along`: what was read from beyond the border falls to the border."""
    radius = len(weights) // 2
    padding = [(radius, radius) if own == axis else (0, 0) for own in range(upstream.ndim)]
    wide = np.moveaxis(ndimage.correlate1d(np.pad(upstream, padding), weights, axis=axis, mode="constant"), axis, 0)
    inner = wide[radius : len(wide) - radius].copy()
    inner[0] += wide[:radius].sum(axis=0)
    inner[-1] += wide[len(wide) - radius :].sum(axis=0)
    return np.asarray(np.moveaxis(inner, 0, axis))


def _blur(image: Float32Array, percent: float, seed: int) -> Float32Array:
    del seed
    weights, _ = _gaussian(percent * image.shape[-1] / 100)
    return _cut(_along(_along(image, weights, 1), weights, 2))


def _blur_back(image: Float32Array, percent: float, seed: int, upstream: Float32Array) -> _Pulled:
    del seed
    pixels = image.shape[-1] / 100
    if percent == 0:
        return upstream, 0.0  # weights of a very narrow Gaussian do not change with it
    weights, slopes = _gaussian(percent * pixels)
    change = _along(_along(image, slopes, 1), weights, 2) + _along(_along(image, weights, 1), slopes, 2)
    return _along_back(_along_back(upstream, weights, 2), weights, 1), pixels * _dot(upstream, change)


def _brightness(image: Float32Array, factor: float, seed: int) -> Float32Array:
    del seed
    return _cut(image * np.float32(factor))


def _brightness_back(image: Float32Array, factor: float, seed: int, upstream: Float32Array) -> _Pulled:
    del seed
    kept = upstream * _inside(image * np.float32(factor))
    return kept * np.float32(factor), _dot(kept, image)


def _blend(image: Float32Array, other: Float32Array, factor: float) -> Float32Array:
    blended: Float32Array = image * np.float32(factor) + other * np.float32(1 - factor)
    return blended


def _mean_gray(image: Float32Array) -> Float32Array:
    return np.full((1, 1, 1), np.mean(_gray(image), dtype=np.float64), np.float32)


def _contrast(image: Float32Array, factor: float, seed: int) -> Float32Array:
    del seed
    return _cut(_blend(image, _mean_gray(image), factor))


def _contrast_back(image: Float32Array, factor: float, seed: int, upstream: Float32Array) -> _Pulled:
    del seed
    mean = _mean_gray(image)
    kept = upstream * _inside(_blend(image, mean, factor))
    shared = _GRAY[:, None, None] * np.float32((1 - factor) * np.sum(kept, dtype=np.float64) / image[0].size)
    return kept * np.float32(factor) + shared, _dot(kept, image - mean)


def _saturation(image: Float32Array, factor: float, seed: int) -> Float32Array:
    del seed
    return _cut(_blend(image, _gray(image), factor))


def _saturation_back(image: Float32Array, factor: float, seed: int, upstream: Float32Array) -> _Pulled:
    del seed
    gray = _gray(image)
    kept = upstream * _inside(_blend(image, gray, factor))
    shared = _GRAY[:, None, None] * ((kept[0] + kept[1]) + kept[2]) * np.float32(1 - factor)
    return kept * np.float32(factor) + shared, _dot(kept, image - gray)


# By the channels of the largest and the smallest value: where the sextant begins, and which way its hue grows.
_SEXTANT: Final = np.array([[0, 6, 0], [2, 0, 2], [4, 4, 0]], dtype=np.float32)
_SENSE: Final = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], dtype=np.float32)
_PLACES: Final = np.array([5, 3, 1], dtype=np.float32)[:, None, None]


class _Hues(NamedTuple):
    """A picture as hue, chroma and value, turned: the channel c is value - chroma * dips[c]."""

    order: IntArray  # (3, S, S) channels from the smallest to the largest
    chroma: Float32Array
    share: Float32Array  # of the middle channel between smallest and largest
    sense: Float32Array
    dips: Float32Array  # (3, S, S)
    slopes: Float32Array  # (3, S, S) of the dips in the hue, in sextants
    value: Float32Array


def _hues(image: Float32Array, degrees: float) -> _Hues:
    order = np.argsort(image, axis=0, kind="stable")
    least, middle, most = np.take_along_axis(image, order, axis=0)
    chroma = most - least
    share = np.divide(middle - least, chroma, out=np.zeros_like(chroma), where=chroma > 0)
    sense = _SENSE[order[2], order[0]]
    hue = _SEXTANT[order[2], order[0]] + sense * share + np.float32(degrees / 60)
    place = (_PLACES + hue) % np.float32(6)
    dips = np.clip(np.minimum(place, 4 - place), np.float32(0), np.float32(1))
    slopes = ((place > 0) & (place < 1)).astype(np.float32) - ((place > 3) & (place < 4)).astype(np.float32)
    return _Hues(order, chroma, share, sense, dips, slopes, most)


def _hue(image: Float32Array, degrees: float, seed: int) -> Float32Array:
    del seed
    hues = _hues(image, degrees)
    return _cut(hues.value - hues.chroma * hues.dips)


def _hue_back(image: Float32Array, degrees: float, seed: int, upstream: Float32Array) -> _Pulled:
    del seed
    hues = _hues(image, degrees)
    turning = np.sum(upstream * hues.slopes, axis=0) * hues.sense
    dipping = np.sum(upstream * hues.dips, axis=0)
    whole = np.sum(upstream, axis=0)
    # hue = sextant + sense * (middle - least) / (most - least), in each of the three
    least = dipping + turning * (1 - hues.share)
    most = whole - dipping + turning * hues.share
    back = np.empty_like(upstream)
    np.put_along_axis(back, hues.order, np.stack([least, -turning, most]), axis=0)
    return back, -_dot(hues.chroma, np.sum(upstream * hues.slopes, axis=0)) / 60


@lru_cache(maxsize=8)
def _pattern(size: int, seed: int) -> Float32Array:
    pattern = ndtri(hashed_uniform(f"noise {seed}".encode(), (3, size, size))).astype(np.float32)
    pattern.flags.writeable = False
    return np.asarray(pattern)


def _noise(image: Float32Array, deviation: float, seed: int) -> Float32Array:
    return _cut(image + _pattern(image.shape[-1], seed) * np.float32(deviation))


def _noise_back(image: Float32Array, deviation: float, seed: int, upstream: Float32Array) -> _Pulled:
    pattern = _pattern(image.shape[-1], seed)
    kept = upstream * _inside(image + pattern * np.float32(deviation))
    return kept, _dot(kept, pattern)


def _jpeg(image: Float32Array, quality: float, seed: int) -> Float32Array:
    del seed
    pixels = np.rint(image.transpose(1, 2, 0) * 255).astype(np.uint8)
    with io.BytesIO() as stream:
        Image.fromarray(pixels).save(stream, format="JPEG", quality=round(quality))
        with Image.open(stream) as opened:
            back = np.asarray(opened.convert("RGB"), dtype=np.float32) / np.float32(255)
    return np.ascontiguousarray(back.transpose(2, 0, 1))


_STAGES: Final[Mapping[str, _Stage]] = {
    "blur": _Stage(_blur, _blur_back),
    "brightness": _Stage(_brightness, _brightness_back),
    "contrast": _Stage(_contrast, _contrast_back),
    "saturation": _Stage(_saturation, _saturation_back),
    "hue": _Stage(_hue, _hue_back),
    "noise": _Stage(_noise, _noise_back),
    "jpeg_quality": _Stage(_jpeg, None),
}
assert tuple(_STAGES) == CORRUPTION_PARAMETERS


@final
class Corruptions:
    """Some corruptions, as columns of theta.

    Args:
        names: The parameters (k), in the order of the columns; they are applied in that of the table.
        seed: Of the pattern of the noise.
    """

    def __init__(self, names: Sequence[str], seed: int = 0) -> None:
        self._seed = seed
        self._columns = [(name, names.index(name)) for name in _STAGES if name in names]

    @property
    def fingerprint(self) -> dict[str, str]:
        """What enters run keys; nothing where there are none."""
        return {"corruptions": str(VERSION)} if self._columns else {}

    def applied(self, pictures: Float32Array, theta: FloatArray) -> Float32Array:
        """Corrupted pictures (N, 3, S, S) at theta (N, k); the same array where nothing is to be done."""
        if not any((theta[:, column] != PARAMETERS[name].default).any() for name, column in self._columns):
            return pictures
        return np.stack([self._befores(picture, own)[-1] for picture, own in zip(pictures, theta, strict=True)])

    def pulled_back(
        self, pictures: Float32Array, theta: FloatArray, upstream: Float32Array
    ) -> tuple[Float32Array, FloatArray]:
        """Gradients in the pictures (N, 3, S, S) and in theta (N, k), from those in the corrupted pictures.

        Every corruption must have a derivative.
        """
        gradients = np.zeros(theta.shape)
        if not self._columns:
            return upstream, gradients
        back = np.empty_like(upstream)
        for row, (picture, own) in enumerate(zip(pictures, theta, strict=True)):
            befores, gradient = self._befores(picture, own), upstream[row]
            for (name, column), before in zip(reversed(self._columns), befores[-2::-1], strict=True):
                pull = _STAGES[name].pull
                assert pull is not None
                earlier, gradients[row, column] = pull(before, float(own[column]), self._seed, gradient)
                gradient = gradient if own[column] == PARAMETERS[name].default else earlier
            back[row] = gradient
        return back, gradients

    def _befores(self, picture: Float32Array, values: FloatArray) -> list[Float32Array]:
        """The picture before each corruption, and after the last."""
        found = [picture]
        for name, column in self._columns:
            value = float(values[column])
            done = value == PARAMETERS[name].default
            found.append(found[-1] if done else _STAGES[name].forward(found[-1], value, self._seed))
        return found
