"""Failing views of a function: searched for on the oracle's meter, ranked, and the regions in which most views fail.

A view *fails* where its unit score is below a level, 0.5 unless told otherwise: with `score=margin` that is where the
network answers another class, with a softmax also where it hesitates. A *search* is a point method
(`baselines.attack`) let loose on the whole space: those that follow one start point to its end begin again at others,
evenly spread ones, until the budget ends. Whatever was asked and fails counts, the probes of finite differences too.

How many of the asked views fail is no rate of failing views: searches ask where they expect failures. A rate is what
`semrob_env.metrics.survey` estimates.

Failing regions are found around failures that are unlike each other by box quadrature on the complement, then shrunk
until independent views certify them (`semrob_env.metrics.shrink`); both are billed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, final

import numpy as np

import baselines  # noqa: F401  (fills the registry)
from baselines.attack import Attack
from baselines.experiments.answers import AnswersByKey, GatheredAnswers, KeptAnswers, answer_key
from baselines.experiments.methods import full_settings
from baselines.experiments.pool import Workers
from baselines.experiments.protocols import Entry
from baselines.experiments.runner import each
from optimizers.registry import get_optimizer
from optimizers.run import run
from semrob_env.errors import InvalidBudgetError, InvalidParameterError, WorkerError
from semrob_env.functions import Complement, ScoreFunction, make_function
from semrob_env.metrics import distinct, least_points, shrink
from semrob_env.metrics.certificates import CONFIDENCE
from semrob_env.metrics.shrink import SHRINK_POINTS
from semrob_env.metrics.survey import RIGHT
from semrob_env.oracle import FiniteDifferences, QueryLog, QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Goal, Question, Questions, ReliabilityGoal
from semrob_env.regions import Regions
from semrob_env.sequences import evenly_spread, hashed_uniform
from semrob_env.store import RunTask, task_generator
from semrob_env.types import Float32Array, FloatArray, IntArray

if TYPE_CHECKING:
    from semrob_env.scene.classifiers.base import Answer

SEARCH = "surrogate_attack"
"""The search unless told otherwise."""

LOCAL_RADIUS = 0.25
"""Reach of methods that follow one start point, where none is told."""

FAILING = ReliabilityGoal()
"""What a failing region meets on the complement, unless told otherwise: nearly all views fail there."""

REGION_METHOD = "box_quadrature"
REGION_BUDGET = 100
"""Queries of the search for one region, unless told otherwise."""

CERTIFY_VOLUMES = (0.9, 0.6, 0.3)
"""Parts of a found region that are tried for a certificate, the largest first: each costs points and confidence, and
the region itself ends at the goal's bound."""

_MOST_LEAST = 10_000
"""Up to how many points a certificate is sought that perfect ones would give."""

ANSWERS = 3
"""First answers of a network that are told of a view."""

_VERSION = 2
"""Of what is kept."""


@final
@dataclass(frozen=True)
class Search:
    """A point method with settings, as a search.

    Attributes:
        label: As it was written.
        method: Registered name.
        settings: Canonical JSON object of all hyperparameters.
        by_differences: Whether gradients are central differences, billed as the values they are.
    """

    label: str
    method: str
    settings: str
    by_differences: bool = False

    @classmethod
    def of(cls, text: str, level: float = RIGHT) -> Search:
        """The search of a text like `random_attack`, `pgd:descent=5` or `pgd+differences`.

        Where the text tells no radius, its box is the whole space, or `LOCAL_RADIUS` of methods that follow one start.

        Args:
            text: A method of points, `+differences` after it, and settings.
            level: Unit score below which a view fails, for methods that know one and are told none in the text.

        Raises:
            UnknownNameError: No such method.
            InvalidParameterError: A setting that it does not have, a method of regions, or differences of a method that
                uses no gradient.
        """
        entry = Entry.of(text, "failures")
        method = get_optimizer(entry.method)
        if not issubclass(method, Attack):
            raise InvalidParameterError(f"{entry.method} is no attack; a search for failures is one")
        usual = json.loads(entry.settings)
        is_local = method.points_of_start(method.settings_class.from_mapping(usual)) is not None
        told = {part.partition("=")[0] for part in text.split(":")[1:]}
        usual |= {} if "radius" in told else {"radius": LOCAL_RADIUS if is_local else 1.0}
        usual |= {"level": level} if "level" in usual.keys() - told else {}
        return cls(text, entry.method, full_settings(method, usual), entry.by_differences)

    @property
    def kind(self) -> type[Attack]:  # type: ignore[type-arg]
        """The class of its method."""
        method = get_optimizer(self.method)
        assert issubclass(method, Attack)
        return method


