"""PointSearch-v0: choose scene parameters, one query at a time, to find where a network fails (or is strong)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt

from semrob_env.envs.episodes import Episodes, Play, Start
from semrob_env.envs.point_game import PointGame, PointRules
from semrob_env.envs.rendering import Frame, draw_point_search, text_point_search
from semrob_env.envs.single import GameEnv
from semrob_env.errors import InvalidParameterError
from semrob_env.functions import Complement, ScoreFunction, Stack
from semrob_env.types import Float32Array, FloatArray, IntArray


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

    `Box(0, 1, (2n + 3,), float32)`: points in the unit cube, scores scaled to [0, 1] by the function's score range.

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

    How much better the best score has become, scaled to [0, 1]: with the goal `low`, max(0, lowest score before -
    score), with `high`, max(0, score - highest score before). In [0, 1]; the sum over an episode is by how much the
    best theta is better than the start point.

    ## Starting State

    Member and start point are drawn from `members` and `start`, by the environment's Generator.
    `reset(options={"start": ..., "member": ...})` sets them for one episode.

    ## Episode End

    Terminated when the budget is spent, or when the `target` is reached (also by the start point: then the first step
    ends the episode). Never truncated, but by the wrapper `TimeLimit`.

    ## Info

    `forward_queries`, `gradient_queries`, `spent` as the oracle counts them, `objective` (how good the best score is,
    in [0, 1]), `theta` and `best_theta` (n,) in native units, their `score` and `best_score`, and `member_id`.

    ## Arguments

    Args:
        function: A ScoreFunction, or the id of one.
        budget: Forward queries of an episode: the start point and each step cost 1.
        goal: `low` for failures, `high` for strong views.
        target: None, or the score that ends an episode, in the function's own range.
        start: A point as text or array, several of them, `random` (uniform over the space), or None: the start points
            of the paper, as far as the space has their parameters, else random.
        members: Members of the family that episodes draw from, see `split_members`; None: all.
        adversarial: Replace f by its complement.
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
        self,
        function: str | ScoreFunction,
        *,
        budget: int = 200,
        goal: Literal["low", "high"] = "low",
        target: float | None = None,
        start: Start = None,
        members: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
        adversarial: bool = False,
        picture: bool = False,
        render_mode: str | None = None,
    ) -> None:
        rules = PointRules(budget, goal, target)
        episodes = Episodes.of(function, start=start, members=members, adversarial=adversarial)
        super().__init__(point_play(episodes, rules, 1, picture=picture), render_mode)

    def _frame(self) -> Frame:
        return draw_point_search(self)

    def _text(self) -> str:
        return text_point_search(self)


@final
class Views:
    """What a live function's network sees.

    Raises:
        InvalidParameterError: The function draws no pictures, or members draw them in different sizes.
    """

    def __init__(self, function: ScoreFunction) -> None:
        # Imported here: recorded and synthetic work must not load torch.
        from semrob_env.scene.function import SceneFunction

        self._owners: list[tuple[SceneFunction, int]] = []  # of each member
        for part in _parts(function):
            if not isinstance(part, SceneFunction):
                raise InvalidParameterError(
                    f"picture=True needs a live function (scene:), and {part.id} has no pictures"
                )
            self._owners += [(part, member) for member in range(part.members)]
        sizes = {owner.renderer.size for owner, _ in self._owners}
        if len(sizes) > 1:
            raise InvalidParameterError(f"picture=True needs pictures of one size, not {sorted(sizes)}; give ?size=")
        self._size = sizes.pop()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, 3)."""
        return self._size, self._size, 3

    def draw(self, theta: FloatArray, member: IntArray) -> npt.NDArray[np.uint8]:
        """Pictures (B, H, W, 3) of members (B,) at theta (B, n); no query."""
        drawn: list[Float32Array] = []
        for point, row in zip(theta, member.tolist(), strict=True):
            owner, own = self._owners[row]
            drawn.append(owner.pictures(point[None], own)[0])
        return np.moveaxis(np.rint(np.array(drawn) * 255), 1, -1).astype(np.uint8, order="C")


def _parts(function: ScoreFunction) -> list[ScoreFunction]:
    if isinstance(function, Complement):
        return _parts(function.function)
    return [leaf for part in function.functions for leaf in _parts(part)] if isinstance(function, Stack) else [function]


def point_play(episodes: Episodes, rules: PointRules, count: int, *, picture: bool) -> Play[PointGame]:
    """`count` games of choosing points over what episodes are drawn from.

    Raises:
        InvalidParameterError: Pictures of a function that has none.
    """
    function = episodes.function
    game = PointGame(function.space, rules, count=count, score_range=function.score_range)
    return Play(episodes, game, Views(function) if picture else None)
