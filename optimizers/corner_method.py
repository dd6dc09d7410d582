"""What the corner methods of Hamdi & Ghanem (2020, arXiv 1904.04621) share: corners -> direction -> step -> projection.

A region a <= theta <= b starts at theta0 -+ 1e-5 (native units). A step asks the scores at its 2^n corners (some
methods ask more), makes a direction of descent of a loss L(a, b) from them, and moves a <- a - rate * dL/da,
b <- b - rate * dL/db. A method file gives only the direction, in two *forms*:

- `paper`: the formulas as printed, rate = eta, in native units. An integral over a face carries the area of that
  face, prod_{i != k} r_i. So growth is linear for n = 1, exponential from 1e-5 for n = 2, and for n >= 3 the region
  never leaves 1e-5.
- `normalized`: each integral over a face is divided by the area of that face and becomes a mean score F, the
  regulariser lambda r_k becomes lambda r_k / s_k, and rate_k = eta s_k, with the scale s_k = scale_share * (high_k -
  low_k). Then every n behaves like n = 1 on a function that depends on one parameter only, whatever the units.

Projection after each step, in both forms: theta0 stays inside, with a half width of at least `LEAST_SHARE` of the
range (one-sided where theta0 lies on a bound of the space); a plain side ends at the bounds of the space; the two
sides of a periodic parameter end where they meet, after one turn. Bounds of a periodic parameter are kept unwrapped
around theta0; queries and recommendations are wrapped by the base class.

With `corners`, a step asks so many of the 2^n corners, drawn afresh by the trajectory's Generator: a corner and the one
opposite, half as often. Each pair has one corner on every face, uniform among those of the face, so the mean score of
the sampled corners on a face is that of all of them in expectation, and so is a direction: all are linear in these
means. A step costs the same for every n, and n is not bounded.

A trajectory has converged when no side has moved by more than `tolerance` of its width in two steps in a row.

Differences from the paper, of all methods: the normalised form (default), the projection into the space, and the
convergence test. The settings of `paper()` keep the projection only.

Defaults of the normalised form: eta 0.3 and s_k a tenth of the range, so a side moves 3 % of the range a step at
score 1 and a region covers a space of score 1 in 17 steps from its centre: within 150 queries at n = 2, which pay 37
steps of Naive and 18 of OIR_B and OIR_W. With a larger eta the methods without a regulariser return more volume for as
many queries, but fewer regions with a mean score of 0.5, and run past boxes with known bounds (n = 1..3).
"""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar, final

import numpy as np

from optimizers.base import Optimizer, RegionOptimizer, Settings, State
from optimizers.limits import DRAWS, limits_of, number, one_of, whole_number
from semrob_env.errors import InvalidParameterError
from semrob_env.oracle import Answers
from semrob_env.regions import corner_masks
from semrob_env.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from typing_extensions import Self

START_HALF_WIDTH = 1e-5
"""Half width of the first region in native units (method section 3)."""

LEAST_SHARE = 1e-12
"""Least half width as a share of the range: far above rounding, far below any score's detail."""

FARTHEST = 1e300
"""Largest bound that is not projected, in native units: its widths and outer boxes do not overflow."""

STILL_STEPS = 2
"""Steps in a row without a move after which a trajectory has converged."""


@dataclass(frozen=True)
class CornerSettings(Settings):
    """Hyperparameters of every corner method; the defaults are meant for the normalised form.

    Attributes:
        form: `normalized` or `paper`; see the module.
        step_size: eta, above 0.
        scale_share: s_k over the range of parameter k, above 0; one number for all or one each; used in the
            normalised form only.
        tolerance: Share of its width that a side may move in a step that counts as still; 0: never converged.
        projection: `every_step`; or `at_the_end`, as the released code ran: bounds leave the space and theta0, only
            queries and recommendations are brought back, and a bound beyond `FARTHEST` stays where it was.
        corners: None: a step asks all 2^n corners of each box; else how many of them, an even number.

    Raises:
        InvalidParameterError: An unknown form or projection, or a number out of its limits.
    """

    form: Literal["normalized", "paper"] = field(default="normalized", metadata=one_of("normalized", "paper"))
    step_size: float = field(default=0.3, metadata=number(above=0, symbol="eta"))
    scale_share: float | tuple[float, ...] = field(default=0.1, metadata=number(above=0, is_each=True))
    tolerance: float = field(default=1e-4, metadata=number())
    projection: Literal["every_step", "at_the_end"] = field(
        default="every_step", metadata=one_of("every_step", "at_the_end")
    )
    corners: int | None = field(default=None, metadata={**whole_number(2, even=True, none="all"), DRAWS: True})

    @classmethod
    def paper(cls) -> Self:
        """The paper's: its form, step size 0.1, no convergence test; lambda, alpha and beta are defaults here."""
        return cls(form="paper", step_size=0.1, tolerance=0.0)


