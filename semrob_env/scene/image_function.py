"""What score functions of pictures share, whether they are rendered or photographed: f(theta) = score of an image.

A subclass makes the pictures; corruptions of the image (`semrob_env.scene.corruptions`) are laid over them here, a
classifier scores them, and its gradient in the image comes back the same way. Ids of such functions are
`SCHEME:NETWORK/CLASS/SOURCE?params=...&option=value` (`ImageId`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import Field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, SupportsIndex, TypeVar

import numpy as np

from semrob_env.errors import InvalidParameterError, NoGradientError
from semrob_env.functions import SCHEMES, Price, ScoreFunction, make_function, split_options
from semrob_env.parameters import CORRUPTION_PARAMETERS, STEPPED_PARAMETERS, SemanticSpace
from semrob_env.scene.classes import CLASS_INDEX, UNTOLD
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.names import check_alias, split_subject
from semrob_env.scene.classifiers.network_spec import NetworkSpec
from semrob_env.scene.classifiers.options import ESCAPED, NetworkOptions
from semrob_env.scene.classifiers.registry import canonical_network, load_network
from semrob_env.scene.classifiers.score_kinds import score_kind
from semrob_env.scene.corruptions import Corruptions
from semrob_env.scene.picture_attack import ALBEDO, Attacked, PictureAttack
from semrob_env.scene.shapes import SHAPES
from semrob_env.scene.sources import ShapeInfo
from semrob_env.scene.sources.texts import escape, unescape
from semrob_env.types import Float32Array, FloatArray, IntArray

if TYPE_CHECKING:
    from typing_extensions import Self

MEMORY_BOUND_BYTES = 128 * 2**20
"""Pictures, their derivatives and gradients of one chunk stay below this (at least one view is in a chunk)."""

MOST_SIZE = 1024
"""Largest picture that an id may ask for; a network's memory grows with its square."""

LARGEST_CHUNK = 32
"""Most views in a chunk: more are not faster."""


