"""A stranger's package, installed into an environment of its own: one of each thing by id, and one that is broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.slow

PACKAGES: Final = ("semrob_env", "optimizers", "baselines")

BY_ID: Final = {
    "optimizer": """
from optimizers.registry import get_optimizer
from optimizers.run import run
from semrob_env.functions import make_function
from semrob_env.oracle import QueryOracle
from semrob_env.questions import Questions
function = make_function("synthetic:plateau?n=2&seed=0")
optimizer = get_optimizer("example_sphere")(Questions(function.space, function.space.default))
assert (run(optimizer, QueryOracle(function, budget=8)).regions.volume() > 0).all()
""",
    "baseline": """
import sys
from optimizers.registry import OPTIMIZERS, get_optimizer
assert "baselines" not in sys.modules
assert {"naive", "grid", "cma_es", "example_sphere", "broken"} <= set(OPTIMIZERS.names())
assert "baselines" not in sys.modules
assert get_optimizer("grid").name == "grid"
""",
    "network": """
from semrob_env.functions import make_function
assert make_function("scene:example_net/cup/procedural:0").values([[[0.0, 0.0]]]) > 0
""",
    "network family": """
from semrob_env.functions import make_function
whole, half = (make_function(f"scene:example_zoo/{gain}/cup/procedural:0") for gain in (1.0, 0.5))
assert half.id == "scene:example_zoo/0.5/cup/procedural:0?params=azimuth,elevation"
assert abs(half.values([[[0.0, 0.0]]]) * 2 - whole.values([[[0.0, 0.0]]])) < 1e-6
""",
    "renderer": """
from semrob_env.functions import make_function
function = make_function("scene:example_net/cup/procedural:0?renderer=example_flat")
assert function.id.endswith("&renderer=example_flat")
assert abs(function.values([[[0.0, 0.0]]]) - 0.25) < 1e-6
""",
    "shape class": """
from semrob_env.functions import make_function
function = make_function("scene:example_net/teapot/procedural:3")
assert (make_function(function.id).fingerprints, function.class_indices.tolist()) == (function.fingerprints, [849])
""",
    "shape source": """
from semrob_env.functions import make_function
from semrob_env.scene.sources import list_shapes, resolve_shape
function = make_function("scene:example_net/cup/example_solids:any%20place#BOX")
assert function.id.partition("?")[0] == "scene:example_net/cup/example_solids:any%20place#box"
assert [shape.source for shape in list_shapes("example_solids:x")] == [resolve_shape("example_solids:x#box").source]
""",
    "scheme": """
from semrob_env.functions import make_function
function = make_function("complement(example_cone:0.5)")
assert abs(function.values(function.space.from_unit([[[0.5, 0.5]]])) - 0.5) < 1e-9
""",
    "environment": """
import gymnasium
for environment_id in ("example/Search-v0", "semrob/RegionGrow-v0"):
    options = {"function": "synthetic:hill?n=2&seed=0"} if "semrob" in environment_id else {}
    environment = gymnasium.make(f"semrob_env:{environment_id}", **options)
    environment.reset(seed=0)
    environment.step(environment.action_space.sample())
""",
}
"""What uses each thing by its id, in Python."""

COMMANDS: Final = [
    ["shape_gallery", "teapot:0", "example_solids:here", "--networks", "example_net,example_zoo/0.5"],
]
"""What uses things by their ids from the command line; each gets --out FOLDER."""

REGISTRIES: Final = """
import json, sys
import gymnasium
from optimizers.registry import OPTIMIZERS
from semrob_env.functions import SCHEMES
from semrob_env.scene.classifiers.names import NETWORK_FAMILIES
from semrob_env.scene.classifiers.registry import NETWORKS
from semrob_env.scene.renderers import RENDERERS
from semrob_env.scene.shapes import SHAPES
from semrob_env.scene.sources import SHAPE_SOURCES
every = (OPTIMIZERS, SCHEMES, NETWORK_FAMILIES, NETWORKS, RENDERERS, SHAPES, SHAPE_SOURCES)
print(json.dumps({own.kind: [name for name, _ in own.items()] for own in every}))
try:
    RENDERERS["broken"]
except ImportError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def python(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with copies of semrob and the plug-in; libraries are those of this one."""
    folder = tmp_path_factory.mktemp("plugins")
    sources = folder / "semrob"
    for name in PACKAGES:
        shutil.copytree(project_root / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(project_root / name, sources / name)
    shutil.copytree(project_root / "tests" / "plugin_package", folder / "example")
    venv.create(folder / "venv", symlinks=True)
    interpreter = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    asked = [str(interpreter), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
    own = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    (own / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--no-compile", "--force-reinstall"]
    packages = [str(sources), str(folder / "example")]
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(interpreter), "install", *options, *packages],
        check=True,
        timeout=600,
    )
    return interpreter


def run_python(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python), *arguments]
    return subprocess.run(command, cwd=cwd, env=own, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.parametrize("kind", BY_ID)
def test_a_plugged_in_thing_is_used_by_its_id(python: Path, tmp_path: Path, kind: str) -> None:
    done = run_python(python, "-c", BY_ID[kind], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_commands_know_what_is_plugged_in(python: Path, project_root: Path, tmp_path: Path, command: list[str]) -> None:
    script = project_root / "scripts" / f"{command[0]}.py"
    done = run_python(python, str(script), *command[1:], "--out", str(tmp_path / "out"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "teapot" in (tmp_path / "out" / "gallery.txt").read_text()
    assert "not shown" not in done.stdout


def test_a_broken_plugin_is_one_line_and_the_rest_works(python: Path, tmp_path: Path) -> None:
    done = run_python(python, "-c", REGISTRIES, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names, refused = done.stdout.splitlines()
    found = json.loads(names)
    assert not any("broken" in names for names in found.values())
    assert {"naive", "grid", "example_sphere"} <= set(found["method"])
    assert {"efficientnet_lite0", "example_net"} <= set(found["network"])
    assert refused.startswith("PluginError plug-in semrob-example: renderer 'broken' (semrob_example.broken:Nothing)")
    (warning,) = done.stderr.splitlines()
    assert "PluginWarning: plug-in semrob-example: method 'broken'" in warning
    assert "cannot be used (RuntimeError: made for another version)" in warning
