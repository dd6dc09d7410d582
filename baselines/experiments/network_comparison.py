"""Asks several networks the same questions at the same views, and sets each beside the first of them.

>>> from baselines import compare_networks
>>> found = compare_networks(["efficientnet_lite0", "efficientnet_lite2"], ["cup:0", "chair:0"])  # doctest: +SKIP
>>> print(found[0].words())  # doctest: +SKIP
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Final, final

import numpy as np

from baselines.experiments.answers import KeptAnswers, answer_key
from baselines.experiments.functions import Functions
from baselines.experiments.paired_networks import AREA, CERTIFIED, INSIDE, RATE, SCORE, NetworkComparison, OnShape
from baselines.experiments.pool import Workers
from baselines.experiments.profiles import profile_records
from baselines.experiments.runner import HERE, each, run_live
from optimizers.registry import get_optimizer
from semrob_env.errors import InvalidParameterError, UnsupportedGoalError, WorkerError
from semrob_env.functions import ScoreFunction
from semrob_env.metrics import PairedViews, Survey
from semrob_env.metrics.certificates import CONFIDENCE, require_confidence
from semrob_env.metrics.profiles import checked_levels
from semrob_env.metrics.survey import RIGHT
from semrob_env.parameters import SemanticSpace, paper_starts
from semrob_env.questions import Goal, MeanGoal, Question
from semrob_env.regions import Regions
from semrob_env.scene.classes import UNTOLD
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.network_spec import network_specs
from semrob_env.scene.pose import Pose
from semrob_env.sequences import hashed_uniform
from semrob_env.store import RunRow, RunStore, RunTask
from semrob_env.tables import Subject
from semrob_env.types import FloatArray

METHOD: Final = "box_quadrature"
BUDGET: Final = 40
VIEWS: Final = 128
"""Common views of a shape, unless told otherwise."""

LEVELS: Final = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)

JUDGE_POINTS: Final = 16

Starts = Callable[[ScoreFunction, int], FloatArray]
"""Start points (S, n) of a member of a function."""

_VERSION = 1
"""Goes up when kept scores must be asked again."""

_MOST_VIEWS = 2**16
_SAME_LEVEL = 1e-9


@final
@dataclass(frozen=True)
class ComparisonSettings:
    """What every network is asked on every shape.

    Attributes:
        goal: What regions are to meet.
        levels: Of the robustness profile; the goal's own is added.
        method: Name of the method.
        budget: Most queries a run.
        views: Common views of each shape.
        confidence: Of every interval.
        seed: Of views and runs.
        starts: Start points of a shape, asked of the first network.

    Raises:
        InvalidParameterError: Levels, views, confidence or seed out of range, or networks that do not fit.
        UnsupportedGoalError: A method that does not answer all levels from one run.
    """

    goal: Goal
    levels: tuple[float, ...] = LEVELS
    method: str = METHOD
    budget: int = BUDGET
    views: int = VIEWS
    confidence: float = CONFIDENCE
    seed: int = 0
    starts: Starts = lambda function, _: usual_starts(function.space)

    def __post_init__(self) -> None:
        others = {level for level in self.levels if abs(level - self.goal.level) > _SAME_LEVEL}
        levels = checked_levels(sorted({*others, self.goal.level}))
        object.__setattr__(self, "levels", tuple(levels.tolist()))
        require_confidence(self.confidence)
        if not 1 <= self.views <= _MOST_VIEWS or self.seed < 0:
            raise InvalidParameterError(
                f"{self.views} views, seed {self.seed}: give 1 to {_MOST_VIEWS} views, and a seed of 0 or above"
            )
        if not get_optimizer(self.method).answers_goals:
            raise UnsupportedGoalError(
                f"{self.method} answers one goal a run; choose {METHOD}, which answers a profile"
            )

    def tasks(self, function_id: str, starts: FloatArray) -> list[RunTask]:
        """The runs on one function."""
        return [
            RunTask(
                Question(function_id, tuple(start), self.goal, self.budget, levels=self.levels),
                self.method,
                seed=self.seed,
                judge_points=JUDGE_POINTS,
                judge_seed=self.seed,
                certificate_points=0,
                confidence=self.confidence,
            )
            for start in starts.tolist()
        ]

    def theta(self, subject: Subject, space: SemanticSpace) -> FloatArray:
        """The common views (views, n) of a shape, which no network has a part in; more begin with the same ones."""
        key = f"common views/{self.seed}/{subject.class_name}/{subject.shape}/{space.spec}"
        return space.from_unit(hashed_uniform(key.encode(errors="surrogatepass"), (self.views, space.n)))


def compare_networks(
    networks: Sequence[str] | Mapping[str, Classifier],
    shapes: Sequence[str],
    *,
    class_name: str = "",
    params: str = "azimuth,elevation",
    pose: Pose | None = None,
    starts: Starts | None = None,
    goal: Goal | None = None,
    levels: Sequence[float] = LEVELS,
    method: str = METHOD,
    budget: int = BUDGET,
    views: int = VIEWS,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    folder: str | PathLike[str] | None = None,
    workers: Workers = HERE,
) -> list[NetworkComparison]:
    """Compare networks with the first of them, at the same views and questions of the same shapes.

    Args:
        networks: As commands name them, `LABEL=NETWORK@WEIGHTS`; or classifiers by their labels. At least two.
        shapes: Sources: `cup:3`, `meshes/`, `mug.obj`, ...
        class_name: Class of every mesh; empty: the one that its name tells.
        params: Parameters, as `SemanticSpace.of` reads them.
        pose: How the meshes of files are put up; None: as they are.
        starts: Start points of a shape, asked of the first network; None: two of the paper's.
        goal: What regions are to meet; None: a mean score of at least 0.5.
        levels: Of the robustness profile.
        method: Method that answers; it must answer all levels from one run.
        budget: Most queries a run.
        views: Common views of each shape, a query each.
        confidence: Of every interval.
        seed: Of views and runs.
        folder: Where runs and scores are kept, to go on after an interruption; None: nowhere.
        workers: Who runs.

    Returns:
        One comparison for each network after the first.

    Raises:
        SemrobError: What is misspelt, too few networks, or nothing could be run.
    """
    chosen = ComparisonSettings(goal or MeanGoal(), tuple(levels), method, budget, views, confidence, seed)
    if starts is not None:
        chosen = replace(chosen, starts=starts)
    ids, functions = scenes_of(networks, shapes, class_name=class_name, params=params, pose=pose)
    with tempfile.TemporaryDirectory() if folder is None else nullcontext(str(folder)) as place:
        return compared(ids, functions, chosen, place, workers=workers)


def usual_starts(space: SemanticSpace) -> FloatArray:
    """Two of the paper's start points (2, n), as tables of SRVR have them."""
    points = paper_starts(space)
    return points[1::2] if len(points) > 1 else points


