"""A policy as plain arrays: rectified linear layers from observations to actions, the same bits in any batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError, ShapeMismatchError
from semrob_env.types import Float32Array, FloatArray

Layer = tuple[Float32Array, Float32Array]
"""Weights (out, in) and biases (out,)."""


@final
@dataclass(frozen=True, eq=False)
class Actor:
    """actions = last(relu(... relu(first(observation)))), then tanh where it squashes, and cut to [-1, 1].

    Raises:
        ShapeMismatchError: Layers that do not fit each other.
        InvalidParameterError: No layer, or numbers that are not finite.
    """

    layers: tuple[Layer, ...]  # weights and biases of each layer
    squashes: bool = False  # whether tanh follows the last one, as in SAC

    def __post_init__(self) -> None:
        if not self.layers:
            raise InvalidParameterError("an actor without layers; give at least one")
        for index, (weight, bias) in enumerate(self.layers):
            if weight.ndim != 2 or bias.shape != weight.shape[:1] or 0 in weight.shape:
                raise ShapeMismatchError(f"layer {index}: weights {weight.shape} and biases {bias.shape} do not fit")
            if index and weight.shape[1] != len(self.layers[index - 1][1]):
                raise ShapeMismatchError(f"layer {index} takes {weight.shape[1]} numbers, the one before gives others")
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise InvalidParameterError(f"layer {index} has weights that are not finite; train the agent again")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of an observation, then of what each layer gives; the last one is the size of an action."""
        return (self.layers[0][0].shape[1], *(len(bias) for _, bias in self.layers))

    def actions(self, observations: npt.ArrayLike) -> FloatArray:
        """Actions (B, A) for observations (B, D).

        Raises:
            ShapeMismatchError: Observations of another size.
        """
        given = np.asarray(observations, dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != self.sizes[0]:
            raise ShapeMismatchError(f"observations {given.shape} must be (B, {self.sizes[0]}) for this agent")
        values = np.ascontiguousarray(given.T)
        for index, (weight, bias) in enumerate(self.layers):
            values = _affine(np.maximum(values, 0.0) if index else values, weight, bias)
        if self.squashes:  # number by number: a vectorised tanh may round by where a number stands
            values = np.array([math.tanh(value) for value in values.ravel().tolist()]).reshape(values.shape)
        return np.ascontiguousarray(np.clip(values, -1.0, 1.0).T)


def _affine(values: FloatArray, weight: Float32Array, bias: Float32Array) -> FloatArray:
    """Columns (out, B) from columns (in, B), added in order: a matrix product's bits depend on B."""
    total = np.repeat(bias.astype(np.float64)[:, None], values.shape[1], axis=1)
    for column, row in zip(weight.astype(np.float64).T, values, strict=True):
        total += column[:, None] * row
    return total


def actor_of(model: Any) -> Actor:
    """The actor of a stable-baselines3 model: PPO and A2C (mean of the Gaussian, cut) or SAC (tanh of the mean).

    Raises:
        InvalidParameterError: A policy of another kind, or one that is not a chain of linear layers and ReLU.
    """
    policy = model.policy
    if hasattr(policy, "mlp_extractor") and hasattr(policy, "action_net"):
        modules, squashes = [*policy.mlp_extractor.policy_net, policy.action_net], bool(policy.squash_output)
    elif hasattr(policy, "actor") and hasattr(policy.actor, "latent_pi") and hasattr(policy.actor, "mu"):
        modules, squashes = [*policy.actor.latent_pi, policy.actor.mu], True
    else:
        modules, squashes = [], False
    names = [type(module).__name__ for module in modules]
    if not names or names != [*["Linear", "ReLU"] * (len(names) // 2), "Linear"]:
        raise InvalidParameterError(
            f"{type(policy).__name__} with layers {', '.join(names) or 'unknown'} cannot be saved: give linear layers "
            "with ReLU between them (policy_kwargs={'activation_fn': torch.nn.ReLU}), or use register_policy"
        )
    layers = [
        tuple(part.detach().cpu().numpy().astype(np.float32, copy=True) for part in (module.weight, module.bias))
        for module in modules[::2]
    ]
    return Actor(tuple((weight, bias) for weight, bias in layers), squashes)
