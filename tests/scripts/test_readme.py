"""The README's blocks: examples run as they stand there, section by section, and commands have the options it names."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from baselines.agents.policies import POLICIES
from baselines.commands.program import find_command
from baselines.commands.table import NAMES
from baselines.experiments.published_rows import published_comparison, published_rows
from optimizers.registry import OPTIMIZERS
from semrob_env.files import markdown_table
from semrob_env.functions import SCHEMES
from semrob_env.parameters import PARAMETERS, SemanticSpace
from semrob_env.recorded import ScoreMaps, save_maps
from semrob_env.recorded.function import DEFAULT_FILE

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTIONS = dict(section.split("\n", 1) for section in README.split("\n## ")[1:])
BLOCKS = {title: re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL) for title, text in SECTIONS.items()}
EXAMPLES = {
    title: code for title, found in BLOCKS.items() if (code := [text for kind, text in found if kind == "python"])
}
COMMANDS = [
    line for found in BLOCKS.values() for kind, text in found if kind == "sh" for line in text.strip().splitlines()
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder with the files that the README speaks of; what examples register goes away again."""
    monkeypatch.chdir(tmp_path)
    trimesh.creation.annulus(0.4, 0.5, 1.0).export("mug.obj")
    for name in (
        "epoch_1.pth",
        "epoch_9.pth",
        "a.pth",
        "b.pth",
        "model.onnx",
        "a.onnx",
        "b.onnx",
        "scan.stl",
        "room.glb",
        "part.obj",
        "cereal.glb",
    ):
        (tmp_path / name).touch()
    (tmp_path / "my_module.py").write_text("import optimizers\noptimizers.OPTIMIZERS['cautious'] = optimizers.Naive\n")
    azimuth, elevation = np.linspace(0.0, 330.0, 12), np.linspace(-10.0, 90.0, 6)
    hill = np.clip(1 - np.abs(azimuth[:, None] - 180) / 180 - np.abs(elevation - 40) / 100, 0, 1)
    maps = ScoreMaps(
        SemanticSpace.of("azimuth,elevation"),
        (azimuth, elevation),
        np.stack([0.9 * hill, hill]).astype(np.float32),
        ("ResNet50/chair/0", "ResNet50/chair/1"),
    )
    (tmp_path / DEFAULT_FILE).parent.mkdir(parents=True)
    save_maps(maps, tmp_path / DEFAULT_FILE)
    yield tmp_path
    OPTIMIZERS.pop("cautious", None)
    SCHEMES.pop("front", None)
    POLICIES.pop("mine", None)
    sys.modules.pop("my_module", None)


def run_examples(title: str, **names: Any) -> dict[str, Any]:
    """Run a section's examples in order, and give the names that they leave."""
    for number, code in enumerate(EXAMPLES[title]):
        exec(compile(code, f"README: {title} ({number + 1})", "exec"), names)
    return names


