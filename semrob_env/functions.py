"""Score functions: what the oracle asks, and the ids that name them everywhere.

A ScoreFunction is a *family* of F >= 1 members (one shape and network; or 400 recorded maps) over one space. It
answers, it does not count: only `semrob_env.oracle.QueryOracle` charges queries.

Ids: `scheme:rest?options`, for example `synthetic:plateau?n=4&seed=0`,
`scene:efficientnet_lite0/cup/procedural:3?params=azimuth,elevation` or
`photo:efficientnet_lite0/tabby/file:cat.jpg?params=rotation,scale`; `complement(ID)` is low + high - f over the
score range, by which every optimizer finds adversarial regions; `frozen(elevation=30.0, ID)` is f over the other
parameters, with this one at a value; `ID + ID` stacks functions into one family.
`make_function(function.id).id == function.id`; shorter spellings are written out in full.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, final

import numpy as np
import numpy.typing as npt

from semrob_env.checks import callable_of, instance_of, items, number, real_array, shown, whole_array
from semrob_env.errors import (
    InvalidParameterError,
    NoGradientError,
    NoGroundTruthError,
    ScoreRangeError,
    ShapeMismatchError,
    UnknownNameError,
)
from semrob_env.parameters import SemanticSpace
from semrob_env.registry import Registry
from semrob_env.types import FloatArray, IntArray


@final
@dataclass(frozen=True)
class UnitScale:
    """How native scores become unit scores in [0, 1]: what goals, optimizers and judges speak of.

    Attributes:
        low: Lowest native score.
        high: Highest native score.
        is_logistic: False: linear, (f - low) / (high - low). True: 1 / (1 + exp(-(f - (low + high) / 2))), which turns
            a logit margin into something like a probability; 0.5 is the decision boundary.

    Raises:
        InvalidParameterError: Not a finite low < high.
    """

    low: float = 0.0
    high: float = 1.0
    is_logistic: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise InvalidParameterError(f"score range ({self.low}, {self.high}): give a finite low < high")

    @property
    def is_identity(self) -> bool:
        """Whether native scores are unit scores."""
        return not self.is_logistic and (self.low, self.high) == (0.0, 1.0)

    def unit(self, scores: FloatArray) -> FloatArray:
        """Unit scores (...,) of native ones; NaN becomes 0, the worst."""
        scores = np.asarray(scores)
        if np.isnan(scores).any():
            scores = np.where(np.isnan(scores), self.low, scores)
        if self.is_identity:
            return scores
        if self.is_logistic:
            return np.asarray(1 / (1 + np.exp(-(scores - (self.low + self.high) / 2))))
        return np.asarray((scores - self.low) / (self.high - self.low))

    def slope(self, scores: FloatArray) -> FloatArray:
        """Derivative (...,) of the unit score by the native one."""
        if not self.is_logistic:
            return np.full(np.shape(scores), 1 / (self.high - self.low))
        unit = self.unit(scores)
        return unit * (1 - unit)

    def unit_moments(self, mean: FloatArray, variance: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and variance (...,) of unit scores from those of native ones.

        Raises:
            NoGroundTruthError: The scale is not linear: two moments do not tell.
        """
        if self.is_identity:
            return mean, variance
        if self.is_logistic:
            raise NoGroundTruthError("exact moments of margins do not tell those of unit scores; judge by points")
        return (mean - self.low) / (self.high - self.low), variance / (self.high - self.low) ** 2


class Price(NamedTuple):
    """What one answer is charged.

    Attributes:
        forward: Forward queries.
        gradient: Gradient queries.
    """

    forward: int
    gradient: int