@final
@dataclass(frozen=True, eq=False)
class FailureSettings:
    """Every view that a search was charged for, in the order of asking.

    Attributes:
        space: Of the views.
        theta: The views (N, n).
        scores: Their unit scores (N,); NaN counted as 0.
        with_gradient: Which were asked with a gradient, (N,).
    """

    space: SemanticSpace
    theta: FloatArray
    scores: FloatArray
    with_gradient: IntArray

    @property
    def forward_queries(self) -> int:
        """Forward queries charged."""
        return len(self.scores)

    @property
    def gradient_queries(self) -> int:
        """Gradient queries charged."""
        return int(self.with_gradient.sum())

    def spent(self, gradient_cost: float = 1.0) -> FloatArray:
        """Forward + gradient_cost * gradient queries charged up to and with each view, (N,)."""
        return np.cumsum(1.0 + gradient_cost * self.with_gradient)

    def failing(self, level: float = RIGHT) -> IntArray:
        """Numbers of the views that fail, the lowest score first, the first asked of equal ones."""
        order = np.argsort(self.scores, kind="stable")
        return np.asarray(order[self.scores[order] < level])


def ask(
    search: Search,
    function: ScoreFunction,
    member: int,
    budget: int,
    seed: int = 0,
    *,
    starts: FloatArray | None = None,
    gradient_cost: float = 1.0,
    on_query: Callable[[float], object] = lambda spent: None,
) -> FailureSettings:
    """Let a search spend a budget on one member of a function.

    Args:
        search: The search.
        function: The function.
        member: Which of its members.
        budget: Most forward + gradient queries of all its start points together.
        seed: Of the method, and of the start points.
        starts: Start points (S, n), among which the budget is split evenly; None: as many evenly spread ones as the
            budget pays for.
        gradient_cost: Weight of a gradient query.
        on_query: Told what was spent so far.

    Raises:
        InvalidBudgetError: The budget does not pay the first step.
    """
    method, space = search.kind, function.space
    settings = method.settings_class.from_mapping(json.loads(search.settings))
    needs_differences = method.uses_gradient and (search.by_differences or not function.has_gradient)
    differences = FiniteDifferences() if needs_differences else None
    price = (1.0 + 2 * space.n) if needs_differences else 1 + gradient_cost * method.uses_gradient
    if starts is None:
        points = method.points_of_start(settings)
        count = 1 if points is None else max(1, int(budget // (points * price)))
        starts = even_starts(function, member, count, seed)
    each = budget // len(starts)
    if each < price:
        raise InvalidBudgetError(
            f"budget {budget}: one step of {search.label} costs {price:g} queries from each of {len(starts)} start "
            f"points; give at least {price * len(starts):g}"
        )
    members, name = np.full(len(starts), member, dtype=np.int64), function.member_ids[member]
    tasks = [
        RunTask(Question(name, tuple(start), budget=each), search.method, search.settings, seed=seed)
        for start in starts.tolist()
    ]
    optimizer = method(
        Questions(space, starts, member=members, budget=each),
        settings=settings,
        rngs=[task_generator(own) for own in tasks],
    )
    log = QueryLog()
    oracle = QueryOracle(
        function,
        trajectories=len(starts),
        budget=each,
        gradient_cost=gradient_cost,
        finite_differences=differences,
        log=log,
    )

    def on_step(_: object, meter: QueryOracle) -> None:
        on_query(float(meter.spent.sum()))

    run(optimizer, oracle, on_step=on_step)
    kept = log.arrays()
    return FailureSettings(
        space,
        kept["theta"].astype(np.float64),
        function.scale.unit(kept["value"].astype(np.float64)),
        kept["with_gradient"].astype(np.int64),
    )


def even_starts(function: ScoreFunction, member: int, count: int, seed: int) -> FloatArray:
    """Evenly spread points (count, n) of the space, shifted by a seed."""
    n = function.space.n
    name = f"failures/{seed}/{function.member_ids[member]}".encode(errors="surrogatepass")
    return function.space.from_unit(np.mod(evenly_spread(n, 0, count) + hashed_uniform(name, (1, n)), 1.0))


@final
@dataclass(frozen=True, eq=False)
class Failure:
    """A failing view.

    Attributes:
        theta: The view (n,).
        score: f there, in its own units.
        unit_score: The same in [0, 1].
        answers: What the network answers instead, the likeliest first; empty where nothing is rendered.
        is_wrong: Whether the first of them is another class; None where nothing is rendered.
        image: The picture (3, H, W) in [0, 1]; None where nothing is rendered.
    """

    theta: FloatArray
    score: float
    unit_score: float
    answers: tuple[Answer, ...] = ()
    is_wrong: bool | None = None
    image: Float32Array | None = None


@final
@dataclass(frozen=True, eq=False)
class FailingRegion:
    """A region in which most views fail.

    Attributes:
        start: The failing view that it was found around, (n,).
        found: As the method returned it, a batch of one.
        sure: The largest of some boxes nested in it that is certified; `start` alone where none is.
        is_certified: Whether one is.
        least: Lower bound of the share of failing views in `sure`.
        forward_queries: Of the search.
        certificate_queries: Of the boxes that were tried.
        tried: Lower bounds of the share of failing views in each of these, the largest first.
    """

    start: FloatArray
    found: Regions
    sure: Regions
    is_certified: bool
    least: float
    forward_queries: int
    certificate_queries: int
    tried: tuple[float, ...]

    @property
    def share(self) -> float:
        """Of the space, what the certified box has; 0 where none is."""
        return float(self.sure.share()[0]) if self.is_certified else 0.0


@final
@dataclass(frozen=True, eq=False)
class Failures:
    """What a search found on one member of a function.

    Attributes:
        function_id: Of the member.
        search: The search.
        level: Unit score below which a view fails.
        asked: All that it asked.
        views: Failing views that are unlike each other, the lowest score first.
        regions: Failing regions, the largest certified one first.
    """

    function_id: str
    search: Search
    level: float
    asked: FailureSettings
    views: tuple[Failure, ...]
    regions: tuple[FailingRegion, ...] = ()

    @property
    def space(self) -> SemanticSpace:
        """Of the views."""
        return self.asked.space

    @cached_property
    def found(self) -> int:
        """How many of the asked views fail."""
        return len(self.asked.failing(self.level))

    @cached_property
    def found_distinct(self) -> int:
        """How many of them are unlike each other, taken from the lowest score on."""
        return len(distinct_failures(self.asked, self.level, count=max(self.found, 1)))

    @property
    def bill(self) -> dict[str, int]:
        """Queries by what they were for."""
        return {
            "search": self.asked.forward_queries,
            "search_gradients": self.asked.gradient_queries,
            "regions": sum(own.forward_queries for own in self.regions),
            "certificates": sum(own.certificate_queries for own in self.regions),
        }

    def to_rows(self) -> list[dict[str, object]]:
        """A flat row for each of `views`."""
        rows: list[dict[str, object]] = []
        for rank, own in enumerate(self.views, 1):
            answers = {
                f"{word}_{place}": value
                for place, one in enumerate([*own.answers, *[None] * (ANSWERS - len(own.answers))], 1)
                for word, value in (
                    ("predicted", one.name if one else ""),
                    ("probability", one.probability if one else ""),
                )
            }
            rows.append({
                "function_id": self.function_id,
                "rank": rank,
                **dict(zip(self.space.names, own.theta.tolist(), strict=True)),
                "score": own.score,
                "unit_score": own.unit_score,
                "is_wrong": "" if own.is_wrong is None else int(own.is_wrong),
                **answers,
            })
        return rows


def distinct_failures(asked: FailureSettings, level: float, *, count: int) -> IntArray:
    """Numbers of failing views that are unlike each other, the lowest score first; at most `count`."""
    failing = asked.failing(level)
    return failing[distinct(asked.space, asked.theta[failing], count=count)] if len(failing) else failing


def find_failures(
    function: ScoreFunction | str,
    member: int = 0,
    *,
    search: Search | str = SEARCH,
    budget: int = 100,
    count: int = 6,
    level: float = RIGHT,
    regions: int = 1,
    region_budget: int = REGION_BUDGET,
    reliability: float = FAILING.reliability,
    certificate_points: int = SHRINK_POINTS,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    kept: AnswersByKey | None = None,
    on_query: Callable[[float], object] = lambda spent: None,
) -> Failures:
    """Find, rank and look at failing views of one member of a function, and the regions around them.

    Args:
        function: The function, or its id.
        member: Which of its members.
        search: The search, or its text (`Search.of`).
        budget: Most forward + gradient queries of the search.
        count: Most failing views that are looked at: each once more, and nobody is charged for that.
        level: Unit score below which a view fails, in (0, 1).
        regions: Failing regions to look for; each lies around a failing view that none before it holds.
        region_budget: Most queries of the search for one.
        reliability: Share of its views that should fail, in (0, 1).
        certificate_points: Independent views of each box that is tried; 0: none, so that nothing is certified.
        confidence: Of a region's certificate.
        seed: Of all that is drawn.
        kept: Where answers are kept, so that a repeated call asks nothing again.
        on_query: Told what the search has spent so far.

    Raises:
        InvalidParameterError, UnknownNameError: A search, level, count or reliability not as above;
            certificate points that could certify nothing.
        InvalidBudgetError: A budget that does not pay the first step.
    """
    asked_of = make_function(function) if isinstance(function, str) else function
    asked_of.require_member(member)
    if not 0 < level < 1 or count < 1 or regions < 0:
        raise InvalidParameterError(
            f"{count} failures below {level} and {regions} regions: give at least 1, a level in (0, 1), and 0 or more"
        )
    chosen = Search.of(search, level) if isinstance(search, str) else search
    goal = ReliabilityGoal(level=1 - level, reliability=reliability)
    if regions:
        require_points(goal, certificate_points, confidence)
    asked = _kept_search(chosen, asked_of, member, budget, seed, kept, on_query)
    best = distinct_failures(asked, level, count=max(count, 4 * regions))
    found: list[FailingRegion] = []
    for point in asked.theta[best]:
        if len(found) == regions:
            break
        if not any(bool(own.found.contains(point)[0]) for own in found):
            facts = (region_budget, certificate_points, confidence, seed)
            found.append(_kept_region(asked_of, member, point, goal, facts, kept))
    found.sort(key=lambda own: -own.share)
    views = look_at(asked_of, member, asked.theta[best[:count]], asked.scores[best[:count]])
    return Failures(asked_of.member_ids[member], chosen, level, asked, tuple(views), tuple(found))


def _kept_search(
    search: Search,
    function: ScoreFunction,
    member: int,
    budget: int,
    seed: int,
    kept: AnswersByKey | None,
    on_query: Callable[[float], object],
) -> FailureSettings:
    if kept is None:
        return ask(search, function, member, budget, seed, on_query=on_query)
    key = _search_key(search, function, member, budget, seed)
    numbers = kept.find([key]).get(key)
    if numbers is None:
        asked = ask(search, function, member, budget, seed, on_query=on_query)
        table = np.column_stack([asked.theta, asked.scores, asked.with_gradient])
        kept.add({key: table.ravel().tolist()})
        return asked
    table = np.array(numbers).reshape(-1, function.space.n + 2)
    on_query(float(len(table) + table[:, -1].sum()))
    return FailureSettings(function.space, table[:, :-2], table[:, -2], table[:, -1].astype(np.int64))


def _search_key(search: Search, function: ScoreFunction, member: int, budget: int, seed: int) -> str:
    own = [search.method, get_optimizer(search.method).version, search.settings, search.by_differences, budget, seed]
    return answer_key("failures", _VERSION, function.member_ids[member], function.fingerprints[member], own)


def find_ahead(
    functions: Sequence[str],
    kept: KeptAnswers,
    *,
    search: Search,
    budget: int,
    seed: int,
    workers: Workers,
    modules: Sequence[str] = (),
    on_function: Callable[[], object] = lambda: None,
    **asked: Any,
) -> None:
    """Let workers search functions that `kept` knows nothing of; `find_failures` then finds there what it would ask.

    Args:
        functions: Ids of one member each.
        kept: Where answers are kept, by this process alone.
        search: As `find_failures`.
        budget: As there.
        seed: As there.
        workers: Who searches.
        modules: As for `run_tasks`.
        on_function: Called when one is done.
        asked: What else `find_failures` takes.

    Raises:
        WorkerError: As `run_tasks`; or a worker has another function.
    """
    keys = {name: _search_key(search, make_function(name), 0, budget, seed) for name in functions}
    known = kept.find(list(keys.values()))
    missing = [name for name in functions if keys[name] not in known]
    call = partial(_gathered, {**asked, "search": search, "budget": budget, "seed": seed})
    with closing(each(workers, call, missing, modules)) as results:
        for index, answers in results:
            if keys[missing[index]] not in answers:
                raise WorkerError(f"a worker has another {missing[index]} than the one here; give it the same files")
            kept.add(answers)
            on_function()


def _gathered(asked: Mapping[str, Any], name: str) -> GatheredAnswers:
    found = GatheredAnswers()
    find_failures(name, kept=found, **asked)
    return found


def _kept_region(
    function: ScoreFunction,
    member: int,
    start: FloatArray,
    goal: ReliabilityGoal,
    facts: tuple[int, int, float, int],
    kept: AnswersByKey | None,
) -> FailingRegion:
    version = get_optimizer(REGION_METHOD).version
    own = [start.tolist(), goal.text, REGION_METHOD, version, *facts]
    key = answer_key("failing region", _VERSION, function.member_ids[member], function.fingerprints[member], own)
    numbers = None if kept is None else kept.find([key]).get(key)
    if numbers is None:
        region = failing_region(function, member, start, goal, *facts)
        bounds = [region.found.lower, region.found.upper, region.sure.lower, region.sure.upper]
        told = [float(region.is_certified), region.least, region.forward_queries, region.certificate_queries]
        if kept is not None:
            kept.add({key: [*np.concatenate(bounds).ravel().tolist(), *told, *region.tried]})
        return region
    n = function.space.n
    lower, upper, sure_lower, sure_upper = np.array(numbers[: 4 * n]).reshape(4, 1, n)
    found, sure = Regions(function.space, lower, upper), Regions(function.space, sure_lower, sure_upper)
    certified, least, forward, certificate, *tried = numbers[4 * n :]
    return FailingRegion(start, found, sure, bool(certified), least, int(forward), int(certificate), tuple(tried))


def failing_region(
    function: ScoreFunction,
    member: int,
    start: FloatArray,
    goal: ReliabilityGoal,
    budget: int = REGION_BUDGET,
    certificate_points: int = SHRINK_POINTS,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> FailingRegion:
    """The largest region around a failing view in which most views fail, and the part of it that surely is one.

    Args:
        function: The function.
        member: Which of its members.
        start: The failing view (n,).
        goal: What the complement should meet: 1 - score at least 1 - level in a share of the views.
        budget: Most queries of the search.
        certificate_points: Independent views of each box that is tried.
        confidence: Of the certificate.
        seed: Of the method and of these views.
    """
    complement, members = Complement(function), np.array([member])
    method = get_optimizer(REGION_METHOD)
    questions = Questions(function.space, start[None], member=members, goal=goal, budget=budget)
    result = run(method(questions, seed=seed), QueryOracle(complement, budget=budget))
    sure = shrink(
        complement,
        result.regions,
        start,
        goal,
        members,
        points=certificate_points,
        volumes=CERTIFY_VOLUMES,
        level=confidence,
        seed=seed,
    )
    return FailingRegion(
        start,
        result.regions,
        sure.regions,
        bool(sure.certified[0]),
        float(sure.goal_lower[0]),
        int(result.forward_queries[0]),
        int(sure.queries[0]),
        tuple(sure.tried[0][np.isfinite(sure.tried[0])].tolist()),
    )


def require_points(goal: Goal, points: int, confidence: float) -> None:
    """Refuse certificates of `CERTIFY_VOLUMES` that could certify nothing, even if all points were perfect.

    Raises:
        InvalidParameterError: Fewer points than that takes, and not 0, which asks for no certificate.
    """
    least = least_points(goal, _MOST_LEAST, (1 - confidence) / len(CERTIFY_VOLUMES))
    if 0 < points < least:
        told = f"{least}" if least <= _MOST_LEAST else f"more than {_MOST_LEAST:,}"
        raise InvalidParameterError(
            f"{points} certificate points cannot certify {goal.words}, even if all are perfect: give at least {told}"
        )


def look_at(
    function: ScoreFunction, member: int, theta: FloatArray, unit_scores: FloatArray, answers: int = ANSWERS
) -> list[Failure]:
    """Views (N, n) with their scores, and where they are rendered their pictures and first answers."""
    if not len(theta):
        return []
    scores = function.values(theta[None], [member])[0]
    views = [Failure(*own) for own in zip(theta, scores.tolist(), unit_scores.tolist(), strict=True)]
    leaf = function.leaf(member)
    if not leaf.function.is_rendered:
        return views
    from semrob_env.scene.image_function import ImageFunction  # loads torch

    assert isinstance(leaf.function, ImageFunction)
    images, index = leaf.function.images(theta, leaf.member), int(leaf.function.class_indices[leaf.member])
    tops = leaf.function.classifier.top(images, answers)
    return [
        replace(view, answers=top, is_wrong=top[0].index != index, image=image)
        for view, top, image in zip(views, tops, images, strict=True)
    ]
