"""Agents: saved without code, trained the same way twice, and judged with intervals."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import random
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from baselines.agents import Actor, SavedAgent, load_agent, save_agent
from baselines.agents.evaluation import HeldOutQuestions, mean_interval, played_by_seeds, ratio_interval
from semrob_env.errors import (
    InvalidParameterError,
    MissingExtraError,
    MissingFileError,
    RefusedFileError,
    SemrobError,
    ShapeMismatchError,
)
from semrob_env.functions import make_function
from semrob_env.metrics import Judge
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting.learning import LearningCurve, learning_figure
from tests.recorded_maker import wavy_maps

SPACE = SemanticSpace.of("azimuth,elevation")


def some_agent(seed: int = 0) -> SavedAgent:
    rng = np.random.default_rng(seed)
    layers = tuple(
        (rng.normal(size=shape).astype(np.float32), rng.normal(size=shape[0]).astype(np.float32))
        for shape in ((8, 18), (4, 8))
    )
    return SavedAgent(Actor(layers, squashes=True), "SAC", SPACE.names, {"points": 6}, {"steps": 3})


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return open, (str(self.path), "w")


def torch_bytes(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def plant(folder: Path, weights: bytes, **changes: Any) -> None:
    """Another policy.pt in an agent's folder, with a description that fits it."""
    (folder / "policy.pt").write_bytes(weights)
    text = json.loads((folder / "agent.json").read_text())
    text.update({"weights": hashlib.sha256(weights).hexdigest(), **changes})
    (folder / "agent.json").write_text(json.dumps(text))


def test_an_agent_comes_back_as_it_was_and_is_written_in_the_same_bytes(tmp_path: Path) -> None:
    agent = some_agent()
    for name in ("one", "two"):
        save_agent(tmp_path / name, agent)
    for file in ("agent.json", "policy.pt"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    found = load_agent(tmp_path / "one")
    assert found.actor.squashes
    assert (found.algorithm, found.parameters, found.rules, found.training) == (
        "SAC",
        SPACE.names,
        {"points": 6},
        {"steps": 3},
    )
    observations = np.random.default_rng(1).random((5, 18))
    assert found.actor.actions(observations).tobytes() == agent.actor.actions(observations).tobytes()


@pytest.mark.parametrize("kind", ["torch", "pickle", "legacy", "zip"])
def test_code_in_a_weights_file_is_refused_and_not_run(kind: str, tmp_path: Path) -> None:
    trap, evil = tmp_path / "trap", {"0.weight": Evil(tmp_path / "trap")}
    if kind == "torch":
        data = torch_bytes(evil)
    elif kind == "pickle":
        data = pickle.dumps(evil)
    elif kind == "legacy":
        buffer = io.BytesIO()
        torch.save(evil, buffer, _use_new_zipfile_serialization=False)
        data = buffer.getvalue()
    else:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(evil))
            archive.writestr("archive/version", "3")
        data = buffer.getvalue()
    save_agent(tmp_path / "agent", some_agent())
    plant(tmp_path / "agent", data)
    with pytest.raises(RefusedFileError, match="something else than weights"):
        load_agent(tmp_path / "agent")
    assert not trap.exists()


def test_a_weights_file_that_would_keep_us_for_ever_is_refused(tmp_path: Path) -> None:
    # {t: 0} of t = (t', t'), t' = (t'', t'') and so on: some hundred bytes, and 2^50 steps to hash.
    nested = b"".join(b"q%ch%c\x86" % (number, number) for number in range(50))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02})" + nested + b"K\x00s.")
        archive.writestr("archive/version", "3")
    save_agent(tmp_path / "agent", some_agent())
    plant(tmp_path / "agent", buffer.getvalue())
    with pytest.raises(RefusedFileError, match="something else than weights"):
        load_agent(tmp_path / "agent")


def test_a_model_that_stable_baselines3_saved_is_refused(tmp_path: Path) -> None:
    library = pytest.importorskip("stable_baselines3")
    from semrob_env.envs.region_grow import RegionGrowEnv

    model = library.PPO("MlpPolicy", RegionGrowEnv("synthetic:hill?n=2"), device="cpu")
    model.save(tmp_path / "model.zip")
    with pytest.raises(RefusedFileError, match=r"model.zip is a file; give the folder of a saved agent"):
        load_agent(tmp_path / "model.zip")
    save_agent(tmp_path / "agent", some_agent())
    plant(tmp_path / "agent", (tmp_path / "model.zip").read_bytes())
    with pytest.raises(RefusedFileError, match="something else than weights"):
        load_agent(tmp_path / "agent")