def scenes_of(
    networks: Sequence[str] | Mapping[str, Classifier],
    shapes: Sequence[str],
    *,
    class_name: str,
    params: str,
    pose: Pose | None = None,
) -> tuple[list[str], Functions]:
    """Ids of every network with every shape, network by network, and where their functions are found."""
    from semrob_env.scene.function import SceneFunction
    from semrob_env.scene.image_ids import image_id_of
    from semrob_env.scene.sources import load_shape, select_shapes

    found, space, stands = select_shapes(shapes, as_class=class_name), SemanticSpace.of(params), pose or Pose()
    for shape in found:
        if shape.class_name is None:
            raise InvalidParameterError(f"{shape.label}: {UNTOLD}; give class_name")
    named = [(str(shape.class_name), shape.source) for shape in found]
    if not isinstance(networks, Mapping):
        put_up = [replace(shape, pose=stands) for shape in found]
        ids = [str(image_id_of(shape, spec, params=space.spec)) for spec in network_specs(networks) for shape in put_up]
        return ids, Functions(ids)
    meshes = [load_shape(own, source, pose=pose) for own, source in named]
    ids = [f"scene-object:{label}/{own}/{source}" for label in networks for own, source in named]
    parts = [
        SceneFunction(
            network, meshes, [network.classes.index(own) for own, _ in named], space, names=ids[at : at + len(named)]
        )
        for network, at in zip(networks.values(), range(0, len(ids), len(named)), strict=True)
    ]
    return ids, Functions(given=parts)


