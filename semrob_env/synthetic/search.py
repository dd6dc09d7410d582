"""Local search for the largest feasible box from many starts: for traps and for a variance constraint that binds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.optimize import minimize

from semrob_env.synthetic.coarse import coarse_candidates
from semrob_env.synthetic.problem import Box, BoxProblem, log_volume
from semrob_env.types import FloatArray

_MARGIN = 1e-10  # constraints are tightened by this share, so that what SLSQP calls satisfied is satisfied
_CLOSE = 1e-7  # two log volumes this close are the same: the search stops there
_TINY = 1e-9
_RADII = 0.1, 0.005  # first and last radius of a local search, in shares of each range
_RESTARTS = 12
_COARSE = 4  # candidates of each coarse search
_REFINED = 6  # local searches from the largest feasible candidates, besides those from candidates that are not feasible


def search(problem: BoxProblem, boxes: Sequence[Box]) -> Box | None:
    """Largest feasible box found.

    Args:
        problem: What is asked.
        boxes: Candidates that contain start, feasible or not; the first is an upper bound on the volume.
    """
    bound = log_volume(boxes[0])
    candidates = [*boxes, *_shrunken(problem, boxes[0])]
    # Places are coarse, so a box near the best one may break a constraint a little: look there as well.
    for easier, looser in ((0.0, 1.0), (0.04, 1.3)):
        limits = problem.with_limits(problem.least - easier, looser * problem.most_variance)
        candidates += coarse_candidates(limits, _COARSE)
    feasible = sorted(filter(problem.is_feasible, candidates), key=log_volume, reverse=True)
    others = [box for box in candidates if not problem.is_feasible(box)]
    best = feasible[0] if feasible else None
    for box in [*feasible[:_REFINED], *others]:
        if best is not None and log_volume(best) >= bound - _CLOSE:
            break
        climbed = _climb_from(problem, box)
        if climbed is not None and (best is None or log_volume(climbed) > log_volume(best)):
            best = climbed
    return best


def _shrunken(problem: BoxProblem, box: Box) -> Iterator[Box]:
    """Copies of a box shrunk towards start: the largest feasible one, and a feasible speck."""
    start = problem.start
    for ladder in (np.geomspace(1.0, 1e-4, 60), np.geomspace(1e-4, 1e-8, 9)):
        for scale in ladder:
            smaller = start + scale * (box[0] - start), start + scale * (box[1] - start)
            if problem.is_feasible(smaller):
                yield smaller
                break


def _climb_from(problem: BoxProblem, box: Box) -> Box | None:
    """Repeated local searches within a radius, smaller after each failure: without it SLSQP's first steps are wild."""
    radius, best = _RADII[0], None
    volume = log_volume(box) if problem.is_feasible(box) else -np.inf
    for _ in range(_RESTARTS):
        found = _refine(problem, box, radius)
        gain = -np.inf if found is None else log_volume(found) - volume
        if found is not None and gain > 0:
            box, best, volume = found, found, log_volume(found)
        if gain < _CLOSE:
            if radius <= _RADII[1]:
                break
            radius /= 4
    return best


def _refine(problem: BoxProblem, box: Box, radius: float) -> Box | None:
    """SLSQP on the extents left and right of start, as shares of the range; None if it ends infeasible.

    No extent moves by more than radius.
    """
    landscape, start, room, count = problem.landscape, problem.start, problem.room, len(problem.start)
    both = np.tile(room, 2)
    most = np.concatenate([start - problem.walls[0], problem.walls[1] - start]) / both

    def box_of(extents: FloatArray) -> Box:
        left, right = extents[:count], extents[count:]
        return start - room * left, start + room * np.maximum(right, _TINY - left)

    def slack(extents: FloatArray) -> FloatArray:
        mean, variance = landscape.moments(*box_of(extents))
        turn = (1 - extents[:count] - extents[count:])[problem.periodic]
        limits = [mean - problem.least - _MARGIN, 1 - variance / problem.most_variance - _MARGIN]
        return np.concatenate([limits, turn])

    def slack_slopes(extents: FloatArray) -> FloatArray:
        mean, variance = (
            np.concatenate([-slope[0] * room, slope[1] * room]) for slope in landscape.moment_slopes(*box_of(extents))
        )
        turn = -np.tile(np.eye(count), 2)[problem.periodic]
        return np.vstack([mean, -variance / problem.most_variance, turn])

    def objective(extents: FloatArray) -> tuple[float, FloatArray]:
        # Times radius: SLSQP begins with a unit Hessian, and its first step should be about that long.
        width = np.maximum(extents[:count] + extents[count:], _TINY)
        return -radius * float(np.log(width).sum()), np.tile(-radius / width, 2)

    begin = np.clip(np.concatenate([start - box[0], box[1] - start]) / both, 0, most)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy tells of steps it clips to the bounds
        found = minimize(
            objective,
            begin,
            jac=True,
            bounds=list(zip(np.maximum(begin - radius, 0.0), np.minimum(begin + radius, most), strict=True)),
            constraints={"type": "ineq", "fun": slack, "jac": slack_slopes},
            method="SLSQP",
            options={"maxiter": 50, "ftol": 1e-12},
        )
    extents = np.clip(np.asarray(found.x, dtype=np.float64), 0, most)
    if not np.isfinite(extents).all():
        return None
    for shrink in (0.0, 1e-12, 1e-10, 1e-8, 1e-6):
        lower, upper = box_of(extents * (1 - shrink))
        lower, upper = np.maximum(lower, problem.walls[0]), np.minimum(upper, problem.walls[1])
        if (upper - lower <= room).all() and problem.is_feasible((lower, upper)):
            return lower, upper
    return None
