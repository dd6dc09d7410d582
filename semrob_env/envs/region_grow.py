"""RegionGrow-v0: widen and shrink a region around a start point, by counted queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt

from semrob_env.envs.episodes import Episodes, Play, Start
from semrob_env.envs.game import RegionGame, RegionRules
from semrob_env.envs.rendering import Frame, draw_region_grow, text_region_grow
from semrob_env.envs.single import GameEnv
from semrob_env.functions import ScoreFunction


@final
class RegionGrowEnv(GameEnv[RegionGame]):
    """Grow the largest region of scene parameters in which a network stays right.

    ## Description

    f(theta) is the score of a network (or any score function) at scene parameters theta. An episode starts at a point
    theta0 of one member of the function's family. The agent moves the 2n bounds of a region around theta0, lower <=
    theta0 <= upper, and is rewarded for the growth of the objective of Phi_robust of Hamdi & Ghanem 2020 (arXiv
    1904.04621). Everything it sees has been asked of the oracle, and is charged to a budget. `semrob_env.envs.game`
    holds the rules in full.

    ## Action Space

    `Box(-1, 1, (2n,), float32)`. Positive numbers widen the region. Numbers out of range are clipped.

    | Num      | Action                        | Min | Max | Unit                                          |
    |----------|-------------------------------|-----|-----|-----------------------------------------------|
    | k        | lower bound of parameter k    | -1  | 1   | `largest_step` * range of the parameter, down |
    | n + k    | upper bound of parameter k    | -1  | 1   | `largest_step` * range of the parameter, up   |

    A bound stops at theta0 and at the end of the space. The sides of a periodic parameter stop where they meet.

    ## Observation Space

    `Box(low, high, (3n + 2c + 4,), float32)`, c = 2^n (with `corners`: c = 2n). Bounds and points in the unit cube, low
    of a parameter being 0 and high 1; scores scaled to [0, 1] by the function's score range. In brackets: of a periodic
    parameter, whose bounds are unwrapped around theta0.

    | Num         | Observation                                 | Min     | Max    | Unit    |
    |-------------|---------------------------------------------|---------|--------|---------|
    | k           | lower bound of parameter k                  | 0 (-1)  | 1      | range   |
    | n + k       | upper bound of parameter k                  | 0       | 1 (2)  | range   |
    | 2n + k      | parameter k of theta0                       | 0       | 1      | range   |
    | 3n + i      | score at corner i of the region             | 0       | 1      | score   |
    | 3n + c + i  | score at corner i of the outer region       | 0       | 1      | score   |
    | 3n + 2c     | estimated mean over the region              | 0       | 1      | score   |
    | 3n + 2c + 1 | estimated variance over the region, times 4 | 0       | 1      | score^2 |
    | 3n + 2c + 2 | s, the region's share of the space          | 0       | 1      | volume  |
    | 3n + 2c + 3 | what is left of the budget                  | 0       | 1      | budget  |

    Corner i has parameter k at its upper bound where bit k of i is set. With `corners`, i stands for a face in place of
    a corner: i = k for the mean score of the sampled corners on the lower face of parameter k, i = n + k on the upper.

    ## Rewards

    J_t - J_(t-1), in [-2.25, 2.25], with the objective in [-1.25, 1]

        J = s                                                        if mean >= 1 - epsilon_m and variance <= epsilon_v,
        J = -max(0, 1 - epsilon_m - mean) - max(0, variance - epsilon_v)    otherwise.

    Mean and variance are estimated from charged answers alone. J_0 is that of theta0, a region without width, so the
    rewards of an episode sum to the gain over it.

    ## Starting State

    Member and theta0 are drawn from `members` and `start`, by the environment's Generator.
    `reset(options={"start": ..., "member": ...})` sets them for one episode.

    ## Episode End

    Terminated when no side can move outward (the region is the whole space), or when what is left of the budget cannot
    pay the next step. Never truncated, but by the wrapper `TimeLimit`.

    ## Info

    `forward_queries`, `gradient_queries`, `spent` as the oracle counts them, `objective` J, `mean`, `variance`,
    `region` (s), `lower` and `upper` (n,) in native units, unwrapped around theta0, and `member_id`.

    ## Arguments

    Args:
        function: A ScoreFunction, or the id of one, e.g. `recorded:ResNet50/chair/*` or `synthetic:plateau?n=2&seed=0`.
        budget: Forward queries of an episode. The first observation and each step cost 2 * 2^n + `points` (with
            `corners`: 2 * `corners` + `points`).
        epsilon_m: A region is feasible with a mean score of at least 1 - epsilon_m ...
        epsilon_v: ... and a variance of at most this; 0.25 is no constraint.
        start: A point as text or array, several of them, `random` (uniform over the space), or None: the start points
            of the paper, as far as the space has their parameters, else random.
        members: Members of the family that episodes draw from, see `split_members`; None: all.
        adversarial: Look for regions where the network fails: f is replaced by its complement.
        largest_step: Share of the range by which an action of 1 moves a bound.
        points: Points asked inside the region in each step.
        corners: None: all 2^n corners, up to n = 6; or an even number of sampled ones, for any n.
        render_mode: None, `rgb_array` (the scene, and the map with the region), `ansi`, or `human`.

    Raises:
        InvalidBudgetError: A budget that cannot pay the first observation and one step.
        InvalidParameterError: An argument out of its limits.
        UnknownNameError: An unknown function, parameter or member.
        OutOfSpaceError, ShapeMismatchError: Start points that do not fit the space.

    ## Version History

    - v0: first version.
    """

    def __init__(
        self,
        function: str | ScoreFunction,
        *,
        budget: int = 200,
        epsilon_m: float = 0.5,
        epsilon_v: float = 0.25,
        start: Start = None,
        members: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
        adversarial: bool = False,
        largest_step: float = 0.1,
        points: int = 4,
        corners: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        rules = RegionRules(budget, epsilon_m, epsilon_v, largest_step, points, corners)
        episodes = Episodes.of(function, start=start, members=members, adversarial=adversarial)
        super().__init__(region_play(episodes, rules, 1), render_mode)

    def _frame(self) -> Frame:
        return draw_region_grow(self)

    def _text(self) -> str:
        return text_region_grow(self)


def region_play(episodes: Episodes, rules: RegionRules, count: int) -> Play[RegionGame]:
    """`count` games of growing regions over what episodes are drawn from."""
    function = episodes.function
    return Play(episodes, RegionGame(function.space, rules, count=count, score_range=function.score_range))
