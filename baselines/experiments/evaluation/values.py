"""What an evaluation found: values from one view up to the whole, each with its bill, and what CI may ask of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from baselines.experiments.evaluation.looks import Looks
from baselines.experiments.failures import CERTIFY_VOLUMES
from semrob_env.errors import UnknownNameError
from semrob_env.files import file_stem
from semrob_env.metrics import reach
from semrob_env.metrics.survey import RIGHT, Effects, Rate, Survey
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Goal
from semrob_env.regions import Regions
from semrob_env.scene.classifiers.base import Answer, Preprocessing
from semrob_env.scene.classifiers.score_kinds import ScoreKind
from semrob_env.tables.words import (
    certified_words,
    count_words,
    effect_words,
    failing_words,
    goal_words,
    percent,
    point_words,
    rate_words,
    reach_words,
    region_words,
    total_effect_words,
    uncertain_words,
)
from semrob_env.types import FloatArray

if TYPE_CHECKING:
    from baselines.experiments.evaluation.pictures import ReportPictures

GATES = {
    "certified_top1": "lower end of the exact 95 % interval of the share of right views, over all shapes",
    "certified_worst_top1": "the same of the shape where it is lowest",
    "certified_region": "share of the space of the largest certified region, mean over the shapes",
    "certified_worst_region": "the same of the shape where it is smallest",
}
"""Figures that a gate may ask, and what each is."""

NOTHING = 1e-6
"""Share of the space up to which a region counts as none."""


@final
@dataclass(frozen=True)
class FailingView:
    """A view, and what the network says to it.

    Attributes:
        shape: Name of the shape.
        class_name: What it is.
        rank: Place among the failing views of the shape, the worst is 1; 0: no failing one.
        theta: The view (n,) in native units.
        score: Unit score of the class.
        probability: Of the class, by the network.
        top: The first answers, the highest probability first.
    """

    shape: str
    class_name: str
    rank: int
    theta: tuple[float, ...]
    score: float
    probability: float
    top: tuple[Answer, ...]


@final
@dataclass(frozen=True, eq=False)
class CertifiedBox:
    """A box that is certified.

    Attributes:
        region: The box, a batch of one.
        share: Of the space.
        bound: Lower bound of what the goal counts in it.
    """

    region: Regions
    share: float
    bound: float


@final
@dataclass(frozen=True, eq=False)
class FoundRegion:
    """A region that a method found around a start point, and the largest box in it that is certified.

    Attributes:
        shape: Name of the shape.
        kind: `robust`, or `failing`: of the complement.
        goal: What it should meet.
        good: What a view that the goal counts is, in words; empty: as its level says.
        start: Start point (n,).
        found: The region, a batch of one.
        share: Of the space.
        judged: What the goal counts, mean over held-out points.
        judge_points: Held-out points.
        feasible: Whether these meet the goal.
        certified: The largest box that surely meets the goal; None: none was.
        tried: Lower bounds of what the goal counts in each box that was tried, the largest first.
        certificate_points: Points of each of these.
        confidence: Of the certificate.
        examples: Looks inside what is shown of it, and just outside.
        is_inside: Which of these are inside.
        bill: Queries by purpose.
    """

    shape: str
    kind: Literal["robust", "failing"]
    goal: Goal
    good: str
    start: FloatArray
    found: Regions
    share: float
    judged: float
    judge_points: int
    feasible: bool
    certified: CertifiedBox | None
    tried: tuple[float, ...]
    certificate_points: int
    confidence: float
    examples: Looks
    is_inside: tuple[bool, ...]
    bill: Mapping[str, int]

    @property
    def certified_share(self) -> float:
        """Share of the space that is certified, 0 without."""
        return self.certified.share if self.certified else 0.0

    @property
    def is_there(self) -> bool:
        """Whether there is something to show: a certified box, or a region that held-out points agree with."""
        return self.share >= NOTHING and (self.feasible or self.certified is not None)

    @property
    def size(self) -> tuple[float, float]:
        """What it is ranked by: the certified share, then that of what was found, as far as it is there."""
        return self.certified_share, self.share if self.is_there else 0.0

    @property
    def shown(self) -> Regions:
        """The certified box, else what was found."""
        return self.certified.region if self.certified else self.found

    def words(self) -> list[str]:
        """What it is, in sentences."""
        if self.share < NOTHING:
            return [f"no {self.kind} region around {point_words(self.found.space.parameters, self.start)}"]
        if self.certified is not None:
            held = certified_words(
                self.certified.region,
                self.certified.bound,
                level=self.goal.threshold,
                confidence=self.confidence,
                good=self.good,
            )
            first = f"{held}: {percent(self.certified_share)} of the space"
        else:
            first = uncertain_words(
                self.tried,
                CERTIFY_VOLUMES,
                self.goal,
                points=self.certificate_points,
                confidence=self.confidence,
                is_feasible=self.feasible,
                good=self.good,
            )
        counted = f"a mean of {self.judged:.2f} at {self.judge_points} held-out views"
        if self.goal.threshold is not None:
            good = self.good or ("right" if self.goal.threshold == RIGHT else f"at least {self.goal.threshold:g}")
            counted = f"{round(self.judged * self.judge_points)} of {self.judge_points} held-out views {good}"
        verdict = "" if self.feasible else ", short of the goal"
        return [
            first,
            f"found{' around that' * bool(self.certified)}: {region_words(self.found)}, {percent(self.share)} of the "
            f"space ({counted}{verdict}); {reach_words(reach(self.found, self.start))}",
        ]


@final
@dataclass(frozen=True, eq=False)
class SliceMap:
    """Looks on a grid over one or two parameters, all others at one point.

    Attributes:
        axes: Places of the parameters in the space: along x, and along y unless it is one.
        counts: Cells along x and y; y of one parameter has 1.
        looks: At the centers of the cells, x changing fastest, y from its low end up.
    """

    axes: tuple[int, ...]
    counts: tuple[int, int]
    looks: Looks


@final
@dataclass(frozen=True, eq=False)
class ShapeEvaluation:
    """What was found of one shape.

    Attributes:
        name: What people call the shape.
        class_name: Class that it is scored for, in the network's words.
        function_id: Id of the score function.
        fingerprint: What pins its answers: hashes and versions.
        looks: Independent uniform views of the whole space.
        best: The view among them that scores best together with its neighbors.
        failures: Distinct failing views among them, the worst first.
        regions: Robust regions.
        failing_regions: Failing ones, around the view that fails with most around it.
        effects: What part each parameter has in the variance of the score; None: not asked.
        maps: Slices through the best view.
        instead: What was predicted instead of the class at wrong views, and how often, the most frequent first.
        bill: Queries by purpose.
    """

    name: str
    class_name: str
    function_id: str
    fingerprint: Mapping[str, str]
    looks: Looks
    best: FailingView
    failures: tuple[FailingView, ...]
    regions: tuple[FoundRegion, ...]
    failing_regions: tuple[FoundRegion, ...]
    effects: Effects | None
    maps: tuple[SliceMap, ...]
    instead: tuple[tuple[str, int], ...]
    bill: Mapping[str, int]

    @property
    def certified_share(self) -> float:
        """Share of the space of the largest certified robust region, 0 without any."""
        return max((found.certified_share for found in self.regions), default=0.0)

    @property
    def largest(self) -> FoundRegion | None:
        """The robust region with the largest certified box, else the largest one."""
        return max(self.regions, key=lambda found: found.size, default=None)

    @property
    def largest_failing(self) -> FoundRegion | None:
        """The same of failing regions."""
        return max(self.failing_regions, key=lambda found: found.size, default=None)

    def words(self) -> list[str]:
        """What a person wants to know of it, in sentences."""
        right = self.looks.survey
        lines = [rate_words(self.looks.rate), *(failing_words(stretch) for stretch in right.failing())]
        if self.failures:
            worst = self.failures[0]
            told = ", ".join(f"{answer.name} {percent(answer.probability)}" for answer in worst.top)
            at = point_words(self.looks.space.parameters, np.array(worst.theta))
            lines.append(f"worst view asked: {at}; predicted: {told}")
        else:
            lines.append(f"no failing view among {len(self.looks)}")
        if self.instead:
            wrong = int((~self.looks.is_right).sum())
            lines.append("taken for " + ", ".join(f"{name} ({count} of {wrong})" for name, count in self.instead[:3]))
        if self.largest is not None:
            lines += [f"robust: {text}" for text in self.largest.words()]
        if self.largest_failing is not None:
            lines += [f"failing: {text}" for text in self.largest_failing.words()]
        return lines + self.effect_words()

    def effect_words(self) -> list[str]:
        """Which parameter matters most, and which have no effect."""
        if self.effects is None or self.looks.space.n < 2:
            return []
        return [*filter(None, [total_effect_words(self.effects)]), *effect_words(self.effects)]


@dataclass(frozen=True, eq=False)
class Findings(ABC):
    """What was found of one network on some shapes; `Evaluation` shows it.

    Attributes:
        network: What it is called.
        preprocessing: Size and normalization of its input.
        space: The views.
        goal: What robust regions meet.
        score: Kind of the score.
        shapes: One a shape, in the order given.
        settings: What was asked, as plain data.
        created: Date and time, UTC, ISO 8601.
        pictures: Draws any view again.
        notes: What is worth knowing of the meshes, such as one that seems to lie.
    """

    network: str
    preprocessing: Preprocessing
    space: SemanticSpace
    goal: Goal
    score: ScoreKind
    shapes: tuple[ShapeEvaluation, ...]
    settings: Mapping[str, Any]
    created: str
    pictures: ReportPictures = field(repr=False)
    notes: tuple[str, ...] = ()

    @cached_property
    def survey(self) -> Survey:
        """The views of all shapes as one survey of right answers."""
        return Survey.joined([own.looks.survey for own in self.shapes])

    @property
    def rate(self) -> Rate:
        """How many views are right, over all shapes."""
        return self.survey.rate()

    @property
    def mean_score(self) -> float:
        """Mean unit score over all views."""
        return float(np.mean([own.looks.scores.mean() for own in self.shapes]))

    @property
    def mean_probability(self) -> float:
        """Mean probability of the class over all views."""
        return float(np.mean([own.looks.probability.mean() for own in self.shapes]))

    @property
    def regions(self) -> tuple[FoundRegion, ...]:
        """Robust and failing regions of all shapes."""
        return tuple(found for own in self.shapes for found in (*own.regions, *own.failing_regions))

    @property
    def bill(self) -> dict[str, int]:
        """Queries by purpose."""
        total: Counter[str] = Counter()
        for own in self.shapes:
            total.update(own.bill)
        return dict(total)

    def failures(self) -> tuple[FailingView, ...]:
        """Distinct failing views of all shapes, the worst of each first."""
        return tuple(sorted((one for own in self.shapes for one in own.failures), key=lambda one: one.rank))

    def picture_of(self, one: FailingView) -> str:
        """Where the picture of a failing view stands in the folder of a report."""
        place = next(place for place, own in enumerate(self.shapes, 1) if own.name == one.shape)
        return f"pictures/{place:03d}_{file_stem(one.shape)}_failure_{one.rank:02d}.png"

    def shape(self, name: str) -> ShapeEvaluation:
        """The evaluation of one shape.

        Raises:
            UnknownNameError: No shape of that name.
        """
        for own in self.shapes:
            if own.name == name:
                return own
        raise UnknownNameError(f"no shape {name!r}; there are {', '.join(own.name for own in self.shapes)}")

    def figure(self, gate: str) -> float:
        """A figure that a gate may ask: one of `GATES`.

        Raises:
            UnknownNameError: Another name.
        """
        if gate == "certified_top1":
            return self.rate.interval()[0]
        if gate == "certified_worst_top1":  # the least of lower bounds is one of the least: no correction is due
            return min(own.looks.rate.interval()[0] for own in self.shapes)
        if gate == "certified_region":
            return float(np.mean([own.certified_share for own in self.shapes]))
        if gate == "certified_worst_region":
            return min(own.certified_share for own in self.shapes)
        raise UnknownNameError(f"unknown figure {gate!r}; choose {', '.join(GATES)}")

    def words(self) -> list[str]:
        """What a person wants to know of the whole, in sentences."""
        lines = [rate_words(self.rate), *(failing_words(stretch) for stretch in self.survey.failing())]
        certified = sum(own.certified_share > 0 for own in self.shapes)
        lines.append(
            f"a certified robust region ({goal_words(self.goal, self.score)}) on {certified} of "
            f"{count_words(len(self.shapes), 'shape')}, mean share of the space "
            f"{percent(self.figure('certified_region'))}, counted as 0 without one"
        )
        return lines

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All of it as plain data."""
