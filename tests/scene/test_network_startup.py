"""What a new network is found out to be before any query: another graph, a coupled batch, random numbers, a softmax."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from semrob_env.errors import ClassifierError
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.probes import are_probabilities, largest_difference, log_probabilities, probe_images
from semrob_env.scene.classifiers.score_kinds import score_of
from semrob_env.scene.classifiers.torch_module import Backend, TorchClassifier
from semrob_env.types import FloatArray

SIZE = 16
SHOWN = np.random.default_rng(0).random((6, 3, SIZE, SIZE), dtype=np.float32)
SHOWN[:4] *= 0.3
SHOWN[5] = 1.0
CLASSES = np.arange(6) % 4

Part = Callable[[torch.Tensor], torch.Tensor]


class Parts(torch.nn.Module):
    """A network with something before it, in it and behind it."""

    def __init__(self, before: Part | None = None, layer: Part | None = None, last: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = torch.nn.Conv2d(3, 6, 3, stride=2), torch.nn.Linear(6 * 49, 4)
        self.before, self.layer, self.last = before or torch.nn.Identity(), layer or torch.nn.Identity(), last

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        answers: torch.Tensor = self.head(self.layer(self.conv(self.before(images))).flatten(1))
        return answers * self.last


def classifier(module: torch.nn.Module, backend: Backend = "auto") -> TorchClassifier:
    return TorchClassifier(module.eval(), Preprocessing(SIZE), name="own", backend=backend, score="margin")


def margins(module: torch.nn.Module) -> FloatArray:
    """What torch says to each image alone."""
    feed = Preprocessing()
    mean, std = (torch.tensor(numbers).reshape(3, 1, 1) for numbers in (feed.mean, feed.std))
    with torch.no_grad():
        answers = [module.eval()((torch.from_numpy(image[None]) - mean) / std) for image in SHOWN]
    return np.asarray(score_of("margin", torch.cat(answers).numpy(), CLASSES), dtype=np.float64)


def shifted(images: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(images, (int(2 + images.mean()), 0, 0, 0), value=1.0)[..., :SIZE]


@pytest.mark.parametrize(
    "module",
    [
        Parts(layer=torch.nn.Softplus(10.0)),
        Parts(layer=torch.nn.Softplus(1.0, 0.5)),
        Parts(lambda images: images if images.mean() > 0 else -2 * images),
        Parts(lambda images: images * int(10 * images.mean().abs())),
        Parts(shifted),
        Parts(lambda images: images if images.min() < 2 else -2 * images),  # only the white image gets there
        Parts(lambda images: images if torch.equal(images, images.roll(1, 3)) else -2 * images),
    ],
    ids=["softplus", "threshold", "branch", "number", "padding", "rare branch", "equal"],
)
def test_where_openvino_answers_otherwise_torch_answers_and_says_so(module: Parts) -> None:
    with pytest.warns(UserWarning, match="own: torch answers values, as (OpenVINO's differ|its code looks)"):
        made = classifier(module)
    assert made.backend_in_use("values") == made.fingerprint["backend"] == "torch"
    np.testing.assert_allclose(made.scores(SHOWN, CLASSES), margins(module), atol=1e-5)
    np.testing.assert_allclose(made.scores_and_gradients(SHOWN, CLASSES)[0], margins(module), atol=1e-5)
    with pytest.raises(ClassifierError, match=r"own: no OpenVINO graph for values \(its (answers to|code looks)"):
        classifier(module, "openvino")


@pytest.mark.parametrize(
    "before",
    [
        lambda images: images / (images.max().abs() + 1e-3),
        lambda images: (images - images.min()) / (images.max() - images.min() + 1e-3),
        lambda images: images - 0.5 * images[:1],
        lambda images: images - 0.5 * images.roll(1, 0),
        lambda images: images * (2.0 if len(images) > 4 else 1.0),
    ],
    ids=["largest", "span", "first", "neighbor", "count"],
)
def test_images_that_change_with_their_neighbors_are_asked_one_by_one(before: Part) -> None:
    module = Parts(before)
    made = classifier(module, "torch")
    np.testing.assert_allclose(made.scores(SHOWN, CLASSES), margins(module), atol=1e-5)
    np.testing.assert_allclose(made.scores_and_gradients(SHOWN, CLASSES)[0], margins(module), atol=1e-5)


def rarely(images: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.dropout(images, 1e-6, training=True)


@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_dropout_at_work_is_refused_however_rare_and_one_that_drops_nothing_is_not(backend: Backend) -> None:
    with pytest.raises(ClassifierError, match="own answers the same image differently each time"):
        classifier(Parts(rarely), backend)
    idle = Parts(lambda images: torch.nn.functional.dropout(images, 0.0, training=True))
    np.testing.assert_allclose(classifier(idle, backend).scores(SHOWN, CLASSES), margins(Parts()), atol=1e-5)


class Tired(Parts):
    """Answers otherwise from some call on; what it counts by stands in it, in a buffer or elsewhere."""

    count: torch.Tensor
    settings: object

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place, self.calls, self.other = place, 0, itertools.count(1)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.place == "elsewhere":
            return super().forward(images) * (1.0 if next(self.other) < 60 else -1.0)
        if self.place == "buffer":
            self.count += 1
            return super().forward(images) * torch.where(self.count < 60, 1.0, -1.0)
        self.calls += 1
        return super().forward(images) * (1.0 if self.calls < 60 or self.place == "harmless" else -1.0)


@dataclass(frozen=True, slots=True)
class Slotted:
    """Settings of a module, in an object without a dictionary."""

    scale: float = 1.0


@pytest.mark.parametrize("place", ["attribute", "buffer"])
def test_a_module_that_answers_otherwise_after_many_calls_is_refused(place: str) -> None:
    with pytest.raises(ClassifierError, match=r"own answers the same image differently after \d+ calls"):
        classifier(Tired(place), "torch")
    module = Tired("harmless")  # only counts
    module.settings = Slotted()
    np.testing.assert_allclose(classifier(module, "torch").scores(SHOWN, CLASSES), margins(module), atol=1e-5)


def test_a_module_that_tires_by_what_nobody_sees_is_told_when_it_does() -> None:
    made = classifier(Tired("elsewhere"), "torch")
    with pytest.raises(ClassifierError, match="own answers a start-up image otherwise than when it was made"):
        made.scores(np.concatenate([SHOWN] * 80), np.tile(CLASSES, 80))


def test_a_scripted_module_answers_as_the_one_it_is_of() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is an old format
        scripted = torch.jit.script(module)
    np.testing.assert_allclose(classifier(scripted).scores(SHOWN, CLASSES), margins(module), atol=1e-5)


def attending(share: float) -> Part:
    def attend(images: torch.Tensor) -> torch.Tensor:
        rows = images.flatten(2)
        return torch.nn.functional.scaled_dot_product_attention(rows, rows, rows, dropout_p=share).reshape(images.shape)

    return attend


def test_attention_that_drops_nothing_is_a_network_and_one_that_drops_is_refused() -> None:
    module = Parts(attending(0.0))
    np.testing.assert_allclose(classifier(module, "auto").scores(SHOWN, CLASSES), margins(module), atol=1e-4)
    with pytest.raises(ClassifierError, match="own answers the same image differently each time"):
        classifier(Parts(attending(1e-6)), "torch")


def test_a_relu_of_random_slopes_draws_them_only_while_it_trains() -> None:
    module = Parts(layer=torch.nn.RReLU())
    np.testing.assert_allclose(classifier(module).scores(SHOWN, CLASSES), margins(module), atol=1e-5)


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.complex64])
def test_answers_that_are_no_floating_numbers_are_told(kind: torch.dtype) -> None:
    module = torch.nn.Sequential(Parts(), Answering(kind))
    with pytest.raises(ClassifierError, match=rf"own answers numbers of {kind}; must be floating ones"):
        classifier(module)


class Answering(torch.nn.Module):
    """Casts what goes through it."""

    def __init__(self, kind: torch.dtype) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, answers: torch.Tensor) -> torch.Tensor:
        return answers.to(self.kind)


def test_a_module_that_ends_in_a_softmax_gets_no_second_one() -> None:
    plain = Parts()
    ended = torch.nn.Sequential(Parts(), torch.nn.Softmax(1))
    for score in ("softmax", "margin"):
        one, other = (
            TorchClassifier(module.eval(), Preprocessing(SIZE), name="own", score=score) for module in (plain, ended)
        )
        found = [made.scores_and_gradients(SHOWN, CLASSES) for made in (one, other)]
        np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-4)
        np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-4)


def test_answers_without_operators_of_torch_have_no_gradient_in_one_line() -> None:
    made = classifier(Parts(lambda images: torch.from_numpy(2 * images.detach().numpy())), "torch")
    with pytest.raises(ClassifierError, match="own has no gradient in the image"):
        made.scores_and_gradients(SHOWN, CLASSES)


def test_what_is_nan_on_one_image_is_judged_by_the_others() -> None:
    probabilities = np.array([[0.2, 0.8], [np.nan, np.nan], [0.5, 0.5]])
    assert are_probabilities(probabilities)
    assert not are_probabilities(probabilities[1:2])
    assert not are_probabilities(np.array([[1.5, -0.5], [0.5, 0.5]]))


def test_differences_are_shares_of_what_may_round() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 10))
    assert largest_difference(logits, logits) == 0.0
    assert largest_difference(logits, logits * (1 + 1e-5)) < 1.0 < largest_difference(logits, logits + 1e-2 * logits**2)
    holes = np.where(logits > 1, np.nan, logits)
    assert largest_difference(holes, holes) == 0.0
    assert largest_difference(holes, logits) == largest_difference(logits, holes) == np.inf
    assert np.isfinite(log_probabilities(np.array([[0.0, 1.0]]))).all()


def test_no_start_up_image_is_constant_and_they_reach_both_ends() -> None:
    images = probe_images(SIZE)
    assert (images.min(), images.max()) == (0.0, 1.0)
    assert (np.ptp(images, axis=(1, 2, 3)) > 0.2).all()
    assert images[0].min() > 0.05
    assert images[0].max() < 0.95


# --- the run key --------------------------------------------------------------------------------------------


class Hidden(torch.nn.Module):
    """A network that keeps numbers where no state dict looks."""

    def __init__(self, shift: float = 0.0, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = torch.nn.Linear(3, 4)
        self.register_buffer("shift", torch.tensor(shift), persistent=False)
        self._scale = scale
        self.kept = [torch.ones(3)]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert isinstance(self.shift, torch.Tensor)
        answers: torch.Tensor = self.head(images.mean((2, 3)) * self.kept[0] + self.shift) * self._scale
        return answers


def listed(number: float) -> Hidden:
    made = Hidden()
    made.kept[0].mul_(number)
    return made


def branching(number: float) -> Parts:
    return Parts(lambda images: images * number if images.mean() > 90 else images)  # no image gets there


def configured(number: float) -> Parts:
    settings = SimpleNamespace(number=number)
    return Parts(lambda images: images * settings.number if images.mean() > 90 else images)


def hooked(number: float) -> Parts:
    made = Parts()
    made.conv.register_forward_hook(lambda layer, given, answer: answer * number)
    return made


CODES: dict[str, list[Callable[[], torch.nn.Module]]] = {
    "function": [Parts, lambda: Parts(torch.tanh), lambda: Parts(torch.sin), lambda: Parts(lambda images: 2 * images)],
    "buffer that is not saved": [Hidden, lambda: Hidden(shift=1.0)],
    "private number": [Hidden, lambda: Hidden(scale=2.0)],
    "tensor in a list": [Hidden, lambda: listed(2.0)],
    "method of a layer": [lambda: Parts(torch.nn.Tanh().forward), lambda: Parts(torch.nn.ReLU().forward)],
    "branch that is not taken": [lambda: branching(2.0), lambda: branching(3.0)],
    "settings in a branch": [lambda: configured(2.0), lambda: configured(3.0)],
    "hook": [lambda: hooked(2.0), lambda: hooked(3.0)],
}


@pytest.mark.parametrize("backend", ["auto", "torch"])
@pytest.mark.parametrize("kind", CODES)
@pytest.mark.filterwarnings("ignore:own. torch answers values")
def test_the_run_key_tells_modules_of_the_same_weights_apart(kind: str, backend: Backend) -> None:
    prints = [classifier(make(), backend).fingerprint for make in CODES[kind]]
    again = [classifier(make(), backend).fingerprint for make in CODES[kind]]
    assert prints == again
    assert len({told["weights"] for told in prints}) == len(prints)


def test_weights_of_a_file_and_other_code_have_another_run_key() -> None:
    def facts(module: torch.nn.Module) -> dict[str, str]:
        made = TorchClassifier(module.eval(), Preprocessing(SIZE), name="own", weights_digest="file", backend="torch")
        return made.fingerprint

    assert facts(Parts()) == facts(Parts())
    assert facts(Parts())["weights"] == facts(Parts(torch.tanh))["weights"] == "file"
    assert facts(Parts()) != facts(Parts(torch.tanh))


class Untraceable(Parts):
    """Asks for something that no trace has."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if torch._C._get_tracing_state() is not None:
            raise RuntimeError("no trace")
        return super().forward(images)


