"""Maps as a value: scores of one or more functions on one regular grid, recorded ones and live ones alike."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np

from semrob_env.errors import InvalidMapsError, UnknownNameError
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.classifiers.names import split_subject
from semrob_env.types import Float32Array, FloatArray

_NAME = re.compile(r"[^\s/?&()*\[\]]+/[^\s/?&()*\[\]]+/[^\s?&()*\[\]]+")
_EVEN = 1e-9  # how uneven the steps of an axis may be, as a share of a step


@final
@dataclass(frozen=True, eq=False)
class ScoreMaps:
    """F maps on one grid.

    Attributes:
        space: The space of theta.
        axes: Per parameter, its grid lines (P_k,) in native units, evenly spaced, at least 2. A periodic axis covers
            one turn: P_k steps are the period. A plain axis may end inside the range: beyond, maps are held constant.
        scores: (F, P_1, ..., P_n) float32, finite.
        names: Per map NETWORK/CLASS/SHAPE, unique, e.g. `ResNet50/chair/1`; no blanks and none of ``?&()*[]``. Parts as
            `split_subject` tells them: `torchvision/resnet50` is one network.
        facts: Per map, what else is known of it (ids of shapes, hashes, versions); None: nothing.
        score_range: Lowest and highest score that the functions may give.

    Raises:
        InvalidMapsError: Arrays, names or facts that do not fit.
    """

    space: SemanticSpace
    axes: tuple[FloatArray, ...]
    scores: Float32Array
    names: tuple[str, ...]
    facts: tuple[Mapping[str, str], ...] = ()
    score_range: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        space = self.space
        axes = tuple(np.array(axis, dtype=np.float64) for axis in self.axes)
        if len(axes) != space.n or any(axis.ndim != 1 or len(axis) < 2 for axis in axes):
            raise InvalidMapsError(f"{len(axes)} axes for {space.n} parameters; give at least 2 grid lines of each")
        for axis, parameter in zip(axes, space.parameters, strict=True):
            step = (axis[-1] - axis[0]) / (len(axis) - 1)
            if not (step > 0 and np.abs(np.diff(axis) - step).max() <= _EVEN * step):
                raise InvalidMapsError(f"axis {parameter.name}: grid lines must rise in equal steps")
            if axis[0] < parameter.low or axis[-1] > parameter.high:
                raise InvalidMapsError(f"axis {parameter.name} reaches out of {parameter.interval}")
            if parameter.period is not None and abs(step * len(axis) - parameter.period) > _EVEN * parameter.period:
                raise InvalidMapsError(
                    f"axis {parameter.name}: {len(axis)} steps of {step:g} must be one turn of {parameter.period:g}"
                )
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is out of range
            scores = np.array(self.scores, dtype=np.float32, order="C")
        shape = tuple(len(axis) for axis in axes)
        if scores.ndim != space.n + 1 or scores.shape[1:] != shape or not len(scores):
            raise InvalidMapsError(
                f"scores have shape {scores.shape}, must be (F, {', '.join(map(str, shape))}), F >= 1"
            )
        low, high = self.score_range
        if not np.isfinite([low, high]).all():
            raise InvalidMapsError(f"score range ({low}, {high}): give finite numbers")
        with np.errstate(over="ignore"):  # compared as float32, which does not hold every range
            is_inside = scores.min() >= low and scores.max() <= high  # NaN fails as well
        if not is_inside:
            raise InvalidMapsError(f"scores must be numbers in the score range [{low:g}, {high:g}]")
        facts = tuple(dict(fact) for fact in self.facts or ({},) * len(scores))
        if len(self.names) != len(scores) or len(facts) != len(scores) or len(set(self.names)) != len(scores):
            raise InvalidMapsError(f"{len(scores)} maps need as many facts and different names")
        wrong = [name for name in self.names if not _NAME.fullmatch(name) or split_subject(name) is None]
        if wrong:
            raise InvalidMapsError(f"map name {wrong[0]!r}: write NETWORK/CLASS/SHAPE without blanks and ?&()*[]")
        for axis in axes:
            axis.setflags(write=False)
        scores.setflags(write=False)
        object.__setattr__(self, "axes", axes)
        object.__setattr__(self, "scores", scores)
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "facts", facts)
        object.__setattr__(self, "score_range", (float(low), float(high)))

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def steps(self) -> FloatArray:
        """Distance of grid lines (n,) in native units."""
        return np.array([(axis[-1] - axis[0]) / (len(axis) - 1) for axis in self.axes])

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """Per map, a hash of its axes and scores."""
        head = hashlib.sha256()
        for parameter, axis in zip(self.space.parameters, self.axes, strict=True):
            head.update(f"{parameter.name}/{parameter.low}/{parameter.high}/{parameter.period}/{len(axis)}/".encode())
            head.update(axis.astype("<f8").tobytes())
        digests = []
        for scores in self.scores:
            own = head.copy()
            own.update(scores.astype("<f4").tobytes())
            digests.append(own.hexdigest())
        return tuple(digests)

    def index(self, name: str) -> int:
        """Where a map stands.

        Raises:
            UnknownNameError: No map has that name.
        """
        if name not in self.names:
            known = ", ".join(self.names[:3])
            raise UnknownNameError(f"unknown map {name!r}; there are {len(self)}, the first ones {known}")
        return self.names.index(name)

    def only(self, rows: Sequence[int]) -> ScoreMaps:
        """Some of the maps, in the order given."""
        chosen = list(rows)
        names, facts = tuple(self.names[row] for row in chosen), tuple(self.facts[row] for row in chosen)
        return replace(self, scores=self.scores[chosen], names=names, facts=facts)


@final
@dataclass(frozen=True)
class HeldOutError:
    """Interpolation error where every second grid line of each axis is held out and interpolated from the others.

    The maps themselves are twice as fine as what is tested here.
    """

    mean_absolute: float  # mean absolute error of the scores
    # Share of held-out points that interpolation puts on the other side of the middle of the score range (0.5).
    flips: float
    points: int  # number of held-out points, all maps together


def held_out_error(maps: ScoreMaps) -> HeldOutError:
    """The error of interpolation between every second grid line; points beyond the last kept line are left out."""
    true = maps.scores.astype(np.float64)
    periodic = maps.space.is_periodic
    for k in range(maps.space.n):
        if not periodic[k] and true.shape[k + 1] % 2 == 0:
            true = np.delete(true, -1, axis=k + 1)
    guess, is_held = true.copy(), np.zeros(true.shape[1:], dtype=np.bool_)
    for k in range(maps.space.n):
        lines, count = np.moveaxis(guess, k + 1, 0), true.shape[k + 1]
        odd = np.arange(1, count, 2)
        lines[odd] = (lines[odd - 1] + lines[(odd + 1) % count]) / 2
        np.moveaxis(is_held, k, 0)[odd] = True
    true, guess = true[:, is_held], guess[:, is_held]
    middle = sum(maps.score_range) / 2
    flips = (true >= middle) != (guess >= middle)
    return HeldOutError(float(np.abs(true - guess).mean()), float(flips.mean()), true.size)