@pytest.mark.parametrize("name", published_rows())
def test_a_table_of_a_published_comparison_is_that_of_its_rows(name: str) -> None:
    beside = (ROOT / "baselines" / "experiments" / "published" / "README.md").read_text(encoding="utf-8")
    assert markdown_table(published_comparison(name).brief()) in README + beside


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
class TestExamples:
    """One test a section."""

    def test_a_network(self) -> None:
        module = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 1000))
        title = "How robust is my network?"
        first, *_ = EXAMPLES[title]
        before: dict[str, Any] = {}
        exec(first, before)
        assert before["row"].feasible
        assert 0.05 < before["row"].share < 0.5
        left = run_examples(title, my_module=module)
        assert left["function"].values([[[130.0, 30.0]]]).shape == (1, 1)
        assert (left["row"].status, left["row"].error) == ("budget", "")

    def test_views_that_fail(self) -> None:
        left = run_examples("Which views fail?")
        assert left["found"].views[0].answers[0].name != "cup"
        assert (left["oracle"].forward_queries.tolist(), left["oracle"].gradient_queries.tolist()) == ([4], [3])
        assert left["failure"].mean < 0.3
        assert left["failure"].lower == left["failure"].upper
        assert left["blind"].feasible
        assert left["blind"].share > 0.01

    def test_a_report(self) -> None:
        left = run_examples("My network, my meshes: one report")
        found = left["found"]
        assert 0 < found.figure("certified_top1") < found.rows("shapes")[0]["top1"] < 1
        assert Path("cup.png").is_file()
        assert Path("failures.png").is_file()

    def test_a_photo(self) -> None:
        left = run_examples("On my photos?")
        assert left["row"].feasible
        assert 0.01 < left["row"].share < 1

    def test_two_networks(self) -> None:
        left = run_examples("Is the new checkpoint better?")
        assert left["found"].line().views == 64

    def test_a_data_set(self) -> None:
        left = run_examples("How do I make it more robust?")
        assert sum(left["made"].views.values()) == 80
        assert len(list(Path("data").rglob("*.png"))) == 80

    def test_counting(self) -> None:
        left = run_examples("How are queries counted?")
        assert left["oracle"].forward_queries.tolist() == [1]
        assert left["result"].status == ["budget"]
        assert left["result"].regions.share()[0] > 0.05

    def test_known_answers(self) -> None:
        left = run_examples("How far from the best region?")
        assert 0.1 < left["best"].share < 1
        assert 0.8 * left["best"].share < left["found"].share()[0] < 1.05 * left["best"].share
        assert left["profile"].shares[3] == left["best"].share

    def test_an_agent(self) -> None:
        left = run_examples("What does an agent learn?")
        assert left["agent"].num_timesteps >= 256

    def test_an_optimizer(self) -> None:
        left = run_examples("How do I write an optimizer?")
        assert OPTIMIZERS["cautious"] is left["Cautious"]

    def test_a_loop(self) -> None:
        left = run_examples("How do I let my own optimizer loop ask?")
        assert left["f"].spent <= 400
        assert left["f"].best.share()[0] > 0.01

    def test_a_scheme(self) -> None:
        run_examples("How do I plug in a renderer, a network, a shape, …?")


def test_every_section_with_examples_has_a_test() -> None:
    tested = Path(__file__).read_text(encoding="utf-8")
    assert len(EXAMPLES) >= 7
    assert all(f'"{title}"' in tested for title in EXAMPLES)


@pytest.mark.parametrize("line", COMMANDS)
@pytest.mark.usefixtures("folder")
def test_a_command_has_the_options_that_are_named(line: str) -> None:
    program, name, *arguments = shlex.split(line)
    assert program == "semrob"
    assert find_command(name).read(arguments) is not None


def test_every_command_is_named() -> None:
    assert {line.split()[1] for line in COMMANDS} == set(NAMES)


def test_the_readme_opens_with_the_two_commands() -> None:
    commands = [part.split("\n```", 1)[0] for part in README.split("```sh\n")[1:3]]
    assert [command.count("\n") for command in commands] == [0, 0]
    assert "scripts/srvr_table.py" in commands[0]
    assert "pytest" in commands[1]
    assert README.index(commands[1]) < README.index("\n## ")


def test_links_within_the_readme_lead_to_sections() -> None:
    anchors = {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in SECTIONS}
    asked = set(re.findall(r"\]\(#([^)]*)\)", README))
    assert asked
    assert asked <= anchors


def test_the_table_of_parameters_is_that_of_the_code() -> None:
    table = SECTIONS["Which parameters and conventions are there?"]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if "|" in line][2:]
    told = [(row[2].strip().replace("−", "-"), row[3].strip(), row[4].strip(), row[5].strip()) for row in rows]
    for parameter in PARAMETERS.values():
        periodic = "no" if parameter.period is None else "yes"
        row = (f"{parameter.low:g}", f"{parameter.high:g}", periodic, f"{parameter.default:g}")
        assert row in told, parameter.name