def tensors(**changes: Any) -> dict[str, Any]:
    shapes = {"0.weight": (8, 18), "0.bias": (8,), "1.weight": (4, 8), "1.bias": (4,)}
    return {**{name: torch.zeros(shape) for name, shape in shapes.items()}, **changes}


@pytest.mark.parametrize(
    "content",
    [
        tensors(more=torch.zeros(1)),
        {name: part for name, part in tensors().items() if name != "1.bias"},
        tensors(**{"1.bias": torch.zeros(5)}),
        tensors(**{"1.bias": torch.zeros(4, dtype=torch.float64)}),
        tensors(**{"1.bias": [0.0] * 4}),
        [torch.zeros(3)],
    ],
)
def test_weights_that_were_not_announced_are_refused(content: object, tmp_path: Path) -> None:
    save_agent(tmp_path, some_agent())
    plant(tmp_path, torch_bytes(content))
    with pytest.raises(RefusedFileError, match="does not hold the weights"):
        load_agent(tmp_path)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    save_agent(tmp_path, some_agent())
    plant(tmp_path, torch_bytes(tensors(**{"1.bias": torch.full((4,), torch.nan)})))
    with pytest.raises(RefusedFileError, match="layer 1 has weights that are not finite"):
        load_agent(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "zip"}, "no saved agent of version 1"),
        ({"version": 2}, "no saved agent of version 1"),
        ({"code": "import os"}, "'code' is missing, unknown or malformed"),
        ({"sizes": [18]}, "'sizes'"),
        ({"sizes": [18, True, 4]}, "'sizes'"),
        ({"sizes": [65536, 65536, 4]}, "'sizes'"),
        ({"squashes": 1}, "'squashes'"),
        ({"parameters": [1, 2]}, "'parameters'"),
        ({"rules": None}, "'rules'"),
        ({"weights": "0"}, "is not the file that agent.json speaks of"),
    ],
)
def test_a_malformed_description_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_agent(tmp_path, some_agent())
    path = tmp_path / "agent.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(RefusedFileError, match=message):
        load_agent(tmp_path)


def test_what_is_no_agent_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"agent.json is missing; scripts/train_agent.py makes one"):
        load_agent(tmp_path)
    (tmp_path / "agent.json").write_text("[" * 100_000)
    with pytest.raises(RefusedFileError, match="is no JSON"):
        load_agent(tmp_path)
    with (tmp_path / "agent.json").open("wb") as file:
        file.truncate(2**27)
    with pytest.raises(RefusedFileError, match="at most"):
        load_agent(tmp_path)


def test_a_weights_file_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("archive/data.pkl", "w") as entry:
        for _ in range(160):
            entry.write(bytes(2**20))
    save_agent(tmp_path, some_agent())
    plant(tmp_path, buffer.getvalue())
    with pytest.raises(RefusedFileError, match="unpacks to"):
        load_agent(tmp_path)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "without layers"),
        (((np.zeros((3, 2), np.float32), np.zeros(2, np.float32)),), "do not fit"),
        (((np.zeros((3, 2), np.float32), np.zeros(3, np.float32)),) * 2, "layer 1 takes 2 numbers"),
    ],
)
def test_an_actor_of_layers_that_do_not_fit_is_refused(layers: Any, message: str) -> None:
    with pytest.raises(SemrobError, match=message):
        Actor(layers)


def test_an_actor_refuses_observations_of_another_size() -> None:
    with pytest.raises(ShapeMismatchError, match=r"observations \(2, 3\) must be \(B, 18\)"):
        some_agent().actor.actions(np.zeros((2, 3)))


