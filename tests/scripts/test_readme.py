"""The README's examples run as they stand there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from optimizers.registry import OPTIMIZERS
from semrob_env.parameters import SemanticSpace
from semrob_env.recorded import ScoreMaps, save_maps
from semrob_env.recorded.function import DEFAULT_FILE

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
SECTIONS = dict(section.split("\n", 1) for section in README.split("\n## ")[1:])
EXAMPLES = {
    title: text.split("```python\n", 1)[1].split("```", 1)[0] for title, text in SECTIONS.items() if "```python" in text
}


@pytest.mark.slow
def test_the_examples_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(EXAMPLES) == [
        "Use the oracle",
        "Grow a region",
        "Maps with known answers",
        "Write an optimizer",
        "Train an agent",
        "Plug in a Bayesian optimizer",
        "Bring your own network",
    ]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(OPTIMIZERS, "cautious", raising=False)
    trimesh.creation.annulus(0.4, 0.5, 1.0).export("mug.obj")
    maps = ScoreMaps(
        SemanticSpace.of("azimuth,elevation"),
        (np.linspace(0.0, 330.0, 12), np.linspace(-10.0, 90.0, 6)),
        np.full((2, 12, 6), 0.45, dtype=np.float32),
        ("ResNet50/chair/0", "ResNet50/chair/1"),
    )
    (tmp_path / DEFAULT_FILE).parent.mkdir(parents=True)
    save_maps(maps, tmp_path / DEFAULT_FILE)
    names: dict[str, Any] = {
        "my_module": torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 1000))
    }
    try:
        for title, code in EXAMPLES.items():
            exec(compile(code, f"README: {title}", "exec"), names)
    finally:
        OPTIMIZERS.pop("cautious", None)
    assert names["oracle"].forward_queries.tolist() == [1]
    assert names["best"].share == 1.0
    assert names["result"].status == ["budget"]
    assert 0 < names["result"].regions.share()[0] <= 1
    assert names["function"].values([[[130.0, 30.0]]]).shape == (1, 1)


def test_the_readme_opens_with_the_two_commands() -> None:
    commands = [part.split("\n```", 1)[0] for part in README.split("```sh\n")[1:3]]
    assert [command.count("\n") for command in commands] == [0, 0]
    assert "scripts/srvr_table.py" in commands[0]
    assert "pytest" in commands[1]
