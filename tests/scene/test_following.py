"""A classifier and the module of its caller: nothing of the module changes, and what it learns is followed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from semrob_env.errors import ClassifierError
from semrob_env.functions import Complement, Stack
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.score_kinds import ScoreKind
from semrob_env.scene.classifiers.torch_module import Backend, TorchClassifier
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.shapes import make_shape
from semrob_env.types import FloatArray

SIZE = 16
SHOWN = np.random.default_rng(0).random((4, 3, SIZE, SIZE), dtype=np.float32)
CLASSES = np.arange(4) % 3


class Scaled(torch.nn.Module):
    """A network with all that training changes: weights, running statistics, a plain number."""

    def __init__(self, activation: torch.nn.Module | None = None, temperature: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 6, 3, stride=2)
        self.norm = torch.nn.BatchNorm2d(6)
        self.activation = activation or torch.nn.ReLU()
        self.drop = torch.nn.Dropout(0.5)
        self.head = torch.nn.Linear(6, 3)
        self.register_buffer("shift", torch.zeros(1), persistent=False)
        self.temperature = temperature

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.activation(self.norm(self.conv(x))).mean((2, 3)) + self.shift
        logits: torch.Tensor = self.head(self.drop(features)) / self.temperature
        return logits


def classifier(module: torch.nn.Module, backend: Backend = "auto") -> TorchClassifier:
    return TorchClassifier(module, Preprocessing(SIZE), name="own", backend=backend)


def step(module: Scaled) -> None:
    optimizer = torch.optim.SGD(module.parameters(), lr=5.0)
    module(torch.from_numpy(SHOWN)).logsumexp(1).sum().backward()
    optimizer.step()


def state(module: torch.nn.Module) -> list[Any]:
    """Everything that a caller can see of a module."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    return [
        [(name, layer.training) for name, layer in module.named_modules()],
        [
            (name, id(value), value.data_ptr(), value._version, value.requires_grad, value.device)
            for name, value in tensors
        ],
        [(name, value.detach().numpy().tobytes()) for name, value in tensors],
    ]


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_the_module_of_the_caller_stays_bit_for_bit_what_it_was(backend: Backend) -> None:
    module = Scaled().train()
    module.norm.eval()  # a frozen layer of a network that trains
    module.head.bias.requires_grad_(False)
    before, randomness = state(module), torch.get_rng_state()
    made = classifier(module, backend)
    made.scores(SHOWN, CLASSES)
    made.scores_and_gradients(SHOWN, CLASSES)
    assert made.fingerprint["weights"]
    assert state(module) == before
    assert torch.equal(torch.get_rng_state(), randomness)
    assert made.module is module


def through_data(module: Scaled) -> None:
    module.head.weight.data.mul_(-3.0)


def statistics(module: Scaled) -> None:
    module(torch.from_numpy(SHOWN))


def load(module: Scaled) -> None:
    module.load_state_dict({name: value * 2 for name, value in module.state_dict().items()})


def new_head(module: Scaled) -> None:
    module.head = torch.nn.Linear(6, 3)


def other_number(module: Scaled) -> None:
    module.temperature = 0.1


def hidden_buffer(module: Scaled) -> None:
    assert isinstance(module.shift, torch.Tensor)
    module.shift.add_(1.0)


@pytest.mark.parametrize("backend", ["openvino", "torch"])
@pytest.mark.parametrize("change", [step, through_data, statistics, load, new_head, other_number, hidden_buffer])
def test_new_weights_give_new_scores_and_another_fingerprint(
    change: Callable[[Scaled], None], backend: Backend
) -> None:
    module = Scaled().train()
    made = classifier(module, backend)
    old, fingerprint = made.scores(SHOWN, CLASSES), made.fingerprint
    old_gradients = made.scores_and_gradients(SHOWN, CLASSES)[1]
    assert made.scores(SHOWN, CLASSES).tobytes() == old.tobytes()
    change(module)
    fresh = classifier(copy.deepcopy(module), backend)
    assert made.scores(SHOWN, CLASSES).tobytes() == fresh.scores(SHOWN, CLASSES).tobytes() != old.tobytes()
    values, gradients = made.scores_and_gradients(SHOWN, CLASSES)
    expected, slopes = fresh.scores_and_gradients(SHOWN, CLASSES)
    assert (values.tobytes(), gradients.tobytes()) == (expected.tobytes(), slopes.tobytes())
    assert gradients.tobytes() != old_gradients.tobytes()
    assert made.fingerprint == fresh.fingerprint != fingerprint
    assert made.backend_in_use("values") == backend