class TestTraining:
    """What needs stable-baselines3."""

    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("stable_baselines3")

    @staticmethod
    def trainer(algorithm: str = "ppo", **changes: Any) -> Any:
        from baselines.agents.training import Recipe, Trainer

        plain = {"seed": 1, "steps": 768, "rounds": 3, "environments": 16, "hidden": (8,), **changes}
        recipe = Recipe(algorithm, **plain)  # type: ignore[arg-type]
        return Trainer(recipe, make_function("synthetic:hill?n=2"), [0])

    @staticmethod
    def weights(trainer: Any) -> bytes:
        return b"".join(part.tobytes() for layer in trainer.actor.layers for part in layer)

    @pytest.mark.parametrize("algorithm", ["ppo", "sac"])
    def test_a_training_that_was_interrupted_ends_with_the_same_bytes(self, algorithm: str, tmp_path: Path) -> None:
        whole, first = self.trainer(algorithm), self.trainer(algorithm)
        initial = self.weights(whole)
        while not whole.is_done:
            whole.round()
        first.round()
        first.note(volume=0.5)
        first.save(tmp_path / "checkpoint.pt")
        second = self.trainer(algorithm)
        second.restore(tmp_path / "checkpoint.pt")
        assert second.curve == first.curve
        while not second.is_done:
            second.round()
        assert self.weights(second) == self.weights(whole) != initial
        assert [point["steps"] for point in whole.curve] == [256.0, 512.0, 768.0]
        other = self.trainer(algorithm, seed=2)
        other.round()
        assert self.weights(other) != self.weights(first)

    def test_global_generators_and_threads_are_as_before(self) -> None:
        torch.manual_seed(5)
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002 - the global generator is what this is about
        expected = torch.rand(3).tolist(), random.random(), np.random.rand()  # noqa: NPY002
        torch.manual_seed(5)
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002
        threads = torch.get_num_threads()
        self.trainer().round()
        assert (torch.rand(3).tolist(), random.random(), np.random.rand()) == expected  # noqa: NPY002
        assert torch.get_num_threads() == threads

    def test_code_in_a_checkpoint_is_refused_and_not_run(self, tmp_path: Path) -> None:
        (tmp_path / "checkpoint.pt").write_bytes(torch_bytes({"about": Evil(tmp_path / "trap")}))
        with pytest.raises(RefusedFileError, match="something else than weights"):
            self.trainer().restore(tmp_path / "checkpoint.pt")
        assert not (tmp_path / "trap").exists()

    def test_weights_that_are_no_checkpoint_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "checkpoint.pt").write_bytes(torch_bytes(tensors()))
        with pytest.raises(RefusedFileError, match="no checkpoint of this agent"):
            self.trainer().restore(tmp_path / "checkpoint.pt")

    def test_a_checkpoint_of_another_recipe_is_refused(self, tmp_path: Path) -> None:
        self.trainer().save(tmp_path / "checkpoint.pt")
        with pytest.raises(RefusedFileError, match="of another recipe"):
            self.trainer(learning_rate=0.5).restore(tmp_path / "checkpoint.pt")

    def test_training_learns_to_widen_on_a_function_that_is_one(self) -> None:
        from baselines.agents.policies import lent_policy
        from baselines.agents.training import Recipe, Trainer

        function = _flat()
        trainer = Trainer(Recipe(steps=16384, rounds=2, environments=64, hidden=(16,)), function, [0])
        while not trainer.is_done:
            trainer.round()
        questions = HeldOutQuestions(function, np.array([0]), np.array([[130.0, 30.0]]), 200, Judge(points=2))
        with lent_policy("trained", trainer.actor) as trained:
            learned = played_by_seeds(questions, "reinforcement", {0: {"policy": trained}})
        drawn = played_by_seeds(questions, "reinforcement", {0: {"policy": "random"}}, episodes=3)
        assert learned.volume.mean() > 2 * drawn.volume.mean()
        assert trainer.curve[-1]["return"] > trainer.curve[0]["return"]

    @pytest.mark.parametrize(
        "wrong",
        [{"algorithm": "dqn"}, {"steps": 0}, {"rounds": 2000}, {"seed": -1}, {"hidden": ()}, {"learning_rate": 1.5}],
    )
    def test_a_recipe_out_of_its_limits_is_refused(self, wrong: dict[str, Any]) -> None:
        from baselines.agents.training import Recipe

        with pytest.raises(InvalidParameterError):
            replace(Recipe(steps=1000), **wrong)

    def test_the_adapter_gives_the_numbers_of_the_vector_environment(self) -> None:
        from baselines.agents.vector import VectorAdapter
        from semrob_env.envs.region_grow import RegionGrowVectorEnv

        def made() -> Any:
            return RegionGrowVectorEnv(
                "synthetic:hill?n=2", num_envs=3, budget=40, claim_points=0, autoreset_mode="SameStep"
            )

        adapter, env = VectorAdapter(made()), made()
        adapter.seed(7)
        observations, (expected, _) = adapter.reset(), env.reset(seed=[7, 8, 9])
        assert observations.tobytes() == expected.tobytes()
        for step in range(5):
            actions = np.full((3, 4), 0.1 * step)
            adapter.step_async(actions)
            observations, rewards, done, infos = adapter.step_wait()
            expected, gains, ended, _, told = env.step(actions)
            assert observations.tobytes() == expected.tobytes()
            assert rewards.tolist() == gains.astype(np.float32).tolist()
            assert done.tolist() == ended.tolist()
            for row in np.flatnonzero(done):
                assert infos[row]["terminal_observation"].tobytes() == told["final_obs"][row].tobytes()
                assert not infos[row]["TimeLimit.truncated"]
        assert len(adapter.returns) == 6  # 40 queries pay three observations
        assert adapter.get_attr("num_envs", [0, 2]) == [3, 3]
        with pytest.raises(InvalidParameterError, match="cannot be set"):
            adapter.set_attr("budget", 3)
        with pytest.raises(InvalidParameterError, match="make it with SameStep"):
            VectorAdapter(RegionGrowVectorEnv("synthetic:hill?n=2"))


