"""The numbers that make a game of RegionGrow: what is looked for, and how it is played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from semrob_env.envs.estimate import MOST_VARIANCE
from semrob_env.envs.rules import number_within, whole_number
from semrob_env.errors import InvalidBudgetError, InvalidParameterError


@final
@dataclass(frozen=True)
class RegionRules:
    """What is looked for and how it is played.

    Attributes:
        budget: Forward queries of an episode.
        epsilon_m: A region is feasible with a mean score of at least 1 - epsilon_m, in [0, 1] ...
        epsilon_v: ... and a variance of at most this, in [0, 0.25]; 0.25 is no constraint.
        largest_step: Share of the range, in (0, 1], by which an action of 1 moves a bound.
        points: Points asked inside the region in a step, at least 2.
        corners: None: all 2^n corners; or an even number of sampled ones.

    Raises:
        InvalidParameterError: A number out of its limits.
        InvalidBudgetError: A budget that is no whole number of at least 1.
    """

    budget: int = 200
    epsilon_m: float = 0.5
    epsilon_v: float = MOST_VARIANCE
    largest_step: float = 0.1
    points: int = 4
    corners: int | None = None

    def __post_init__(self) -> None:
        whole_number("budget", self.budget, 1, error=InvalidBudgetError)
        number_within("epsilon_m", self.epsilon_m, 0.0, 1.0)
        number_within("epsilon_v", self.epsilon_v, 0.0, MOST_VARIANCE)
        number_within("largest_step", self.largest_step, 0.0, 1.0, above=True)
        whole_number("points", self.points, 2)
        if self.corners is not None:
            whole_number("corners", self.corners, 2)
            if self.corners % 2:
                raise InvalidParameterError(f"corners {self.corners}: give an even number, or None for all 2^n")
