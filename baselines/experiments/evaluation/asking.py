"""Evaluating: survey each shape, ask for regions, certify them, look at slices; all kept, all billed.

The order is that in which a person wants to know: how many views are right (the survey), where it holds and where it
fails (regions by `box_quadrature`, around views that the survey chose), what of that is sure (`shrink`: fresh points),
which parameter matters (`effects`), and what it looks like (slices).
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, final

import numpy as np

from baselines.experiments.answers import KeptAnswers, answer_key
from baselines.experiments.evaluation.evaluation import Evaluation
from baselines.experiments.evaluation.looks import Looks, answers_at, class_words, look, scene_of
from baselines.experiments.evaluation.pictures import ReportPictures
from baselines.experiments.evaluation.values import (
    NOTHING,
    CertifiedBox,
    FailingView,
    FoundRegion,
    ShapeEvaluation,
    SliceMap,
)
from baselines.experiments.failures import CERTIFY_VOLUMES, FAILING, require_points
from baselines.experiments.functions import Functions
from baselines.experiments.pool import Workers
from baselines.experiments.runner import HERE, run_live
from semrob_env.errors import InvalidParameterError, NameClashError, OutputError
from semrob_env.files import encodable
from semrob_env.functions import Complement, ScoreFunction
from semrob_env.metrics import Judge, distinct, effects, shrink
from semrob_env.metrics.certificates import CONFIDENCE
from semrob_env.metrics.survey import RIGHT, Effects, Survey, survey_views
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting.views import example_points
from semrob_env.questions import Goal, Question, ReliabilityGoal
from semrob_env.regions import Regions
from semrob_env.scene.classes import UNTOLD
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.labels import read_labels
from semrob_env.scene.classifiers.network_spec import NetworkSpec
from semrob_env.scene.classifiers.options import NetworkOptions
from semrob_env.scene.classifiers.registry import takes_option
from semrob_env.scene.classifiers.rescored import RescoredClassifier
from semrob_env.scene.classifiers.score_kinds import ScoreKind
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.image_function import ImageFunction
from semrob_env.scene.image_ids import image_id_of, read_image_id
from semrob_env.scene.mesh import Mesh, normalize
from semrob_env.scene.sources import ShapeInfo, load_shape, posed, select_shapes
from semrob_env.store import FAILED, RunRow, RunStore, RunTask
from semrob_env.tables.words import percent, point_words, rate_words
from semrob_env.types import FloatArray

METHOD = "box_quadrature"
"""Who looks for the regions."""

CELLS = {1: (24, 1), 2: (16, 8)}
"""Cells of a slice along x and y, by the number of parameters; `PAIR_CELLS` with more."""

PAIR_CELLS = (10, 6)

_VERSION = 2
"""Goes up when kept certificates and effects must be made again."""


@final
@dataclass(frozen=True)
class EvaluationSettings:
    """How much is asked of each shape.

    Attributes:
        goal: What a robust region meets.
        starts: Start points of robust regions: distinct views of the survey that score best with those around them.
        survey_points: Independent uniform views.
        budget: Most queries of a search for a region.
        judge_points: Held-out points of each region that was found.
        certificate_points: Points of each box that is tried for a certificate.
        confidence: Of each certificate.
        together: Whether the confidence is that of all certificates at once.
        effect_points: Views of which each parameter is changed once; 0: none.
        failures: Most failing views of a shape that are told.
        seed: Of all that is drawn.

    Raises:
        InvalidParameterError: A count that is too small, or what `Judge` refuses.
    """

    goal: Goal = field(default_factory=ReliabilityGoal)
    starts: int = 1
    survey_points: int = 256
    budget: int = 100
    judge_points: int = 32
    certificate_points: int = 128
    confidence: float = CONFIDENCE
    together: bool = False
    effect_points: int = 32
    failures: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("starts", 1), ("survey_points", 2), ("failures", 1), ("effect_points", 0)):
            if getattr(self, name) < least:
                raise InvalidParameterError(f"{name.replace('_', ' ')} {getattr(self, name)}: give at least {least}")
        Judge(self.goal, self.judge_points, self.seed, self.certificate_points, self.confidence)

    @property
    def failing_goal(self) -> Goal:
        """What a failing region meets on the complement: nearly all views fail there."""
        return FAILING if self.goal.threshold is None else self.goal

    def confidence_each(self, shapes: int) -> float:
        """Confidence of each certificate of so many shapes."""
        return 1 - (1 - self.confidence) / (shapes * (self.starts + 1)) if self.together else self.confidence

    def require_certificates(self, shapes: int) -> None:
        """Refuse certificates of so many shapes that could certify nothing, whatever is answered.

        Raises:
            InvalidParameterError: Too few points.
        """
        for goal in (self.goal, self.failing_goal):
            require_points(goal, self.certificate_points, self.confidence_each(shapes))

    def most_queries(self, space: SemanticSpace) -> dict[str, int]:
        """Most queries of a shape, by purpose."""
        regions = self.starts + 1
        return {
            "survey": self.survey_points,
            "search": regions * self.budget,
            "judge": regions * self.judge_points,
            "certificate": regions * self.certificate_points * len(CERTIFY_VOLUMES),
            "effects": space.n * min(self.effect_points, self.survey_points),
            "pictures": regions * (3 + 2 * space.n),
            "map": sum(counts[0] * counts[1] for _, counts in slices(space)),
        }

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "goal": self.goal.text, "method": METHOD}


@final
@dataclass(frozen=True)
class Target:
    """A shape to evaluate: what people call it, and the id of its score function."""

    name: str
    class_name: str
    function_id: str


@final
@dataclass(frozen=True)
class Step:
    """Where an evaluation stands: `done` of `total` of a stage, and what there is to say, or nothing."""

    stage: str
    done: int
    total: int
    line: str = ""


OnStep = Callable[[Step], None]


def evaluate(
    network: str | Classifier,
    shapes: str | Mesh | Sequence[str | Mesh],
    space: str | SemanticSpace = "azimuth,elevation",
    *,
    class_name: str = "",
    up: str | Sequence[str] = (),
    front: str | Sequence[str] = (),
    goal: Goal | None = None,
    settings: EvaluationSettings | None = None,
    score: ScoreKind | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Evaluation:
    """How robust a network is on some shapes: right views, regions, failures, and what breaks it.

    Args:
        network: Name of a network, as commands take it (`efficientnet_lite0`, `mine=file:model.onnx`), or a classifier.
        shapes: Mesh files, folders, `cup:3`, or meshes.
        space: The views: parameters by name, or a space.
        class_name: Class that every shape is scored for; empty: as its name tells.
        up: Axis of the files that points up, or for some of them by a pattern of their names: `z`, or `*.stl=z`; empty:
            y. A `Mesh` stands as it is: `load_mesh(path, up="z")`.
        front: Axis of the files that faces the camera of azimuth 0, as `up`; empty: -z.
        goal: What a robust region meets; None: right in 95 % of the views.
        settings: How much is asked; None: the defaults.
        score: What a score is; None: the logit margin where it would be a softmax, so that right is the same in rates
            and in regions: a unit score of at least 0.5 is where the class is the first answer.
        folder: Where what was asked is kept, so that the same call goes on after an interrupt; None: nowhere.

    Raises:
        InvalidParameterError: A shape whose class nobody tells; a network that is neither name nor classifier.
        UnknownNameError, InvalidMeshError, LibraryError, ClassifierError: What cannot be found, loaded or asked.
        OutputError: A search failed; the folder cannot be written.
    """
    chosen = settings or EvaluationSettings()
    if goal is not None:
        chosen = replace(chosen, goal=goal)
    own = SemanticSpace.of(space) if isinstance(space, str) else space
    given = [shapes] if isinstance(shapes, str | Mesh) else list(shapes)
    targets, functions = targets_of(network, given, own, class_name, score, up, front)
    if folder is not None:
        return evaluate_targets(targets, functions, chosen, Path(folder))
    with tempfile.TemporaryDirectory() as path:
        return evaluate_targets(targets, functions, chosen, Path(path))


def targets_of(
    network: str | Classifier,
    shapes: Sequence[str | Mesh],
    space: SemanticSpace,
    class_name: str,
    score: ScoreKind | None = None,
    up: str | Sequence[str] = (),
    front: str | Sequence[str] = (),
) -> tuple[list[Target], Functions]:
    """The shapes of `evaluate`, and the functions that answer for them; errors as there."""
    spec = spec_of(network, score or "margin") if isinstance(network, str) else None
    if spec is None and not isinstance(network, Classifier):
        raise InvalidParameterError(
            f"network {type(network).__name__}: give a name, TorchClassifier(module, Preprocessing(size)) or "
            "BlackBoxClassifier(callable), which say how pictures are prepared"
        )
    labels: Sequence[str] = ()
    if isinstance(network, Classifier):
        labels = network.classes.names or ()
    elif spec is not None and spec.options.labels:
        labels = read_labels(spec.options.labels)
    found: list[ShapeInfo | Mesh] = []
    for shape in shapes:
        own = [shape] if isinstance(shape, Mesh) else select_shapes([shape], as_class=class_name, labels=labels)
        found += own
    infos = [shape for shape in found if isinstance(shape, ShapeInfo)]
    stand = iter(posed(infos, up=up, front=front) if up or front else infos)
    put_up = [next(stand) if isinstance(shape, ShapeInfo) else shape for shape in found]
    if spec is not None and len(infos) == len(found):
        chosen = [shape for shape in dict.fromkeys(put_up) if isinstance(shape, ShapeInfo)]
        ids = [str(image_id_of(shape, spec, params=space.spec)) for shape in chosen]
        targets = [Target(own.label, str(own.class_name), name) for own, name in zip(chosen, ids, strict=True)]
        return targets, Functions(ids)
    classifier = network if isinstance(network, Classifier) else spec_of(network, score or "margin").load()
    if classifier.score != (asked := score or ("margin" if classifier.score == "softmax" else classifier.score)):
        classifier = RescoredClassifier(classifier, asked)
    targets, made = [], []
    for number, body in enumerate(put_up):
        label, own_class, mesh = _body(body, number, class_name)
        if not own_class:
            raise InvalidParameterError(f"{label}: {UNTOLD}; give class_name (--class NAME)")
        index = classifier.classes.index(own_class)
        name = f"scene-object:{classifier.name}/{own_class}/{label}"
        made.append(SceneFunction(classifier, [mesh], [index], space, names=[name]))
        targets.append(Target(label, own_class, name))
    if twice := [name for name, count in Counter(target.name for target in targets).items() if count > 1]:
        raise NameClashError(f"two shapes are called {twice[0]!r}; give each a name of its own (Mesh(..., name=...))")
    return targets, Functions(given=[*made, *(Complement(function) for function in made)])


def spec_of(network: str, score: ScoreKind) -> NetworkSpec:
    """A network as commands name it, with a score where it can have another."""
    spec = NetworkSpec.parse(network)
    return NetworkSpec.parse(network, NetworkOptions(score=score)) if takes_option(spec.network, "score") else spec


def _body(shape: ShapeInfo | Mesh, number: int, class_name: str) -> tuple[str, str, Mesh]:
    """Name, class and mesh of a shape; the class is empty where nobody tells it."""
    if isinstance(shape, Mesh):
        return shape.name or f"mesh {number}", class_name, normalize(shape)
    own = shape.class_name or ""
    return shape.label, own, load_shape(own, shape.source, pose=shape.pose)


def slices(space: SemanticSpace) -> list[tuple[tuple[int, ...], tuple[int, int]]]:
    """Which slices are looked at: axes, and cells along x and y."""
    if space.n <= 2:
        return [(tuple(range(space.n)), CELLS[space.n])]
    return [(pair, PAIR_CELLS) for pair in itertools.combinations(range(space.n), 2)]


def evaluate_targets(
    targets: Sequence[Target],
    functions: Functions,
    settings: EvaluationSettings,
    folder: Path,
    *,
    workers: Workers = HERE,
    modules: Sequence[str] = (),
    notes: Sequence[str] = (),
    on_step: OnStep = lambda step: None,
) -> Evaluation:
    """As `evaluate`, of targets; what is asked is kept in `runs.sqlite` and `answers.sqlite` of the folder.

    Args:
        targets: At least one.
        functions: Where their functions are found.
        settings: How much is asked.
        folder: Of the two files; the same call goes on where an interrupted one stopped.
        workers: Who searches; all else is asked here.
        modules: As `run_tasks`.
        notes: What the report says of the meshes.
        on_step: Told after every step.
    """
    targets = [_spelled(target, functions) for target in targets]
    settings.require_certificates(len(targets))
    kept, count = KeptAnswers(folder / "answers.sqlite"), len(targets)
    surveys = []
    for number, target in enumerate(targets):
        surveys.append(_survey(target, functions, settings, kept))
        on_step(Step("survey", number + 1, count, _survey_line(target, functions, surveys[-1])))
    tasks = [
        task
        for target, looks in zip(targets, surveys, strict=True)
        for task in _tasks(target, looks, settings, settings.confidence_each(count))
    ]
    rows = _run(tasks, functions, RunStore(folder / "runs.sqlite"), workers, modules, on_step)
    found = []
    for number, (target, looks) in enumerate(zip(targets, surveys, strict=True)):
        own = [rows[task] for task in tasks if _plain_id(task) == target.function_id]
        found.append(_shape(target, looks, own, functions, settings, settings.confidence_each(count), kept))
        on_step(Step("certificates and maps", number + 1, count, _region_line(found[-1])))
    function, _ = scene_of(functions, targets[0].function_id)
    classifier = function.classifier
    return Evaluation(
        _network_name(targets[0].function_id, classifier),
        classifier.preprocessing,
        function.space,
        settings.goal,
        classifier.score,
        tuple(found),
        settings.plain(),
        datetime.now(timezone.utc).isoformat(timespec="seconds"),
        ReportPictures(functions),
        tuple(notes),
    )


def _network_name(function_id: str, classifier: Classifier) -> str:
    """What reports call the network: by its label, where it was given one."""
    own = read_image_id(function_id)
    return own.alias if own is not None and own.alias else classifier.name


def _spelled(target: Target, functions: Functions) -> Target:
    """The target with its id as rows have it: the one spelling of network, class and shape."""
    function, member = scene_of(functions, target.function_id)
    return replace(target, function_id=function.member_ids[member])


def _survey(target: Target, functions: Functions, settings: EvaluationSettings, kept: KeptAnswers) -> Looks:
    function, member = scene_of(functions, target.function_id)
    function.probe()  # a broken network ends here, in a line of its own
    return look(function, member, survey_views(function, member, settings.survey_points, settings.seed), kept)


def _tasks(target: Target, looks: Looks, settings: EvaluationSettings, confidence: float) -> list[RunTask]:
    """Robust regions around the best distinct views, and a failing one around the view that fails with most around."""
    starts = looks.best[distinct(looks.space, looks.theta[looks.best], count=settings.starts)]
    asked = [(target.function_id, start, settings.goal) for start in starts]
    if len(looks.worst):
        start = looks.worst[looks.around[looks.worst].argmin()]
        asked.append((f"complement({target.function_id})", start, settings.failing_goal))
    return [
        RunTask(
            Question(name, tuple(looks.theta[start].tolist()), goal, settings.budget),
            METHOD,
            seed=settings.seed,
            judge_points=settings.judge_points,
            judge_seed=settings.seed,
            certificate_points=0,  # `shrink` gives the one certificate of a region
            confidence=confidence,
        )
        for name, start, goal in asked
    ]


def _plain_id(task: RunTask) -> str:
    name = task.question.function_id
    return name[len("complement(") : -1] if name.startswith("complement(") else name


def _run(
    tasks: Sequence[RunTask],
    functions: Functions,
    store: RunStore,
    workers: Workers,
    modules: Sequence[str],
    on_step: OnStep,
) -> dict[RunTask, RunRow]:
    """The row of every task.

    Raises:
        OutputError: One failed.
    """

    def on_runs(done: int, total: int) -> None:
        on_step(Step("regions", done, total))

    rows = run_live(tasks, store, functions, workers=workers, modules=modules, on_runs=on_runs)
    for row in rows.values():
        if row.status == FAILED:
            raise OutputError(f"a search for a region failed: {row.error}; the same call tries it again")
    return rows


def _shape(
    target: Target,
    looks: Looks,
    rows: Sequence[RunRow],
    functions: Functions,
    settings: EvaluationSettings,
    confidence: float,
    kept: KeptAnswers,
) -> ShapeEvaluation:
    function, member = scene_of(functions, target.function_id)
    regions = [_region(target, row, functions, settings, confidence, kept) for row in rows]
    failing, best = looks.worst, int(looks.best[0])
    chosen = failing[distinct(looks.space, looks.theta[failing], count=settings.failures)].tolist()
    maps = tuple(
        _slice(function, member, looks.theta[best], axes, counts, kept) for axes, counts in slices(looks.space)
    )
    effect = _effects(function, member, looks, settings, kept)
    wrong = Counter(looks.top_index[~looks.is_right, 0].tolist())
    bill: Counter[str] = Counter(survey=len(looks), map=sum(len(one.looks) for one in maps))
    bill["effects"] = effect.queries if effect else 0
    for region in regions:
        bill.update(region.bill)
    return ShapeEvaluation(
        target.name,
        class_words(function.classifier.classes, looks.class_index),
        target.function_id,
        function.fingerprints[member],
        looks,
        _seen(target, function, looks, best, 0),
        tuple(_seen(target, function, looks, view, rank + 1) for rank, view in enumerate(chosen)),
        tuple(region for region in regions if region.kind == "robust"),
        tuple(region for region in regions if region.kind == "failing"),
        effect,
        maps,
        tuple((class_words(function.classifier.classes, index), count) for index, count in wrong.most_common()),
        dict(bill),
    )


def _seen(target: Target, function: ImageFunction, looks: Looks, view: int, rank: int) -> FailingView:
    return FailingView(
        target.name,
        class_words(function.classifier.classes, looks.class_index),
        rank,
        tuple(looks.theta[view].tolist()),
        float(looks.scores[view]),
        float(looks.probability[view]),
        answers_at(function, looks, view),
    )


def _region(
    target: Target,
    row: RunRow,
    functions: Functions,
    settings: EvaluationSettings,
    confidence: float,
    kept: KeptAnswers,
) -> FoundRegion:
    asked = row.task.question
    function, member = functions.member(asked.function_id)
    is_robust = asked.function_id == target.function_id
    found = Regions(function.space, np.array([row.lower]), np.array([row.upper]))
    certified: CertifiedBox | None = None
    paid, tried = 0, tuple[float, ...]()
    if row.share > NOTHING and settings.certificate_points:
        certified, paid, tried = _certified(function, member, found, asked, settings, confidence, kept)
    scene, place = scene_of(functions, target.function_id)
    shown = example_points(certified.region if certified else found) if row.share > NOTHING else []
    points = np.array([theta for theta, _ in shown]).reshape(-1, function.space.n)
    is_top1 = scene.classifier.score != "softmax"
    return FoundRegion(
        target.name,
        "robust" if is_robust else "failing",
        asked.goal,
        "" if is_robust else _failing_words(asked.goal.threshold, is_top1=is_top1),
        np.array(asked.start),
        found,
        row.share,
        row.goal_mean,
        settings.judge_points,
        bool(row.feasible),
        certified,
        tried,
        settings.certificate_points,
        confidence,
        look(scene, place, points, kept),
        tuple(is_inside for _, is_inside in shown),
        {"search": row.forward_queries + row.gradient_queries, "judge": row.judge_queries, "certificate": paid}
        | {"pictures": len(shown)},
    )


def _failing_words(level: float | None, *, is_top1: bool) -> str:
    """What a view of a failing region is."""
    level = RIGHT if level is None else level
    return "wrong" if is_top1 and level == RIGHT else f"score at most {1 - level:g}"


def _certified(
    function: ScoreFunction,
    member: int,
    found: Regions,
    asked: Question,
    settings: EvaluationSettings,
    confidence: float,
    kept: KeptAnswers,
) -> tuple[CertifiedBox | None, int, tuple[float, ...]]:
    """The largest box in a region that surely meets the goal, the queries of all tries, and the bounds they gave."""
    bounds = [found.lower.tolist(), found.upper.tolist(), list(asked.start)]
    facts = [asked.goal.text, settings.certificate_points, confidence, settings.seed, list(CERTIFY_VOLUMES)]
    name, fingerprint = function.member_ids[member], function.fingerprints[member]
    key = answer_key("certified box", _VERSION, name, fingerprint, *bounds, *facts)
    numbers = kept.find([key]).get(key)
    if numbers is None:
        sure = shrink(
            function,
            found,
            np.array(asked.start),
            asked.goal,
            [member],
            points=settings.certificate_points,
            volumes=CERTIFY_VOLUMES,
            level=confidence,
            seed=settings.seed,
        )
        one = [float(sure.certified[0]), float(sure.goal_lower[0]), float(sure.queries[0])]
        numbers = [
            *one,
            *sure.regions.lower[0].tolist(),
            *sure.regions.upper[0].tolist(),
            *sure.tried[0][np.isfinite(sure.tried[0])].tolist(),
        ]
        kept.add({key: numbers})
    is_sure, bound, paid, *ends = numbers
    n = function.space.n
    box = Regions(function.space, np.array([ends[:n]]), np.array([ends[n : 2 * n]]))
    return (CertifiedBox(box, float(box.share()[0]), bound) if is_sure else None), int(paid), tuple(ends[2 * n :])


def _slice(
    function: ImageFunction,
    member: int,
    center: FloatArray,
    axes: tuple[int, ...],
    counts: tuple[int, int],
    kept: KeptAnswers,
) -> SliceMap:
    """Looks at the centers of the cells of a slice through a point."""
    space = function.space
    theta = np.tile(center, (counts[0] * counts[1], 1))
    for k, fractions in zip(axes, np.meshgrid(*((np.arange(c) + 0.5) / c for c in counts)), strict=False):
        theta[:, k] = space.low[k] + fractions.ravel() * space.width[k]
    return SliceMap(axes, counts, look(function, member, space.project(theta), kept))


def _effects(
    function: ImageFunction, member: int, looks: Looks, settings: EvaluationSettings, kept: KeptAnswers
) -> Effects | None:
    points = min(settings.effect_points, len(looks))
    if points < 2:
        return None
    name, fingerprint = function.member_ids[member], function.fingerprints[member]
    key = answer_key("effects", _VERSION, name, fingerprint, len(looks), points, settings.seed)
    numbers = kept.find([key]).get(key)
    if numbers is None:
        survey = Survey(looks.space, looks.theta, looks.scores)
        own = effects(function, survey, member, points=points, seed=settings.seed)
        numbers = np.concatenate([own.total, own.standard_error, own.largest_change]).tolist()
        kept.add({key: numbers})
    total, error, change = np.array(numbers).reshape(3, looks.space.n)
    return Effects(looks.space, total, error, change, points, points * looks.space.n)


def _survey_line(target: Target, functions: Functions, looks: Looks) -> str:
    function, _ = scene_of(functions, target.function_id)
    best = int(looks.best[0])
    told = ", ".join(f"{one.name} {percent(one.probability)}" for one in answers_at(function, looks, best))
    at = point_words(looks.space.parameters, looks.theta[best])
    return f"{one_line(target.name)}: {rate_words(looks.rate)}; at its best view ({at}): {told}"


def _region_line(found: ShapeEvaluation) -> str:
    robust, failing = found.largest, found.largest_failing
    lines = [f"robust: {robust.words()[0]}"] if robust else []
    lines += [f"failing: {failing.words()[0]}"] if failing else []
    return f"{one_line(found.name)}: {'; '.join(lines)}"


def one_line(name: str) -> str:
    """A name of a file, which may hold anything, on one line."""
    return " ".join(encodable(name).split())
