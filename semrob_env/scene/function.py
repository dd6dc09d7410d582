"""The live score function: f(theta) = score that a classifier gives to a shape rendered at theta.

Ids: `scene:NETWORK/CLASS/SHAPE?params=azimuth,elevation`, where SHAPE is `procedural:3`, `file:PATH`,
`folder:PATH#NAME` or `sh3f:PATH#NAME` (see `semrob_env.scene.sources`), and params is what `SemanticSpace.of` reads: a
named space (`paper6`) and parts of ranges (`azimuth[90:180]`) too. Further options, left out where they have their
default, are those of `SceneId`, for example `&feed=unnormalized&score=margin&gradient_blur=1.0`; paths and names in
them are escaped as in SHAPE.

What the gradient means. grad f = <df/dI, dI/dtheta_k>, exact up to rounding for the picture formula. But f itself
oscillates at the scale of a pixel (about 1 degree), so the exact slope describes some 0.2 degrees. A trend over
degrees wants finite differences with a step of 1 to 4 degrees (`semrob_env.oracle.FiniteDifferences`), the mean over a
neighbourhood (`semrob_env.oracle.NeighborhoodGradients`), or the gradient of a smoothed picture: `gradient_blur` draws
each picture once more for it, and f is scored on the plain one, so that a value with its gradient costs one rendered
and classified picture more than its bill of 1 + 1 says. `scripts/gradient_study.py` measures which kind foretells f
over which distance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, SupportsIndex, final

import numpy as np

from semrob_env.errors import InvalidParameterError, ShapeMismatchError
from semrob_env.functions import SCHEMES, ScoreFunction, make_function, split_options
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.camera import Scenes, check_names
from semrob_env.scene.classes import CLASS_INDEX
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.names import check_alias, split_subject
from semrob_env.scene.classifiers.network_spec import NetworkSpec
from semrob_env.scene.classifiers.options import ESCAPED, NetworkOptions
from semrob_env.scene.classifiers.registry import canonical_network, load_network
from semrob_env.scene.classifiers.score_kinds import score_kind
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.pose import Pose
from semrob_env.scene.renderers import Rasterizer, Renderer, make_renderer
from semrob_env.scene.shapes import SHAPES
from semrob_env.scene.sources import COLORS, ShapeInfo, canonical_source, load_shape
from semrob_env.scene.sources.texts import escape, unescape
from semrob_env.types import Float32Array, FloatArray, IntArray

MEMORY_BOUND_BYTES = 128 * 2**20
"""Pictures, their derivatives and gradients of one chunk stay below this (at least one view is in a chunk)."""

PROTOCOL = "1"
"""Version of what is not a parameter (camera, light, normalisation of meshes); enters the keys of stored runs."""

MOST_SIZE = 1024
"""Largest picture that an id may ask for; a network's memory grows with its square."""

LARGEST_CHUNK = 32
"""Most views in a chunk: more are not faster."""


