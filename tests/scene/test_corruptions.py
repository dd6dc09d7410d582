"""Corruptions of images: against Pillow and torchvision, by differences, in their order, at their defaults."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from scipy import ndimage
from torchvision.transforms import functional as vision

from semrob_env.parameters import CORRUPTION_PARAMETERS, PARAMETERS, STEPPED_PARAMETERS, SemanticSpace
from semrob_env.scene.corruptions import Corruptions
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.shapes import make_shape
from semrob_env.types import Float32Array
from tests.scene.linear_classifier import LinearClassifier

SIZE = 48
SMOOTH = [name for name in CORRUPTION_PARAMETERS if name not in STEPPED_PARAMETERS]


def picture(seed: int = 0) -> Float32Array:
    """(3, SIZE, SIZE) in steps of 1 / 255, colorful, a little away from black and white."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((3, SIZE, SIZE)), (0, 2, 2))
    low, high = noise.min(), noise.max()
    done: Float32Array = (np.rint(20 + 215 * (noise - low) / (high - low)) / 255).astype(np.float32)
    return done


def corrupted(name: str, value: float, image: Float32Array | None = None, seed: int = 0) -> Float32Array:
    own = picture() if image is None else image
    done: Float32Array = Corruptions([name], seed).applied(own[None], np.array([[value]]))[0]
    return done


def as_pillow(image: Float32Array) -> Image.Image:
    return Image.fromarray(np.rint(image.transpose(1, 2, 0) * 255).astype(np.uint8))


def from_pillow(image: Image.Image) -> Float32Array:
    pixels: Float32Array = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 255
    return pixels


@pytest.mark.parametrize("value", [0.4, 1.5])
@pytest.mark.parametrize(
    ("name", "enhance"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ],
)
def test_brightness_contrast_and_saturation_are_those_of_pillow(
    name: str, enhance: type[ImageEnhance.Brightness], value: float
) -> None:
    expected = from_pillow(enhance(as_pillow(picture())).enhance(value))
    assert np.abs(corrupted(name, value) - expected).max() < 2.1 / 255  # Pillow works on bytes


@pytest.mark.parametrize("value", [-170.0, -30.0, 45.0, 120.0])
def test_hue_is_that_of_torchvision(value: float) -> None:
    for image in (picture(), np.full_like(picture(), 0.3)):
        expected = vision.adjust_hue(torch.from_numpy(image), value / 360).numpy()
        assert np.abs(corrupted("hue", value, image) - expected).max() < 1e-5