class ImageFunction(ScoreFunction):
    """A family of pictures that theta changes, seen by one classifier.

    The first answer probes the classifier at the default point of the space; values are then asked in chunks of at
    most `MEMORY_BOUND_BYTES`. A theta has the same bytes alone and in any batch; with its gradient its value may differ
    by rounding, up to some 1e-6 of a softmax, as another graph of the network answers then. Where the weights of the
    classifier change, scores and fingerprints are those of the new ones. There is no gradient where the classifier has
    none, or where a parameter of the space changes pictures in steps.

    Args:
        classifier: Scores pictures.
        class_indices: The class that each member is scored for.
        space: Parameters that theta sets.
        names: One id a member.
        noise_seed: Chooses the pattern of the parameter `noise`.
        attack: What is done to each image, after corruptions, before it is scored; None: nothing.

    Raises:
        NoGradientError: An attack on a classifier without a gradient.
        UnknownNameError: A class index that the classifier does not have.
    """

    is_rendered = True

    def __init__(
        self,
        classifier: Classifier,
        class_indices: Sequence[int],
        space: SemanticSpace,
        names: Sequence[str],
        *,
        noise_seed: int = 0,
        attack: PictureAttack | None = None,
    ) -> None:
        self.classifier, self.attack = classifier, attack
        if attack is not None and not classifier.has_gradient:
            raise NoGradientError(f"{classifier.name} has no gradient that an attack on its pictures could follow")
        self.class_indices: IntArray = np.array(class_indices, dtype=np.int64)
        classifier.check_classes(self.class_indices)
        self._own = np.array([name not in CORRUPTION_PARAMETERS for name in space.names])
        self.own_names = tuple(name for name in space.names if name not in CORRUPTION_PARAMETERS)
        corrupting = tuple(name for name in space.names if name in CORRUPTION_PARAMETERS)
        self.corruptions = Corruptions(corrupting, noise_seed)
        super().__init__(
            space,
            tuple(names),
            score_range=classifier.score_range,
            is_logistic=classifier.is_logistic,
            has_gradient=classifier.has_gradient
            and not STEPPED_PARAMETERS.intersection(space.names)
            and (attack is None or attack.target != ALBEDO),
        )
        self._probed = False

    def __deepcopy__(self, memo: dict[int, object]) -> ImageFunction:
        del memo
        return self  # it answers and keeps nothing: copies share the network, as all that one id names do

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        # By id where that is known: networks and compiled graphs do not travel, they are made again.
        is_known = self.id.partition(":")[0] in SCHEMES
        return (make_function, (self.id,)) if is_known else super().__reduce_ex__(protocol)

    @property
    def value_price(self) -> Price:
        """That of the attack, if there is one."""
        return super().value_price if self.attack is None else self.attack.value_price

    @property
    def gradient_price(self) -> Price:
        """That of the attack, if there is one."""
        return super().gradient_price if self.attack is None else self.attack.gradient_price

    @property
    def attack_fingerprint(self) -> dict[str, str]:
        """What an attack adds to the facts that pin the answers."""
        return {} if self.attack is None else {"attack": self.attack.text}

    def images(self, theta: FloatArray, member: int = 0) -> Float32Array:
        """Pictures (N, 3, size, size) in [0, 1] at theta (N, n): what the classifier sees before any attack."""
        return self._seen(member, self.space.require(theta))

    def probe(self) -> None:
        """Ask the classifier for each member at the default point, outside any count.

        Raises:
            ClassifierError: It answers NaN, a wrong shape, or not a score.
        """
        for member, index in enumerate(self.class_indices):
            self.classifier.probe(self.images(self.space.default[None], member)[0], int(index))
        self._probed = True

    @abstractmethod
    def described(self, member: int) -> str:
        """What a member shows, in a few words."""

    @abstractmethod
    def _pictures(self, member: int, theta: FloatArray) -> Float32Array:
        """Pictures (N, 3, size, size) in [0, 1] of a member at theta (N, len(own_names)), without corruptions."""

    @abstractmethod
    def _pictures_and_slopes(self, member: int, theta: FloatArray) -> tuple[Float32Array, Float32Array]:
        """Pictures (N, 3, size, size) whose gradients are told, and derivatives (N, len(own_names), 3, size, size)."""

    def _object_attacked(self, member: int, theta: FloatArray, attack: PictureAttack) -> FloatArray:
        """Scores (N,) after an attack on the albedo of what is shown at theta (N, n)."""
        del theta
        raise InvalidParameterError(f"{attack.text}: {self.member_ids[member]} has no object whose colors could change")

    def _is_smoothed(self) -> bool:
        """Whether those pictures are others than the ones that are scored."""
        return False

    def _seen(self, member: int, theta: FloatArray) -> Float32Array:
        return self.corrupted(self._pictures(member, theta[:, self._own]), theta)[0]

    def corrupted(self, pictures: Float32Array, theta: FloatArray) -> tuple[Float32Array, FloatArray]:
        """Pictures (N, 3, size, size) under the corruptions of theta (N, n), and what of theta those are."""
        corrupting = theta[:, ~self._own]
        return self.corruptions.applied(pictures, corrupting), corrupting

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
        view_bytes = 4 * 3 * self.classifier.preprocessing.size**2 * images
        count = int(np.clip(MEMORY_BOUND_BYTES // view_bytes, 1, LARGEST_CHUNK))
        for own in np.unique(member):
            points = np.flatnonzero(np.repeat(member, theta.shape[1]) == own)
            for first in range(0, len(points), count):
                yield int(own), points[first : first + count]

    def _chunk_values(self, member: int, theta: FloatArray) -> FloatArray:
        classes = np.full(len(theta), self.class_indices[member])
        if self.attack is None:
            return self.classifier.scores(self._seen(member, theta), classes)
        if self.attack.target == ALBEDO:
            return self._object_attacked(member, theta, self.attack)
        return attacked(self.classifier, self.attack, self._seen(member, theta), classes).scores

    def _chunk_gradients(self, member: int, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        pictures, slopes = self._pictures_and_slopes(member, theta[:, self._own])
        corrupting = theta[:, ~self._own]
        classes = np.full(len(theta), self.class_indices[member])
        seen = self.corruptions.applied(pictures, corrupting)
        if self.attack is None:
            values, upstream = self.classifier.scores_and_gradients(seen, classes)
        else:
            found = attacked(self.classifier, self.attack, seen, classes, with_gradients=True)
            assert found.gradients is not None
            # What was cut off at black or white does not move with the picture.
            moves = (found.seen == seen) | ((found.seen > 0) & (found.seen < 1))
            values, upstream = found.scores, found.gradients * moves
        if self._is_smoothed():
            values = self._chunk_values(member, theta)
        gradients = np.empty(theta.shape)
        upstream, gradients[:, ~self._own] = self.corruptions.pulled_back(pictures, corrupting, upstream)
        # One view at a time, in float64: the sum of a view must not depend on how many stand beside it.
        gradients[:, self._own] = np.array([
            [np.sum(slope * gradient, dtype=np.float64) for slope in view]
            for view, gradient in zip(slopes, upstream, strict=True)
        ]).reshape(len(theta), -1)
        return values, gradients


def attacked(
    classifier: Classifier,
    attack: PictureAttack,
    images: Float32Array,
    class_index: IntArray,
    *,
    with_gradients: bool = False,
) -> Attacked:
    """Attack pictures (N, 3, H, W) that a classifier scores for classes (N,); uncounted, at the prices of the attack.

    Raises:
        NoGradientError: The classifier has none.
    """

    def ask(seen: Float32Array, wants_gradient: bool) -> tuple[FloatArray, Float32Array | None]:
        if wants_gradient:
            return classifier.scores_and_gradients(seen, class_index)
        return classifier.scores(seen, class_index), None

    return attack.lowest(images, ask, with_gradients=with_gradients)


def make_image_function(function_id: str) -> ImageFunction:
    """The function of an `ImageId`; errors as `make_function`."""
    function = make_function(function_id)
    assert isinstance(function, ImageFunction), function_id
    return function


class ImageId:
    """The parts of an id of pictures; `str` gives the canonical text, in which options at their default are left out.

    A subclass is a frozen dataclass whose fields begin with network, class_name, source and params, and whose other
    fields are options that have a default.
    """

    scheme: ClassVar[str]
    example: ClassVar[str]
    network: str
    class_name: str
    source: str
    params: str
    feed: str
    size: int
    score: str
    weights: str
    labels: str
    device: str
    label: str
    alias: str
    output: str
    mean: str
    std: str
    noise_seed: int

    def _check(self) -> None:
        """Refuse options that no id of pictures may have; for `__post_init__`."""
        if self.feed not in ("normalized", "unnormalized"):
            raise InvalidParameterError(f"feed {self.feed!r}: choose normalized or unnormalized")
        if not 0 <= self.size <= MOST_SIZE:
            raise InvalidParameterError(f"size {self.size}: give 1 to {MOST_SIZE} pixels, or 0 for its own")
        if not 0 <= self.noise_seed < 2**63:
            raise InvalidParameterError(f"noise_seed {self.noise_seed}: give a whole number from 0 on")
        score_kind(self.score)
        if self.alias:
            check_alias(self.alias)

    @classmethod
    def of(cls, shape: ShapeInfo, network: NetworkSpec, **others: Any) -> Self:
        """The id of a shape or photo as a network sees it; others: fields that neither of them says.

        Raises:
            InvalidParameterError: A shape whose class nobody tells, or a photo with a pose.
        """
        if shape.class_name is None:
            raise InvalidParameterError(f"{shape.label}: {UNTOLD}; give --class NAME")
        said = {**network.in_ids(), **shape.pose.in_ids(), **others, "label": escape(shape.scored_as)}
        odd = said.keys() - {option.name for option in _fields(cls)}
        if odd:
            raise InvalidParameterError(
                f"{shape.label}: a {cls.scheme} has no {', '.join(sorted(odd))}; leave that out"
            )
        make: Callable[..., Self] = cls
        return make(network.network, escape(shape.class_name), shape.source, **said)

    @classmethod
    def parse(cls, function_id: str) -> Self:
        """Read an id.

        Raises:
            InvalidParameterError: Not `SCHEME:NETWORK/CLASS/SOURCE?options`, or an unknown or unreadable option.
        """
        body, options = split_options(function_id)
        if "colours" in options and "colors" not in options:  # as ids were written before
            options["colors"] = options.pop("colours")
        parts = split_subject(body)
        if parts is None:
            raise InvalidParameterError(f"cannot read {function_id!r}; write {cls.example}")
        readers: dict[str, Callable[[str], Any]] = {option.name: type(option.default) for option in _fields(cls)[3:]}
        unknown = [name for name in options if name not in readers]
        if unknown:
            raise InvalidParameterError(
                f"unknown option {unknown[0]!r} of {function_id!r}; known: {', '.join(readers)}"
            )
        try:
            make: Callable[..., Self] = cls
            return make(*parts, **{name: readers[name](value) for name, value in options.items()})
        except ValueError as error:
            raise InvalidParameterError(f"cannot read the options of {function_id!r}: {error}") from error

    def __str__(self) -> str:
        changed = "".join(
            f"&{option.name}={getattr(self, option.name)}"
            for option in _fields(type(self))[4:]
            if getattr(self, option.name) != option.default
        )
        return f"{self.scheme}:{self.network}/{self.class_name}/{self.source}?params={self.params}{changed}"


def _fields(cls: Any) -> tuple[Field[Any], ...]:
    return fields(cls)


IdT = TypeVar("IdT", bound=ImageId)


def resolved(own: IdT, source: str) -> tuple[IdT, Classifier, int, SemanticSpace]:
    """An id in its one spelling, its network, the index of its class, and its space.

    Args:
        own: The id.
        source: The one spelling of its source.

    Raises:
        UnknownNameError: Unknown network, class or parameter.
        InvalidParameterError, MissingExtraError, MissingFileError, RefusedFileError, ClassifierError: The network
            cannot be loaded.
    """
    space = SemanticSpace.of(own.params)
    network = canonical_network(own.network)
    given: dict[str, Any] = {option.name: getattr(own, option.name) for option in fields(NetworkOptions)}
    options = NetworkOptions(**{**given, **{name: unescape(given[name]) for name in ESCAPED}})
    classifier = load_network(network, unnormalized=own.feed == "unnormalized", options=options)
    wanted = unescape(own.label or own.class_name)
    index = classifier.classes.index(wanted)
    # A class of shapes keeps its name: procedural shapes are made of it.
    spelt = wanted if wanted in CLASS_INDEX or wanted in SHAPES else escape(classifier.classes.name(index))
    named = {"label": spelt} if own.label else {"class_name": spelt}
    named |= {"mean": options.mean, "std": options.std}  # in their one spelling
    whole: Any = own
    canonical: IdT = replace(whole, network=network, params=space.spec, source=source, **named)
    return canonical, classifier, index, space
