"""Episodes of a game over a score function: which member and start point each has, and its counted queries.

`Play` is what a single environment and a vector environment have in common: B games, one Generator and one trajectory
of the oracle each, and one call of f for all that is asked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypedDict, final

import numpy as np
import numpy.typing as npt

from semrob_env.envs.rendering import RenderedViews
from semrob_env.envs.rules import GameT, number_within, whole_number
from semrob_env.envs.traits import Traits
from semrob_env.errors import InvalidBudgetError, InvalidParameterError, ShapeMismatchError, UnknownNameError
from semrob_env.functions import Complement, ScoreFunction, make_function
from semrob_env.oracle import Queries, QueryOracle
from semrob_env.parameters import AZIMUTH, ELEVATION, SemanticSpace, held_paper_starts
from semrob_env.sequences import hashed_uniform
from semrob_env.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from typing_extensions import Unpack

Start = str | npt.ArrayLike | Sequence[str] | None
"""Start points: `random`, a point as text, an array (n,) or (S, n), texts; None: the paper's, or random ones."""

Observation = Any
"""(B, D) float32; or a dict of that as `state` and of `image` (B, H, W, 3) uint8."""

DEFAULT_FUNCTION = "synthetic:hill?n=2&seed=0"
"""What an environment plays on without a function: one whose best regions are known, and that needs no file."""

RANDOM_STARTS = 64
"""Random start points of each member among which `least_start` chooses."""

RESET_OPTIONS = ("start", "member")
"""What `reset(options=...)` understands: a start point and a member that the episode has, whatever would be drawn."""


class EpisodeArguments(TypedDict, total=False):
    """What every environment takes beside its function and its rules.

    Attributes:
        start: A point as text or array, several of them, `random` (uniform over the space), or None: the start points
            of the paper, as far as the space has azimuth or elevation, else random.
        members: Members of the family that episodes draw from, see `split_members`; None: all.
        adversarial: Look for where the network fails: f is replaced by its complement.
        least_start: Only pairs of a member and a start point whose unit score is at least this, as the suites do with
            the level of a goal: around others there is often no region to be found. They are asked once, when the
            environment is made, beside every meter (`episodes.start_queries` tells how many queries); random start
            points are then among 64 of each member. None: all.
    """

    start: Start
    members: Sequence[int] | npt.NDArray[np.integer[Any]] | None
    adversarial: bool
    least_start: float | None


@final
@dataclass(frozen=True, eq=False)
class Episodes:
    """What the episodes of an environment are drawn from.

    Attributes:
        function: The function, already complemented where adversarial regions are looked for.
        members: Members that episodes draw from, uniformly, (M,).
        starts: Start points that they draw from, (S, n); None: uniform over the space.
        pairs: Members (P,) and start points (P, n) of which an episode has one, where they are chosen by their scores.
        start_queries: Queries that this choice has cost, on no meter.
    """

    function: ScoreFunction
    members: IntArray
    starts: FloatArray | None
    pairs: tuple[IntArray, FloatArray] | None = None
    start_queries: int = 0

    @classmethod
    def of(cls, function: str | ScoreFunction, **arguments: Unpack[EpisodeArguments]) -> Episodes:
        """From the arguments of an environment.

        Raises:
            UnknownNameError: An unknown function or parameter, or no such member.
            InvalidParameterError: A malformed id or start point, or no members.
            OutOfSpaceError, ShapeMismatchError: A start point that does not fit the space.
        """
        adversarial, members = arguments.get("adversarial", False), arguments.get("members")
        if not isinstance(function, str | ScoreFunction):
            raise InvalidParameterError(f"function {function!r}: give the id of a function, or a ScoreFunction")
        chosen = make_function(function) if isinstance(function, str) else function
        if not isinstance(adversarial, bool | np.bool_):
            raise InvalidParameterError(f"adversarial {adversarial!r}: give True or False")
        if adversarial:
            chosen = Complement(chosen)
        rows = np.arange(chosen.members) if members is None else _members(chosen, members)
        episodes = cls(chosen, rows, start_points(chosen.space, arguments.get("start")))
        least = arguments.get("least_start")
        return episodes if least is None else episodes._only(number_within("least_start", least, 0.0, 1.0))

    def _only(self, least: float) -> Episodes:
        """Those whose start points score at least so much.

        Raises:
            InvalidParameterError: None does.
        """
        space, count = self.function.space, len(self.members)
        starts = self.starts
        if starts is None:
            names = [f"start/{self.function.member_ids[row]}".encode() for row in self.members]
            starts = np.stack([space.from_unit(hashed_uniform(name, (RANDOM_STARTS, space.n))) for name in names])
        theta = np.broadcast_to(starts, (count, *starts.shape[-2:]))
        scores = np.nan_to_num(self.function.scale.unit(self.function.values(np.array(theta), self.members)))
        row, column = np.nonzero(scores >= least)
        if not len(row):
            raise InvalidParameterError(
                f"least_start {least:g}: the best of {scores.size} start points scores {scores.max():.3g}; "
                "give a lower one, or other start points"
            )
        return replace(self, pairs=(self.members[row], theta[row, column]), start_queries=scores.size)

    @property
    def draws(self) -> int:
        """Random numbers in [0, 1) that an episode takes: one for the member, one for the start, n for a random one."""
        return 2 + self.function.space.n

    def drawn(self, numbers: FloatArray, options: Mapping[str, Any] | None) -> tuple[IntArray, FloatArray]:
        """Members (R,) and start points (R, n) of R episodes, from numbers (R, draws); options come first.

        Raises:
            InvalidParameterError: An option that is not known.
            UnknownNameError, OutOfSpaceError, ShapeMismatchError: A member or start point that does not fit.
        """
        options = options or {}
        unknown = [name for name in options if name not in RESET_OPTIONS]
        if unknown:
            raise InvalidParameterError(f"unknown reset option {unknown[0]!r}; known are {', '.join(RESET_OPTIONS)}")
        space, count = self.function.space, len(numbers)
        member = self.members[(numbers[:, 0] * len(self.members)).astype(np.int64)]
        if options.get("member") is not None:
            member = np.repeat(_members(self.function, [options["member"]]), count)
        if self.pairs is not None and options.get("start") is None:
            return self._paired(numbers, None if options.get("member") is None else int(member[0]))
        starts = self.starts if options.get("start") is None else start_points(space, options["start"])
        if starts is None:
            return member, space.from_unit(numbers[:, 2:])
        return member, starts[(numbers[:, 1] * len(starts)).astype(np.int64)]

    def _paired(self, numbers: FloatArray, member: int | None) -> tuple[IntArray, FloatArray]:
        assert self.pairs is not None
        members, starts = self.pairs
        if member is not None:
            own = members == member
            if not own.any():
                raise InvalidParameterError(f"member {member}: no start point scores enough; give `start` as well")
            members, starts = members[own], starts[own]
        at = (numbers[:, 0] * len(members)).astype(np.int64)
        return members[at], starts[at]