def compared(
    ids: Sequence[str],
    functions: Functions,
    asked: ComparisonSettings,
    folder: str | PathLike[str],
    *,
    workers: Workers = HERE,
    modules: Sequence[str] = (),
    on_views: Callable[[int, int], object] = lambda done, total: None,
    on_runs: Callable[[int, int], object] = lambda done, total: None,
) -> list[NetworkComparison]:
    """Each network beside the first one.

    Args:
        ids: Ids of functions, network by network, each with the same shapes in the same order.
        functions: Where they are found.
        asked: What each is asked.
        folder: Holds `runs.sqlite` and `answers.sqlite`.
        workers: Who runs.
        modules: As for `run_tasks`.
        on_views: Called with how many shapes of networks have their views, and of how many.
        on_runs: The same of runs.

    Raises:
        InvalidParameterError: Fewer than two networks.
        SemrobError: What functions, stores and workers raise.
    """
    by_network: dict[str, list[str]] = {}
    for name in ids:
        by_network.setdefault(Subject.of(name).network, []).append(name)
    labels, columns = list(by_network), list(by_network.values())
    if len(labels) < 2:
        raise InvalidParameterError(
            f"{len(labels)} network to compare: give at least two, before=NETWORK@WEIGHTS after=NETWORK@WEIGHTS"
        )
    pinned = [[_identity(name, functions) for name in own] for own in columns]
    # The same network under another name answers the same: it is not asked again, so that no random stream differs.
    source = [pinned.index(own) for own in pinned]
    distinct = [name for place in dict.fromkeys(source) for name in columns[place]]
    surveys = _common_surveys(distinct, functions, asked, folder, workers, modules, on_views)
    starts = [asked.starts(*functions.member(name)) for name in columns[0]]
    tasks = [
        task
        for place in dict.fromkeys(source)
        for name, points in zip(columns[place], starts, strict=True)
        for task in asked.tasks(name, points)
    ]
    store = RunStore(Path(folder) / "runs.sqlite")
    rows: dict[str, list[RunRow]] = {}
    for task, row in run_live(tasks, store, functions, workers=workers, modules=modules, on_runs=on_runs).items():
        rows.setdefault(task.question.function_id, []).append(row)
    every = {name: _Answers.of(name, surveys[name], rows[name], functions, asked) for name in distinct}
    answers = [[every[name] for name in columns[place]] for place in source]
    return [
        NetworkComparison(
            labels[0],
            labels[other],
            tuple(_on_shape(*pair, functions) for pair in zip(answers[0], answers[other], strict=True)),
            asked.goal,
            asked.confidence,
            comparisons=len(labels) - 1,
            is_same=source[other] == 0,
            queries=sum(own.bill for place in {0, source[other]} for own in answers[place]),
            failed=tuple(
                row.error
                for place in {0, source[other]}
                for own in answers[place]
                for row in own.rows
                if not row.has_run
            ),
        )
        for other in range(1, len(labels))
    ]


def _identity(name: str, functions: Functions) -> tuple[dict[str, str], int]:
    """Equal for functions that surely answer alike: a callable has no hash of its weights, only itself."""
    function, member = functions.member(name)
    pinned = function.fingerprints[member]
    return pinned, 0 if "weights" in pinned else id(getattr(function, "classifier", function))


@final
@dataclass(frozen=True, eq=False)
class _Answers:
    """What a network answered on a shape."""

    function_id: str
    found: Survey
    rows: tuple[RunRow, ...]  # one a start point
    certified: float = float("nan")  # mean share of the widest certified regions at the goal's level
    inside: float = float("nan")  # mean share of right views in these
    area: float = float("nan")  # of the profile of feasible regions
    region: Regions | None = None  # the widest certified one around the first start point

    @classmethod
    def of(
        cls, function_id: str, found: Survey, rows: Sequence[RunRow], functions: Functions, asked: ComparisonSettings
    ) -> _Answers:
        """Judged by the common views; without shares if a run failed."""
        if not all(row.has_run and row.profile_lower for row in rows):
            return cls(function_id, found, tuple(rows))
        surveys = {row.task.question.function_id: found for row in rows}
        every, widest = profile_records(rows, functions, surveys, asked.confidence)
        at = asked.levels.index(asked.goal.level)
        shares = widest.records[at].share
        regions = [_widest(row, float(share), found) for row, share in zip(rows, shares, strict=True)]
        # A region that holds no common view is certified by none: there is always one.
        right = [found.scores[own.contains(found.theta[None])[0]] >= RIGHT for own in regions if own is not None]
        return cls(
            function_id,
            found,
            tuple(rows),
            float(shares.mean()),
            float(np.mean([own.mean() for own in right])) if right else float("nan"),
            float(every.only_feasible().areas.share.mean()),
            regions[0],
        )

    @property
    def bill(self) -> int:
        """Queries: views, runs and judges."""
        ran = [row for row in self.rows if row.has_run]
        return self.found.queries + sum(
            row.forward_queries + row.gradient_queries + row.judge_queries + row.certificate_queries for row in ran
        )