class ScoreFunction(ABC):
    """A family of F score functions over one space.

    A subclass gives the constructor its facts and implements `_values` (and `_values_and_gradients` if
    `has_gradient`). They get checked input and must answer each theta alone: never depending on the batch around it.

    Args:
        space: The space of theta.
        member_ids: The id of each member; their number is F.
        score_range: Lowest and highest score. Scores outside are an error, NaN is passed on.
        is_logistic: How scores become unit scores: linearly, or as logit margins do (`UnitScale`).
        has_gradient: Whether `values_and_gradients` works.
        fingerprints: Per member, facts that pin the answers beyond the id (hashes of weights, mesh or map; versions).
        family_id: A shorter id of the whole family, for `make_function`; None: the ids of all members, joined.

    Raises:
        InvalidParameterError: No member, a score range upside down, or fingerprints that are not one a member.
    """

    is_rendered: ClassVar[bool] = False
    """Whether it scores pictures that can be looked at: as `semrob_env.scene.image_function.ImageFunction` does."""

    def __init__(
        self,
        space: SemanticSpace,
        member_ids: tuple[str, ...],
        *,
        score_range: tuple[float, float] = (0.0, 1.0),
        is_logistic: bool = False,
        has_gradient: bool,
        fingerprints: Sequence[Mapping[str, str]] | None = None,
        family_id: str | None = None,
    ) -> None:
        if not member_ids:
            raise InvalidParameterError("a function without members: give at least 1 id")
        if fingerprints is not None and len(fingerprints) != len(member_ids):
            raise InvalidParameterError(
                f"{len(fingerprints)} fingerprints for {len(member_ids)} members; give one each"
            )
        self.space = space
        self.member_ids = member_ids
        instance_of("space", space, SemanticSpace)
        if not all(isinstance(name, str) for name in member_ids):
            raise InvalidParameterError(f"member ids {shown(member_ids)}: give texts")
        ends = tuple(map(number, items("score_range", score_range)))
        if len(ends) != 2:
            raise InvalidParameterError(f"score_range {shown(score_range)}: give its lowest and highest score")
        self.score_range = ends[0], ends[1]
        self.scale = UnitScale(*self.score_range, is_logistic)
        self.has_gradient = has_gradient
        self._fingerprints = tuple(dict(f) for f in fingerprints or ({},) * len(member_ids))
        self._family_id = family_id

    @property
    def fingerprints(self) -> tuple[dict[str, str], ...]:
        """Per member, facts that pin the answers beyond the id."""
        return self._fingerprints

    @property
    def members(self) -> int:
        """Number of members F."""
        return len(self.member_ids)

    @property
    def id(self) -> str:
        """The id that `make_function` turns into this function again: the family's, or all members' joined by ` + `."""
        return self._family_id or " + ".join(self.member_ids)

    @property
    def value_price(self) -> Price:
        """What the oracle charges for a value; more where a value hides queries of its own, as an attack does."""
        return Price(1, 0)

    @property
    def gradient_price(self) -> Price:
        """What it charges for a value with its gradient."""
        return Price(1, 1)

    def leaf(self, member: int) -> Leaf:
        """What answers for a member once complements and stacks are seen through.

        Raises:
            UnknownNameError: No such member.
        """
        self.require_member(member)
        return Leaf(self, member)

    @final
    def require_member(self, member: int) -> None:
        """Refuse a member that the family does not have.

        Raises:
            UnknownNameError: Not one of 0..F-1.
        """
        if not 0 <= member < self.members:
            raise UnknownNameError(f"member {member}: this family has members 0..{self.members - 1}")

    @final
    def values(self, theta: npt.ArrayLike, member: npt.ArrayLike | None = None) -> FloatArray:
        """Scores (B, m) at theta (B, m, n) in native units, row i asked of member[i]; (B,) ints, None: all 0.

        Raises:
            OutOfSpaceError: A theta outside the space.
            ShapeMismatchError: theta is not (B, m, n), or the answer is not (B, m).
            ScoreRangeError: An answer outside the score range (NaN is passed on).
        """
        points, rows = self._checked(theta, member)
        return self._checked_scores(self._values(points, rows), points)

    @final
    def values_and_gradients(
        self, theta: npt.ArrayLike, member: npt.ArrayLike | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Scores (B, m) and their gradients (B, m, n) per native unit, at theta (B, m, n).

        Raises:
            NoGradientError: The function has none (`has_gradient` is False).
            OutOfSpaceError, ShapeMismatchError, ScoreRangeError: As in `values`.
        """
        if not self.has_gradient:
            raise NoGradientError(f"{self.id} has no gradient; give the oracle FiniteDifferences to estimate one")
        points, rows = self._checked(theta, member)
        values, gradients = self._values_and_gradients(points, rows)
        if gradients.shape != points.shape:
            raise ShapeMismatchError(f"{self.id} answered gradients {gradients.shape} to theta {points.shape}")
        return self._checked_scores(values, points), gradients

    @abstractmethod
    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        """Scores (B, m) at theta (B, m, n), all inside the space, for member (B,) in 0..F-1."""

    def _values_and_gradients(self, theta: FloatArray, member: IntArray) -> tuple[FloatArray, FloatArray]:
        """Scores (B, m) and gradients (B, m, n); required where `has_gradient`."""
        del theta, member
        raise NoGradientError(f"{type(self).__name__} says has_gradient but implements no _values_and_gradients")

    def _checked(self, theta: npt.ArrayLike, member: npt.ArrayLike | None) -> tuple[FloatArray, IntArray]:
        points = self.space.require(theta)
        if points.ndim != 3:
            raise ShapeMismatchError(f"theta has shape {points.shape}, must be (B, m, {self.space.n})")
        rows = np.zeros(len(points), dtype=np.int64) if member is None else whole_array("member", member)
        if rows.shape != points.shape[:1]:
            raise ShapeMismatchError(f"member has shape {rows.shape}, must be ({len(points)},): one a row of theta")
        ends = rows.tolist() if len(rows) <= 2 else [rows.min(), rows.max()]
        if not all(0 <= end < self.members for end in ends):
            raise UnknownNameError(f"member {rows.min()}..{rows.max()}: this family has members 0..{self.members - 1}")
        return points, rows

    def _checked_scores(self, values: FloatArray, points: FloatArray) -> FloatArray:
        if values.shape != points.shape[:2]:
            raise ShapeMismatchError(f"{self.id} answered shape {values.shape}, must be {points.shape[:2]}")
        low, high = self.score_range
        # NaN fails the quick look; it compares false both ways, so it passes the full one and nothing hides behind it.
        if (
            values.size
            and not (low <= values.min() and values.max() <= high)
            and ((values < low).any() or (values > high).any())
        ):
            wrong = values[(values < low) | (values > high)][0]
            raise ScoreRangeError(
                f"{self.id} answered {wrong:g}, outside its score range [{low:g}, {high:g}]; declare its true range"
            )
        return values


@final
@dataclass(frozen=True, eq=False)
class Leaf:
    """A function that is no complement or stack, and how it is asked.

    Attributes:
        function: The function.
        member: Its member.
        is_complement: Whether it is asked for low + high - f.
    """

    function: ScoreFunction
    member: int
    is_complement: bool = False


@final
class Complement(ScoreFunction):
    """low + high - f over the score range: robust where f is adversarial (method section 2, Phi_adv)."""

    def __init__(self, function: ScoreFunction) -> None:
        super().__init__(
            function.space,
            tuple(f"complement({name})" for name in function.member_ids),
            score_range=function.score_range,
            is_logistic=function.scale.is_logistic,
            has_gradient=function.has_gradient,
            family_id=f"complement({function.id})",
        )
        self.function = function

    @property
    def fingerprints(self) -> tuple[dict[str, str], ...]:
        """Those of what is complemented."""
        return self.function.fingerprints

    @property
    def value_price(self) -> Price:
        """That of what is complemented."""
        return self.function.value_price

    @property
    def gradient_price(self) -> Price:
        """That of what is complemented."""
        return self.function.gradient_price

    def leaf(self, member: int) -> Leaf:
        """The leaf of what is complemented, asked the other way round."""
        inner = self.function.leaf(member)
        return replace(inner, is_complement=not inner.is_complement)

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        return self._mirrored(self.function.values(theta, member))

    def _values_and_gradients(self, theta: FloatArray, member: IntArray) -> tuple[FloatArray, FloatArray]:
        values, gradients = self.function.values_and_gradients(theta, member)
        return self._mirrored(values), -gradients

    def _mirrored(self, values: FloatArray) -> FloatArray:
        # Rounding of low + high - f must not leave the range.
        return np.clip(sum(self.score_range) - values, *self.score_range)


@final
class Frozen(ScoreFunction):
    """A function of the other parameters: one of its parameters stays at a value.

    Args:
        function: The function.
        parameter: Name of the parameter.
        value: Where it stays, in native units.

    Raises:
        InvalidParameterError: It is the only parameter.
        OutOfSpaceError: A value outside the range.
        UnknownNameError: No such parameter of the space.
    """

    def __init__(self, function: ScoreFunction, parameter: str, value: float) -> None:
        space, at = function.space, function.space.index(parameter)
        if space.n == 1:
            raise InvalidParameterError(f"{parameter} is the only parameter of {function.id}; nothing is left to vary")
        self.function, self.parameter, self.value = function, parameter, float(value) + 0.0
        SemanticSpace(space.parameters[at : at + 1]).require([self.value], "frozen point")
        super().__init__(
            SemanticSpace(space.parameters[:at] + space.parameters[at + 1 :]),
            tuple(map(self._named, function.member_ids)),
            score_range=function.score_range,
            is_logistic=function.scale.is_logistic,
            has_gradient=function.has_gradient,
            family_id=self._named(function.id),
        )
        self._at = at

    def _named(self, name: str) -> str:
        return f"frozen({self.parameter}={self.value!r}, {name})"

    @property
    def fingerprints(self) -> tuple[dict[str, str], ...]:
        """Those of the function."""
        return self.function.fingerprints

    @property
    def value_price(self) -> Price:
        """That of the function."""
        return self.function.value_price

    @property
    def gradient_price(self) -> Price:
        """That of the function."""
        return self.function.gradient_price

    def full(self, theta: FloatArray) -> FloatArray:
        """Points (..., n - 1) with the frozen value in its place, (..., n)."""
        return np.insert(theta, self._at, self.value, axis=-1)

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        return self.function.values(self.full(theta), member)

    def _values_and_gradients(self, theta: FloatArray, member: IntArray) -> tuple[FloatArray, FloatArray]:
        values, gradients = self.function.values_and_gradients(self.full(theta), member)
        return values, np.delete(gradients, self._at, axis=-1)


@final
class Stack(ScoreFunction):
    """Several functions over one space as one family: the members of the first, then of the second, ...

    Raises:
        InvalidParameterError: No function, or their spaces, score ranges, gradients or prices differ.
    """

    def __init__(self, functions: Sequence[ScoreFunction]) -> None:
        first = functions[0] if functions else None
        if first is None or any(_kind(f) != _kind(first) for f in functions):
            raise InvalidParameterError(
                "a stack needs functions of one space, one score range and one price, all with gradient or none"
            )
        super().__init__(
            first.space,
            tuple(name for f in functions for name in f.member_ids),
            score_range=first.score_range,
            is_logistic=first.scale.is_logistic,
            has_gradient=first.has_gradient,
        )
        self.functions = tuple(functions)
        self._first_member = np.cumsum([0, *(f.members for f in functions)])

    @property
    def fingerprints(self) -> tuple[dict[str, str], ...]:
        """Those of the parts."""
        return tuple(own for function in self.functions for own in function.fingerprints)

    @property
    def value_price(self) -> Price:
        """That of every part."""
        return self.functions[0].value_price

    @property
    def gradient_price(self) -> Price:
        """That of every part."""
        return self.functions[0].gradient_price

    def leaf(self, member: int) -> Leaf:
        """The leaf of the part that has the member."""
        self.require_member(member)
        part = int(np.searchsorted(self._first_member, member, side="right")) - 1
        return self.functions[part].leaf(member - int(self._first_member[part]))

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        values = np.empty(theta.shape[:2])
        for function, rows, local in self._split(member):
            values[rows] = function.values(theta[rows], local)
        return values

    def _values_and_gradients(self, theta: FloatArray, member: IntArray) -> tuple[FloatArray, FloatArray]:
        values, gradients = np.empty(theta.shape[:2]), np.empty(theta.shape)
        for function, rows, local in self._split(member):
            values[rows], gradients[rows] = function.values_and_gradients(theta[rows], local)
        return values, gradients

    def _split(self, member: IntArray) -> Iterator[tuple[ScoreFunction, IntArray, IntArray]]:
        owner = np.searchsorted(self._first_member, member, side="right") - 1
        for index in np.unique(owner):
            rows = np.flatnonzero(owner == index)
            yield self.functions[index], rows, member[rows] - self._first_member[index]


def _kind(function: ScoreFunction) -> tuple[object, ...]:
    """What functions of one stack share."""
    return function.space, function.scale, function.has_gradient, function.value_price, function.gradient_price


@final
class CallableFunction(ScoreFunction):
    """Any Python callable as a score function: `scores(theta (N, n)) -> (N,)`, with an optional gradient.

    Args:
        space: The space of theta.
        scores: Answers N points at once, each alone.
        gradients: None, or `gradients(theta (N, n)) -> (N, n)` per native unit.
        score_range: Lowest and highest score.
        name: What messages and run keys call it; `make_function` finds it only if it is also registered.
    """

    def __init__(
        self,
        space: SemanticSpace,
        scores: Callable[[FloatArray], npt.ArrayLike],
        *,
        gradients: Callable[[FloatArray], npt.ArrayLike] | None = None,
        score_range: tuple[float, float] = (0.0, 1.0),
        name: str = "callable",
    ) -> None:
        super().__init__(space, (name,), score_range=score_range, has_gradient=gradients is not None)
        self._scores = callable_of("scores", scores)
        self._gradients = None if gradients is None else callable_of("gradients", gradients)

    def _values(self, theta: FloatArray, member: IntArray) -> FloatArray:
        del member
        flat = theta.reshape(-1, self.space.n)
        answers = real_array(f"the answer of {self.id}", self._scores(flat), ShapeMismatchError)
        values = np.array(answers)  # a copy: the callable may use its array again
        if values.shape != flat.shape[:1]:
            raise ShapeMismatchError(f"{self.id} answered shape {values.shape} to {len(flat)} points, must be (N,)")
        return values.reshape(theta.shape[:2])

    def _values_and_gradients(self, theta: FloatArray, member: IntArray) -> tuple[FloatArray, FloatArray]:
        assert self._gradients is not None
        answers = self._gradients(theta.reshape(-1, self.space.n))
        gradients = np.array(real_array(f"the gradient of {self.id}", answers, ShapeMismatchError))
        if gradients.shape != (theta.size // self.space.n, self.space.n):
            raise ShapeMismatchError(f"{self.id} answered gradients {gradients.shape}, must be (N, {self.space.n})")
        return self._values(theta, member), gradients.reshape(theta.shape)


Factory = Callable[[str], ScoreFunction]
"""Makes a function from its whole id."""

SCHEMES: Registry[Factory] = Registry(
    "function scheme",
    "semrob.schemes",
    {
        "synthetic": "semrob_env.synthetic:make_synthetic",
        "scene": "semrob_env.scene.function:make_scene_function",
        "photo": "semrob_env.scene.photo:make_photo_function",
        "recorded": "semrob_env.recorded:make_recorded",
        "tangled": "semrob_env.synthetic:make_tangled",
    },
)
"""What ids begin with; named, not imported: recorded and synthetic work must not load torch."""


def register_scheme(scheme: str, factory: Factory, *, replace: bool = False) -> None:
    """Let `make_function` know ids that begin with `scheme:`; `factory` gets the whole id.

    Raises:
        NameClashError: The scheme is taken, and `replace` was not given.
    """
    SCHEMES.register(scheme, factory, replace=replace)


MOST_LETTERS, MOST_DEPTH = 2**17, 32
"""Longest id that is read, and most functions within one another."""


def make_function(function_id: str) -> ScoreFunction:
    """The function that an id names; its own `id` is the canonical spelling, which gives the same function again.

    Raises:
        UnknownNameError: Unknown scheme, or what the scheme's factory does not know.
        PluginError: The scheme is of a plug-in that cannot be imported.
        InvalidParameterError: A malformed id.
    """
    if not isinstance(function_id, str) or len(function_id) > MOST_LETTERS:
        raise InvalidParameterError(f"function id {shown(function_id)}: give a text of at most {MOST_LETTERS} letters")
    if any(letter < " " or letter == "\x7f" or "\ud800" <= letter <= "\udfff" for letter in function_id):
        raise InvalidParameterError(
            f"function id {function_id!r:.200} holds a control character or half a character; write the bytes of odd "
            "names as %XX"
        )
    return _made(function_id, 0)


def _made(function_id: str, depth: int) -> ScoreFunction:
    parts = _stacked(function_id)
    if len(parts) > 1:
        return Stack([_made(part, depth) for part in parts])
    if function_id.startswith("complement(") and function_id.endswith(")"):
        return Complement(_made(function_id[len("complement(") : -1], _deeper(depth)))
    if function_id.startswith("frozen(") and function_id.endswith(")"):
        point, _, inner = function_id[len("frozen(") : -1].partition(",")
        parameter, _, number = point.partition("=")
        try:
            value = float(number)
        except ValueError:
            raise InvalidParameterError(
                f"cannot read {point!r:.80} of {function_id!r:.200}; write frozen(elevation=30, ID)"
            ) from None
        return Frozen(_made(inner.strip(), _deeper(depth)), parameter.strip(), value)
    scheme, colon, _ = function_id.partition(":")
    if not colon or scheme not in SCHEMES:
        known = ", ".join(f"{own}:" for own in SCHEMES.names())
        raise UnknownNameError(f"unknown function {function_id!r:.200}; ids begin with {known}, complement( or frozen(")
    return SCHEMES[scheme](function_id)


def _deeper(depth: int) -> int:
    if depth == MOST_DEPTH:
        raise InvalidParameterError(f"function ids more than {MOST_DEPTH} deep within one another are not read")
    return depth + 1


def _stacked(function_id: str) -> list[str]:
    """The ids of a stack: split at ` + ` outside brackets."""
    parts: list[list[str]] = []
    is_open = 0
    for piece in function_id.split(" + "):
        if is_open > 0:
            parts[-1].append(piece)
        else:
            parts.append([piece])
            is_open = 0
        is_open += piece.count("(") - piece.count(")")
    return [" + ".join(part) for part in parts]


def split_options(function_id: str) -> tuple[str, dict[str, str]]:
    """An id without its scheme and options, and the options: `s:a/b?n=4&seed=0` to (`a/b`, {n: 4, seed: 0}).

    Raises:
        InvalidParameterError: An option that is not `name=value`, or is given twice.
    """
    body, _, query = function_id.partition(":")[2].partition("?")
    options: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        if not equals or name in options:
            raise InvalidParameterError(f"cannot read option {part!r} of {function_id!r}; write ?name=value&name=value")
        options[name] = value
    return body, options