def test_a_module_that_cannot_be_traced_says_so_in_its_run_key() -> None:
    made = classifier(Untraceable())
    assert made.fingerprint["code"] == "untraced"
    assert made.backend_in_use("values") == "torch"
    assert made.fingerprint["weights"] != classifier(Untraceable(last=2)).fingerprint["weights"]


@pytest.mark.slow
def test_two_processes_give_a_module_the_same_run_key() -> None:
    code = "from tests.scene.test_network_startup import *; print(classifier(branching(2.0), 'torch').fingerprint)"
    root = Path(__file__).resolve().parents[2]
    told = {
        subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert told == {f"{classifier(branching(2.0), 'torch').fingerprint}\n"}


WATCHED = """
import os
import threading
from tests.scene.test_network_startup import *

own, seen = classifier(Parts(), "openvino"), set()
images, classes = np.tile(SHOWN, (100, 1, 1, 1)), np.tile(CLASSES, 100)
asking = threading.Thread(target=lambda: [own.scores(images, classes) for _ in range(10)])
asking.start()
while asking.is_alive():
    for task in map(int, os.listdir("/proc/self/task")):
        try:
            seen.add(len(os.sched_getaffinity(task)))
        except OSError:  # it has just ended
            pass
print(seen == {len(os.sched_getaffinity(0))})
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity") or not Path("/proc/self/task").is_dir(), reason="not Linux")
def test_openvino_binds_no_thread_to_a_core_that_another_process_may_have_too() -> None:
    one = {**os.environ, "OMP_NUM_THREADS": "1"}  # what a worker is given
    command = [sys.executable, "-c", WATCHED]
    found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, env=one)
    assert found.stdout == "True\n"


def test_a_network_whose_values_openvino_answers_needs_no_compiler_of_torch() -> None:
    code = (
        "import sys; from tests.scene.test_network_startup import *; classifier(Parts(), 'openvino'); "
        "print('torch._dynamo' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert found.stdout == "False\n"
