"""State dicts of a module of the user: made by their function where it is trusted, checked by name and shape."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semrob_env.errors import ClassifierError, MissingExtraError, RefusedFileError, SemrobError
from semrob_env.functions import make_function
from semrob_env.scene.classifiers import options as options_module
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.options import NetworkOptions, trust_factory
from semrob_env.scene.classifiers.registry import forget_networks, load_network
from semrob_env.types import Float32Array

SIZE = 16
CODE = """
import torch
from semrob_env.scene.classifiers.base import Preprocessing

class Seats(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Conv2d(3, 4, 3, stride=2)
        self.head = torch.nn.Linear(4, 5)
    def forward(self, images):
        return self.head(torch.relu(self.body(images)).mean((2, 3)))

class Told(Seats):
    preprocessing = Preprocessing(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

class Two(Seats):
    def forward(self, images):
        answers = super().forward(images)
        return {"features": images.flatten(1), "classes": answers}

def broken():
    raise KeyError("no such layer")

def number():
    return 3
"""


@pytest.fixture
def seats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "my_seats.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(options_module, "_TRUSTED_FACTORIES", set())
    forget_networks()
    sys.path.insert(0, str(tmp_path))
    import my_seats  # type: ignore[import-not-found]

    torch.manual_seed(0)
    module = my_seats.Seats()
    torch.save(module.state_dict(), "seats.pt")
    yield module
    del sys.modules["my_seats"]
    forget_networks()


def load(weights: str = "seats.pt", factory: str = "my_seats:Seats", **others: Any) -> Classifier:
    trust_factory(factory)
    said = {"size": SIZE, "range": "0-1", **others}
    return load_network("file", options=NetworkOptions(weights, factory=factory, **said))


def answers(module: torch.nn.Module, shown: Float32Array) -> Float32Array:
    with torch.no_grad():
        found: Float32Array = torch.softmax(module(torch.from_numpy(shown)), dim=1).numpy()
    return found


SHOWN: Float32Array = np.random.default_rng(0).random((2, 3, SIZE, SIZE), dtype=np.float32)
CLASSES = np.array([4, 1])


def test_a_state_dict_answers_as_the_module_that_it_is_of(seats: Any) -> None:
    classifier = load()
    wanted = answers(seats, SHOWN)[np.arange(2), CLASSES]
    np.testing.assert_allclose(classifier.scores(SHOWN, CLASSES), wanted, atol=1e-6)
    _, gradients = classifier.scores_and_gradients(SHOWN, CLASSES)
    assert np.abs(gradients).max() > 0
    two = load(factory="my_seats:Two", output="classes")
    np.testing.assert_allclose(two.scores(SHOWN, CLASSES), wanted, atol=1e-6)
    told = load(factory="my_seats:Told", size=0, range="")
    assert told.preprocessing.identity == "size=16;mean=(0.5, 0.5, 0.5);std=(0.5, 0.5, 0.5)"
    assert len({str(own.fingerprint) for own in (classifier, two, told)}) == 3


def test_a_factory_runs_only_where_it_is_trusted(seats: Any) -> None:
    del seats
    name = f"scene:file/cup/procedural:0?weights=seats.pt&size={SIZE}&factory=my_seats:Seats&label=4"
    with pytest.raises(RefusedFileError, match=r"runs the code of that module; give --factory my_seats:Seats"):
        make_function(name)


@pytest.mark.parametrize("wrap", ["module.", "_orig_mod.", "model.", "net."])
def test_prefixes_of_wrappers_are_taken_off_with_a_word(seats: Any, wrap: str) -> None:
    state = {f"{wrap}{name}": value for name, value in seats.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, "wrapped.pt")
    with pytest.warns(UserWarning, match="took the prefix"):
        classifier = load("wrapped.pt")
    wanted = answers(seats, SHOWN)[np.arange(2), CLASSES]
    np.testing.assert_allclose(classifier.scores(SHOWN, CLASSES), wanted, atol=1e-6)


@pytest.mark.parametrize("key", ["model", "model_state_dict", "net"])
def test_checkpoints_that_hold_a_state_dict_are_opened(seats: Any, key: str) -> None:
    torch.save({key: seats.state_dict(), "optimizer": {"step": torch.zeros(1)}}, "checkpoint.pt")
    np.testing.assert_allclose(
        load("checkpoint.pt").scores(SHOWN, CLASSES), answers(seats, SHOWN)[np.arange(2), CLASSES], atol=1e-6
    )


def test_what_does_not_fit_is_one_line_that_says_what(seats: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    state = seats.state_dict()
    torch.save({**state, "extra.weight": torch.zeros(2)}, "more.pt")
    torch.save({name: value for name, value in state.items() if name != "head.bias"}, "less.pt")
    torch.save({**state, "head.weight": torch.zeros(6, 4), "head.bias": torch.zeros(6)}, "six.pt")
    torch.save(torch.nn.Linear(2, 2), "whole.pt")
    cases: list[tuple[tuple[str, str], type[SemrobError], str]] = [
        (("more.pt", "Seats"), RefusedFileError, r"my_seats:Seats: 1 unknown \(first extra.weight\)"),
        (("less.pt", "Seats"), RefusedFileError, r"1 names missing \(first head.bias\)"),
        (("six.pt", "Seats"), RefusedFileError, r"first head.weight: \(6, 4\), must be \(5, 4\)"),
        (("whole.pt", "Seats"), RefusedFileError, "holds more than tensors, which could run code"),
        (("seats.pt", "Chairs"), ClassifierError, "has no attribute 'Chairs'; name a function of my_seats"),
        (("seats.pt", "broken"), ClassifierError, "raised KeyError: 'no such layer'; it is called without arguments"),
        (("seats.pt", "number"), ClassifierError, "made a int; must make a torch.nn.Module"),
    ]
    for (weights, name), kind, message in cases:
        with pytest.raises(kind, match=message) as caught, warnings.catch_warnings():
            load(weights, f"my_seats:{name}")
        assert "\n" not in str(caught.value)
    with pytest.raises(MissingExtraError, match="give the name of an importable module"):
        load("seats.pt", "no_such_module_here:make")
    with pytest.raises(RefusedFileError, match="does not tell the size of its images"):
        load(size=0)
    from semrob_env.scene.classifiers import weights as weights_module

    monkeypatch.setattr(weights_module, "MOST_BYTES", 100)
    forget_networks()
    with pytest.raises(RefusedFileError, match="at most 100 are read"):
        load()
