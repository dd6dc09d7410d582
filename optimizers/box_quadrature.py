"""Box quadrature (ours): every score asked informs the mean over every box; ask where it says most about the best box.

Idea. A Gaussian process over theta, with a kernel made of products over parameters, knows the mean of f over any box
as a normal number in closed form (Bayesian quadrature, O'Hagan 1991). So after each answer some boxes are searched for
on a fine lattice around the start point: the largest that is feasible with a stated probability (recommended), and the
largest that may be, by more and by less `optimism`. The next points are those that lessen the variance of the means
over two of the latter the most, those from which most gain in volume is expected. Where hardly any is (up to n = 2),
half of the points go to the whole space, for the process, told mostly of one place, may be wrong about others.

First points: the start point, then one at a time, up to n = 2. From n = 3 on the lines through the start point, halving
in on the place where the score falls to half in `line_rounds` rounds of 2n points; they also feed the process with a
product of profiles (`surrogate.separable`), without which the queries needed grow faster than n. After two rounds n + 2
points look at the whole space. Each time numbers are fitted, scores off the lines are foretold by all others, with
profiles and without: these must add to their likelihood, else a process without them is believed, and what is left of
the rounds goes into boxes. Where scores are further from what all others foretell than the process says, its standard
deviations are taken to be as many times as large: scores off the lines, or up to n = 2 the half that is least foretold.

What is guaranteed. The region holds theta0, and rolling f and theta0 along a periodic parameter rolls the answer. Given
the process, each constraint holds with probability `confidence` once 80 scores are known, and with less before, down to
0.66 at one score: the standard deviations kept grow with the power 0.4 of the number of scores, for while little is
known a bold region is worth more, counting infeasible ones as nothing. That is as good as the process, no proof for
every f, and no function with structure finer than the spacing of the points keeps to it. On recorded maps that took no
part in tuning, mean >= 0.2, 0.4, 0.6, all regions after 150 queries were feasible, 87 to 96 % of all those recommended
from 20 queries on. Nothing is known of networks or classes: all lengths are told by the scores.

Goals. A bound on the mean is judged by means over boxes of the unit scores. A bound on the share of views with a score
of at least a level is judged, up to n = 2, by where the process, told the scores themselves, is above that level, and
the recommended box is asked about as well; from n = 3 on by means of a ramp around the level (`surrogate.criteria`).
0/1 answers would tell too little of the border. On the recorded maps that took no part in tuning, at most 150 queries,
level 0.5, reliability 0.95 and 0.9: 93 and 98 % of the regions were reliable, their median share of the optimum 0.90
and 0.88. The same scores answer other goals (`recommend(goal)`) and all levels of a profile; levels that
the question names take turns with its goal, those where most is to gain more often.

The end. A trajectory ends as converged when, for at least 30 scores and after at least 40, hardly any gain in volume
has been expected (`tolerance`), from n = 3 on while points in hopeful boxes were told: lines and the look prove nothing
of a box. Its last region is as cautious as after many scores. `expected_gain` tells what more queries might win.

Black box; noise in the scores is estimated. A step with N scores takes some N^3 operations: about 20 ms for n = 2, 50
for reliability, and 100 to 200 ms for n = 10 on one core, up to N = 150 and 200.

Ancestors, and what is new. Bayesian quadrature (O'Hagan 1991) knows means over boxes. Active area search (Ma, Garnett &
Schneider, AISTATS 2014) asks where the expected number of regions whose mean is surely above a threshold grows most,
over regions that are given; here as `baselines.area_search`, on this process and with this search for the box. New: the
regions are all boxes around theta0, found by a search; their size counts, and points are chosen for the variance of
the means of the hopeful ones instead of the chance of each; bounds on variance and on shares above a level; the feature
of profiles, and when not to believe it; caution that grows; and the end. From its rivals: evenly spread points and a
process without profiles, by which `gp_box` and `sobol_box` were ahead on trees of decisions and networks (n = 4, 6).

Sources: kernel with constants, Durrande et al. 2012 (ANOVA kernels); variance reduction, Briol et al. 2015.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np

from optimizers.base import RegionOptimizer, Settings, State
from optimizers.limits import number, whole_number
from optimizers.registry import register
from optimizers.surrogate.boxes import native_bounds
from optimizers.surrogate.plan import Knowledge, StepPlan, packed
from semrob_env.oracle import Answers
from semrob_env.questions import Goal
from semrob_env.regions import Regions
from semrob_env.types import FloatArray


@final
@dataclass(frozen=True)
class BoxQuadratureSettings(Settings):
    """Hyperparameters.

    Attributes:
        confidence: Probability with which a recommended region keeps each constraint, by the process, from 80 scores
            on; regions recommended before are bolder; in (0.5, 1).
        optimism: How many standard deviations above the best guess the most hopeful box is; 0 or above.
        batch: Most points asked at once after the first ones; 1 or more.
        line_rounds: Most rounds of points on lines, from n = 3 on; 1 or more.
        tolerance: A trajectory has converged when for a while the gain expected was below this share of the recommended
            volume, for the goal and all levels of the profile; 0: never.
        most_queries: Scores that a trajectory takes before it ends as converged, for the work grows; 30 or more.

    Raises:
        InvalidParameterError: A number out of these limits.
    """

    confidence: float = field(default=0.99, metadata=number(0.501, 0.9999))
    optimism: float = field(default=1.5, metadata=number(0, 10))
    batch: int = field(default=5, metadata=whole_number(1, 100))
    line_rounds: int = field(default=4, metadata=whole_number(1, 20))
    tolerance: float = field(default=0.01, metadata=number(0, 1))
    most_queries: int = field(default=400, metadata=whole_number(30, 5000))


@final
@register
class BoxQuadrature(RegionOptimizer[BoxQuadratureSettings]):
    """Grows a region by a Gaussian process that knows means over boxes; see the module."""

    name = "box_quadrature"
    version = 5
    title = "Box quadrature (ours)"
    paradigm = "surrogate"
    finds = "the largest region that is feasible with a stated probability"
    answers_goals = True
    settings_class = BoxQuadratureSettings

    @cached_property
    def _plan(self) -> StepPlan:
        chosen, goal = self.settings, self.questions.goal
        return StepPlan(
            periodic=np.array(self.space.is_periodic),
            goal=goal,
            levels=self.questions.levels,
            tolerance=chosen.tolerance,
            confidence=chosen.confidence,
            optimism=chosen.optimism,
            batch=chosen.batch,
            line_rounds=chosen.line_rounds,
        )

    def _start(self) -> State:
        centers = np.where(self.space.is_periodic, 0.0, self.space.to_unit(self.start))
        return self._state_of([self._plan.first(center) for center in centers])

    def _ask(self, state: State) -> FloatArray:
        size = self._plan.ask_size(int(state["told"].max(initial=0)))  # of all that run: they go in step
        return self._origin[:, None] + state["upcoming"][:, :size] * self.space.width

    def _tell(self, state: State, answers: Answers) -> State:
        scores = answers.values
        moves = self.running & answers.active.all(axis=1)
        before = [Knowledge.of(state, index) for index in range(len(moves))]
        return self._state_of([
            self._plan.step(row, scores[index]) if moves[index] else row for index, row in enumerate(before)
        ])

    @cached_property
    def _origin(self) -> FloatArray:
        """Where unit coordinates are 0, (B, n)."""
        return np.where(self.space.is_periodic, self.start, self.space.low)

    def _state_of(self, rows: list[Knowledge]) -> State:
        state = packed(rows, max(self.settings.most_queries, self._plan.widest_ask), self._plan.widest_ask)
        lower, upper = self._bounds_of(rows)
        is_full = state["told"] + state["asked"] > self.settings.most_queries
        settled = np.array([self._plan.has_converged(row) for row in rows])
        return state | {"lower": lower, "upper": upper, "converged": (is_full & (state["told"] > 0)) | settled}

    @property
    def expected_gain(self) -> FloatArray:
        """Volume (B,) that more queries are expected to win at most, as a share of that of the region; 1: not known."""
        return np.array(self._state["gains"][:, 0])

    def _recommend_for(self, goal: Goal) -> Regions:
        """The largest boxes that meet the goal, by the same scores."""
        known = [Knowledge.of(self._state, index) for index in range(len(self))]
        lower, upper = self._bounds_of([self._plan.answer(row, goal) for row in known])
        return Regions(self.space, lower, upper).clip()

    def _bounds_of(self, rows: list[Knowledge]) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds (B, n) of the recommended boxes in native units, the start point well inside."""
        lower, upper = map(np.stack, zip(*(self._plan.bounds(row) for row in rows), strict=True))
        return native_bounds(self.space, self.start, lower, upper)