def _flat() -> Any:
    from semrob_env.recorded import RecordedMaps
    from tests.recorded_maker import flat_maps

    return RecordedMaps(flat_maps({"Net/cup/0": 0.9}))


def test_a_missing_library_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from baselines.agents.training import library

    monkeypatch.setitem(__import__("sys").modules, "stable_baselines3", None)
    with pytest.raises(MissingExtraError, match=r"stable-baselines3 is not installed; pip install semrob\[agents\]"):
        library()


def test_outcomes_hold_every_question_once_and_are_exact_on_maps() -> None:
    from semrob_env.recorded import RecordedMaps

    function = RecordedMaps(wavy_maps())
    starts = np.array([[130.0, 30.0], [50.0, 20.0]])
    questions = HeldOutQuestions(function, np.array([0, 3, 5]), starts, 100, Judge(points=2))
    outcome = played_by_seeds(questions, "reinforcement", {0: {}, 1: {}}, episodes=2)
    assert outcome.volume.shape == (2, 3, 4)
    assert outcome.is_exact
    assert (outcome.queries == 96).all()
    assert (outcome.volume[~outcome.feasible] == 0).all()
    single = played_by_seeds(questions, "oir_b", {0: {}})
    assert single.volume.shape == (1, 3, 2)
    assert not np.array_equal(outcome.share[0], outcome.share[1])


def test_intervals_cover_the_mean_and_ratios_of_known_values() -> None:
    rng = np.random.default_rng(0)
    values = 0.2 + 0.02 * rng.standard_normal((8, 5, 3))
    low, high = mean_interval(values, rng)
    assert low < values.mean() < high < low + 0.03
    assert np.isnan(mean_interval(values[:1], rng)).all()
    ratio = ratio_interval(values, values[::-1] / 2, rng, with_members=False)
    wide = ratio_interval(values * np.arange(5)[:, None], values[::-1] / 2, rng, with_members=True)
    assert ratio[0] < 2 < ratio[1] < ratio[0] + 0.3
    assert wide[1] - wide[0] > ratio[1] - ratio[0]
    assert ratio_interval(values, 0 * values, rng, with_members=False) == (np.inf, np.inf)


def test_a_learning_curve_shows_seeds_bands_and_levels() -> None:
    steps, each = np.array([1.0, 2.0]), np.array([[1.0, 3.0], [2.0, 4.0]])
    curve = LearningCurve("ppo agents", steps, each.mean(axis=0), each.min(axis=0), each.max(axis=0), each)
    figure = learning_figure([curve], {"random": (1.0, 0.5, 1.5)}, title="t", y_label="volume")
    assert isinstance(figure, Figure)
    lines = figure.axes[0].get_lines()
    assert [np.asarray(line.get_ydata()).tolist() for line in lines] == [[1, 3], [2, 4], [1.5, 3.5], [1.0, 1.0]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["ppo agents", "random"]
    with pytest.raises(ShapeMismatchError, match="give 2 numbers, one a place"):
        LearningCurve("ppo agents", steps, each.mean(axis=0)[:1], each.min(axis=0), each.max(axis=0), each)