def start_points(space: SemanticSpace, start: Start) -> FloatArray | None:
    """Start points (S, n) of a space, or None for uniformly random ones.

    Raises:
        UnknownNameError, InvalidParameterError, OutOfSpaceError, ShapeMismatchError: It names no point of the space.
    """
    if isinstance(start, str) and start.strip() == "random":
        return None
    if start is None:
        is_papers = {AZIMUTH.name, ELEVATION.name} & set(space.names)
        held = held_paper_starts(space) if is_papers else np.empty(0)
        return held if len(held) else None
    if isinstance(start, str):
        return space.point(start)[None]
    if isinstance(start, Sequence) and any(isinstance(one, str) for one in start):
        if not all(isinstance(one, str) for one in start):
            raise InvalidParameterError(f"start {start!r}: give points as text, or numbers, not both")
        return np.array([space.point(str(one)) for one in start])
    points = np.array(np.atleast_2d(space.require(np.asarray(start), "start point")))
    if points.ndim != 2 or not len(points):
        raise ShapeMismatchError(f"start points {np.shape(start)} must be ({space.n},) or (S, {space.n}), S at least 1")
    return points


def _members(function: ScoreFunction, members: Sequence[int] | npt.NDArray[np.integer[Any]]) -> IntArray:
    rows = np.asarray(members)
    if rows.ndim != 1 or not rows.size or not np.issubdtype(rows.dtype, np.integer):
        raise InvalidParameterError(f"members {members!r}: give whole numbers, at least one")
    if rows.min() < 0 or rows.max() >= function.members:
        raise UnknownNameError(f"member {rows.min()}..{rows.max()}: this family has members 0..{function.members - 1}")
    return rows.astype(np.int64)