def test_functions_follow_their_classifier() -> None:
    module, space = Scaled().train(), SemanticSpace.of("azimuth,elevation")

    def function() -> SceneFunction:
        return SceneFunction(classifier(module), [make_shape("cup", 0)], [0], space)

    made = function()
    whole = Complement(Stack([made, made]))
    theta = space.default[None, None]
    old: FloatArray = made.values(theta)
    prints = whole.fingerprints
    step(module)
    assert made.values(theta).tobytes() == function().values(theta).tobytes() != old.tobytes()
    assert made.fingerprints == function().fingerprints
    assert whole.fingerprints == made.fingerprints * 2 != prints


def test_a_margin_becomes_a_unit_score_by_the_logistic_function() -> None:
    module, space = Scaled().eval(), SemanticSpace.of("azimuth,elevation")

    def function(score: ScoreKind) -> SceneFunction:
        made = TorchClassifier(module, Preprocessing(SIZE), name="own", score=score)
        return SceneFunction(made, [make_shape("cup", 0)], [0], space)

    margin, theta = function("margin"), space.sample(5, np.random.default_rng(0))[None]
    assert (margin.scale.is_logistic, function("softmax").scale.is_logistic) == (True, False)
    values = margin.values(theta)
    np.testing.assert_allclose(margin.scale.unit(values), 1 / (1 + np.exp(-values)))
    assert margin.scale.unit(np.zeros(1)) == 0.5
    assert Complement(margin).scale == margin.scale


def test_networks_of_the_same_weights_and_other_layers_have_other_fingerprints() -> None:
    modules = [Scaled(), Scaled(torch.nn.Tanh()), Scaled(temperature=0.1), Scaled()]
    prints = [classifier(module).fingerprint["weights"] for module in modules]
    assert len(set(prints)) == 3
    assert prints[0] == prints[3]


def test_an_own_module_is_used_itself_and_followed() -> None:
    module = Scaled().train()
    made = TorchClassifier(module, Preprocessing(SIZE), name="own", is_own=True)
    assert not module.training
    old = made.scores(SHOWN, CLASSES)
    with torch.no_grad():
        module.head.weight.mul_(-3.0)
    assert made.scores(SHOWN, CLASSES).tobytes() == classifier(module).scores(SHOWN, CLASSES).tobytes() != old.tobytes()


def test_another_number_of_classes_asks_for_a_new_classifier() -> None:
    module = Scaled()
    made = classifier(module)
    module.head = torch.nn.Linear(6, 4)
    with pytest.raises(ClassifierError, match="own has 4 classes now, not 3; make a new classifier"):
        made.scores(SHOWN, CLASSES)


class Noisy(Scaled):
    """Draws random numbers in eval mode, too: as a program that was exported while it trained."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + torch.rand(3)


class Whole(Scaled):
    """Normalises over all pictures of a batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward((x - x.mean()) / (x.std() + 1e-6))


def test_a_network_that_draws_random_numbers_is_refused() -> None:
    with pytest.raises(ClassifierError, match="own answers the same image differently each time"):
        classifier(Noisy())


def test_images_of_a_network_that_couples_a_batch_are_asked_one_by_one() -> None:
    by_torch = classifier(Whole().eval(), "torch")
    alone = [by_torch.scores(SHOWN[row : row + 1], CLASSES[row : row + 1])[0] for row in range(4)]
    assert by_torch.scores(SHOWN, CLASSES).tolist() == alone
    expected = classifier(Whole().eval(), "openvino").scores(SHOWN, CLASSES)
    np.testing.assert_allclose(alone, expected, atol=1e-5)
