"""The shape of the house: imports go one way, light rooms stay light, a method has its file."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("semrob_env", "optimizers", "baselines", "scripts")
"""From the bottom to the top: each may import itself and those before it."""

LEVELS = {
    **dict.fromkeys(
        (
            "checks",
            "compiled",
            "containment",
            "environments",
            "processes",
            "errors",
            "lazy",
            "types",
            "files",
            "registry",
            "sequences",
        ),
        0,
    ),
    "parameters": 1,
    "regions": 2,
    "functions": 3,
    "questions": 3,
    **dict.fromkeys(("scene", "recorded", "synthetic"), 4),
    "oracle": 5,
    **dict.fromkeys(("metrics", "ground_truth", "store"), 6),
    **dict.fromkeys(("envs", "plotting", "maps", "tables"), 7),
}
"""Rooms of semrob_env: each may import rooms of its own level and below."""

HEAVY = {"torch", "torchvision", "numba", "openvino", "trimesh", "matplotlib", "gymnasium"}
"""What work on recorded and synthetic functions must not load."""

LIGHT_ROOMS = [room for room, level in LEVELS.items() if level <= 6 and room != "scene"]


def modules() -> dict[str, Path]:
    """Every module of the four packages by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported_names(path: Path, module: str) -> Iterator[str]:
    """Dotted names that a file imports, at any depth in it; `from a import b` gives both a and a.b."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


@cache
def edges() -> list[tuple[str, str]]:
    """(importing module, imported module) within the house, the imported one as exact as it can be told."""
    known = modules()
    found = set()
    for module, path in known.items():
        names = {name for name in imported_names(path, module) if name.split(".")[0] in PACKAGES}
        submodules = {name for name in names if name in known}
        for name in submodules:
            # `from package import module` is about the module, not about all of the package.
            if not any(other.startswith(f"{name}.") for other in submodules):
                found.add((module, name))
    return sorted(found)


def room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "semrob_env" and len(parts) > 1 else None


def test_the_walk_sees_imports() -> None:
    assert ("semrob_env.oracle", "semrob_env.functions") in edges()
    assert ("optimizers.run", "optimizers.base") in edges()


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_downwards_only(package: str) -> None:
    allowed = PACKAGES[: PACKAGES.index(package) + 1]
    wrong = [edge for edge in edges() if edge[0].split(".")[0] == package and edge[1].split(".")[0] not in allowed]
    assert not wrong, f"{package} may import {allowed} only"


def test_every_room_of_semrob_env_has_a_level() -> None:
    rooms = {room(module) for module in modules()} - {None}
    assert rooms <= LEVELS.keys(), "a new room: give it a level in LEVELS, as low as it goes"


def test_rooms_of_semrob_env_import_downwards_only() -> None:
    wrong = []
    for source, target in edges():
        above, below = room(source), room(target)
        if target == "semrob_env" or (above and below and LEVELS[below] > LEVELS[above]):
            wrong.append((source, target))
    assert not wrong


def test_no_two_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in modules()}
    for source, target in edges():
        graph[source].add(target)
    while True:  # take away what imports nothing that is left; what stays is a circle
        done = {module for module, targets in graph.items() if not targets & graph.keys()}
        if not done:
            break
        graph = {module: targets for module, targets in graph.items() if module not in done}
    assert not graph


def loaded_after(code: str) -> set[str]:
    """Top-level packages loaded in a fresh interpreter after the code."""
    command = [sys.executable, "-c", f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    return {name.split(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize("chosen", [name for name in LIGHT_ROOMS if f"semrob_env.{name}" in modules()])
def test_a_light_room_loads_nothing_heavy(chosen: str) -> None:
    loaded = loaded_after(f"import semrob_env.{chosen}")
    assert "semrob_env" in loaded
    assert not loaded & HEAVY


def test_front_doors_load_next_to_nothing() -> None:
    plain = loaded_after("import importlib.util, typing")
    assert loaded_after("import semrob_env, baselines; dir(semrob_env)") - plain == {"semrob_env", "baselines"}
    loaded = loaded_after("import optimizers")
    assert not loaded & (HEAVY | {"scipy", "baselines"})


def test_the_store_needs_numpy_and_the_standard_library_only() -> None:
    loaded = loaded_after("import semrob_env.store")
    allowed = {*sys.stdlib_module_names, "numpy", "semrob_env"}
    ours = loaded_after("import numpy")  # what the interpreter itself brings along
    assert not {name for name in loaded - allowed - ours if not name.startswith("_")}


def test_optimizing_a_synthetic_function_loads_nothing_heavy() -> None:
    loaded = loaded_after(
        "import optimizers\n"
        "from semrob_env.functions import make_function\n"
        "function = make_function('synthetic:plateau?n=2&seed=0')\n"
        "function.values([[function.space.default]])"
    )
    assert "optimizers" in loaded
    assert not loaded & HEAVY


def test_a_method_has_a_file_of_its_own() -> None:
    methods = 0
    for path in sorted((ROOT / "optimizers").glob("*.py")):
        registered = sum(
            any(isinstance(decorator, ast.Name) and decorator.id == "register" for decorator in node.decorator_list)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ClassDef)
        )
        methods += registered
        assert registered <= 1, f"{path.name} holds {registered} methods; give each its file"
    assert methods >= 5