def _widest(row: RunRow, share: float, found: Survey) -> Regions | None:
    """The region of a share that a run answered with, at its goal's level or a higher one; None without a share."""
    if not share > 0:
        return None
    levels = len(row.task.question.levels)
    regions = Regions(
        found.space, *(np.reshape(side, (levels, -1)) for side in (row.profile_lower, row.profile_upper))
    ).clip()
    level = int(np.abs(regions.share() - share).argmin())
    return regions[level : level + 1]


def _on_shape(before: _Answers, after: _Answers, functions: Functions) -> OnShape:
    subject = Subject.of(before.function_id)
    return OnShape(
        subject.class_name,
        subject.shape,
        PairedViews(before.found, after.found),
        (functions.member(before.function_id), functions.member(after.function_id)),
        before.rows,
        after.rows,
        {
            RATE: (before.found.rate().share, after.found.rate().share),
            SCORE: (before.found.mean, after.found.mean),
            CERTIFIED: (before.certified, after.certified),
            INSIDE: (before.inside, after.inside),
            AREA: (before.area, after.area),
        },
        (before.region, after.region),
    )


def _common_surveys(
    ids: Sequence[str],
    functions: Functions,
    asked: ComparisonSettings,
    folder: str | PathLike[str],
    workers: Workers,
    modules: Sequence[str],
    done: Callable[[int, int], object],
) -> dict[str, Survey]:
    """The scores of each function at the common views of its shape, kept as they come."""
    answers, found = KeptAnswers(Path(folder) / "answers.sqlite"), dict[str, Survey]()
    views, keys, missing = dict[str, FloatArray](), dict[str, str](), list[str]()
    for name in ids:
        function, member = functions.member(name)
        views[name] = asked.theta(Subject.of(name), function.space)
        pinned = function.fingerprints[member]
        keys[name] = answer_key("common views", _VERSION, name, pinned, asked.views, asked.seed)
    kept = answers.find(list(keys.values()))
    for name in ids:
        if (scores := kept.get(keys[name])) is None:
            missing.append(name)
        else:
            found[name] = Survey(functions.member(name)[0].space, views[name], np.array(scores))
    done(len(found), len(ids))
    works = [(name, views[name], functions.fingerprint(name)) for name in missing]
    with closing(_scores(works, functions, workers, modules)) as results:
        for index, scores_of in results:
            name = missing[index]
            answers.add({keys[name]: scores_of.tolist()})
            found[name] = Survey(functions.member(name)[0].space, views[name], scores_of)
            done(len(found), len(ids))
    return {name: found[name] for name in ids}


Work = tuple[str, FloatArray, dict[str, str]]
"""An id, views (N, n), and what pins the answers."""


def _scores(
    works: Sequence[Work], functions: Functions, workers: Workers, modules: Sequence[str]
) -> Generator[tuple[int, FloatArray], None, None]:
    """Index and unit scores (N,) of each work, as they are finished."""
    if workers.is_here or workers.shares_memory or not functions.can_travel:
        return each(HERE, partial(_asked_here, functions), works)
    return each(workers, _asked_there, works, modules)


def _asked_here(functions: Functions, work: Work) -> FloatArray:
    name, theta, _ = work
    function, member = functions.member(name)
    return np.nan_to_num(function.scale.unit(function.values(theta[None], [member])[0]), nan=0.0)


def _asked_there(work: Work) -> FloatArray:
    own = Functions([work[0]])
    if own.fingerprint(work[0]) != work[2]:
        raise WorkerError(f"a worker has another {work[0]} than the one that is here; give it the same files")
    return _asked_here(own, work)
