"""Robustness profiles from the rows of a store: surveys of each function, and what they say of regions at every level.

Runs tell the regions that a method answers with at each level of the question. They are judged here: exactly where the
truth is known, else by a *survey*, independent views of the whole space that no method has seen. Those of them that
fall into a region are independent views of it, so one survey serves every region on its function: it estimates whether
the goal is met and, as the regions were chosen without it, certifies those that surely meet it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from baselines.experiments.answers import KeptAnswers, answer_key
from baselines.experiments.functions import Functions
from semrob_env.errors import NoGroundTruthError
from semrob_env.functions import ScoreFunction
from semrob_env.ground_truth import truth
from semrob_env.metrics import ProfileRecords, Survey, goal_bounds, least_points, survey
from semrob_env.metrics.survey import survey_views
from semrob_env.questions import Goal
from semrob_env.regions import Regions
from semrob_env.store import RunRow
from semrob_env.tables.srvr import region_records
from semrob_env.types import FloatArray

SPARE = 2
"""How many times the views that would do if all were perfect a region needs so as to be tested for a lower level, too:
a test without power would end the sequence."""

_VERSION = 1
"""Goes up when kept surveys must be made again."""


def surveys_of(
    function_ids: Iterable[str],
    functions: Functions,
    points: int,
    seed: int,
    answers: KeptAnswers,
    done: Callable[[], object] = lambda: None,
) -> dict[str, Survey]:
    """A survey of each function by its id; kept between calls, for a view takes milliseconds.

    Args:
        function_ids: Ids of members.
        functions: Where they are found.
        points: Views of each.
        seed: Of the views.
        answers: Where their scores are kept.
        done: Called after every function.
    """
    found = {}
    for name in dict.fromkeys(function_ids):
        function, member = functions.member(name)
        key = answer_key("survey", _VERSION, function.member_ids[member], function.fingerprints[member], points, seed)
        scores = answers.find([key]).get(key)
        if scores is None:
            found[name] = survey(function, member, points=points, seed=seed)
            answers.add({key: found[name].scores.tolist()})
        else:
            views = survey_views(function, member, points, seed)
            found[name] = Survey(function.space, views, np.array(scores, dtype=np.float64))
        done()
    return found


def profile_records(
    rows: Sequence[RunRow], functions: Functions, surveys: Mapping[str, Survey], confidence: float
) -> tuple[ProfileRecords, ProfileRecords]:
    """The regions of runs at each level of their questions, judged, and the widest certified ones.

    At level t the widest certified region is the widest of those that the run answered at t and above, as far as a
    fixed sequence of tests goes: from the highest level down, each test with the whole confidence, until one fails. The
    order does not depend on scores of the survey, so all of level t hold together (W. Maurer, L. A. Hothorn & W.
    Lehmacher 1995, "Multiple comparisons in drug clinical trials and preclinical assays: a-priori ordered hypotheses").
    Regions with so few views that even perfect scores would certify nothing, or nearly so, have no turn. Where the
    truth is known it is the widest that meets the goal.

    Args:
        rows: Rows of runs with a profile, which share goal and levels.
        functions: Where their functions are found.
        surveys: By function id, for those whose truth is not known.
        confidence: Of each certificate.
    """
    asked = rows[0].task.question
    records, goals = region_records(rows), [asked.goal.at(level) for level in asked.levels]
    columns = np.zeros((4, len(goals), len(rows)))
    for place, row in enumerate(rows):
        name = row.task.question.function_id
        lower, upper = (np.reshape(side, (len(goals), -1)) for side in (row.profile_lower, row.profile_upper))
        function, member = functions.member(name)
        regions = Regions(function.space, lower, upper).clip()
        columns[:, :, place] = _judged(function, member, regions, goals, surveys.get(name), confidence)
    levels, every = np.array(asked.levels), np.ones(len(rows), dtype=np.bool_)
    share, feasible, certified, widest = columns
    return (
        ProfileRecords(
            levels,
            tuple(
                replace(records, share=own, feasible=good > 0, certified=sure > 0)
                for own, good, sure in zip(share, feasible, certified, strict=True)
            ),
        ),
        ProfileRecords(levels, tuple(replace(records, share=own, feasible=every, certified=every) for own in widest)),
    )


def _judged(
    function: ScoreFunction,
    member: int,
    regions: Regions,
    goals: Sequence[Goal],
    found: Survey | None,
    confidence: float,
) -> FloatArray:
    """Shares of regions (L,), whether each meets its goal and surely does, shares of the widest sure ones: (4, L)."""
    share = regions.share()
    is_met, is_sure = (np.zeros((len(share), len(share)), dtype=np.bool_) for _ in range(2))  # by goal and region
    try:
        known = truth(function, regions, np.full(len(regions), member))
        for place, goal in enumerate(goals):
            is_met[place] = is_sure[place] = goal.is_met(*goal.exact(known))
    except NoGroundTruthError:
        if found is None:
            raise
        alpha = 1 - confidence
        inside = [found.scores[own] for own in regions.contains(found.theta[None].repeat(len(regions), axis=0))]
        bounds: dict[bytes, tuple[FloatArray, FloatArray]] = {}  # by what is counted: means are the same at all levels
        for place, goal in enumerate(goals):
            own = goal.counted(inside[place])
            is_met[place, place] = len(own) > 0 and bool(goal.is_met(own.mean(), own.var()))
            least = least_points(goal, len(found), alpha)
            for other in reversed(range(place, len(goals))):
                counted = goal.counted(inside[other])
                if len(counted) < least * (SPARE if other > place else 1):
                    continue
                if (key := counted.tobytes()) not in bounds:
                    bounds[key] = goal_bounds(goal, counted[None], alpha)
                is_sure[place, other] = goal.is_met(*bounds[key])[0]
                if not is_sure[place, other]:
                    break
    widest = np.where(np.triu(is_sure), share, 0.0).max(axis=1)
    return np.stack([share, is_met.diagonal(), is_sure.diagonal(), widest])
