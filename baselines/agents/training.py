"""Training of agents on RegionGrow or PointSearch by stable-baselines3, in rounds that can be taken up again.

PPO: Schulman et al., *Proximal policy optimization algorithms*, arXiv 1707.06347; SAC: Haarnoja et al., *Soft
actor-critic*, ICML 2018; both by Raffin et al., *Stable-Baselines3*, JMLR 22, 2021 (optional: `pip install
semrob[agents]`).

A round begins new episodes and new random numbers, both from a hash of seed and round, and ends with a checkpoint. So
a training that was interrupted goes on from its last round to the same weights as one that was not, on the same machine
and versions. Generators of torch, numpy and Python and the number of torch's threads are as before after each round.
In the folder of a training: `checkpoint.pt` while it lasts, then `curve.json` (a point a round) and the saved agent.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, final, get_args

import numpy as np

from baselines.agents.actor import Actor, actor_of
from baselines.agents.files import SavedAgent, load_agent, read_tensors, save_agent
from baselines.agents.policies import game_rules, plain_rules
from semrob_env.errors import InvalidParameterError, MissingExtraError, MissingFileError, RefusedFileError
from semrob_env.files import output_folder, write_whole
from semrob_env.functions import ScoreFunction
from semrob_env.types import IntArray

CHECKPOINT, CURVE = "checkpoint.pt", "curve.json"

Curve = list[dict[str, float]]
"""A point a round: `steps` so far, mean `return` of its episodes, and the measures of the test."""

Algorithm = Literal["ppo", "sac"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)

MOST_BYTES = 2**30
"""Largest checkpoint that is read."""

_PPO_STEPS = 16
"""Steps of each environment between two updates of PPO: an episode of the default rules."""


@final
@dataclass(frozen=True)
class Recipe:
    """How one agent is trained; defaults chosen on recorded maps.

    Raises:
        InvalidParameterError: One of them out of its limits.
    """

    algorithm: Algorithm = "ppo"  # `ppo` or `sac`
    seed: int = 0  # of everything random
    steps: int = 1_000_000  # steps of all environments together, in all rounds; rounded up to whole updates in each
    rounds: int = 15  # rounds of training; a checkpoint and a point of the learning curve after each
    environments: int = 256  # environments that are asked at once
    hidden: tuple[int, ...] = (64, 64)  # numbers of the hidden layers
    learning_rate: float = 3e-3  # in the first round; it falls evenly to a twentieth in the last one

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise InvalidParameterError(f"unknown algorithm {self.algorithm!r}; choose {', '.join(ALGORITHMS)}")
        for name in ("steps", "rounds", "environments"):
            if getattr(self, name) < 1:
                raise InvalidParameterError(f"{name} {getattr(self, name)}: give a whole number, at least 1")
        if self.seed < 0 or self.rounds > self.steps or not 0 < self.learning_rate < 1:
            raise InvalidParameterError(
                f"seed {self.seed}, {self.rounds} rounds of {self.steps} steps, learning rate {self.learning_rate}: "
                "give a seed of 0 or above, at most as many rounds as steps, and a rate between 0 and 1"
            )
        if not self.hidden or min(self.hidden) < 1:
            raise InvalidParameterError(f"hidden layers {self.hidden}: give at least one, of at least 1")

    @property
    def steps_of_round(self) -> int:
        """Steps of all environments together in a round, in whole updates."""
        update = self.environments * (_PPO_STEPS if self.algorithm == "ppo" else 1)
        return update * -(-self.steps // (self.rounds * update))


@final
class Trainer:
    """One agent in training.

    Args:
        recipe: How.
        function: The family of functions.
        members: Members that episodes draw from.
        rules: Fields of `RegionRules`, the goal as text; of `PointRules` where points are searched.
        start: Start points, as `RegionGrowEnv` takes them.
        searches_points: Whether the game is PointSearch.

    Attributes:
        member_ids: Ids of the members.
        done: Rounds finished.
        curve: For each of them: steps so far, mean return of its episodes, and what `note` was given.

    Raises:
        MissingExtraError: stable-baselines3 is not installed.
        SemrobError: What `RegionGrowVectorEnv` or `PointSearchVectorEnv` raises.
    """

    def __init__(
        self,
        recipe: Recipe,
        function: ScoreFunction,
        members: Sequence[int] | IntArray,
        *,
        rules: Mapping[str, Any] | None = None,
        start: Any = None,
        searches_points: bool = False,
    ) -> None:
        library()
        from baselines.agents.vector import VectorAdapter
        from semrob_env.envs.point_search import PointSearchVectorEnv
        from semrob_env.envs.region_grow import RegionGrowVectorEnv

        self.recipe, self.function = recipe, function
        self.member_ids = tuple(function.member_ids[row] for row in np.asarray(members).tolist())
        self.rules = dict(rules or {})
        if not searches_points:
            self.rules = plain_rules(game_rules(rules, self.rules.get("budget", 200)))
        self.done = 0
        self.curve: Curve = []
        chosen = {"members": np.asarray(members), "start": start, "autoreset_mode": "SameStep"}
        kind: Any = PointSearchVectorEnv if searches_points else RegionGrowVectorEnv
        self._env = VectorAdapter(kind(function, num_envs=recipe.environments, **chosen, **self.rules))
        with _alone(self._round_seed(-1)):
            self._model = self._made()

    @property
    def is_done(self) -> bool:
        """Whether all rounds are finished."""
        return self.done >= self.recipe.rounds

    @property
    def actor(self) -> Actor:
        """The actor as it is now."""
        return actor_of(self._model)

    def saved_agent(self, training: Mapping[str, Any]) -> SavedAgent:
        """The agent as it is now, with a record of its training."""
        names = self.function.space.names
        return SavedAgent(self.actor, self.recipe.algorithm.upper(), names, self.rules, training)

    def round(self, on_step: Callable[[int], None] | None = None) -> None:
        """Train for one round.

        Args:
            on_step: Called with the steps of the round so far, after each step of all environments.
        """
        recipe, model, seed = self.recipe, self._model, self._round_seed(self.done)
        rate = recipe.learning_rate * max(0.05, 1 - self.done / recipe.rounds)
        model.lr_schedule = lambda _: rate
        with _alone(seed):
            self._env.seed(seed)
            self._env.action_space.seed(seed)
            model._last_obs = None  # begins new episodes
            before = model.num_timesteps

            def after_step(*_: object) -> bool:
                if on_step is not None:
                    on_step(model.num_timesteps - before)
                return True

            model.learn(recipe.steps_of_round, callback=after_step, reset_num_timesteps=False)
        self.done += 1
        returns = self._env.returns
        self.curve.append({"steps": float(model.num_timesteps), "return": float(np.mean(returns)) if returns else 0.0})

    def note(self, **measures: float) -> None:
        """Add measures to the last point of the curve."""
        self.curve[-1].update(measures)

    def save(self, path: str | Path) -> None:
        """Write a checkpoint, whole or not at all: tensors, numbers and text only."""
        import torch

        buffer = io.BytesIO()
        torch.save({"state": self._state(), "about": json.dumps(self._about())}, buffer)
        write_whole(path, buffer.getvalue())

    def restore(self, path: str | Path) -> None:
        """Go on from a checkpoint; no code in it is run.

        Raises:
            RefusedFileError: No checkpoint of this recipe, or one that holds anything but numbers.
        """
        target = Path(path)
        if target.stat().st_size > MOST_BYTES:
            raise RefusedFileError(f"{target} is larger than {MOST_BYTES} bytes; remove it to train anew")
        found = read_tensors(target, target.read_bytes(), MOST_BYTES)
        try:
            about, state = json.loads(found["about"]), found["state"]
            is_same = about["recipe"] == self._about()["recipe"] and about["rules"] == self.rules
            if is_same:
                self._model.set_parameters(state["parameters"], exact_match=True)
                self._load_rest(state)
                self.done, self.curve = int(about["done"]), list(about["curve"])
        except (LookupError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            raise RefusedFileError(f"{target} is no checkpoint of this agent; remove it to train anew") from error
        if not is_same:
            raise RefusedFileError(f"{target} is of another recipe; give another --out, or remove it")

    def _about(self) -> dict[str, Any]:
        recipe = json.loads(json.dumps(asdict(self.recipe)))
        return {"recipe": recipe, "rules": self.rules, "done": self.done, "curve": self.curve}

    def _state(self) -> dict[str, Any]:
        import torch

        model = self._model
        state = {"parameters": model.get_parameters(), "steps": model.num_timesteps, "updates": model._n_updates}
        if self.recipe.algorithm == "sac":
            buffer = model.replay_buffer
            replay = {name: torch.from_numpy(getattr(buffer, name)[: buffer.size()].copy()) for name in _REPLAY}
            position = torch.tensor([buffer.pos, int(buffer.full)])
            state |= {"entropy": model.log_ent_coef.detach().clone(), "position": position, "replay": replay}
        return state

    def _load_rest(self, state: Mapping[str, Any]) -> None:
        model = self._model
        model.num_timesteps, model._n_updates = int(state["steps"]), int(state["updates"])
        if self.recipe.algorithm == "sac":
            buffer = model.replay_buffer
            model.log_ent_coef.data = state["entropy"]
            buffer.pos, full = state["position"].tolist()
            buffer.full = bool(full)
            for name in _REPLAY:
                kept = state["replay"][name].numpy()
                getattr(buffer, name)[: len(kept)] = kept

    def _round_seed(self, index: int) -> int:
        key = f"{self.recipe.algorithm}/{self.recipe.seed}/{index}".encode()
        return int.from_bytes(hashlib.shake_128(key).digest(4), "little") >> 2

    def _made(self) -> Any:
        """The model with its first weights."""
        import torch

        recipe, envs = self.recipe, self.recipe.environments
        policy: dict[str, Any] = {"net_arch": list(recipe.hidden), "activation_fn": torch.nn.ReLU}
        if recipe.algorithm == "ppo":
            policy["log_std_init"] = -0.5
            own = {"n_steps": _PPO_STEPS, "batch_size": min(1024, _PPO_STEPS * envs), "n_epochs": 5}
        else:
            own = {
                "buffer_size": max(200_000 // envs, 1) * envs,
                "batch_size": 256,
                "learning_starts": min(16 * envs, recipe.steps // 4),
                "train_freq": 1,
                "gradient_steps": max(1, envs // 16),
            }
        return getattr(library(), recipe.algorithm.upper())(
            "MlpPolicy",
            self._env,
            gamma=1.0,  # an episode is short, and its sum of gains is what it ends with
            learning_rate=recipe.learning_rate,
            seed=self._round_seed(-1),
            device="cpu",
            policy_kwargs=policy,
            **own,
        )


_REPLAY = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


def library() -> Any:
    """stable-baselines3.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return importlib.import_module("stable_baselines3")
    except ImportError as error:
        raise MissingExtraError("stable-baselines3 is not installed; pip install semrob[agents]") from error


