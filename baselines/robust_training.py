"""Robust training: does a network gain more from views of its failing regions than from as many random views?

The paper names training on what was found as its future direction (Hamdi & Ghanem 2020, section 6). One trial, by one
seed, which draws shapes, views, first weights and batches:

1. A small network learns some classes from *ordinary* views of training shapes, which fill a part of the space.
2. From the same weights it goes on, as many steps of as many pictures, once for each *arm*: with no other pictures;
   with random views of the whole space; with random views that fail (`mined`); with views from its failing regions, of
   the same number on the same shapes; and with as many random views as looking for the failing regions has asked
   queries (`random_same_bill`), for labels of rendered views cost nothing but the render.
3. Every arm is measured on fresh ordinary views, on fresh views of the whole space, of training shapes and of shapes
   that nobody trained on, and by the region around an ordinary view in which it is surely right on those.

Trials differ in everything that is drawn, so that intervals over seeds speak of other shapes and other training runs.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch

from baselines.failing import failing_regions, failing_views
from optimizers.box_quadrature import BoxQuadrature
from optimizers.run import run
from semrob_env.errors import InvalidParameterError
from semrob_env.metrics import shrink
from semrob_env.metrics.bootstrap import LEVEL
from semrob_env.metrics.survey import RIGHT
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import MeanGoal, Questions
from semrob_env.scene.camera import Scenes
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.shapes import make_shape
from semrob_env.sequences import hashed_uniform
from semrob_env.types import BoolArray, Float32Array, FloatArray, IntArray

ARMS: Final = {
    "none": "no other pictures",
    "random": "random views",
    "mined": "random views that fail",
    "regions": "views of failing regions",
    "random_same_bill": "random views, same bill",
}
"""What the network goes on with, and how tables and pictures call it."""

MEASURES: Final = {
    "ordinary": "accuracy, ordinary views",
    "whole": "accuracy, whole space",
    "trained": "accuracy, whole space, training shapes",
    "srvr": "certified SRVR",
}
"""What is measured of each arm, on shapes that nobody trained on unless told."""

GOAL: Final = MeanGoal(epsilon_m=0.2)
"""Of the regions of SRVR: a mean score of at least 0.8, as half of it is met nearly everywhere."""

MAP_BINS: Final = (12, 5)
"""Azimuths and elevations of the map of accuracy."""

_STRIDE, _HELD_OUT = 1000, 500
"""Shapes of a seed are numbered from `_STRIDE` times it on, those held out `_HELD_OUT` later: none is in two trials."""


@final
@dataclass(frozen=True, kw_only=True)
class Study:
    """The numbers of a study; the same for all its trials.

    Attributes:
        classes: Of procedural shapes.
        shapes: Training shapes of each class.
        held_out: Shapes of each class that nobody trains on.
        size: Of pictures, in pixels.
        params: Space that the network should work in.
        ordinary: Part of it that the first pictures come from, of the same parameters.
        views: Ordinary views of each training shape.
        added: Views that are added of each training shape, at most.
        steps: Training steps until the arms part.
        more_steps: Of each arm after it.
        test_views: Views of each shape that measure accuracy, ordinary and of the whole space.
        regions: Failing regions a training shape.
        budget: Queries of each, and of each region of SRVR.
        points: Points of each box that is certified.

    Raises:
        InvalidParameterError: Fewer than two classes, less than 1 of something else, or spaces of other parameters.
    """

    classes: tuple[str, ...] = ("cup", "bottle", "chair", "bench", "piano")
    shapes: int = 4
    held_out: int = 2
    size: int = 48
    params: str = "azimuth,elevation"
    ordinary: str = "azimuth[0:90],elevation[0:30]"
    views: int = 40
    added: int = 40
    steps: int = 300
    more_steps: int = 200
    test_views: int = 128
    regions: int = 2
    budget: int = 30
    points: int = 64

    def __post_init__(self) -> None:
        counts = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        low = [name for name, value in counts.items() if value < 1]
        if low or len(self.classes) < 2 or max(self.shapes, self.held_out) > _HELD_OUT:
            raise InvalidParameterError(
                f"{low[0] if low else 'classes'}: give at least 1, at least 2 classes, and at most {_HELD_OUT} shapes"
            )
        if self.space.names != self.ordinary_space.names:
            raise InvalidParameterError(f"--ordinary {self.ordinary}: give a part of {self.params}, in this order")

    @property
    def space(self) -> SemanticSpace:
        """The whole space."""
        return SemanticSpace.of(self.params)

    @property
    def ordinary_space(self) -> SemanticSpace:
        """That of ordinary views."""
        return SemanticSpace.of(self.ordinary)

    @property
    def start(self) -> FloatArray:
        """The start point of SRVR: the middle of the ordinary views (n,)."""
        own = self.ordinary_space
        return (own.low + own.high) / 2


@final
@dataclass(frozen=True, eq=False)
class Shapes:
    """Shapes of every class, and what pictures of them are called.

    Attributes:
        names: One a shape, `cup:7`.
        meshes: One a shape.
        labels: Class of each, (S,).
    """

    names: tuple[str, ...]
    meshes: tuple[Mesh, ...]
    labels: IntArray

    @classmethod
    def of(cls, classes: Sequence[str], numbers: Sequence[int]) -> Shapes:
        """The shapes of these numbers of each class."""
        names = [f"{name}:{number}" for name in classes for number in numbers]
        labels = np.repeat(np.arange(len(classes)), len(numbers))
        return cls(tuple(names), tuple(make_shape(name) for name in names), labels)


def shapes_of(study: Study, seed: int) -> tuple[Shapes, Shapes]:
    """Training shapes and held-out shapes of a trial."""
    first = _STRIDE * seed
    return (
        Shapes.of(study.classes, range(first, first + study.shapes)),
        Shapes.of(study.classes, range(first + _HELD_OUT, first + _HELD_OUT + study.held_out)),
    )


@final
@dataclass(frozen=True, eq=False)
class LabeledPictures:
    """Pictures, their classes, and where they were taken from.

    Attributes:
        images: (N, 3, size, size), float32 in [0, 1].
        labels: (N,).
        theta: (N, n).
        shape: Place of the shape of each (N,).
    """

    images: Float32Array
    labels: IntArray
    theta: FloatArray
    shape: IntArray

    def __len__(self) -> int:
        return len(self.labels)

    def __add__(self, other: LabeledPictures) -> LabeledPictures:
        """These and others."""
        parts = ("images", "labels", "theta", "shape")
        return LabeledPictures(*(np.concatenate([getattr(self, part), getattr(other, part)]) for part in parts))


def pictures(shapes: Shapes, theta: Sequence[FloatArray], names: Sequence[str], size: int) -> LabeledPictures:
    """Pictures of each shape at its views, (N_s, n) for the s-th."""
    renderer, images = Rasterizer(size), [np.empty((0, 3, size, size), dtype=np.float32)]
    for mesh, views in zip(shapes.meshes, theta, strict=True):
        if len(views):
            images.append(renderer.render(mesh, Scenes.from_parameters(dict(zip(names, views.T, strict=True)))))
    counts = [len(views) for views in theta]
    place = np.repeat(np.arange(len(shapes.names)), counts)
    return LabeledPictures(np.concatenate(images), shapes.labels[place], np.concatenate(list(theta)), place)


def small_network(labels: int, generator: torch.Generator) -> torch.nn.Sequential:
    """Three strided convolutions and a linear layer: 25,000 weights, drawn from a generator; images to logits."""
    skip_init: Any = torch.nn.utils.skip_init
    layers: list[torch.nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        # skip_init: the usual weights would be drawn from the global generator, only to be drawn again.
        convolution = skip_init(torch.nn.Conv2d, before, after, 3, stride=2, padding=1, bias=False)
        layers += [convolution, torch.nn.BatchNorm2d(after), torch.nn.ReLU()]
    head = skip_init(torch.nn.Linear, 4 * 64, labels)
    with torch.no_grad():
        for layer in (*layers[::3], head):
            assert isinstance(layer.weight, torch.Tensor)
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        head.bias.zero_()
        head.weight.mul_(0.1)
    return torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), head)


BATCH, RATE = 32, 2e-3


def train(network: torch.nn.Module, data: LabeledPictures, steps: int, generator: torch.Generator) -> None:
    """Train a network on pictures, in place: Adam with a cosine schedule, batches drawn with replacement."""
    images, labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-3)
    network.train()
    with one_thread():
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = RATE * (0.05 + 0.95 * (1 + math.cos(math.pi * step / steps)) / 2)
            rows = torch.randint(len(data), (BATCH,), generator=generator)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(network(_normal(images[rows])), labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    network.eval()


def right(network: torch.nn.Module, data: LabeledPictures) -> BoolArray:
    """Whether the top answer to each picture is its class (N,)."""
    return np.asarray(_answers(network, data).argmax(axis=1) == data.labels)


def scores(network: torch.nn.Module, data: LabeledPictures) -> FloatArray:
    """Probability of the class of each picture (N,)."""
    logits = torch.from_numpy(_answers(network, data))
    return np.asarray(torch.softmax(logits, dim=1).numpy()[np.arange(len(data)), data.labels], dtype=np.float64)


def _answers(network: torch.nn.Module, data: LabeledPictures) -> Float32Array:
    with torch.inference_mode(), one_thread():
        parts = torch.split(torch.from_numpy(data.images), 256)
        return np.asarray(torch.cat([network(_normal(part)) for part in parts]).numpy())


def trial(study: Study, seed: int) -> dict[str, Any]:
    """One trial: all arms from one base network.

    Returns:
        Numbers that JSON can hold: `base`, accuracies before the arms part; `region_share` of the failing regions of a
        training shape, and how many shapes have some; `arms`: of each what `MEASURES` names, `added` pictures, how
        many of them the base scores below 0.5, the `bill` of renders, and `map`, right and all views of held-out shapes
        over `MAP_BINS`.
    """
    training, held_out = shapes_of(study, seed)
    space, names = study.space, study.space.names
    generator = torch.Generator().manual_seed(seed)

    def views(where: SemanticSpace, purpose: str, shapes: Shapes, counts: Sequence[int]) -> list[FloatArray]:
        keys = (f"robust_training/{seed}/{purpose}/{name}".encode() for name in shapes.names)
        return [where.from_unit(hashed_uniform(key, (count, space.n))) for key, count in zip(keys, counts, strict=True)]

    def seen(shapes: Shapes, theta: Sequence[FloatArray]) -> LabeledPictures:
        return pictures(shapes, theta, names, study.size)

    count = len(training.names)
    base_data = seen(training, views(study.ordinary_space, "train", training, [study.views] * count))
    base = small_network(len(study.classes), generator)
    train(base, base_data, study.steps, generator)

    function = scene_function(study, base, training)
    found = failing_regions(function, range(count), most=study.regions, budget=study.budget, seed=seed)
    regions, mined, bill, mined_bill = list[FloatArray](), list[FloatArray](), list[int](), 0
    for member, (name, own) in enumerate(zip(training.names, found, strict=True)):
        key = f"robust_training/{seed}/{{}}/{name}"
        theta, _, asked = failing_views(function, member, own.regions, study.added, key.format("regions").encode())
        regions.append(theta)
        bill.append(own.queries + asked)
        theta, _, asked = failing_views(function, member, None, len(theta), key.format("mined").encode())
        mined.append(theta)
        mined_bill += asked
    counts = [len(theta) for theta in regions]
    added = {
        "none": seen(training, views(space, "random", training, [0] * count)),
        "random": seen(training, views(space, "random", training, counts)),
        "mined": seen(training, mined),
        "regions": seen(training, regions),
        "random_same_bill": seen(training, views(space, "random", training, bill)),
    }
    bills = {"mined": mined_bill, "regions": sum(bill)}
    tests = {
        "ordinary": seen(
            held_out,
            views(study.ordinary_space, "ordinary test", held_out, [study.test_views] * len(held_out.names)),
        ),
        "whole": seen(held_out, views(space, "test", held_out, [study.test_views] * len(held_out.names))),
        "trained": seen(training, views(space, "test", training, [study.test_views] * count)),
    }
    state = generator.get_state()
    arms = {}
    for arm, more in added.items():
        network = copy.deepcopy(base)
        generator.set_state(state)  # the same numbers for every arm
        train(network, base_data + more, study.more_steps, generator)
        told = {name: right(network, data) for name, data in tests.items()}
        arms[arm] = {
            **{name: float(own.mean()) for name, own in told.items()},
            "srvr": certified_srvr(study, network, held_out, seed),
            "added": len(more),
            "failing": int((scores(base, more) < RIGHT).sum()),
            "bill": bills.get(arm, len(more)),
            "map": accuracy_map(space, tests["whole"].theta, told["whole"]).tolist(),
        }
    return {
        "seed": seed,
        "base": {name: float(right(base, data).mean()) for name, data in tests.items()},
        "region_share": float(np.mean([own.regions.share().sum() for own in found])),
        "shapes_with_regions": int(sum(len(own.regions) > 0 for own in found)),
        "training_shapes": list(training.names),
        "held_out_shapes": list(held_out.names),
        "arms": arms,
    }


def scene_function(study: Study, network: torch.nn.Module, shapes: Shapes) -> SceneFunction:
    """The scores of a network of `small_network` on shapes."""
    preprocessing = Preprocessing(study.size, (MEAN,) * 3, (STD,) * 3)
    classifier = TorchClassifier(
        network, preprocessing, name="small", backend="torch", categories=study.classes, chunk=32
    )
    return SceneFunction(classifier, shapes.meshes, shapes.labels.tolist(), study.space, names=shapes.names)


def certified_srvr(study: Study, network: torch.nn.Module, shapes: Shapes, seed: int) -> float:
    """Mean share of the box around the middle of ordinary views in which the mean score is surely at least 0.8.

    `box_quadrature` finds a region, `shrink` the largest of some boxes in it that independent points certify; 0 where
    there is none.
    """
    function = scene_function(study, network, shapes)
    member = np.arange(len(shapes.names))
    starts = np.tile(study.start, (len(member), 1))
    questions = Questions(study.space, starts, member=member, goal=GOAL, budget=study.budget)
    with one_thread():
        found = run(
            BoxQuadrature(questions, seed=seed), QueryOracle(function, trajectories=len(member), budget=study.budget)
        )
        sure = shrink(function, found.regions, starts, GOAL, member, points=study.points, seed=seed)
    return float(np.mean(sure.regions.share() * sure.certified))


def accuracy_map(space: SemanticSpace, theta: FloatArray, is_right: BoolArray) -> IntArray:
    """Right views and all views over bins of the first two parameters, (2, X, Y)."""
    unit = space.to_unit(theta)[:, :2]
    place = np.minimum((unit * MAP_BINS).astype(np.int64), np.array(MAP_BINS) - 1)
    flat = place[:, 0] * MAP_BINS[1] + place[:, 1]
    bins = MAP_BINS[0] * MAP_BINS[1]
    counts = [np.bincount(flat[is_right], minlength=bins), np.bincount(flat, minlength=bins)]
    return np.array(counts).reshape(2, *MAP_BINS)


def student_interval(values: Sequence[float] | FloatArray, level: float = LEVEL) -> tuple[float, float, float]:
    """Mean of independent numbers and the ends of Student's interval of it; NaN ends for a single one."""
    from scipy.special import stdtrit

    own = np.asarray(values, dtype=np.float64)
    mean = float(own.mean())
    if len(own) < 2:
        return mean, math.nan, math.nan
    half = float(stdtrit(len(own) - 1, (1 + level) / 2) * own.std(ddof=1) / math.sqrt(len(own)))
    return mean, mean - half, mean + half


MEAN, STD = 0.1, 0.25
"""Of the pictures, which are mostly black."""


def _normal(images: torch.Tensor) -> torch.Tensor:
    return (images - MEAN) / STD


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch: sums then have one order, and the same bits whatever the number of cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