@final
class Play(Generic[GameT]):
    """B games over one function, with one trajectory of an oracle each.

    Args:
        episodes: What episodes are drawn from.
        game: B games that have not begun.
        images: Draws what is seen at the last point; None: observations are numbers alone.

    Attributes:
        oracle: Counts the queries; the count of a trajectory begins anew with each of its episodes.
        member: The member that each game asks, (B,).
        objective: What rewards are gains of, as it stood after the last answers, (B,).
    """

    def __init__(self, episodes: Episodes, game: GameT, images: RenderedViews | None = None) -> None:
        self.episodes = episodes
        self.game = game
        self.images = images
        if sum(episodes.function.value_price) != 1:
            price = sum(episodes.function.value_price)
            raise InvalidParameterError(
                f"a value of {episodes.function.id} costs {price} queries; games take functions whose values cost 1"
            )
        self.oracle = QueryOracle(episodes.function, trajectories=game.count, budget=game.budget)
        self.member: IntArray = np.zeros(game.count, dtype=np.int64)
        self.objective: FloatArray = np.zeros(game.count)
        self._every = np.ones((game.count, game.cost), dtype=np.bool_)

    @classmethod
    def of(
        cls,
        game: Callable[..., GameT],
        rules: Callable[..., Any],
        function: str | ScoreFunction,
        count: int,
        arguments: Mapping[str, Any],
        *,
        image: bool = False,
    ) -> Play[GameT]:
        """From the arguments of an environment.

        Args:
            game: Makes games of a space, rules and a `count`.
            rules: Makes the rules of their fields.
            function: The function, or its id.
            count: Number of games.
            arguments: Of episodes, and the fields of the rules.
            image: Whether observations have a picture.

        Raises:
            InvalidBudgetError: A count below 1, or a budget that is too small.
            SemrobError: An argument that does not fit.
        """
        whole_number("num_envs", count, 1, error=InvalidBudgetError)
        of_episodes: Any = {name: arguments[name] for name in EpisodeArguments.__annotations__ if name in arguments}
        chosen = rules(**{name: value for name, value in arguments.items() if name not in of_episodes})
        episodes = Episodes.of(function, **of_episodes)
        made = game(episodes.function.space, chosen, count=count)
        return cls(episodes, made, RenderedViews(episodes.function) if image else None)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.oracle = self.oracle.here()  # whoever has the games shows their bill

    def begin(
        self, rows: BoolArray, rngs: Sequence[np.random.Generator], options: Mapping[str, Any] | None = None
    ) -> None:
        """Put the games of some rows (B,) to the start of an episode, drawn by their Generators; nothing is asked."""
        self.oracle = self.oracle.here()  # episodes begun in a forked worker are its own
        chosen = np.flatnonzero(rows)
        own = self.episodes.draws
        numbers = np.empty((len(chosen), own + self.game.draws))
        for into, row in zip(numbers, chosen.tolist(), strict=True):
            rngs[row].random(out=into)
        member, start = self.episodes.drawn(numbers[:, :own], options)
        self.member = self.member.copy()  # answers of a log may still refer to the old one
        self.member[chosen] = member
        self.game.restart(chosen, start, numbers[:, own:])
        forward, gradient = self.oracle.forward_queries, self.oracle.gradient_queries
        forward[chosen] = gradient[chosen] = 0
        self.oracle.restore(forward, gradient)

    def answer(self) -> FloatArray:
        """Ask what all games ask, in one call of f, and let them take it; the gain of the objective (B,).

        Games that have ended claim what they found, in a second call.
        """
        answers = self.oracle.query(Queries(self.game.queries(), self.member, self._every))
        self.game.take(answers.values)
        if self.game.claim and (ended := self.game.finished).any():
            active = np.repeat(ended[:, None], self.game.claim, axis=1)
            tested = self.oracle.query(Queries(self.game.claims(), self.member, active))
            rows = np.flatnonzero(ended)
            self.game.settle(rows, tested.values[rows])
        before, self.objective = self.objective, self.game.objective
        return self.objective - before

    def answer_only(self, rows: BoolArray) -> None:
        """The same for the games of some rows (B,) alone, that have just begun: the others stay as they are."""
        if rows.all():
            self.answer()
            return
        chosen = np.flatnonzero(rows)
        part = self.game.part(chosen)
        theta = np.zeros((self.game.count, self.game.cost, self.episodes.function.space.n))
        theta[chosen] = part.queries()
        answers = self.oracle.query(Queries(theta, self.member, self._every & rows[:, None]))
        part.take(answers.values[chosen])
        self.game.put(chosen, part)
        self.objective = self.objective.copy()
        self.objective[chosen] = part.objective

    def observation(self) -> Observation:
        """What agents see, the game as first axis, newly made."""
        state = self.game.observation()
        if self.images is None:
            return state
        return {"state": state, "image": self.images.draw(self.game.looked_at, self.member)}

    def facts(self) -> dict[str, npt.NDArray[Any]]:
        """All that infos tell, by name, each with the game as first axis, newly made."""
        forward, gradient = self.oracle.forward_queries, self.oracle.gradient_queries
        return {
            "forward_queries": forward,
            "gradient_queries": gradient,
            "spent": self.oracle.spent,
            "member": self.member.copy(),
            **self.game.facts(),
        }


class Played(Generic[GameT]):
    """What single and vector environments tell of the `play` behind them."""

    play: Play[GameT]

    @property
    def function(self) -> ScoreFunction:
        """The function that is asked, complemented where adversarial."""
        return self.play.episodes.function

    @property
    def oracle(self) -> QueryOracle:
        """Counts the queries of the current episodes; one trajectory each."""
        return self.play.oracle

    @property
    def game(self) -> GameT:
        """The rules and the state of all games."""
        return self.play.game

    @property
    def settled(self) -> BoolArray:
        """Which games have ended by themselves, whatever is left of the budget, (B,)."""
        return self.play.game.settled

    @property
    def traits(self) -> Traits:
        """What is promised, for `check_semrob_env`."""
        return replace(self.play.game.traits, members=tuple(self.play.episodes.members.tolist()))