@contextlib.contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Global generators seeded, one thread of torch; everything as before afterwards."""
    import torch

    python, numbers, threads = random.getstate(), np.random.get_state(), torch.get_num_threads()  # noqa: NPY002 - kept
    with torch.random.fork_rng(devices=[]):
        try:
            torch.set_num_threads(1)
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002 - what the library draws from
            yield
        finally:
            torch.set_num_threads(threads)
            random.setstate(python)
            np.random.set_state(numbers)  # noqa: NPY002 - as it was


def train_in(
    folder: str | Path,
    recipe: Recipe,
    make: Callable[[], Trainer],
    test: Callable[[Actor], dict[str, float]],
    on_progress: Callable[[float], None],
) -> tuple[Curve, bool]:
    """Train what is missing of an agent.

    Args:
        folder: Of this agent alone.
        recipe: How it is trained.
        make: Makes its trainer; not called where the agent is there already.
        test: Measures of the agent after each round; nothing is chosen by them.
        on_progress: Told how many rounds are done, in fractions.

    Returns:
        The learning curve, and whether anything was trained.

    Raises:
        RefusedFileError: The folder holds another agent, or files that are not of this format.
        OutputError: It cannot be written.
    """
    target = Path(folder)
    if (kept := _kept(target, recipe)) is not None:
        return kept, False
    output_folder(target)
    trainer, checkpoint = make(), target / CHECKPOINT
    if checkpoint.exists():
        trainer.restore(checkpoint)
    while not trainer.is_done:
        trainer.round(lambda steps: on_progress(trainer.done + steps / recipe.steps_of_round))
        trainer.note(**test(trainer.actor))
        trainer.save(checkpoint)
        on_progress(trainer.done)
    write_whole(target / CURVE, json.dumps(trainer.curve) + "\n")
    save_agent(target, trainer.saved_agent({"recipe": asdict(recipe), "members": list(trainer.member_ids)}))
    checkpoint.unlink(missing_ok=True)
    return trainer.curve, True


def _kept(folder: Path, recipe: Recipe) -> Curve | None:
    """The curve of an agent that is there already; None: there is none."""
    try:
        agent = load_agent(folder)
        curve: Any = json.loads((folder / CURVE).read_text(encoding="utf-8"))
    except (MissingFileError, FileNotFoundError, json.JSONDecodeError):
        return None
    is_same = agent.training.get("recipe") == json.loads(json.dumps(asdict(recipe)))
    return curve if is_same and len(curve) == recipe.rounds else None
