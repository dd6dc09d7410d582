"""PointSearch-v0: choose scene parameters, a query at a time, and find where a network fails; one, or many at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, final

from gymnasium.vector import AutoresetMode

from semrob_env.envs.episodes import EpisodeArguments, Episodes, Play, episode_arguments
from semrob_env.envs.point_game import PointGame, PointRules
from semrob_env.envs.rules import whole_number
from semrob_env.envs.single import GameEnv
from semrob_env.envs.vector import GameVectorEnv
from semrob_env.envs.views import Views
from semrob_env.errors import InvalidBudgetError
from semrob_env.functions import ScoreFunction

if TYPE_CHECKING:
    from typing_extensions import Unpack


class PointArguments(EpisodeArguments, total=False):
    """The arguments of PointSearch beside the function: of episodes, the fields of `PointRules`, and `picture`."""

    budget: int
    goal: Literal["low", "high"]
    target: float | None
    picture: bool


@final
class PointSearchEnv(GameEnv[PointGame]):
    """Find the scene parameters at which a network fails, or is strongest.

    ## Description

    f(theta) is the score of a network (or any score function) at scene parameters theta. Each step asks f at one theta
    that the agent chooses freely, as the examiner of Shu et al. (AAAI 2020, arXiv 1911.11230) does. An episode belongs
    to one member of the function's family and begins with the score at a start point.

    ## Action Space

    `Box(-1, 1, (n,), float32)`. Numbers out of range are clipped.

    | Num | Action               | Min              | Max              | Unit       |
    |-----|----------------------|------------------|------------------|------------|
    | k   | parameter k of theta | -1 (lower bound) | 1 (upper bound)  | half range |

    The two bounds of a periodic parameter are the same scene.

    ## Observation Space

    `Box(0, 1, (2n + 3,), float32)`: points in the unit cube, unit scores in [0, 1].

    | Num    | Observation                                  | Min | Max | Unit   |
    |--------|----------------------------------------------|-----|-----|--------|
    | k      | parameter k of the last theta                | 0   | 1   | range  |
    | n + k  | parameter k of the best theta so far         | 0   | 1   | range  |
    | 2n     | last score                                   | 0   | 1   | score  |
    | 2n + 1 | best score so far                            | 0   | 1   | score  |
    | 2n + 2 | what is left of the budget                   | 0   | 1   | budget |

    With `picture`, a `Dict` of that as `state`, and of `picture`: what the network saw at the last theta, (H, W, 3)
    uint8.

    ## Rewards

    How much better the best unit score has become: with the goal `low`, max(0, lowest score before - score), with
    `high`, max(0, score - highest score before). In [0, 1]; the sum over an episode is by how much the best theta is
    better than the start point.

    ## Starting State

    Member and start point are drawn from `members` and `start`, by the environment's Generator.
    `reset(options={"start": ..., "member": ...})` sets them for one episode.

    ## Episode End

    Terminated when the budget is spent, or when the `target` is reached (also by the start point: then the first step
    ends the episode). Never truncated, but by the wrapper `TimeLimit`.

    ## Info

    `forward_queries`, `gradient_queries`, `spent` as the oracle counts them, `objective` (how good the best score is,
    in [0, 1]), `theta` and `best_theta` (n,) in native units, their unit scores `score` and `best_score`, and
    `member_id`.

    ## Arguments

    Args:
        function: A ScoreFunction, or the id of one.
        budget: Forward queries of an episode: the start point and each step cost 1.
        goal: `low` for failures, `high` for strong views.
        target: None, or the unit score that ends an episode.
        start, members, adversarial: What episodes are drawn from: see `EpisodeArguments`.
        picture: Show the picture too; for live functions (`scene:`) alone.
        render_mode: None, `rgb_array`, `ansi`, or `human`.

    Raises:
        InvalidBudgetError: A budget that cannot pay the start point and one step.
        InvalidParameterError: An argument out of its limits, or pictures of a function that has none.
        UnknownNameError: An unknown function, parameter or member.
        OutOfSpaceError, ShapeMismatchError: Start points that do not fit the space.

    ## Version History

    - v0: first version.
    """

    def __init__(
        self, function: str | ScoreFunction, *, render_mode: str | None = None, **arguments: Unpack[PointArguments]
    ) -> None:
        super().__init__(_play(function, 1, arguments), render_mode)


@final
class PointSearchVectorEnv(GameVectorEnv[PointGame]):
    """`num_envs` environments PointSearch-v0 at once: see `PointSearchEnv`, whose arguments it takes.

    Args:
        num_envs: Number of environments.
        autoreset_mode: An `AutoresetMode`, or its value as text.
        max_episode_steps: Steps after which an episode is truncated; None: never.

    Raises:
        InvalidBudgetError: `num_envs` below 1.
        SemrobError: As `PointSearchEnv` does.
    """

    def __init__(
        self,
        function: str | ScoreFunction,
        *,
        num_envs: int = 1,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **arguments: Unpack[PointArguments],
    ) -> None:
        play = _play(function, num_envs, arguments)
        super().__init__(play, autoreset_mode, max_episode_steps, render_mode)


def _play(function: str | ScoreFunction, count: int, arguments: PointArguments) -> Play[PointGame]:
    whole_number("num_envs", count, 1, error=InvalidBudgetError)
    of_episodes, rest = episode_arguments(arguments)
    picture = rest.pop("picture", False)
    rules, episodes = PointRules(**rest), Episodes.of(function, **of_episodes)
    game = PointGame(episodes.function.space, rules, count=count)
    return Play(episodes, game, Views(episodes.function) if picture else None)
