"""PointSearch-v0: choose scene parameters, a query at a time, and find where a network fails; one, or many at once.

An assessment of a network by an agent that looks for its failures, as with the reinforcement learners and Bayesian
optimizers of Shu, Liu, Qiu & Yuille, *Identifying model weakness with adversarial examiner* (AAAI 2020, arXiv
1911.11230). One query a step, and one for the start point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from semrob_env.envs.episodes import DEFAULT_FUNCTION, EpisodeArguments, Play
from semrob_env.envs.rules import Game, number_within, whole_number
from semrob_env.envs.single import GameEnv
from semrob_env.envs.traits import Traits
from semrob_env.envs.vector import GameVectorEnv
from semrob_env.errors import InvalidBudgetError, InvalidParameterError
from semrob_env.functions import ScoreFunction
from semrob_env.parameters import SemanticSpace
from semrob_env.types import BoolArray, Float32Array, FloatArray, IntArray

if TYPE_CHECKING:
    from typing_extensions import Unpack


GOALS = ("low", "high")


@final
@dataclass(frozen=True)
class PointRules:
    """What is looked for: `PointSearchEnv` tells of the fields.

    Raises:
        InvalidParameterError: Another goal, or a target that is no unit score.
        InvalidBudgetError: A budget that is no whole number of at least 1.
    """

    budget: int = 200
    goal: Literal["low", "high"] = "low"
    target: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "budget", whole_number("budget", self.budget, 1, error=InvalidBudgetError))
        if self.goal not in GOALS:
            raise InvalidParameterError(f"goal {self.goal!r}: choose {' or '.join(GOALS)}")
        if self.target is not None:
            object.__setattr__(self, "target", number_within("target", self.target, 0.0, 1.0))


@final
class PointGame(Game):
    """B games of PointSearch; see the module.

    The objective is how good the best score so far is, in [0, 1]: with the goal `low` it is 1 minus the lowest.

    Args:
        space: The space of theta.
        rules: What is looked for.
        count: Number B of games.

    Raises:
        InvalidBudgetError: A budget that cannot pay the start point and one step.
    """

    draws = 0

    def __init__(self, space: SemanticSpace, rules: PointRules, *, count: int = 1) -> None:
        shapes = {"theta": (space.n,), "best_theta": (space.n,), "score": (), "best_score": ()}
        super().__init__(space, count, shapes, cost=1, budget=rules.budget)
        self.rules = rules
        self.action_size = space.n
        self.traits = Traits(objective_range=(0.0, 1.0), seeks=rules.goal, clips_actions=True, sees_budget=True)

    def restart(self, rows: IntArray, start: FloatArray, draws: FloatArray) -> None:
        """Put games (R of B) back to theta0 (R, n); no random numbers are needed."""
        del draws
        for name, values in self._state.items():
            values[rows] = start if name == "theta" else 0.0

    def move(self, action: npt.ArrayLike) -> None:
        """Choose theta: actions (B, n) in [-1, 1], clipped, are the unit cube of the space.

        Raises:
            InvalidActionError: Another shape, or NaN.
        """
        # Parameter by parameter in memory: loops over games are long, over parameters short.
        unit = (np.asfortranarray(self._actions(action)) + 1.0) / 2.0
        self._state["theta"] = self.space.from_unit(unit)

    def queries(self) -> FloatArray:
        """The points chosen, theta (B, 1, n)."""
        return np.array(self._state["theta"][:, None])

    def take(self, values: FloatArray) -> None:
        """Take the unit scores (B, 1) at them, without NaN."""
        state, score = self._state, values[:, 0].copy()
        gain = 1.0 - score if self.rules.goal == "low" else score
        is_better = (state["steps"] == 0) | (gain > state["objective"])
        state["score"] = score
        state["best_score"] = np.where(is_better, score, state["best_score"])
        state["best_theta"] = np.where(is_better, state["theta"].T, state["best_theta"].T).T
        state["objective"] = np.where(is_better, gain, state["objective"])
        state["steps"] = state["steps"] + 1.0

    def observation(self) -> Float32Array:
        """What agents see, (B, 2n + 3): see `PointSearchEnv` for the table."""
        state, n = self._state, self.space.n
        seen = np.empty((self.count, 2 * n + 3), dtype=np.float32)
        seen[:, :n], seen[:, n : 2 * n] = (self.space.to_unit(state[name]) for name in ("theta", "best_theta"))
        seen[:, -3], seen[:, -2], seen[:, -1] = state["score"], state["best_score"], self._left()
        return seen

    def observation_limits(self) -> tuple[Float32Array, Float32Array]:
        """0 and 1, (2n + 3,) each."""
        size = 2 * self.space.n + 3
        return np.zeros(size, dtype=np.float32), np.ones(size, dtype=np.float32)

    def facts(self) -> dict[str, FloatArray]:
        """`objective`, `score` and `best_score` (B,), `theta` and `best_theta` (B, n) in native units."""
        names = ("objective", "score", "best_score", "theta", "best_theta")
        return {name: self._state[name].copy() for name in names}

    def shown(self) -> tuple[dict[str, FloatArray], tuple[FloatArray, FloatArray] | None, dict[str, float]]:
        """The best and the last point, and their scores."""
        state = self._state
        numbers = {"last score": float(state["score"][0]), "best score": float(state["best_score"][0])}
        return {"best": state["best_theta"][0].copy(), "last": state["theta"][0].copy()}, None, numbers

    @property
    def looked_at(self) -> FloatArray:
        """The last points (B, n) in native units."""
        return np.array(self._state["theta"])

    @property
    def settled(self) -> BoolArray:
        """Which games have reached the target, (B,)."""
        if self.rules.target is None:
            return np.zeros(self.count, dtype=np.bool_)
        best = self._state["best_score"]
        return np.asarray(best <= self.rules.target if self.rules.goal == "low" else best >= self.rules.target)


class PointArguments(EpisodeArguments, total=False):
    """The arguments of PointSearch beside the function: of episodes, the fields of `PointRules`, and `image`."""

    budget: int
    goal: Literal["low", "high"]
    target: float | None
    image: bool


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

    With `image`, a `Dict` of that as `state`, and of `image`: what the network saw at the last theta, (H, W, 3)
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
    `member`, a row of `unwrapped.function.member_ids`.

    ## Arguments

    Args:
        function: A ScoreFunction, or the id of one.
        budget: Forward queries of an episode: the start point and each step cost 1.
        goal: `low`: scores as low as can be, failures of the network; `high`: strong views.
        target: None, or the unit score in [0, 1] that ends an episode once it is reached: at or below it with the goal
            `low`, at or above it with `high`.
        start, members, adversarial: What episodes are drawn from: see `EpisodeArguments`.
        image: Show the picture too; for live functions (`scene:`) alone.
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
        self,
        function: str | ScoreFunction = DEFAULT_FUNCTION,
        *,
        render_mode: str | None = None,
        **arguments: Unpack[PointArguments],
    ) -> None:
        super().__init__(_play(function, 1, arguments), render_mode)


@final
class PointSearchVectorEnv(GameVectorEnv[PointGame]):
    """`num_envs` environments at once: see `PointSearchEnv`, whose arguments it takes, and `GameVectorEnv`.

    Raises:
        InvalidBudgetError: `num_envs` below 1.
        SemrobError: As `PointSearchEnv` does.
    """

    def __init__(
        self,
        function: str | ScoreFunction = DEFAULT_FUNCTION,
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
    own, image = dict(arguments), bool(arguments.get("image"))
    own.pop("image", None)
    return Play.of(PointGame, PointRules, function, count, own, image=image)
