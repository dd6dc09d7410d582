"""What scenes are made of: a network, a family of networks, a renderer, a class of shapes and a source of shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import trimesh

from semrob_env.scene.camera import Scenes
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.renderers import Renderer
from semrob_env.scene.shapes import ShapeClass
from semrob_env.scene.shapes.solid import Parts, Solid
from semrob_env.scene.sources import ShapeInfo, ShapeSource, source_text
from semrob_env.types import Float32Array, FloatArray


def make_network(unnormalized: bool, size: int | None, gain: float = 1.0, name: str = "example_net") -> Classifier:
    """A network that scores how bright a picture is, the same for all 1000 classes."""

    def answer(images: Float32Array) -> FloatArray:
        return np.asarray(np.tile(gain * images.mean(axis=(1, 2, 3))[:, None], (1, 1000)))

    return BlackBoxClassifier(answer, size=size or 32, name=name)


def make_of_family(name: str, unnormalized: bool, size: int | None) -> Classifier:
    """A network of the family: `example_zoo/0.5` is half as bright."""
    return make_network(unnormalized, size, float(name), f"example_zoo/{name}")


@final
class Flat(Renderer):
    """Draws every scene in one grey."""

    identity = "example_flat-1"

    def _draw(self, mesh: Mesh, scenes: Scenes, parameters: Sequence[str]) -> tuple[Float32Array, Float32Array]:
        shape = (3, self.size, self.size)
        images = np.full((len(scenes), *shape), 0.25, dtype=np.float32)
        return images, np.zeros((len(scenes), len(parameters), *shape), dtype=np.float32)


def make_renderer(size: int, supersample: int, blur: float, device: str) -> Renderer:
    """The renderer; it has no options."""
    return Flat(size)


def _pot(rng: np.random.Generator) -> Parts:
    ball = trimesh.creation.icosphere(2, radius=rng.uniform(0.8, 1.2))
    return [Solid(np.asarray(ball.vertices), np.asarray(ball.faces))]


TEAPOT = ShapeClass("teapot", (_pot,))
"""A class that the paper has not, and ImageNet has."""


@final
class _Solids(ShapeSource):
    """`example_solids:BOX_OR_BALL#NAME`: the path names how fine they are."""

    def shapes(self, path: str) -> tuple[ShapeInfo, ...]:
        """A cup that is a box."""
        return (ShapeInfo(source_text("example_solids", path, "box"), "box", "Box", "cup", "CC0", "Example"),)

    def mesh(self, path: str, name: str, *, class_name: str, colors: bool) -> Mesh:
        """The box, of three sizes."""
        box = trimesh.creation.box((1.0, 2.0, 3.0))
        return Mesh(np.asarray(box.vertices), np.asarray(box.faces), None, name)


SOLIDS = _Solids()
