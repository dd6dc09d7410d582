"""A network beside another, from the same views and questions of both: metrics with intervals, flips, and words.

Two kinds of uncertainty are told apart. *These shapes*: views are drawn, shapes are given; enough for "may this
checkpoint replace that one on my test shapes?". *Other shapes*: these shapes are drawn, too; that takes many of them.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, final

import numpy as np

from semrob_env.errors import InvalidParameterError, MissingExtraError
from semrob_env.functions import ScoreFunction
from semrob_env.metrics import Flips, PairedViews, in_turn, shapes_needed
from semrob_env.metrics.intervals import difference_interval
from semrob_env.questions import Goal
from semrob_env.regions import Regions
from semrob_env.scene.sources.texts import unescape
from semrob_env.store import RunRow
from semrob_env.tables import Subject
from semrob_env.tables.words import count_words, point_words, stretch_words

RATE, SCORE, CERTIFIED, AREA = "right views", "mean score", "certified SRVR", "profile area"
INSIDE = "right views within"
METRICS: Final = (RATE, SCORE, CERTIFIED, INSIDE, AREA)
"""What is compared: rate of right views; mean score; mean share of the widest region that surely meets the goal; rate
of right views in these regions, which a mean score does not promise; area under the profile of regions that meet the
goal by the common views."""

ALL: Final = "all"

BETTER, WORSE, OPEN, SAME = "better", "worse", "not told apart", "the same"


@final
@dataclass(frozen=True)
class Line:
    """One metric of two networks on one group of shapes; all numbers are shares, differences are after minus before.

    Attributes:
        group: `all`, a class, or `CLASS SHAPE`.
        metric: One of `METRICS`.
        before: Of the first network; each shape counts the same.
        after: Of the other.
        low: Lower end of the interval of the difference on these shapes, over all their views; NaN: not known.
        high: Upper end.
        shapes_low: Lower end of that on other shapes of these classes; NaN for a single shape.
        shapes_high: Upper end.
        shapes: Shapes behind it.
        views: Common views behind it; 0 of shares of regions.
        lost: Views that were right before only.
        won: Views that are right after only.
    """

    group: str
    metric: str
    before: float
    after: float
    low: float
    high: float
    shapes_low: float
    shapes_high: float
    shapes: int
    views: int = 0
    lost: int = 0
    won: int = 0

    @property
    def difference(self) -> float:
        """After minus before."""
        return self.after - self.before

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `not told apart`, by each interval alone; of which shapes is said."""
        for ends, where in (
            ((self.shapes_low, self.shapes_high), "also on other shapes"),
            ((self.low, self.high), "on these shapes"),
        ):
            if ends[0] > 0 or ends[1] < 0:
                return f"{BETTER if ends[0] > 0 else WORSE} {where}"
        return OPEN

    def record(self) -> dict[str, Any]:
        """All of it as flat columns."""
        return {**vars(self), "difference": self.difference, "verdict": self.verdict}


def short_source(source: str) -> str:
    """What tells the shapes of one source apart: a number, a name, or the name of a file."""
    _, _, rest = source.partition(":")
    return unescape(rest.partition("#")[2] or rest.rpartition("/")[2])


def shape_words(own: Subject) -> str:
    """Class and shape of a subject: `cup 3`, `cup mug.obj`; `cup/mug.obj` where the folder is the class."""
    short = short_source(own.shape)
    return short if short.startswith(f"{own.class_name}/") else f"{own.class_name} {short}"


@final
@dataclass(frozen=True, eq=False)
class OnShape:
    """What two networks answered on one shape.

    Attributes:
        class_name: Class that it is scored for.
        shape: Its source.
        views: Scores of both at the common views.
        functions: Function and member of each, to draw or ask more.
        before: Runs of the first network, one a start point.
        after: Runs of the other.
        metrics: Two numbers a metric: before and after; NaN where a run failed.
        regions: The widest certified region of each around the first start point; None: none is certified.
    """

    class_name: str
    shape: str
    views: PairedViews
    functions: tuple[tuple[ScoreFunction, int], tuple[ScoreFunction, int]]
    before: tuple[RunRow, ...]
    after: tuple[RunRow, ...]
    metrics: Mapping[str, tuple[float, float]]
    regions: tuple[Regions | None, Regions | None]

    @property
    def label(self) -> str:
        """For tables: `cup 3`, `cup old-mug`, `cup mug.obj`."""
        return shape_words(Subject("", self.class_name, self.shape))


