"""What an environment over counted queries declares of itself, so that the checker knows what it promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from semrob_env.questions import Goal


@final
@dataclass(frozen=True)
class Traits:
    """An environment of another author sets `traits = Traits(...)`; without it, none of these holds.

    Where `unwrapped.settled` (B,) tells which episodes have come to an end of their own, ends are checked against it.

    Attributes:
        members: Members of the oracle's function that episodes draw from; infos tell the one asked as `member`.
        objective_range: Lowest and highest objective; infos tell it as `objective`, and rewards are its gains.
        goal: It grows a region that is to meet this goal, around `unwrapped.game.start` (B, n); infos tell `lower`,
            `upper`, `region` (share of the space), `mean` and `variance`.
        seeks: It asks one point a step, `low` scores or `high` ones; infos tell it as `theta`.
        clips_actions: Actions are a bounded Box of one axis; what lies beyond it is clipped.
        sees_budget: An entry of the observation is the share of the budget that is left.
        stake: Share of a region's volume that it costs where infos tell it as `claimed` and not `confirmed`.
    """

    members: tuple[int, ...] | None = None
    objective_range: tuple[float, float] | None = None
    goal: Goal | None = None
    seeks: Literal["low", "high"] | None = None
    clips_actions: bool = False
    sees_budget: bool = False
    stake: float = 0.0
