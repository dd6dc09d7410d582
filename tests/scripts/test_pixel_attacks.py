"""The command pixel_attacks: bills that add up, a repeat that asks nothing, pictures, and bad input."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from baselines.commands import pixel_attacks
from baselines.commands.program import BAD_INPUT, run_command
from baselines.experiments.view_attacks import AttackedViews, both_attacks, semantic_attacks
from baselines.experiments.view_attacks import pixel_attacks as attacked_views
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.scene.function import SceneId
from semrob_env.scene.picture_attack import PictureAttack

SMALL = [
    "toilet:0",
    "--networks",
    "tiny",
    "--views",
    "6",
    "--epsilons",
    "0,1,8",
    "--steps",
    "2",
    "--region-answers",
    "10",
]
SMALL += ["--attacks", "linf:1/255:1,l2:0.5:3,albedo:linf:0.2:2", "--budget", "9", "--starts", "azimuth=200"]
SMALL += ["--judge-points", "4", "--certificate-points", "4", "--level", "1e-3", "--goal", "mean=1e-3"]


def views(level: float = 1e-3) -> AttackedViews:
    return AttackedViews.drawn(SceneId("tiny", "toilet", "procedural:0"), 12, level=level)


def test_attacks_on_views_are_billed_for_right_ones_alone(tiny: str) -> None:
    del tiny
    drawn = views()
    count = len(drawn.right)
    assert 0 < count <= 12
    found = attacked_views(drawn, PictureAttack("linf", 8 / 255, 3))
    assert (found.views, found.forward_queries, found.gradient_queries) == (count, 4 * count, 3 * count)
    assert found.mean_score < drawn.scores[drawn.scores >= drawn.level].mean()
    moved = semantic_attacks(drawn, "random_attack", 0.05, 9)
    assert (moved.forward_queries, moved.gradient_queries) == (9 * count, 0)
    both = both_attacks(drawn, "random_attack", 0.05, 9, 8 / 255)
    assert (both.forward_queries, both.gradient_queries) == (7 * count, 2 * count)
    assert both.mean_score < moved.mean_score
    none = attacked_views(views(level=1.0), PictureAttack())
    assert (none.views, none.broken, none.forward_queries) == (0, 0, 0)
    assert np.isnan(none.mean_score)


@pytest.mark.slow
def test_a_run_writes_its_tables_and_a_repeat_asks_no_network_for_them(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    del tiny
    out = tmp_path / "out"
    assert run_command(pixel_attacks.main, [*SMALL, "--out", str(out)]) == 0
    curve = list(csv.DictReader((out / "curve.csv").read_text().splitlines()))
    assert [row["epsilon_255"] for row in curve] == ["0.0", "1.0", "8.0"]
    shares = [float(row["right_share"]) for row in curve]
    assert shares[0] >= shares[1] >= shares[2]
    for row, price in zip(curve, ((1, 0), (3, 2), (3, 2)), strict=True):
        asked = int(row["forward_queries"]) // price[0]
        assert (int(row["forward_queries"]), int(row["gradient_queries"])) == (price[0] * asked, price[1] * asked)
        assert 0 < asked <= 10
        assert int(row["judge_queries"]) == 8 * sum(price)
    rows = {row["attack"]: row for row in csv.DictReader((out / "attacks.csv").read_text().splitlines())}
    assert list(rows) == ["semantic", "linf:1/255:1", "l2:0.5:3", "albedo:linf:0.2:2", "both"]
    for name in ("attacks.md", "curve.png", "views.png", "regions.csv", "runs.sqlite", "views.json"):
        assert (out / name).stat().st_size > 0
    before = {name: (out / name).read_bytes() for name in ("attacks.md", "attacks.csv", "curve.csv", "views.json")}
    asked_slopes = []
    answer = TorchClassifier._scores_and_gradients

    def counting(self: TorchClassifier, *given: object) -> object:
        asked_slopes.append(len(given[0]))  # type: ignore[arg-type]
        return answer(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(TorchClassifier, "_scores_and_gradients", counting)
    assert run_command(pixel_attacks.main, [*SMALL, "--out", str(out)]) == 0
    assert sum(asked_slopes) == 1 + 3 + 2  # those of the one view in the picture
    assert {name: (out / name).read_bytes() for name in before} == before
    capsys.readouterr()


@pytest.mark.parametrize(
    "wrong",
    [
        ["--attacks", "linf"],
        ["--semantic", "oir_b"],
        ["--methods", "fgsm"],
        ["--epsilons", "1,0"],
        ["--epsilons=-1,0"],
        ["--radius", "2"],
        ["--budget", "4"],
        ["--starts", "lowest"],
    ],
)
def test_bad_input_is_one_line(wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(pixel_attacks.main, ["cup:0", *wrong, "--out", str(tmp_path / "out")]) == BAD_INPUT
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()