@final
class SceneFunction(ScoreFunction):
    """A family of shapes seen by one classifier through one renderer.

    The first answer probes the classifier at the default point of the space; values are then asked in chunks of at
    most `MEMORY_BOUND_BYTES`. A theta has the same bytes alone and in any batch; with its gradient its value may differ
    by rounding, up to some 1e-6 of a softmax, as another graph of the network answers then. Where the weights of the
    classifier change, scores and fingerprints are those of the new ones.

    Args:
        classifier: Scores pictures; `has_gradient` of the function is its.
        meshes: One normalised mesh a member.
        class_indices: The class that each member is scored for.
        space: Parameters that theta sets; the rest of the scene keeps the paper's protocol.
        renderer: None: a `Rasterizer` of the classifier's own input size.
        gradient_renderer: Draws the pictures whose gradients are told; None: `renderer` does.
        names: One id a member; None: built from mesh names, which `make_function` does not know.

    Raises:
        InvalidParameterError: The renderer's pictures do not have the classifier's size.
        ShapeMismatchError: Not one class a mesh.
        UnknownNameError: A class index that the classifier does not have, or a parameter that no scene has.
    """

    is_rendered = True

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
    ) -> None:
        self.classifier = classifier
        self.renderer = Rasterizer(classifier.preprocessing.size) if renderer is None else renderer
        self.gradient_renderer = gradient_renderer or self.renderer
        self.meshes = tuple(meshes)
        self.class_indices: IntArray = np.array(class_indices, dtype=np.int64)
        if self.class_indices.shape != (len(self.meshes),):
            raise ShapeMismatchError(f"{len(self.meshes)} meshes and {len(class_indices)} classes; give one a mesh")
        check_names(space.names)
        classifier.check_classes(self.class_indices)
        for own in (self.renderer, self.gradient_renderer):
            if own.size != classifier.preprocessing.size:
                raise InvalidParameterError(
                    f"pictures of {own.size} pixels for {classifier.name}, which is set to "
                    f"{classifier.preprocessing.size}; give both the same size"
                )
        super().__init__(
            space,
            tuple(names or (f"scene-object:{classifier.name}/{mesh.name or mesh.digest[:12]}" for mesh in meshes)),
            score_range=classifier.score_range,
            is_logistic=classifier.is_logistic,
            has_gradient=classifier.has_gradient,
        )
        self._probed = False

    def __deepcopy__(self, memo: dict[int, object]) -> SceneFunction:
        del memo
        return self  # it answers and keeps nothing: copies share the network, as all that one id names do

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        # By id where that is known: networks and compiled graphs do not travel, they are made again.
        is_known = self.id.partition(":")[0] in SCHEMES
        return (make_function, (self.id,)) if is_known else super().__reduce_ex__(protocol)

    @property
    def fingerprints(self) -> tuple[dict[str, str], ...]:
        """Per member: hashes of weights and mesh, versions; those of the weights as they are now."""
        common = {**self.classifier.fingerprint, "renderer": self.renderer.identity, "protocol": PROTOCOL}
        if self.gradient_renderer is not self.renderer:
            common["gradient_renderer"] = self.gradient_renderer.identity
        return tuple(
            {**common, "mesh": mesh.digest, "class_index": str(index)}
            for mesh, index in zip(self.meshes, self.class_indices, strict=True)
        )

    def images(self, theta: FloatArray, member: int = 0) -> Float32Array:
        """Pictures (N, 3, size, size) in [0, 1] at theta (N, n): what the classifier sees."""
        return self.renderer.render(self.meshes[member], self.scenes(self.space.require(theta)))

    def scenes(self, theta: FloatArray) -> Scenes:
        """The scenes at theta (N, n), in the paper's protocol but for the space's parameters."""
        return Scenes.from_parameters(dict(zip(self.space.names, theta.T, strict=True)))

    def probe(self) -> None:
        """Ask the classifier for each member at the default point, outside any count.

        Raises:
            ClassifierError: It answers NaN, a wrong shape, or not a score.
        """
        for member, index in enumerate(self.class_indices):
            self.classifier.probe(self.images(self.space.default[None], member)[0], int(index))
        self._probed = True

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        flat, values = theta.reshape(-1, self.space.n), np.empty(theta[..., 0].size)
        for own, points in self._chunks(theta, member, images=1):
            values[points] = self._chunk_values(own, flat[points])
        return values.reshape(theta.shape[:2])

    def _values_and_gradients(self, theta: FloatArray, member: IntArray) -> tuple[FloatArray, FloatArray]:
        flat, values = theta.reshape(-1, self.space.n), np.empty(theta[..., 0].size)
        gradients = np.empty(flat.shape)
        # A picture, K derivative pictures, their products, and the gradient in the picture.
        for own, points in self._chunks(theta, member, images=2 + 2 * self.space.n):
            values[points], gradients[points] = self._chunk_gradients(own, flat[points])
        return values.reshape(theta.shape[:2]), gradients.reshape(theta.shape)

    def _chunks(self, theta: FloatArray, member: IntArray, *, images: int) -> Iterator[tuple[int, IntArray]]:
        """A member, and which of all points are asked of it at once, with so many pictures in memory for each."""
        if not self._probed:
            self.probe()
        view_bytes = 4 * 3 * self.renderer.size**2 * images
        count = int(np.clip(MEMORY_BOUND_BYTES // view_bytes, 1, LARGEST_CHUNK))
        for own in np.unique(member):
            points = np.flatnonzero(np.repeat(member, theta.shape[1]) == own)
            for first in range(0, len(points), count):
                yield int(own), points[first : first + count]

    def _chunk_values(self, member: int, theta: FloatArray) -> FloatArray:
        images = self.renderer.render(self.meshes[member], self.scenes(theta))
        return self.classifier.scores(images, np.full(len(theta), self.class_indices[member]))

    def _chunk_gradients(self, member: int, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        images, slopes = self.gradient_renderer.render_with_derivatives(
            self.meshes[member], self.scenes(theta), self.space.names
        )
        classes = np.full(len(theta), self.class_indices[member])
        values, upstream = self.classifier.scores_and_gradients(images, classes)
        if self.gradient_renderer is not self.renderer:
            values = self._chunk_values(member, theta)
        # One view at a time, in float64: the sum of a view must not depend on how many stand beside it.
        gradients = np.array([
            [np.sum(slope * gradient, dtype=np.float64) for slope in view]
            for view, gradient in zip(slopes, upstream, strict=True)
        ])
        return values, gradients


@final
@dataclass(frozen=True)
class SceneId:
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
        colors: `white`, or `material`: each face in the color of its material.
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

    def __post_init__(self) -> None:
        if self.feed not in ("normalized", "unnormalized"):
            raise InvalidParameterError(f"feed {self.feed!r}: choose normalized or unnormalized")
        if not 0 <= self.size <= MOST_SIZE:
            raise InvalidParameterError(f"size {self.size}: give 1 to {MOST_SIZE} pixels, or 0 for its own")
        if self.colors not in COLORS:
            raise InvalidParameterError(f"colors {self.colors!r}: choose {' or '.join(COLORS)}")
        score_kind(self.score)
        if self.alias:
            check_alias(self.alias)
        object.__setattr__(self, "rotate", self.pose.rotate)  # one spelling

    @property
    def pose(self) -> Pose:
        """How the mesh is put up."""
        return Pose.of_ids(vars(self))

    @classmethod
    def of(cls, shape: ShapeInfo, network: NetworkSpec, **others: Any) -> SceneId:
        """The id of a shape as a network sees it; others: fields that neither of them says.

        Raises:
            InvalidParameterError: A shape whose class nobody tells.
        """
        if shape.class_name is None:
            raise InvalidParameterError(f"{shape.label}: its name tells no class; give --class NAME")
        said = {**network.in_ids(), **shape.pose.in_ids(), **others, "label": escape(shape.scored_as)}
        return cls(network.network, escape(shape.class_name), shape.source, **said)

    @classmethod
    def parse(cls, function_id: str) -> SceneId:
        """Read an id.

        Raises:
            InvalidParameterError: Not `scene:NETWORK/CLASS/SHAPE?options`, or an unknown or unreadable option.
        """
        body, options = split_options(function_id)
        if "colours" in options and "colors" not in options:  # as ids were written before
            options["colors"] = options.pop("colours")
        parts = split_subject(body)
        if parts is None:
            raise InvalidParameterError(f"cannot read {function_id!r}; write scene:NETWORK/CLASS/procedural:0")
        readers: dict[str, Callable[[str], Any]] = {option.name: type(option.default) for option in fields(cls)[3:]}
        unknown = [name for name in options if name not in readers]
        if unknown:
            raise InvalidParameterError(
                f"unknown option {unknown[0]!r} of {function_id!r}; known: {', '.join(readers)}"
            )
        network, class_name, source = parts
        try:
            chosen = {name: readers[name](value) for name, value in options.items()}
            return cls(network, class_name, source, **chosen)
        except ValueError as error:
            raise InvalidParameterError(f"cannot read the options of {function_id!r}: {error}") from error

    def __str__(self) -> str:
        changed = "".join(
            f"&{option.name}={getattr(self, option.name)}"
            for option in fields(self)[4:]
            if getattr(self, option.name) != option.default
        )
        return f"scene:{self.network}/{self.class_name}/{self.source}?params={self.params}{changed}"


def make_scene_function(function_id: str) -> SceneFunction:
    """The function of a `scene:` id; networks are shared within a process.

    Raises:
        UnknownNameError: Unknown network, class, shape or parameter.
        InvalidParameterError: A malformed id.
        InvalidMeshError, LibraryError, AmbiguousNameError: The shape cannot be used or found.
        MissingExtraError, MissingFileError, RefusedFileError, ClassifierError: Network or renderer cannot be loaded.
    """
    own = SceneId.parse(function_id)
    space = SemanticSpace.of(own.params)
    # One shape, one id, however it was written.
    own = replace(own, network=canonical_network(own.network), params=space.spec, source=canonical_source(own.source))
    given: dict[str, Any] = {option.name: getattr(own, option.name) for option in fields(NetworkOptions)}
    options = NetworkOptions(**{**given, **{name: unescape(given[name]) for name in ESCAPED}})
    own = replace(own, mean=options.mean, std=options.std)  # in their one spelling
    classifier = load_network(own.network, unnormalized=own.feed == "unnormalized", options=options)
    wanted = unescape(own.label or own.class_name)
    index = classifier.classes.index(wanted)
    # A class of shapes keeps its name: procedural shapes are made of it.
    spelt = wanted if wanted in CLASS_INDEX or wanted in SHAPES else escape(classifier.classes.name(index))
    own = replace(own, label=spelt) if own.label else replace(own, class_name=spelt)
    mesh = load_shape(own.class_name, own.source, own.colors, own.pose)
    size = classifier.preprocessing.size
    renderer = make_renderer(own.renderer, size, own.supersample, own.blur, own.device)
    smoothed = None
    if own.gradient_supersample or own.gradient_blur:
        finer, blur = own.gradient_supersample or own.supersample, own.gradient_blur or own.blur
        smoothed = make_renderer(own.renderer, size, finer, blur, own.device)
    return SceneFunction(
        classifier, [mesh], [index], space, renderer=renderer, gradient_renderer=smoothed, names=[str(own)]
    )
