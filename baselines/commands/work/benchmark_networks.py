"""Times a network by OpenVINO and by torch, alone and in batches, and compares their answers."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from baselines.commands.benchmark_networks import BenchmarkNetworksOptions
from baselines.commands.shared.networks import tell
from baselines.commands.shared.terminal import Bundle, Console, interleaved, progress_bar, shown
from semrob_env.errors import InvalidParameterError
from semrob_env.files import markdown_table
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.camera import Scenes
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.names import TORCHVISION
from semrob_env.scene.classifiers.options import NetworkOptions
from semrob_env.scene.classifiers.registry import load_network
from semrob_env.scene.classifiers.torch_module import ImageNetwork, TorchClassifier
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.shapes import make_shape
from semrob_env.types import Float32Array, FloatArray

SPACES = {2: SemanticSpace.of("azimuth,elevation"), 6: SemanticSpace.of("paper6")}
"""Spaces of the cost of a gradient."""

SPREAD = 3.0
"""Standard deviation of the logits that --random-weights aims at."""


def run(options: BenchmarkNetworksOptions, console: Console) -> None:
    chosen = options.specs()
    bundle = Bundle(options.out, console)
    rows = []
    with progress_bar(console, "networks") as progress, tempfile.TemporaryDirectory() as scratch:
        for spec in progress.track(chosen, description="networks"):
            network, own = spec.network, spec.options
            if options.random_weights and network.startswith(f"{TORCHVISION}/") and not own.weights:
                own = replace(own, weights=random_weights(network, Path(scratch), options.seed))
            classifier = load_network(network, unnormalized=options.unnormalized, options=own)
            tell(console, spec.label, classifier)
            rows.append({"network": spec.label, **measure(classifier, own, options)})
    lines = [
        {"measure": name.replace("_", " "), **{str(row["network"]): shown(row[name]) for row in rows}}
        for name in list(rows[0])[1:]
    ]
    told = "random weights; " if options.random_weights else ""
    text = f"{told}batches of {options.batch} pictures, medians of {options.repeats} repeats\n\n{markdown_table(lines)}"
    console.say(text)
    bundle.text("networks.md", text)
    bundle.rows("networks.csv", rows)
    bundle.close()


def random_weights(network: str, folder: Path, seed: int) -> str:
    """A file of seeded random weights of a torchvision network, whose logits spread by about `SPREAD`."""
    from semrob_env.scene.classifiers.torchvision_networks import torchvision_module, torchvision_weights

    architecture, weights = torchvision_weights(network.partition("/")[2])
    torch.manual_seed(seed)
    module = torchvision_module(architecture, size=weights.meta["min_size"][0]).eval()
    pipeline = weights.transforms()
    *_, last = (value for value in module.state_dict().values() if value.ndim > 1)
    mean, std = (torch.tensor(numbers).reshape(3, 1, 1) for numbers in (pipeline.mean, pipeline.std))
    images = (torch.from_numpy(renders(pipeline.crop_size[0], 4)) - mean) / std
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = None  # the mean of all batches seen: of the next one
        module.train()(images)
        last *= SPREAD / module.eval()(images).std()
    path = folder / f"{architecture}.pth"
    torch.save(module.state_dict(), path)
    return str(path)


def measure(classifier: Classifier, own: NetworkOptions, options: BenchmarkNetworksOptions) -> dict[str, Any]:
    batch = options.batch
    if not isinstance(classifier, TorchClassifier):
        raise InvalidParameterError(f"{classifier.name} has no torch side to compare with; give a network of torch")
    by_torch = TorchClassifier(
        classifier.module,
        classifier.preprocessing,
        name="torch",
        backend="torch",
        weights_digest="",
        score=own.score,
        device=own.device,
    )
    images = renders(classifier.preprocessing.size, batch)
    eager = Eager(classifier)
    classes = np.arange(batch) % classifier.labels
    steps: dict[str, Callable[[], object]] = {
        "eager": lambda: eager(images),
        "torch": lambda: by_torch.scores(images, classes),
        "in_use": lambda: classifier.scores(images, classes),
        "gradient": lambda: classifier.scores_and_gradients(images, classes),
    }
    functions = {n: SceneFunction(classifier, [make_shape("cup", 0)], [0], space) for n, space in SPACES.items()}
    for n, function in functions.items():
        theta = SPACES[n].sample(batch, np.random.default_rng(0))[None]
        steps[f"f_{n}"] = partial(function.values, theta)
        steps[f"f_gradient_{n}"] = partial(function.values_and_gradients, theta)
        scenes = function.scenes(theta[0])
        slopes = function.renderer.render_with_derivatives
        steps[f"slopes_{n}"] = partial(slopes, function.meshes[0], scenes, SPACES[n].names)
    times = interleaved(steps, options.repeats)
    return {
        "values_by": classifier.backend_in_use("values"),
        "gradients_by": classifier.backend_in_use("gradients"),
        **agreement(classifier, eager, images),
        **invariance(classifier, by_torch, eager, images),
        **{f"{name}_ms": 1e3 * times.median(name) / batch for name in ("in_use", "torch", "eager")},
        "speed_of_eager": times.ratio("eager", "in_use"),
        "speed_of_torch": times.ratio("torch", "in_use"),
        "gradient_of_value": times.ratio("gradient", "in_use"),
        **{f"f_gradient_of_value_n{n}": times.ratio(f"f_gradient_{n}", f"f_{n}") for n in SPACES},
        **{f"of_it_classifier_n{n}": times.ratio("gradient", f"f_gradient_{n}") for n in SPACES},
        **{f"of_it_derivatives_n{n}": times.ratio(f"slopes_{n}", f"f_gradient_{n}") for n in SPACES},
    }


def renders(size: int, count: int) -> Float32Array:
    """Pictures of a cup and a chair, half each, seen from anywhere."""
    theta = SPACES[2].sample(count, np.random.default_rng(1))
    parts = []
    for name, part in (("cup", theta[: count // 2]), ("chair", theta[count // 2 :])):
        scenes = Scenes.from_parameters(dict(zip(SPACES[2].names, part.T, strict=True)))
        parts.append(Rasterizer(size).render(make_shape(name, 0), scenes))
    return np.concatenate(parts)


class Eager:
    """The same network by torch as anyone would run it: one batch, default memory order."""

    def __init__(self, classifier: TorchClassifier) -> None:
        self._device = next(classifier.module.parameters()).device
        network = ImageNetwork(classifier.module, classifier.preprocessing, is_softmax=classifier.score == "softmax")
        self._network = network.eval().to(self._device)

    def __call__(self, images: Float32Array) -> Float32Array:
        with torch.inference_mode():
            answers: Float32Array = self._network(torch.from_numpy(images).to(self._device)).cpu().numpy()
        return answers


def agreement(classifier: TorchClassifier, eager: Eager, images: Float32Array) -> dict[str, float]:
    """Largest difference of the answer of any class, and share of pictures with the same top answer."""
    expected, found = eager(images), classifier.probabilities(images)
    return {
        "largest_difference": float(np.abs(found - expected).max()),
        "same_top1": float((found.argmax(axis=1) == expected.argmax(axis=1)).mean()),
        "mean_top_answer": float(expected.max(axis=1).mean()),
    }


def invariance(
    classifier: TorchClassifier, by_torch: TorchClassifier, eager: Eager, images: Float32Array
) -> dict[str, Any]:
    """Whether pictures keep their bytes in batches of 1 and 5 and in another order; how far plain torch moves."""

    def moved(ask: Callable[[Float32Array], Float32Array | FloatArray]) -> float:
        whole = ask(images)
        order = np.random.default_rng(2).permutation(len(images))
        several = [(rows, ask(images[rows])) for rows in (np.array([0]), np.arange(min(5, len(images))), order)]
        return max(float(np.abs(answers - whole[rows]).max()) for rows, answers in several)

    return {
        "moved_in_use": moved(classifier.probabilities),
        "moved_torch_chunks": moved(by_torch.probabilities),
        "moved_eager": moved(eager),
    }
