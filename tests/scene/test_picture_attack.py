"""Attacks on pictures: against foolbox and a plain loop of torch, and as functions that an oracle bills in full."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch

from baselines import solve
from semrob_env import QueryOracle, Question, make_function, read_goal
from semrob_env.errors import BudgetExhausted, InvalidBudgetError, InvalidParameterError, NoGradientError
from semrob_env.functions import Complement, Frozen, Price, Stack
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.black_box import BlackBoxClassifier
from semrob_env.scene.classifiers.registry import NETWORKS
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.scene.function import SceneFunction, SceneId
from semrob_env.scene.image_function import attacked
from semrob_env.scene.picture_attack import Norm, PictureAttack
from semrob_env.scene.shapes import make_shape
from semrob_env.types import Float32Array

SIZE = 24
SPACE = SemanticSpace.of("azimuth,elevation")


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 5, stride=2), torch.nn.SiLU(), torch.nn.Flatten(), torch.nn.LazyLinear(4)
    ).eval()


def classifier() -> TorchClassifier:
    return TorchClassifier(network(), Preprocessing(SIZE).unnormalized(), name="small")


def scene(attack: PictureAttack | None, space: SemanticSpace = SPACE) -> SceneFunction:
    return SceneFunction(classifier(), [make_shape("chair", 0), make_shape("bench", 0)], [0, 1], space, attack=attack)


def pictures(count: int = 4) -> Float32Array:
    return np.random.default_rng(0).random((count, 3, SIZE, SIZE), dtype=np.float32)


def plain_loop(images: Float32Array, labels: torch.Tensor, attack: PictureAttack) -> Float32Array:
    """Textbook PGD on the cross entropy, one picture at a time."""
    length, module = min(1.0, 2.5 / attack.steps) * attack.epsilon, network()
    found = []
    for image, label in zip(torch.from_numpy(images), labels, strict=True):
        seen = image.clone()
        for _ in range(attack.steps):
            seen.requires_grad_()
            loss = torch.nn.functional.cross_entropy(module(seen[None]), label[None])
            (slope,) = torch.autograd.grad(loss, seen)
            with torch.no_grad():
                if attack.norm == "linf":
                    change = (seen + length * slope.sign() - image).clamp(-attack.epsilon, attack.epsilon)
                else:
                    change = seen + length * slope / slope.norm() - image
                    change = change * min(1.0, attack.epsilon / float(change.norm()))
                seen = (image + change).clamp(0, 1)
        found.append(seen.detach().numpy())
    return np.stack(found)


def of_the_library(images: Float32Array, labels: torch.Tensor, attack: PictureAttack) -> Float32Array:
    foolbox: Any = importlib.import_module("foolbox")
    kind = foolbox.attacks.LinfPGD if attack.norm == "linf" else foolbox.attacks.L2PGD
    made = kind(rel_stepsize=min(1.0, 2.5 / attack.steps), steps=attack.steps, random_start=False)
    model = foolbox.PyTorchModel(network(), bounds=(0, 1), device="cpu")
    _, seen, _ = made(model, torch.from_numpy(images), labels, epsilons=attack.epsilon)
    return np.asarray(seen.numpy())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what foolbox imports
@pytest.mark.parametrize(
    "way",
    [
        plain_loop,
        pytest.param(
            of_the_library,
            marks=pytest.mark.skipif(importlib.util.find_spec("foolbox") is None, reason="pip install semrob[attacks]"),
        ),
    ],
)
@pytest.mark.parametrize(
    ("norm", "epsilon", "steps"), [("linf", 4 / 255, 1), ("linf", 4 / 255, 5), ("l2", 0.5, 1), ("l2", 0.5, 4)]
)
def test_fgsm_and_pgd_end_where_others_do(way: Any, norm: Norm, epsilon: float, steps: int) -> None:
    attack, images = PictureAttack(norm, epsilon, steps), pictures()
    labels = np.array([0, 1, 2, 3])
    found = attacked(classifier(), attack, images, labels)
    expected = way(images, torch.from_numpy(labels), attack)
    np.testing.assert_allclose(found.seen, expected, atol=2e-6)
    assert (found.scores < found.clean - 1e-3).all()
    np.testing.assert_allclose(found.scores, classifier().scores(found.seen, labels), atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_what_is_found_lies_in_the_ball_and_in_the_range_of_pictures(norm: Norm) -> None:
    attack, images = PictureAttack(norm, 0.3, 7), np.round(pictures())  # black or white: the range binds
    found = attacked(classifier(), attack, images, np.zeros(4, dtype=np.int64))
    change = (found.seen - images).reshape(4, -1)
    lengths = np.abs(change).max(axis=1) if norm == "linf" else np.linalg.norm(change, axis=1)
    assert (lengths <= 0.3 * (1 + 1e-5)).all()
    assert lengths.max() > 0.1
    assert found.seen.min() >= 0
    assert found.seen.max() <= 1


def test_a_score_that_nothing_lowers_stays_and_nan_is_the_lowest() -> None:
    attack, start = PictureAttack("linf", 0.1, 3), pictures(2)
    calls: list[bool] = []

    def rises(seen: Float32Array, wants: bool) -> tuple[Any, Any]:
        calls.append(wants)
        told = np.array([0.2 + 0.1 * len(calls), np.nan if len(calls) == 2 else 0.5])
        return told, np.ones_like(seen) if wants else None

    found = attack.lowest(start, rises)
    np.testing.assert_array_equal(found.seen[0], start[0])
    assert found.scores[0] == found.clean[0] == pytest.approx(0.3)
    assert np.isnan(found.scores[1])
    assert calls == [True, True, True, False]
    assert attack.value_price == Price(4, 3)


@pytest.mark.parametrize("text", ["linf:2/255:5", "l2:0.5:1", "linf:0.25/255:10", "linf:0:5", "albedo:linf:0.1:5"])
def test_an_attack_is_spelt_in_one_way(text: str) -> None:
    assert PictureAttack.parse(text).text == text
    scene_id = SceneId.parse(f"scene:small/cup/procedural:0?params=azimuth&attack={text}")
    assert SceneId.parse(str(scene_id)) == scene_id
    assert scene_id.attack == text


@pytest.mark.parametrize(
    "text",
    ["", "linf", "linf:x", "linf:1/0", "l1:0.5", "linf:1/2/3", "linf:nan", "l2:1:0", "linf:-1", "color:linf:1/255"],
)
def test_what_is_no_attack_is_told(text: str) -> None:
    with pytest.raises(InvalidParameterError):
        PictureAttack.parse(text)


def test_the_oracle_charges_each_step_of_an_attack() -> None:
    function = scene(PictureAttack("linf", 2 / 255, 3))
    oracle = QueryOracle(function, budget=20)
    value = oracle.value([30.0, 20.0])
    assert (oracle.forward_queries.tolist(), oracle.gradient_queries.tolist()) == ([4], [3])
    assert value < scene(None).values([[[30.0, 20.0]]])[0, 0]
    oracle.value([30.0, 20.0])
    with pytest.raises(BudgetExhausted):  # 14 of 20 are spent
        oracle.value([30.0, 20.0])
    assert oracle.spent.tolist() == [14]
    for wrapped in (Complement(function), Frozen(function, "elevation", 20.0), Stack([function, function])):
        assert wrapped.value_price == Price(4, 3)
        assert wrapped.gradient_price == Price(4, 4)
    with pytest.raises(InvalidParameterError, match="one price"):
        Stack([function, scene(None)])


def test_runs_pay_for_attacks_and_plan_with_the_answers_that_they_can_buy() -> None:
    function, plain = scene(PictureAttack("linf", 2 / 255, 2)), scene(None)
    goal, start = read_goal("mean=0.1"), (200.0, 10.0)
    attacked_row = solve(Question(function.member_ids[0], start, goal, budget=100), "grid", function=function)
    row = solve(Question(plain.member_ids[0], start, goal, budget=20), "grid", function=plain)
    assert (attacked_row.forward_queries, attacked_row.gradient_queries) == (
        3 * row.forward_queries,
        2 * row.forward_queries,
    )
    assert attacked_row.judge_queries == 5 * row.judge_queries
    assert attacked_row.certificate_queries == 5 * row.certificate_queries
    slope = solve(Question(function.member_ids[0], start, goal, budget=48), "oir_w", function=function)
    assert slope.forward_queries == slope.gradient_queries
    assert slope.forward_queries % 3 == 0


def test_a_certificate_out_of_the_budget_is_paid_in_full() -> None:
    from baselines.experiments.functions import Functions
    from baselines.experiments.runner import execute
    from semrob_env.store import BUDGET, RunTask

    function = scene(PictureAttack("linf", 2 / 255, 2))
    question = Question(function.member_ids[0], (200.0, 10.0), read_goal("mean=0.1"), budget=100)
    task = RunTask(question, "box_quadrature", certificate_points=10, certify=BUDGET)
    (row,) = execute([task], Functions(given=[function]))
    assert row.certificate_queries == 50
    assert 50 < row.forward_queries + row.gradient_queries <= 100
    assert (row.forward_queries, row.gradient_queries) == (row.forward_queries, row.forward_queries // 3 * 2)
    (poor,) = execute(
        [RunTask(question, "box_quadrature", certificate_points=20, certify=BUDGET)], Functions(given=[function])
    )
    assert InvalidBudgetError.__name__ in poor.error


def test_an_attacked_score_has_the_same_bytes_alone_and_in_any_batch() -> None:
    function = scene(PictureAttack("l2", 0.3, 2))
    theta = SPACE.sample(9, np.random.default_rng(1))[:, None]
    member = np.arange(9) % 2
    values, gradients = function.values_and_gradients(theta, member)
    forward = function.values(theta, member)
    for rows in (np.array([4]), np.arange(3), np.random.default_rng(2).permutation(9)):
        assert function.values(theta[rows], member[rows]).tobytes() == forward[rows].tobytes()
        again, slopes = function.values_and_gradients(theta[rows], member[rows])
        assert again.tobytes() == values[rows].tobytes()
        assert slopes.tobytes() == gradients[rows].tobytes()
    np.testing.assert_allclose(values, forward, atol=1e-6)
    clean, plain = scene(None).values_and_gradients(theta, member)
    assert (values < clean).all()
    same, slopes = scene(PictureAttack("linf", 0.0, 2)).values_and_gradients(theta, member)
    assert (same.tobytes(), slopes.tobytes()) == (clean.tobytes(), plain.tobytes())


def test_an_attack_is_part_of_what_identifies_a_function_and_needs_a_gradient() -> None:
    attack = PictureAttack("linf", 2 / 255, 3)
    assert scene(attack).fingerprints[0]["attack"] == "linf:2/255:3"
    assert "attack" not in scene(None).fingerprints[0]

    def flat(shown: Float32Array) -> Float32Array:
        return np.full((len(shown), 2), 0.5, dtype=np.float32)

    blind = BlackBoxClassifier(flat, labels=2, size=SIZE, name="flat")
    with pytest.raises(NoGradientError):
        SceneFunction(blind, [make_shape("bench", 0)], [0], SPACE, attack=attack)


def test_games_refuse_values_that_cost_more_than_a_query() -> None:
    from semrob_env.envs.point_search import PointSearchEnv

    with pytest.raises(InvalidParameterError, match="costs 7 queries"):
        PointSearchEnv(scene(PictureAttack("linf", 2 / 255, 3)))


def test_an_id_with_an_attack_makes_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "small", lambda unnormalized, size: classifier())
    plain = "scene:small/cup/procedural:3?params=azimuth,elevation&label=1"
    function = make_function(f"{plain}&attack=linf:0.5/255:2")
    assert function.id == f"{plain}&attack=linf:0.5/255:2"
    theta = [[[200.0, 10.0]]]
    assert function.values(theta)[0, 0] < make_function(plain).values(theta)[0, 0]