@final
@dataclass(frozen=True)
class RegularizedSettings(CornerSettings):
    """Hyperparameters of the methods with a quadratic regulariser.

    Attributes:
        regularization: lambda, 0 or above.
    """

    regularization: float = field(default=0.1, metadata=number(symbol="lambda"))


CornerSettingsT = TypeVar("CornerSettingsT", bound=CornerSettings)


@final
@dataclass(frozen=True, eq=False)
class Told:
    """What a direction is made of; M boxes are asked: the region itself first, then outer ones.

    Attributes:
        lower_mean: Mean score of the corners on the lower face of each parameter, (B, M, n): Sigma_0k / 2^(n-1).
        upper_mean: The same for upper faces, (B, M, n).
        gradients: Gradients at the corners of the region, (B, C, n); empty (B, 0, n) for black-box methods.
        signs: sigma_k(c), -1 or +1, (2^n, n); of sampled corners (B, m, n). In any case `signs[..., k]`.
        width: r, (B, n).
        area: Weight of face integrals, (B, n): prod_{i != k} r_i in the paper's form, 1 in the normalised form.
        scale: (B, n): 1 in the paper's form, s_k in the normalised form.
    """

    lower_mean: FloatArray
    upper_mean: FloatArray
    gradients: FloatArray
    signs: FloatArray
    width: FloatArray
    area: FloatArray
    scale: FloatArray

    def face_means(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means over the lower and upper faces, (B, ..., n) each, of values (B, ..., C) at the corners asked."""
        return face_means(values) if self.signs.ndim == 2 else sampled_face_means(values, self.signs > 0)


class CornerMethod(RegionOptimizer[CornerSettingsT]):
    """A region method that steps by what it is told at corners; see the module.

    Raises:
        InvalidParameterError: More than 12 parameters without `corners`, or a hyperparameter out of its limits for
            this n.
    """

    paradigm = "bottom-up"
    uses_goal = False

    def _margins(self) -> tuple[float, ...]:
        """How far each asked box reaches beyond the region on every side, as shares of the width; the first is 0."""
        return (0.0,)

    @abstractmethod
    def _direction(self, told: Told) -> tuple[FloatArray, FloatArray]:
        """dL/da and dL/db, both (B, n)."""

    def _prepare(self) -> None:
        """What stays the same in every step; a row a trajectory, for short rows with long arrays are slow."""
        space, start, turn, n = self.space, self.start, self.space.width, self.space.n
        own = np.array(self.settings.scale_share) * turn if self._is_normalized else np.ones(n)
        self._scale: FloatArray = np.asarray(np.repeat(own[:, None], len(self), axis=1).T)
        self._ones, self._rate = np.ones_like(self._scale), self.settings.step_size * self._scale
        self._no_gradients = np.empty((len(self), 0, n))
        # Least and largest lower bound, least and largest upper bound: theta0 stays inside.
        least = LEAST_SHARE * turn
        low = np.where(space.is_periodic, start - turn, space.low)
        high = np.where(space.is_periodic, start + turn, space.high)
        limits = (low, np.maximum(start - least, low), np.minimum(start + least, high), high)
        self._limits: list[FloatArray] = [np.asfortranarray(limit) for limit in limits]  # as all others lie in memory
        if self.settings.corners is None:  # too many parameters are an error now, not at the first ask
            self._masks: BoolArray = corner_masks(n)
            self._signs: FloatArray = np.where(self._masks, 1.0, -1.0)
            # Where the bounds of each corner stand in [lower bounds, upper bounds], (n, 2^n).
            self._ends: IntArray = np.where(self._masks.T, n, 0) + np.arange(n)[:, None]

    @property
    def _is_normalized(self) -> bool:
        return self.settings.form == "normalized"

    @property
    def _formula_n(self) -> int:
        """The n that stands in the formulas: 1 in the normalised form, where face areas are divided out."""
        return 1 if self._is_normalized else self.space.n

    def _start(self) -> State:
        sampled = self.settings.corners is not None
        shares = np.size(self.settings.scale_share)
        if shares not in {1, self.space.n}:
            raise InvalidParameterError(f"scale_share has {shares} numbers; give one, or {self.space.n}")
        for own in fields(self.settings):
            limits = limits_of(own.metadata)
            if limits is None or limits.below is None:
                continue
            value, limit = getattr(self.settings, own.name), limits.below(self._formula_n)
            if value >= limit:
                raise InvalidParameterError(
                    f"{own.name} {value:g}: must be below {limit:g} for n = {self.space.n} "
                    f"in the {self.settings.form} form"
                )
        self._prepare()
        count = len(self.start)
        lower, upper = self._projected(self.start - START_HALF_WIDTH, self.start + START_HALF_WIDTH)
        still, converged = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.bool_)
        state = {"lower": lower, "upper": upper, "still": still, "converged": converged}
        return {**state, "masks": self._drawn_masks(self.running)} if sampled else state

    def _drawn_masks(self, rows: BoolArray) -> BoolArray:
        """Masks of sampled corners (B, m, n), each followed by the opposite one; drawn for some trajectories (B,)."""
        pairs = (self.settings.corners or 0) // 2
        masks = np.zeros((len(self), 2 * pairs, self.space.n), dtype=np.bool_)
        for row in np.flatnonzero(rows):
            masks[row, ::2] = self.rngs[row].integers(2, size=(pairs, self.space.n), dtype=np.int8)
        masks[:, 1::2] = ~masks[:, ::2]
        return masks

    def _ask(self, state: State) -> FloatArray:
        lower, upper = state["lower"], state["upper"]
        width, margins = upper - lower, self._margins()
        if "masks" in state:
            ends = [((upper + margin * width)[:, None], (lower - margin * width)[:, None]) for margin in margins]
            return np.concatenate([np.where(state["masks"], high, low) for high, low in ends], axis=1)
        corners = np.empty((self.space.n, len(margins), len(self._masks), len(lower)))
        for box, margin in enumerate(margins):
            ends = np.concatenate([(lower - margin * width).T, (upper + margin * width).T])
            ends.take(self._ends, axis=0, out=corners[:, box])
        return np.asarray(corners.reshape(len(corners), -1, len(lower)).T)

    def _tell(self, state: State, answers: Answers) -> State:
        lower, upper = state["lower"], state["upper"]
        width = upper - lower
        gradients = self._no_gradients if answers.gradients is None else answers.gradients
        with np.errstate(over="ignore", invalid="ignore"):  # huge answers: what follows deals with inf and NaN
            area = self._ones if self._is_normalized else _face_areas(width)
            if "masks" in state:
                signs = np.where(state["masks"], 1.0, -1.0)
                by_box = answers.values.reshape(len(lower), -1, signs.shape[1])
                low_mean, high_mean = sampled_face_means(by_box, state["masks"])
            else:
                signs = self._signs
                by_box = answers.values.T.reshape(-1, len(self._masks), len(lower)).transpose(2, 0, 1)
                low_mean, high_mean = face_means(by_box)
            told = Told(low_mean, high_mean, gradients, signs, width, area, self._scale)
            down, up = self._direction(told)
            new_lower, new_upper = lower - self._rate * down, upper - self._rate * up
            if math.isnan((new_lower + new_upper).sum()):
                new_lower = np.where(np.isnan(new_lower), lower, new_lower)
                new_upper = np.where(np.isnan(new_upper), upper, new_upper)
        new_lower, new_upper = self._projected(new_lower, new_upper, state)
        if self.settings.tolerance > 0:
            move = np.maximum(np.abs(new_lower - lower), np.abs(new_upper - upper))
            is_still = (move <= self.settings.tolerance * width).all(axis=1)
            still = np.where(is_still, state["still"] + 1, 0)
        else:
            still = state["still"]
        after = {"lower": new_lower, "upper": new_upper, "still": still, "converged": still >= STILL_STEPS}
        if "masks" in state:
            after["masks"] = self._drawn_masks(self.running & answers.active.all(axis=1))
        return after

    def _projected(
        self, lower: FloatArray, upper: FloatArray, before: State | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Bounds that hold theta0 and lie in the space; where two periodic sides pass each other, they meet."""
        if self.settings.projection == "at_the_end" and before is not None:
            lower = np.where(np.abs(lower) <= FARTHEST, lower, before["lower"])
            upper = np.where(np.abs(upper) <= FARTHEST, upper, before["upper"])
            return np.minimum(lower, upper), np.maximum(lower, upper)
        low, most_lower, least_upper, high = self._limits
        lower = np.minimum(np.maximum(lower, low), most_lower)
        upper = np.minimum(np.maximum(upper, least_upper), high)
        width = upper - lower
        space, start, turn = self.space, self.start, self.space.width
        if not any((width[:, k] > turn[k]).any() for k in np.flatnonzero(space.is_periodic).tolist()):
            return lower, upper
        least, crossed = LEAST_SHARE * turn, space.is_periodic & (width > turn)
        old_lower, old_upper = (start, start) if before is None else (before["lower"], before["upper"])
        old_width = old_upper - old_lower
        growth = np.maximum(upper - lower - old_width, least)  # a side that is a full turn already may not grow at all
        part = np.clip((turn - old_width) / growth, 0.0, 1.0)  # of this step, until the sides meet
        met = old_lower + part * (lower - old_lower)
        return np.where(crossed, met, lower), np.where(crossed, met + turn, upper)


def face_means(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means over the lower and upper face of each parameter, (..., n) each, of corner values (..., 2^n).

    Adds halves to halves, element by element: the bits of a row never depend on the rows around it.
    """
    count = values.shape[-1]
    n = count.bit_length() - 1
    faces = np.empty((2, n, *values.shape[-2::-1]))
    by_side = faces.transpose(0, 1, *range(faces.ndim - 1, 1, -1))  # (2, n, ...)
    rest = values.transpose(values.ndim - 1, *range(values.ndim - 1))  # summed over the bits above k
    for k in reversed(range(n)):
        halves = rest.reshape(2, 2**k, *rest.shape[1:])
        sums = halves
        for j in reversed(range(k)):
            sums = sums[:, : 2**j] + sums[:, 2**j :]
        by_side[:, k] = sums[:, 0]
        if k:
            rest = halves[0] + halves[1]
    faces /= max(count // 2, 1)
    return faces[0].T, faces[1].T


def sampled_face_means(values: FloatArray, masks: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Means over the sampled corners of each face, (B, ..., n) each, of values (B, ..., m) at corners (B, m, n).

    Each face has half of the corners, as they come in opposite pairs. Added corner by corner, as in `face_means`.
    """
    rows, count, n = masks.shape
    low, high = np.zeros((2, *values.shape[:-1], n))
    for corner in range(count):
        is_high = masks[:, corner].reshape(rows, *[1] * (values.ndim - 2), n)
        score = values[..., corner, None]
        low += np.where(is_high, 0.0, score)
        high += np.where(is_high, score, 0.0)
    return low / (count // 2), high / (count // 2)


def _face_areas(width: FloatArray) -> FloatArray:
    """prod_{i != k} r_i, (B, n), of r (B, n): a product, for r_k may be too small to divide by."""
    areas = np.ones_like(width)  # in the order of memory of the widths
    for k, i in itertools.permutations(range(width.shape[1]), 2):
        areas[:, k] *= width[:, i]
    return areas


def settings_of_form(method: type[Optimizer[Any]], form: str) -> Settings:
    """A method's default settings in one of the two forms: `normalized`, or `paper` with the paper's hyperparameters.

    Raises:
        InvalidParameterError: Another form, or the paper has none of this method.
    """
    if form == "normalized":
        return method.settings_class()
    if form == "paper" and issubclass(method.settings_class, CornerSettings):
        return method.settings_class.paper()
    raise InvalidParameterError(f"{method.name} has no form {form!r}; choose normalized, or paper for corner methods")
