"""Functions of photographs: the image at the default is the network's own, changes are those of Pillow, gradients."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from semrob_env.errors import (
    InvalidParameterError,
    InvalidPictureError,
    MissingFileError,
    SemrobError,
    UnknownNameError,
)
from semrob_env.functions import make_function
from semrob_env.parameters import CORRUPTION_PARAMETERS, PARAMETERS, PHOTO_PARAMETERS, SemanticSpace
from semrob_env.scene.classifiers.base import Classifier, Preprocessing
from semrob_env.scene.classifiers.registry import NETWORKS
from semrob_env.scene.photo import PhotoFunction, PhotoId
from semrob_env.scene.pictures import Picture, read_picture
from semrob_env.scene.sources import list_shapes, select_shapes
from semrob_env.tables import Subject
from semrob_env.types import Float32Array, FloatArray
from tests.scene.linear_classifier import LinearClassifier

SIZE = 48


def smooth_pixels(height: int = 80, width: int = 110, seed: int = 0) -> np.typing.NDArray[np.uint8]:
    """A colorful picture without fine detail, whose bilinear interpolation has hardly any kinks."""
    noise = np.random.default_rng(seed).random((height, width, 3))
    soft = ndimage.gaussian_filter(noise, (9, 9, 0), mode="reflect")
    low, high = soft.min(), soft.max()
    return np.asarray(np.rint(40 + 170 * (soft - low) / (high - low)), np.uint8)


def photo(seed: int = 0) -> Picture:
    pixels = smooth_pixels(seed=seed)
    return Picture(pixels, f"{seed}")


def function_of(params: str, **options: str) -> PhotoFunction:
    return PhotoFunction(LinearClassifier(SIZE), [photo()], [1], SemanticSpace.of(params), **options)  # type: ignore[arg-type]


def image_at(params: str, *values: float, **options: str) -> Float32Array:
    image: Float32Array = function_of(params, **options).images(np.array([values]))[0]
    return image


@pytest.mark.parametrize(
    ("shape", "preprocessing", "kind"),
    [
        ((80, 110), Preprocessing(SIZE), InterpolationMode.BILINEAR),
        ((111, 81), Preprocessing(49, photo_ratio=60 / 49, interpolation="bicubic"), InterpolationMode.BICUBIC),
        ((50, 52), Preprocessing(SIZE, photo_ratio=1), InterpolationMode.BILINEAR),
        ((33, 47), Preprocessing(SIZE, photo_ratio=51 / SIZE), InterpolationMode.BILINEAR),
    ],
)
def test_at_its_default_a_photo_is_to_the_last_bit_what_torchvision_feeds(
    shape: tuple[int, int], preprocessing: Preprocessing, kind: InterpolationMode
) -> None:
    pixels = smooth_pixels(*shape)
    own = Picture(pixels, "")
    function = PhotoFunction(
        LinearClassifier(preprocessing=preprocessing), [own], [1], SemanticSpace.of(",".join(PHOTO_PARAMETERS))
    )
    fed = ImageClassification(
        crop_size=preprocessing.size,
        resize_size=preprocessing.photo_side,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        interpolation=kind,
    )
    expected = fed(Image.fromarray(pixels))
    assert np.array_equal(function.images(function.space.default[None])[0], expected.numpy())


def middle(image: Float32Array, border: int = 2) -> Float32Array:
    return image[:, border:-border, border:-border]


def pillow_affine(matrix: FloatArray) -> Float32Array:
    """The resized photo under the inverse matrix (3, 3) in pixels about the middle of the image, by Pillow."""
    side = Preprocessing(SIZE).photo_side
    resized = Image.fromarray(photo().pixels).resize((int(side * 110 / 80), side), Image.Resampling.BILINEAR)
    left, top = round((resized.width - SIZE) / 2), round((resized.height - SIZE) / 2)
    half = SIZE / 2
    to = np.array([[1, 0, left + half], [0, 1, top + half], [0, 0, 1.0]])
    whole = to @ matrix @ np.array([[1, 0, -half], [0, 1, -half], [0, 0, 1.0]])
    data = (whole / whole[2, 2]).ravel()[:8].tolist()
    done = resized.transform((SIZE, SIZE), Image.Transform.PERSPECTIVE, data, Image.Resampling.BILINEAR)
    pixels: Float32Array = np.asarray(done, dtype=np.float32).transpose(2, 0, 1) / 255
    return pixels


def _tilted(degrees: float, axis: int, sense: float) -> FloatArray:
    """Inverse of the picture of a plane that turns: by solving for where four corners go."""
    depth, angle = 1 / np.tan(np.deg2rad(30)), np.deg2rad(degrees)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1.0]])
    seen = corners.copy()
    away = 1 + sense * corners[:, axis] * np.sin(angle) / depth
    seen[:, axis] *= np.cos(angle)
    seen = seen / away[:, None] * (SIZE / 2)
    rows = []
    for (x, y), (u, v) in zip(seen, corners * (SIZE / 2), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    solved = np.linalg.solve(np.array(rows), (corners * (SIZE / 2)).ravel())
    return np.append(solved, 1.0).reshape(3, 3)


def _turned(degrees: float) -> FloatArray:
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1.0]])


@pytest.mark.parametrize(
    ("name", "value", "inverse"),
    [
        ("rotation", 30.0, _turned(30.0)),
        ("rotation", -100.0, _turned(-100.0)),
        ("scale", 1.6, np.diag([1 / 1.6, 1 / 1.6, 1.0])),
        ("shift_x", 0.25, np.array([[1, 0, -0.25 * SIZE / 2], [0, 1, 0], [0, 0, 1.0]])),
        ("shift_y", 0.15, np.array([[1, 0, 0], [0, 1, 0.15 * SIZE / 2], [0, 0, 1.0]])),
        ("shear", 25.0, np.array([[1, np.tan(np.deg2rad(25)), 0], [0, 1, 0], [0, 0, 1.0]])),
        ("tilt_x", 35.0, _tilted(35.0, 0, 1.0)),
        ("tilt_y", 35.0, _tilted(35.0, 1, -1.0)),
    ],
)
def test_a_changed_photo_is_that_of_pillow(name: str, value: float, inverse: FloatArray) -> None:
    ours, pillows = image_at(name, value), pillow_affine(inverse)
    differences = np.abs(middle(ours) - middle(pillows)).max(axis=0)
    assert np.median(differences) < 1.5 / 255  # Pillow rounds to bytes
    assert (differences < 2 / 255).mean() > 0.95  # it leaves the border out, where we fade to black


def test_growth_goes_where_the_table_says() -> None:
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[4:10, 20:28] = 255  # a mark above the middle
    function = PhotoFunction(
        LinearClassifier(preprocessing=Preprocessing(SIZE, photo_ratio=1)),
        [Picture(pixels, "")],
        [1],
        SemanticSpace.of(",".join(PHOTO_PARAMETERS)),
    )

    def center(**values: float) -> tuple[float, float]:
        image = function.images(function.space.point(values)[None])[0, 0]
        rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5 - SIZE / 2
        return float((image * columns).sum() / image.sum()), -float((image * rows).sum() / image.sum())

    x, up = center()
    assert abs(x) < 0.01
    assert up > 15
    assert center(rotation=90)[0] > 15
    assert center(shift_x=0.2)[0] > 4
    assert center(shift_y=0.1)[1] > up + 2
    assert center(scale=0.5)[1] < up - 5
    assert center(shear=20)[0] > 4
    assert center(tilt_y=30)[1] < up - 2  # what turns away comes nearer to the middle
    assert abs(center(tilt_x=30)[0]) < 1


def test_the_photos_own_margin_comes_in_and_beyond_it_what_was_asked_for() -> None:
    assert image_at("rotation", 5.0).min() > 0  # the photo is 55 pixels high, the window 48
    assert image_at("rotation", 5.0, margin="none").min() == 0
    assert image_at("shift_y", 0.5).min() == 0
    edge = image_at("shift_y", 0.5, beyond="edge")
    assert np.allclose(edge[:, -1], edge[:, -2])
    reflected = image_at("shift_y", 0.5, beyond="reflect", margin="none")
    rows = int(0.25 * SIZE)
    assert np.allclose(reflected[:, -rows:], reflected[:, -2 * rows : -rows][:, ::-1], atol=1e-5)


@pytest.mark.parametrize("beyond", ["black", "edge", "reflect"])
def test_gradients_are_central_differences_in_every_parameter(beyond: str) -> None:
    names = [name for name in (*PHOTO_PARAMETERS, *CORRUPTION_PARAMETERS) if name != "jpeg_quality"]
    function = PhotoFunction(
        LinearClassifier(SIZE), [photo(), photo(1)], [1, 0], SemanticSpace.of(",".join(names)), beyond=beyond
    )
    rng = np.random.default_rng(0)
    points = function.space.from_unit(0.5 + 0.3 * (rng.random((2, 8, function.space.n)) - 0.5))
    for name, value in (("blur", 2.0), ("noise", 0.05), ("brightness", 1.05)):
        points[..., function.space.index(name)] *= value / points[..., function.space.index(name)].mean()
    _, gradients = function.values_and_gradients(points, [0, 1])
    steps = function.space.width * 2e-4
    for k, name in enumerate(names):
        step = np.zeros(function.space.n)
        step[k] = steps[k]
        ends = [function.values(points + sign * step, [0, 1]) for sign in (1, -1)]
        differences = (ends[0] - ends[1]) / (2 * steps[k])
        cosine = (differences * gradients[..., k]).sum() / np.sqrt(
            (differences**2).sum() * (gradients[..., k] ** 2).sum()
        )
        assert cosine > 0.99, (name, differences, gradients[..., k])
        size = np.abs(differences).mean()
        assert np.median(np.abs(differences - gradients[..., k])) < 0.05 * size, name


def test_at_the_default_a_gradient_is_the_central_difference_too() -> None:
    function = function_of(",".join(PHOTO_PARAMETERS))
    start = function.space.default[None, None]
    _, gradients = function.values_and_gradients(start)
    for k, width in enumerate(function.space.width):
        step = np.zeros(function.space.n)
        step[k] = 2e-4 * width
        ends = [function.values(start + sign * step)[0, 0] for sign in (1, -1)]
        difference = (ends[0] - ends[1]) / (4e-4 * width)
        assert gradients[0, 0, k] == pytest.approx(difference, rel=0.02, abs=1e-5), function.space.names[k]


def test_a_theta_has_the_same_bytes_alone_and_in_any_batch() -> None:
    function = PhotoFunction(
        LinearClassifier(SIZE), [photo(), photo(1)], [1, 0], SemanticSpace.of("rotation,scale,blur,contrast,hue,noise")
    )
    points = function.space.sample(40, np.random.default_rng(0)).reshape(2, 20, -1)
    values, (again, gradients) = function.values(points, [0, 1]), function.values_and_gradients(points, [0, 1])
    assert np.array_equal(values, again)
    for row, column in ((0, 3), (1, 19)):
        alone = points[row, column][None, None]
        assert function.values(alone, [row])[0, 0] == values[row, column]
        assert np.array_equal(function.values_and_gradients(alone, [row])[1][0, 0], gradients[row, column])


def test_what_changes_in_steps_has_no_gradient() -> None:
    assert function_of("rotation,noise").has_gradient
    assert not function_of("rotation,jpeg_quality").has_gradient


@pytest.fixture
def linear(monkeypatch: pytest.MonkeyPatch) -> str:
    def factory(*, unnormalized: bool, size: int | None, labels: str = "") -> Classifier:
        del unnormalized, labels
        return LinearClassifier(size or SIZE)

    name = "linear_photo_network"
    if name not in NETWORKS:
        NETWORKS.register(name, factory)
    return name


def test_an_id_round_trips_and_names_its_subject(linear: str, tmp_path: Path) -> None:
    folder = tmp_path / "my photos" / "1"
    folder.mkdir(parents=True)
    Image.fromarray(photo().pixels).save(folder / "a & b.png")
    (shape,) = list_shapes(str(tmp_path / "my photos"))
    assert (shape.scheme, shape.class_name, shape.name) == ("photo", "1", "1/a & b.png")
    own = PhotoId(linear, "1", shape.source, "rotation[-30:30],blur", beyond="edge", noise_seed=3)
    function = make_function(str(own))
    assert function.id == str(own)
    assert Subject.of(function.id) == Subject(linear, "1", shape.source)
    assert pickle.loads(pickle.dumps(function)).id == function.id
    assert make_function(f"frozen(blur=2, {function.id})").space.names == ("rotation",)
    theta = [[function.space.default]]
    assert make_function(f"complement({own})").values(theta)[0, 0] == 1 - function.values(theta)[0, 0]


def test_fingerprints_follow_the_file_and_what_is_beyond(linear: str, tmp_path: Path) -> None:
    file = tmp_path / "cat.png"
    Image.fromarray(photo().pixels).save(file)
    name = f"photo:{linear}/1/file:{file}?params=rotation"
    first = make_function(name).fingerprints
    assert make_function(name).fingerprints == first
    assert make_function(f"{name}&beyond=edge").fingerprints != first
    Image.fromarray(photo(1).pixels).save(file)
    assert make_function(name).fingerprints != first


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("?params=azimuth", UnknownNameError),
        ("?params=rotation&beyond=white", InvalidParameterError),
        ("?params=rotation&margin=some", InvalidParameterError),
        ("?params=rotation&colors=material", InvalidParameterError),
        ("x?params=rotation", MissingFileError),
    ],
)
def test_what_no_photo_has_is_refused_in_one_line(
    linear: str, tmp_path: Path, change: str, error: type[SemrobError]
) -> None:
    Image.fromarray(photo().pixels).save(tmp_path / "cat.png")
    with pytest.raises(error) as told:
        make_function(f"photo:{linear}/1/file:{tmp_path}/cat.png{change}")
    assert "\n" not in str(told.value)


def test_class_folders_tell_classes_and_a_class_may_be_any(tmp_path: Path) -> None:
    for name in ("tabby/1.jpg", "tabby/2.jpg", "beagle/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(photo().pixels).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    assert [(shape.name, shape.class_name) for shape in list_shapes(str(tmp_path))] == [
        ("beagle/1.jpg", "beagle"),
        ("tabby/1.jpg", "tabby"),
        ("tabby/2.jpg", "tabby"),
    ]
    chosen = select_shapes([f"{tmp_path}#beagle/1.jpg"], as_class="Egyptian cat")
    assert [shape.class_name for shape in chosen] == ["Egyptian cat"]
    assert len(select_shapes([str(tmp_path)], classes=["tabby"])) == 2


def test_a_photo_of_a_line_is_refused() -> None:
    with pytest.raises(InvalidPictureError, match="32 times"):
        PhotoFunction(
            LinearClassifier(), [Picture(np.zeros((2, 100, 3), np.uint8), "")], [1], SemanticSpace.of("scale")
        )


def test_all_defaults_leave_the_photo_alone() -> None:
    names = ",".join((*PHOTO_PARAMETERS, *CORRUPTION_PARAMETERS))
    function = function_of(names)
    assert function.space.default.tolist() == [PARAMETERS[name].default for name in function.space.names]
    assert np.array_equal(function.images(function.space.default[None])[0], image_at("rotation", 0.0))


def test_a_picture_is_read_once_until_its_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(photo().pixels).save(file)
    assert read_picture(file) is read_picture(file)
    before = read_picture(file).digest
    Image.fromarray(photo(1).pixels).save(file)
    assert read_picture(file).digest != before
