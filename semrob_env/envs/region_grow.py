"""RegionGrow-v0: widen and shrink a region around a start point, by counted queries; alone, and many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from gymnasium.vector import AutoresetMode

from semrob_env.envs.episodes import DEFAULT_FUNCTION, EpisodeArguments, Play
from semrob_env.envs.game import RegionGame, RegionRules
from semrob_env.envs.single import GameEnv
from semrob_env.envs.vector import GameVectorEnv
from semrob_env.functions import ScoreFunction
from semrob_env.questions import Goal

if TYPE_CHECKING:
    from typing_extensions import Unpack


class RegionArguments(EpisodeArguments, total=False):
    """The arguments of RegionGrow beside the function: of episodes, and the fields of `RegionRules`."""

    budget: int
    goal: Goal | str
    largest_step: float
    points: int
    corners: int | None
    claim_points: int | None


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
    of a parameter being 0 and high 1; unit scores in [0, 1]. Mean and variance are of what the goal counts: the scores
    themselves, or the share of views at or above a level. In brackets: of a periodic parameter, whose bounds are
    unwrapped around theta0.

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

    J_t - J_(t-1), in [-2.5, 2.5], with the objective in [-1.5, 1]

        J = s                                                        if mean >= least and variance <= most,
        J = -max(0, least - mean) - max(0, variance - most)          otherwise,

    with the bounds `least` and `most_variance` of the goal, of which the default is the paper's: mean >= 0.5. Mean and
    variance are estimated from charged answers alone. J_0 is that of theta0, a region without width, so the rewards of
    an episode sum to the gain over it.

    The last J is no estimate but a claim, tested at `claim_points` fresh points of the final region, which are charged:

        J = s                                          if they support the goal with 80 % confidence,
        J = -(shortfall of their estimates) - s / 4    otherwise.

    So no policy is paid more than the true feasible volume in expectation, whatever it waits for. An episode that
    `TimeLimit` cuts ends without a claim, by its last estimate: limit the budget instead.

    ## Starting State

    Member and theta0 are drawn from `members` and `start`, by the environment's Generator.
    `reset(options={"start": ..., "member": ...})` sets them for one episode.

    ## Episode End

    Terminated when no side can move outward (the region is the whole space), or when what is left of the budget cannot
    pay the next step and the claim. Never truncated, but by the wrapper `TimeLimit`.

    ## Info

    `forward_queries`, `gradient_queries`, `spent` as the oracle counts them, `objective` J, `mean`, `variance`,
    `region` (s), `claimed` and `confirmed` (0 or 1), `lower` and `upper` (n,) in native units, unwrapped around theta0,
    and `member`, a row of `unwrapped.function.member_ids`. After the claim, `mean` and `variance` are of its points.

    ## Arguments

    Args:
        function: A ScoreFunction, or the id of one, e.g. `recorded:ResNet50/chair/*`; without one, a synthetic hill.
        budget: Forward queries of an episode. The first observation and each step cost 2 * 2^n + `points` (with
            `corners`: 2 * `corners` + `points`), and the claim `claim_points`.
        goal: What makes a region good: a `Goal`, or its text such as `mean=0.5,variance=0.05` or `reliability=0.95`.
        start, members, adversarial, least_start: What episodes are drawn from: see `EpisodeArguments`.
        largest_step: Share of the range, in (0, 1], by which an action of 1 moves a bound.
        points: Points asked inside the region in each step, at least 2.
        claim_points: Points that test the final region, 0 or at least 2; None: 32, or 128 for goals that bound the
            variance, as far as two steps leave them of the budget; 0: no claim, the last estimate is taken at its word.
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
        function: str | ScoreFunction = DEFAULT_FUNCTION,
        *,
        render_mode: str | None = None,
        **arguments: Unpack[RegionArguments],
    ) -> None:
        super().__init__(_play(function, 1, arguments), render_mode)


@final
class RegionGrowVectorEnv(GameVectorEnv[RegionGame]):
    """`num_envs` environments at once: see `RegionGrowEnv`, whose arguments it takes, and `GameVectorEnv`.

    Raises:
        InvalidBudgetError: `num_envs` below 1.
        SemrobError: As `RegionGrowEnv` does.
    """

    def __init__(
        self,
        function: str | ScoreFunction = DEFAULT_FUNCTION,
        *,
        num_envs: int = 1,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **arguments: Unpack[RegionArguments],
    ) -> None:
        play = _play(function, num_envs, arguments)
        super().__init__(play, autoreset_mode, max_episode_steps, render_mode)


def _play(function: str | ScoreFunction, count: int, arguments: RegionArguments) -> Play[RegionGame]:
    return Play.of(RegionGame, RegionRules, function, count, arguments)