def test_blur_is_that_of_torchvision_away_from_the_border() -> None:
    sigma = 3.0 * SIZE / 100
    side = 2 * int(np.ceil(4 * sigma)) + 1
    expected = vision.gaussian_blur(torch.from_numpy(picture()), side, sigma).numpy()
    inner = slice(side // 2, -(side // 2))
    assert np.abs(corrupted("blur", 3.0) - expected)[:, inner, inner].max() < 1e-6


def test_jpeg_is_that_of_pillow() -> None:
    stream = io.BytesIO()
    as_pillow(picture()).save(stream, "JPEG", quality=30)
    assert np.array_equal(corrupted("jpeg_quality", 30.3), from_pillow(Image.open(stream)))
    errors = [np.abs(corrupted("jpeg_quality", quality) - picture()).mean() for quality in (95, 50, 5)]
    assert errors == sorted(errors)


def test_noise_is_a_fixed_pattern_of_the_deviation_that_was_asked_for() -> None:
    gray = np.full((3, SIZE, SIZE), 0.5, np.float32)
    noise = corrupted("noise", 0.1, gray) - gray
    assert noise.std() == pytest.approx(0.1, rel=0.05)
    assert abs(noise.mean()) < 0.01
    assert np.array_equal(corrupted("noise", 0.1, gray) - gray, noise)
    assert np.abs(np.corrcoef(noise.ravel(), (corrupted("noise", 0.1, gray, seed=1) - gray).ravel())[0, 1]) < 0.05


def test_at_their_defaults_pictures_are_the_very_same_array() -> None:
    theta = np.array([[PARAMETERS[name].default for name in CORRUPTION_PARAMETERS]])
    images = picture()[None]
    assert Corruptions(CORRUPTION_PARAMETERS).applied(images, theta) is images


def test_the_order_is_that_of_the_table_whatever_that_of_theta() -> None:
    values = {"blur": 2.0, "brightness": 1.3, "contrast": 0.8, "saturation": 1.4, "hue": 40.0, "noise": 0.05}
    expected = picture()
    for name, value in values.items():
        expected = corrupted(name, value, expected)
    names = list(reversed(values))
    theta = np.array([[values[name] for name in names]])
    assert np.array_equal(Corruptions(names).applied(picture()[None], theta)[0], expected)
    assert list(values) == SMOOTH


def test_all_pictures_stay_in_the_unit_range() -> None:
    corner = np.array([[p.high if p.period is None else p.low + 1 for p in map(PARAMETERS.get, SMOOTH) if p]])
    done = Corruptions(SMOOTH).applied(picture()[None], corner)
    assert done.min() >= 0
    assert done.max() <= 1


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_come_back_through_a_corruption(name: str) -> None:
    """In the parameter and in random directions of the picture, by central differences of a random linear score."""
    rng = np.random.default_rng(3)
    parameter, weights = PARAMETERS[name], rng.random((3, SIZE, SIZE))
    weights[0] *= 2
    value = parameter.low + 0.37 * (parameter.high - parameter.low)
    own = Corruptions([name])
    image, theta = picture()[None], np.array([[value]])

    def score(images: Float32Array, at: float) -> float:
        return float((own.applied(images, np.array([[at]]))[0].astype(np.float64) * weights).sum())

    back, gradients = own.pulled_back(image, theta, weights[None].astype(np.float32))
    step = (1e-5 if name == "hue" else 2e-4) * (parameter.high - parameter.low)  # hue is full of kinks
    difference = (score(image, value + step) - score(image, value - step)) / (2 * step)
    assert gradients[0, 0] == pytest.approx(difference, rel=0.02, abs=5e-3)
    for _ in range(3):
        direction = (1e-3 * rng.random(image.shape)).astype(np.float32)
        difference = (score(image + direction, value) - score(image - direction, value)) / 2
        assert (back * direction).sum() == pytest.approx(difference, rel=0.05, abs=2e-3)


def test_a_scene_with_corruptions_has_the_gradient_of_its_differences() -> None:
    space = SemanticSpace.of(f"albedo_r,ambient,{','.join(SMOOTH)}")
    function = SceneFunction(LinearClassifier(SIZE), [make_shape("cup", 0)], [1], space)
    points = np.array([[[0.9, 0.4, 3.0, 1.05, 1.1, 1.2, 20.0, 0.02], [0.5, 0.3, 2.0, 0.9, 0.8, 0.7, -40.0, 0.05]]])
    _, gradients = function.values_and_gradients(points)
    for k, name in enumerate(space.names):
        step = np.zeros(space.n)
        step[k] = 1e-3 * space.width[k]
        ends = [function.values(points + sign * step) for sign in (1, -1)]
        assert gradients[0, :, k] == pytest.approx(((ends[0] - ends[1]) / (2 * step[k]))[0], rel=0.05, abs=2e-5), name


def test_a_scene_whose_corruptions_are_at_their_defaults_is_as_without() -> None:
    plain = SceneFunction(LinearClassifier(SIZE), [make_shape("cup", 0)], [1], SemanticSpace.of("azimuth"))
    named = ",".join(CORRUPTION_PARAMETERS)
    more = SceneFunction(LinearClassifier(SIZE), [make_shape("cup", 0)], [1], SemanticSpace.of(f"azimuth,{named}"))
    alone = SceneFunction(LinearClassifier(SIZE), [make_shape("cup", 0)], [1], SemanticSpace.of(named))
    theta = np.concatenate([[40.0], alone.space.default])
    assert np.array_equal(more.images(theta[None]), plain.images(np.array([[40.0]])))
    assert np.array_equal(alone.images(theta[None, 1:]), plain.images(np.array([[0.0]])))
    assert not more.has_gradient
