"""The live score function: f(theta) = score that a classifier gives to a shape rendered at theta.

Ids: `scene:NETWORK/CLASS/SHAPE?params=azimuth,elevation`, where SHAPE is `procedural:3`, `file:PATH`,
`folder:PATH#NAME` or `sh3f:PATH#NAME` (see `semrob_env.scene.sources`), and params is what `SemanticSpace.of` reads: a
named space (`paper6`) and parts of ranges (`azimuth[90:180]`) too. Further options, left out where they have their
default, are those of `SceneId`, for example `&feed=unnormalized&score=margin&gradient_blur=1.0`; paths and names in
them are escaped as in SHAPE.

What the gradient means. grad f = <df/dI, dI/dtheta_k>, exact up to rounding for the picture formula. But f itself
oscillates at the scale of a pixel (about 1 degree), so the exact slope describes some 0.2 degrees. A trend over
degrees wants finite differences with a step of 1 to 4 degrees (`semrob_env.oracle.FiniteDifferences`), the mean over a
neighborhood (`semrob_env.oracle.NeighborhoodGradients`), or the gradient of a smoothed picture: `gradient_blur` draws
each picture once more for it, and f is scored on the plain one, so that a value with its gradient costs one rendered
and classified picture more than its bill of 1 + 1 says. `scripts/gradient_study.py` measures which kind foretells f
over which distance.

Under `attack=linf:2/255:5` (or `albedo:linf:0.1:5`), f(theta) is the lowest score that an attack on the picture at
theta, or on the colors of the object, finds: an upper bound of the lowest there is. The oracle charges what that asks
(`PictureAttack`). Its gradient is that of the score where the attack ended, with the change of the picture held fixed;
under attacks on albedo there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np

from semrob_env.errors import InvalidParameterError, ShapeMismatchError
from semrob_env.parameters import CORRUPTION_PARAMETERS, SemanticSpace
from semrob_env.scene.albedo_attack import attack_albedo
from semrob_env.scene.camera import Scenes, check_names
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.image_function import ImageFunction, ImageId, resolved
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.picture_attack import PictureAttack
from semrob_env.scene.pose import Pose
from semrob_env.scene.renderers import Rasterizer, Renderer, make_renderer
from semrob_env.scene.renderers.surrounded import GROUNDS, SurroundedRenderer
from semrob_env.scene.shading import CREASE_DEG, Shading
from semrob_env.scene.sources import COLORS, canonical_source, check_pose, load_shape
from semrob_env.scene.surroundings import canonical_background, canonical_occluder, load_backdrop, read_occluder
from semrob_env.types import Float32Array, FloatArray

PROTOCOL = "1"
"""Version of what is not a parameter (camera, light, normalisation of meshes); enters the keys of stored runs."""

SURFACE = "3"
"""Goes up when images of surfaces (textures, smooth normals, gloss), or their derivatives, change by a bit."""


@final
class SceneFunction(ImageFunction):
    """A family of shapes seen by one classifier through one renderer.

    Args:
        classifier: Scores pictures; `has_gradient` of the function is its.
        meshes: One normalised mesh a member.
        class_indices: The class that each member is scored for.
        space: Parameters that theta sets; the rest of the scene keeps the paper's protocol.
        renderer: None: a `Rasterizer` of the classifier's own input size.
        gradient_renderer: Draws the pictures whose gradients are told; None: `renderer` does.
        names: One id a member; None: built from mesh names, which `make_function` does not know.
        noise_seed: See `ImageFunction`.
        attack: See `ImageFunction`; one on albedo changes the colors of the faces.

    Raises:
        InvalidParameterError: The renderer's pictures do not have the classifier's size, a parameter is idle in it, or
            there is an attack beside a renderer for gradients.
        NoGradientError: As `ImageFunction`.
        ShapeMismatchError: Not one class a mesh.
        UnknownNameError: A class index that the classifier does not have, or a parameter that no scene has.
    """

    def __init__(
        self,
        classifier: Classifier,
        meshes: Sequence[Mesh],
        class_indices: Sequence[int],
        space: SemanticSpace,
        *,
        renderer: Renderer | None = None,
        gradient_renderer: Renderer | None = None,
        names: Sequence[str] | None = None,
        noise_seed: int = 0,
        attack: PictureAttack | None = None,
    ) -> None:
        if attack is not None and gradient_renderer is not None:
            raise InvalidParameterError("an attack on pictures beside a renderer for gradients; leave one of them away")
        self.renderer = Rasterizer(classifier.preprocessing.size) if renderer is None else renderer
        self.gradient_renderer = gradient_renderer or self.renderer
        self.meshes = tuple(meshes)
        if len(class_indices) != len(self.meshes):
            raise ShapeMismatchError(f"{len(self.meshes)} meshes and {len(class_indices)} classes; give one a mesh")
        check_names(name for name in space.names if name not in CORRUPTION_PARAMETERS)
        for own in (self.renderer, self.gradient_renderer):
            idle = [name for name in space.names if name in own.idle]
            if idle:
                raise InvalidParameterError(f"parameter {idle[0]} would change nothing; it needs {own.idle[idle[0]]}")
            if own.size != classifier.preprocessing.size:
                raise InvalidParameterError(
                    f"pictures of {own.size} pixels for {classifier.name}, which is set to "
                    f"{classifier.preprocessing.size}; give both the same size"
                )
        super().__init__(
            classifier,
            class_indices,
            space,
            names or [f"scene-object:{classifier.name}/{mesh.name or mesh.digest[:12]}" for mesh in meshes],
            noise_seed=noise_seed,
            attack=attack,
        )

    @property
    def fingerprints(self) -> tuple[dict[str, str], ...]:
        """Per member: hashes of weights and mesh, versions; those of the weights as they are now."""
        common = {**self.classifier.fingerprint, "renderer": self.renderer.identity, "protocol": PROTOCOL}
        common |= {**self.corruptions.fingerprint, **self.attack_fingerprint}
        if self.gradient_renderer is not self.renderer:
            common["gradient_renderer"] = self.gradient_renderer.identity
        surfaces = ({} if mesh.surface is None else {"surface": SURFACE} for mesh in self.meshes)
        return tuple(
            {**common, "mesh": mesh.digest, **surface, "class_index": str(index)}
            for mesh, surface, index in zip(self.meshes, surfaces, self.class_indices, strict=True)
        )

    def scenes(self, theta: FloatArray) -> Scenes:
        """The scenes at theta (N, n), in the paper's protocol but for the space's parameters."""
        return self._scenes(theta[:, self._own])

    def _scenes(self, theta: FloatArray) -> Scenes:
        columns = dict(zip(self.own_names, theta.T, strict=True)) or {"azimuth": np.zeros(len(theta))}
        return Scenes.from_parameters(columns)

    def described(self, member: int) -> str:
        """The number of faces."""
        return f"{len(self.meshes[member].faces)} faces"

    def _pictures(self, member: int, theta: FloatArray) -> Float32Array:
        return self.renderer.render(self.meshes[member], self._scenes(theta))

    def _pictures_and_slopes(self, member: int, theta: FloatArray) -> tuple[Float32Array, Float32Array]:
        return self.gradient_renderer.render_with_derivatives(self.meshes[member], self._scenes(theta), self.own_names)

    def _is_smoothed(self) -> bool:
        return self.gradient_renderer is not self.renderer

    def _object_attacked(self, member: int, theta: FloatArray, attack: PictureAttack) -> FloatArray:
        return attack_albedo(self, attack, theta, member).scores


@final
@dataclass(frozen=True)
class SceneId(ImageId):
    """The parts of a `scene:` id; `str` gives the canonical text, in which options at their default are left out.

    Attributes:
        network: Name of a network, as `canonical_network` reads it.
        class_name: Class that the shape is scored for.
        source: The shape.
        params: Parameter names, comma separated, as `SemanticSpace.of` reads them.
        feed: `normalized`, or `unnormalized`: pictures in [0, 1] as they are, as in the paper's released code.
        size: Picture size; 0: the network's own.
        supersample: Option of the renderer.
        blur: Option of the renderer: sigma in pixels.
        colors: `white`, `material`: each face in one color of its material, or `texture`: with its textures.
        gradient_supersample: As `supersample`, for the pictures whose gradients are told; 0: as values.
        gradient_blur: As `blur`, for gradients alone.
        score: Option of the network, as the next three and `output`: `softmax`, `margin` or `top1`.
        weights: Escaped path.
        labels: Escaped path.
        device: Of torch, for the network and, where it can, the renderer.
        label: Escaped name or index of the class to score, where it is not that of the shape; empty: `class_name`.
        renderer: Name, as `make_renderer` reads it.
        alias: What tables call the network, to tell two files of weights of one apart; empty: `network`.
        output: Escaped name of an output; see `NetworkOptions`, as for all that follow.
        mean: Numbers of the normalization.
        std: Numbers of the normalization.
        range: Word of the numbers that black and white become.
        channels: `rgb` or `bgr`.
        layout: `nchw` or `nhwc`.
        answers: `logits` or `probabilities`.
        factory: `module:function`, which this process must trust.
        up: How the mesh of a file is put up, as the next four: see `semrob_env.scene.pose.Pose`.
        front: Of the pose.
        rotate: Of the pose.
        scale: Of the pose.
        node: Escaped name of a part of the file.
        noise_seed: Chooses the pattern of the parameter `noise`.
        background: What is behind the object, as the next four see `semrob_env.scene.surroundings`; empty: a color.
        background_crop: The part of a picture that is shown; empty: its middle.
        background_seed: Chooses a picture of a folder.
        ground: `none`, `plane` or `shadow`.
        occluder: What is in front of the object; empty: nothing.
        normals: As `Shading`, like the next two: `flat`, `smooth` or `file`.
        crease: In degrees.
        specular: Strength of the highlight.
        attack: On each picture, as `PictureAttack.parse` reads it; empty: none.
    """

    network: str
    class_name: str
    source: str
    params: str = "azimuth,elevation"
    feed: str = "normalized"
    size: int = 0
    supersample: int = 1
    blur: float = 0.0
    colors: str = "white"
    gradient_supersample: int = 0
    gradient_blur: float = 0.0
    score: str = "softmax"
    weights: str = ""
    labels: str = ""
    device: str = "cpu"
    label: str = ""
    renderer: str = "rasterizer"
    alias: str = ""
    output: str = ""
    mean: str = ""
    std: str = ""
    range: str = ""
    channels: str = ""
    layout: str = ""
    answers: str = ""
    factory: str = ""
    up: str = "y"
    front: str = ""
    rotate: str = ""
    scale: str = "unit"
    node: str = ""
    normals: str = "flat"
    crease: float = CREASE_DEG
    specular: float = 0.0
    noise_seed: int = 0
    background: str = ""
    background_crop: str = ""
    background_seed: int = 0
    ground: str = "none"
    occluder: str = ""
    attack: str = ""

    scheme: ClassVar[str] = "scene"
    example: ClassVar[str] = "scene:NETWORK/CLASS/procedural:0"

    def __post_init__(self) -> None:
        self._check()
        if self.colors not in COLORS:
            raise InvalidParameterError(f"colors {self.colors!r}: choose {', '.join(COLORS[:-1])} or {COLORS[-1]}")
        if self.ground not in GROUNDS:
            raise InvalidParameterError(f"ground {self.ground!r}: choose {', '.join(GROUNDS)}")
        _ = self.shading
        if self.attack:
            object.__setattr__(self, "attack", PictureAttack.parse(self.attack).text)
        object.__setattr__(self, "rotate", self.pose.rotate)  # one spelling

    @property
    def pose(self) -> Pose:
        """How the mesh is put up."""
        return Pose.of_ids(vars(self))

    @property
    def shading(self) -> Shading:
        """Normals and highlight."""
        return Shading(self.normals, self.crease, self.specular)


def make_scene_function(function_id: str) -> SceneFunction:
    """The function of a `scene:` id; networks are shared within a process.

    Raises:
        UnknownNameError: Unknown network, class, shape or parameter.
        InvalidParameterError: A malformed id.
        InvalidMeshError, LibraryError, AmbiguousNameError: The shape cannot be used or found.
        InvalidPictureError: A picture behind it cannot be used.
        MissingExtraError, MissingFileError, RefusedFileError, ClassifierError: Network or renderer cannot be loaded.
    """
    own = SceneId.parse(function_id)
    source = canonical_source(own.source)
    check_pose(source, own.pose)  # before the network: that takes seconds
    own, classifier, index, space = resolved(own, source)
    own = replace(own, background=canonical_background(own.background), occluder=canonical_occluder(own.occluder))
    mesh = load_shape(own.class_name, own.source, own.colors, own.pose, own.shading)
    size = classifier.preprocessing.size
    backdrop = load_backdrop(
        own.background,
        own.background_crop,
        own.background_seed,
        size,
        is_chosen="background_choice" in space.names,
    )
    occluder = read_occluder(own.occluder, own.colors)

    def renderer(supersample: int, blur: float) -> Renderer:
        if backdrop is None and occluder is None and own.ground == "none":
            return make_renderer(own.renderer, size, supersample, blur, own.device)
        inner = make_renderer(own.renderer, size, supersample, device=own.device)
        return SurroundedRenderer(inner, backdrop=backdrop, ground=own.ground, occluder=occluder, blur=blur)

    smoothed = None
    if own.gradient_supersample or own.gradient_blur:
        smoothed = renderer(own.gradient_supersample or own.supersample, own.gradient_blur or own.blur)
    return SceneFunction(
        classifier,
        [mesh],
        [index],
        space,
        renderer=renderer(own.supersample, own.blur),
        gradient_renderer=smoothed,
        names=[str(own)],
        noise_seed=own.noise_seed,
        attack=PictureAttack.parse(own.attack) if own.attack else None,
    )
