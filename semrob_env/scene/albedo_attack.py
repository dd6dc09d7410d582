"""Attacks on the object, not on the photo: the colors of its faces change, and each step draws it anew.

In kind after Zeng et al., *Adversarial attacks beyond the image space*, CVPR 2019, arXiv 1711.07183, and Liu et al.,
*Beyond pixel norm-balls: parametric adversaries using an analytically differentiable renderer*, ICLR 2019, arXiv
1808.02651: gradients of the score go through the renderer into what the object is made of, here one color a face.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from semrob_env.parameters import SemanticSpace
from semrob_env.scene.camera import Scenes
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.corruptions import Corruptions
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.picture_attack import Attacked, PictureAttack
from semrob_env.scene.renderers.base import Renderer
from semrob_env.types import Float32Array, FloatArray, IntArray


class Rendered(Protocol):
    """What of a `SceneFunction` is asked here, which itself asks this file."""

    corruptions: Corruptions
    class_indices: IntArray
    meshes: tuple[Mesh, ...]
    space: SemanticSpace

    @property
    def classifier(self) -> Classifier:
        """Scores pictures."""

    @property
    def renderer(self) -> Renderer:
        """Draws them."""

    def scenes(self, theta: FloatArray) -> Scenes:
        """The scenes at theta (N, n)."""

    def images(self, theta: FloatArray, member: int = 0) -> Float32Array:
        """Pictures at theta (N, n)."""

    def corrupted(self, pictures: Float32Array, theta: FloatArray) -> tuple[Float32Array, FloatArray]:
        """Pictures under the corruptions of theta, and those."""


def attack_albedo(function: Rendered, attack: PictureAttack, theta: FloatArray, member: int = 0) -> Attacked:
    """Attack the object of a member at each of some views, each view with colors of its own.

    Args:
        function: Its renderer and classifier are asked; an attack of its own is left aside.
        attack: In units of albedo; a length (`l2`) is over all faces and channels.
        theta: Views (N, n).
        member: Whose object.

    Returns:
        `seen` is the albedo (N, F, 3): draw it by `colored_images`. The bill of each view is that of the attack.

    Raises:
        NoGradientError: Classifier or renderer have none.
    """
    mesh, scenes = function.meshes[member], function.scenes(function.space.require(theta))
    own = np.ones(mesh.faces.shape, dtype=np.float32) if mesh.albedo is None else mesh.albedo
    classes = np.full(len(theta), function.class_indices[member])

    def ask(albedo: Float32Array, wants_gradient: bool) -> tuple[FloatArray, Float32Array | None]:
        pictures = _drawn(function, albedo, theta, member)
        images, corrupting = function.corrupted(pictures, theta)
        if not wants_gradient:
            return function.classifier.scores(images, classes), None
        scores, upstream = function.classifier.scores_and_gradients(images, classes)
        upstream, _ = function.corruptions.pulled_back(pictures, corrupting, upstream)
        return scores, function.renderer.albedo_gradients(mesh, albedo, scenes, upstream)

    return attack.lowest(np.repeat(own[None], len(theta), axis=0), ask)


def colored_images(function: Rendered, albedo: Float32Array, theta: FloatArray, member: int = 0) -> Float32Array:
    """Pictures (N, 3, H, W) at views (N, n) of a member's object in other colors: an albedo a view, (N, F, 3)."""
    return function.corrupted(_drawn(function, albedo, theta, member), theta)[0]


def _drawn(function: Rendered, albedo: Float32Array, theta: FloatArray, member: int) -> Float32Array:
    mesh = function.meshes[member]
    pictures = [
        function.renderer.render(replace(mesh, albedo=own), function.scenes(point[None]))
        for own, point in zip(albedo, theta, strict=True)
    ]
    return np.concatenate(pictures) if pictures else function.images(theta, member)