@final
@dataclass(frozen=True, eq=False)
class NetworkComparison:
    """A network beside the first one.

    Attributes:
        before: Label of the first network.
        after: Label of the other.
        shapes: What both answered, shape by shape.
        goal: What regions are to meet.
        confidence: Of every interval.
        comparisons: How many networks are compared with the first; claims in words share the error.
        is_same: Whether both are the same network: the same weights and code.
        queries: What each was asked: views, runs, judges and certificates.
        failed: Runs that failed, of both.
    """

    before: str
    after: str
    shapes: tuple[OnShape, ...]
    goal: Goal
    confidence: float
    comparisons: int
    is_same: bool
    queries: int
    failed: tuple[str, ...] = ()

    @cached_property
    def answers_alike(self) -> bool:
        """Whether no score differs at any common view."""
        return all(np.array_equal(own.views.before.scores, own.views.after.scores) for own in self.shapes)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """Every metric for all shapes, each class and each shape.

        Intervals of right views of all shapes and of each class, on these shapes, hold together with the confidence,
        all others each.
        """
        joint = {ALL, *self.classes}
        each = 1 - (1 - self.confidence) / (
            len([name for name, _ in self._groups() if name in joint]) * self.comparisons
        )
        return tuple(
            self._line(name, metric, own, each if metric == RATE and name in joint else self.confidence)
            for name, own in self._groups()
            for metric in METRICS
        )

    @property
    def classes(self) -> list[str]:
        """Their names, in order."""
        return list(dict.fromkeys(shape.class_name for shape in self.shapes))

    def line(self, metric: str = RATE, group: str = ALL) -> Line:
        """One of the lines.

        Raises:
            InvalidParameterError: There is none.
        """
        for own in self.lines:
            if (own.metric, own.group) == (metric, group):
                return own
        raise InvalidParameterError(f"no line of {metric!r} for {group!r}; metrics are {', '.join(METRICS)}")

    @cached_property
    def claims(self) -> tuple[Line, ...]:
        """Rates of right views of all shapes and of each class, that hold together with the confidence."""
        return tuple(own for own in self.lines if own.metric == RATE and own.group in {ALL, *self.classes})

    @property
    def worse(self) -> tuple[str, ...]:
        """Groups in which the other network surely has fewer right views on these shapes: all, or classes."""
        return tuple(own.group for own in self.claims if own.high < 0)

    def words(self) -> list[str]:
        """What a person wants to know, in sentences."""
        if self.is_same:
            return [f"{self.after} and {self.before} are the same network: the same weights and code, no difference"]
        if self.answers_alike:
            return [
                f"{self.after} answers exactly as {self.before} does at all {self.flips.views} views: most likely the "
                "same network in another file"
            ]
        whole, *classes = self.claims
        sentences = [self._headline(whole)]
        told = [own for own in classes if own.low > 0 or own.high < 0]
        for kind, chosen in ((BETTER, [o for o in told if o.low > 0]), (WORSE, [o for o in told if o.high < 0])):
            if chosen:
                sentences += [f"{kind} on {own.group}: {_points(own)}" for own in chosen]
        sentences += self._where()
        sentences += [self._flip_words(), self._score_words()]
        sentences += [self._share_words(metric) for metric in (CERTIFIED, AREA)]
        if self.failed:
            sentences.append(f"{len(self.failed)} runs failed; shapes of theirs are left out of SRVR and area")
        return sentences

    def to_pandas(self) -> Any:
        """The lines as a table of pandas.

        Raises:
            MissingExtraError: It is not installed.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise MissingExtraError("a table of pandas needs pandas: pip install pandas") from error
        return pandas.DataFrame([own.record() for own in self.lines])

    def _headline(self, whole: Line) -> str:
        names, views = (
            f"{self.after} beside {self.before}",
            f"{whole.views} views of {count_words(whole.shapes, 'shape')}",
        )
        if not (whole.low > 0 or whole.high < 0):
            return f"{names}: not told apart: {_points(whole)}, {views}{self._needed(whole)}"
        text = f"{names}: {BETTER if whole.low > 0 else WORSE} on these shapes: {_points(whole)}, {views}"
        if whole.shapes_low > 0 or whole.shapes_high < 0:
            return f"{text}; on other shapes of these classes, too: {ends_words(whole.shapes_low, whole.shapes_high)}"
        return f"{text}; of other shapes that is not shown{self._needed(whole)}"

    def _needed(self, whole: Line) -> str:
        """How many shapes would show such a difference on others."""
        size = abs(whole.difference) or _PLAIN
        each = np.array([np.subtract(*shape.metrics[RATE][::-1]) for shape in self.shapes])
        needed = shapes_needed(each, size, confidence=self.confidence)
        what = "a difference of this size" if whole.difference else f"a difference of {100 * _PLAIN:g} points"
        if len(self.shapes) < 2:
            return "; one shape tells nothing of others, give more"
        return f"; to show {what} on other shapes takes about {needed or 'ten thousand or more'} shapes, roughly"

    def _where(self) -> list[str]:
        groups = [(name, own) for name, own in self._groups() if name in {ALL, *self.classes}]
        each = 1 - (1 - self.confidence) / (2 * len(groups) * self.comparisons)
        found = []
        for name, own in groups:
            views = _views(own)
            of = "" if name == ALL else f" on {name}"
            for kind, stretches, verbs in (
                (WORSE, views.worse(each), ("won", "lost")),
                (BETTER, views.better(each), ("lost", "won")),
            ):
                for stretch in stretches:
                    few, many = stretch.rate.right, stretch.rate.views - stretch.rate.right
                    counts = f"{many} views {verbs[1]}, {few} {verbs[0]} there"
                    found.append(f"{kind}{of} {stretch_words(stretch)} ({counts})")
        return found

    @property
    def flips(self) -> Flips:
        """Of all shapes."""
        return _views(self.shapes).flips

    def _flip_words(self) -> str:
        flips = self.flips
        text = f"{flips.lost} of {flips.views} views flipped from right to wrong, {flips.won} from wrong to right"
        if not flips.lost:
            return text
        shape, view = self.most_lost()
        theta = shape.views.before.theta[view]
        scores = shape.views.before.scores[view], shape.views.after.scores[view]
        where = point_words(shape.views.before.space.parameters, theta)
        return f"{text}; for example {shape.label} at {where}: {_fell(*scores)}"

    def most_lost(self) -> tuple[OnShape, int]:
        """The flipped view whose score fell most: its shape and number.

        Raises:
            InvalidParameterError: None flipped from right to wrong.
        """
        return self.flipped(lost=True)[0]

    def flipped(self, *, lost: bool) -> list[tuple[OnShape, int]]:
        """Views that flipped from right to wrong, or from wrong to right: shape and number, largest change first.

        Raises:
            InvalidParameterError: None did.
        """
        every = [
            (abs(float(shape.views.after.scores[view] - shape.views.before.scores[view])), shape, int(view))
            for shape in self.shapes
            for view in np.flatnonzero(shape.views.lost if lost else shape.views.won)
        ]
        if not every:
            raise InvalidParameterError(f"no view flipped from {'right to wrong' if lost else 'wrong to right'}")
        return [(shape, view) for _, shape, view in sorted(every, key=lambda one: -one[0])]

    def _score_words(self) -> str:
        own = self.line(SCORE)
        return f"mean score: {own.before:.3f} before, {own.after:.3f} after: {own.verdict}"

    def _share_words(self, metric: str) -> str:
        own = self.line(metric)
        text = f"{metric} ({self.goal.words}): {100 * own.before:.1f} % before, {100 * own.after:.1f} % after"
        if metric == CERTIFIED:
            inside = self.line(INSIDE)
            text += f", with {_share(inside.before)} and {_share(inside.after)} right views in these regions"
        if np.isnan(own.difference):
            return f"{metric}: not known"
        if np.isnan(own.shapes_low):
            return f"{text} (one shape: no interval)"
        if own.shapes_high - own.shapes_low >= WHOLE:
            return f"{text}; so few shapes tell nothing of others"
        is_shown = own.shapes_low > 0 or own.shapes_high < 0
        ends = ends_words(own.shapes_low, own.shapes_high)
        return f"{text}; on other shapes the difference is {ends}{', so none is shown' * (not is_shown)}"

    def _groups(self) -> Iterator[tuple[str, tuple[OnShape, ...]]]:
        yield ALL, self.shapes
        if len(self.classes) > 1:
            for name in self.classes:
                yield name, tuple(shape for shape in self.shapes if shape.class_name == name)
        if len(self.shapes) > 1:
            yield from ((shape.label, (shape,)) for shape in self.shapes)

    def _line(self, name: str, metric: str, group: Sequence[OnShape], confidence: float) -> Line:
        numbers = np.array([shape.metrics[metric] for shape in group])
        numbers = numbers[np.isfinite(numbers).all(axis=1)]
        low = high = float("nan")
        views, flips = _views(group), None
        if self.is_same:
            low = high = 0.0
        elif metric == RATE:
            low, high = views.flips.interval(confidence)
        elif metric == SCORE:
            low, high = views.score_interval(confidence)
        if metric == RATE:
            flips = views.flips
        shown = [float("nan")] * 2
        if len(numbers) > 1:
            weights = np.full(len(numbers), 1 / len(numbers))
            each = (numbers[:, 1] - numbers[:, 0])[None]
            shown = (
                [0.0] * 2 if self.is_same else difference_interval(each, weights, level=self.confidence)[:, 0].tolist()
            )
        before, after = numbers.mean(axis=0).tolist() if len(numbers) else (float("nan"),) * 2
        return Line(
            name,
            metric,
            before,
            after,
            low,
            high,
            shown[0],
            shown[1],
            shapes=len(numbers),
            views=len(views) if metric in (RATE, SCORE) else 0,
            lost=flips.lost if flips else 0,
            won=flips.won if flips else 0,
        )


WHOLE: Final = 2.0
"""Width of an interval that holds every difference of shares."""

_ROUNDING: Final = 1e-6
"""Of ends that are whole."""

_PLAIN: Final = 0.05
"""Size of a difference that a plan is made for where none was seen."""


def _views(shapes: Sequence[OnShape]) -> PairedViews:
    """The views of several shapes as one, the shapes in turn."""
    pairs = [shape.views for shape in shapes]
    return PairedViews(in_turn([pair.before for pair in pairs]), in_turn([pair.after for pair in pairs]))


def _points(line: Line) -> str:
    """`+12.3 points of right views (4.0 to 20.1)`."""
    return f"{_signed(line.difference)} points of right views ({ends_words(line.low, line.high)})"


def ends_words(low: float, high: float) -> str:
    """Ends of an interval in points, rounded outwards; `-` where there is none."""
    if np.isnan(low):
        return "-"
    return f"{math.floor(1000 * low + _ROUNDING) / 10 + 0.0:.1f} to {math.ceil(1000 * high - _ROUNDING) / 10 + 0.0:.1f}"


def _share(share: float) -> str:
    return "no" if np.isnan(share) else f"{100 * share:.1f} %"


def _signed(difference: float) -> str:
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def _fell(before: float, after: float) -> str:
    return f"score {before:.2f} before, {after:.2f} after"
