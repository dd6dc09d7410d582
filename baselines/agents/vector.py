"""A game in batches as stable-baselines3 wants it: a `VecEnv` over the native vector environment."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from semrob_env.envs.vector import GameVectorEnv
from semrob_env.errors import InvalidParameterError
from semrob_env.types import Float32Array


@final
class VectorAdapter(VecEnv):
    """A native vector environment for stable-baselines3.

    Args:
        env: The environment, with `autoreset_mode="SameStep"`.

    Attributes:
        returns: Sums of rewards of the episodes that ended since the last reset, in order.

    Raises:
        InvalidParameterError: Another autoreset mode.
    """

    def __init__(self, env: GameVectorEnv[Any]) -> None:
        if env.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise InvalidParameterError(f"autoreset mode {env.autoreset_mode.value}: make it with SameStep")
        self.env, self.render_mode = env, None
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.returns: list[float] = []
        self._sums = np.zeros(env.num_envs)
        self._actions: npt.NDArray[Any] = np.zeros(0)

    def reset(self) -> Float32Array:
        """Begin an episode everywhere, with the seeds that `seed` gave, if it did."""
        given = None if self._seeds[0] is None else list(self._seeds)
        observations, _ = self.env.reset(seed=given)
        self._reset_seeds()
        self._sums[:] = 0.0
        self.returns = []
        return np.asarray(observations, dtype=np.float32)

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Keep the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> tuple[Float32Array, Float32Array, npt.NDArray[np.bool_], list[dict[str, Any]]]:
        """Take the actions; where an episode ends, the next one begins in the same step."""
        observations, rewards, terminated, truncated, infos = self.env.step(self._actions)
        done = terminated | truncated
        self._sums += rewards
        told: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for row in np.flatnonzero(done).tolist():
            is_cut = bool(truncated[row] and not terminated[row])
            told[row] = {"terminal_observation": infos["final_obs"][row], "TimeLimit.truncated": is_cut}
            self.returns.append(float(self._sums[row]))
        self._sums[done] = 0.0
        return np.asarray(observations, dtype=np.float32), rewards.astype(np.float32), done, told

    def close(self) -> None:
        """Close the environment."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute of the vector environment, once for each of its environments."""
        return [getattr(self.env, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refused: the environments are one object.

        Raises:
            InvalidParameterError: Always.
        """
        del value, indices
        raise InvalidParameterError(
            f"{attr_name} of a single environment cannot be set; make the vector environment anew"
        )

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **options: Any) -> list[Any]:
        """What a method of the vector environment returns, called once, for each of its environments."""
        found = getattr(self.env, method_name)(*args, **options)
        return [found for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Nothing is wrapped."""
        del wrapper_class
        return [False for _ in self._get_indices(indices)]
