"""Measure each stage of the live score function, and f itself, as ratios taken side by side in one run.

Examples:
  python scripts/benchmark_speed.py
  python scripts/benchmark_speed.py --meshes FOLDER --gradients

For every mesh: milliseconds a view of the renderer, of the classifier alone (on pictures drawn before) and of
f = render + classify, in batches of 32 views; then the throughput of f over that of the classifier alone. Times vary
between machines and runs, ratios much less: each is the median over repeats in which both sides are timed in turn.
--gradients adds the derivative pictures, the classifier's gradient and values with gradients, each as a multiple
of its plain counterpart, and torch beside OpenVINO. The last table is the overhead of oracle and optimizers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import optimizers  # noqa: F401  (fills the registry)
from optimizers.registry import OPTIMIZERS
from optimizers.run import run
from semrob_env.cli import ArgumentParser, make_console, positive, progress_bar, run_script
from semrob_env.errors import InvalidMeshError
from semrob_env.files import csv_text, output_folder, write_whole
from semrob_env.functions import CallableFunction
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.classes import class_index
from semrob_env.scene.classifiers.registry import load_network
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.mesh import SUFFIXES, Mesh, load_mesh, normalize
from semrob_env.scene.shapes import SHAPES, make_shape
from semrob_env.types import FloatArray

BATCH = 32
"""Views a call."""

SPACE = SemanticSpace.of("azimuth,elevation")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read arguments, measure, print and write the tables."""
    options = parser().parse_args(arguments)
    console = make_console()
    repeats = positive(options.repeats, "--repeats")
    folder = output_folder(options.out)
    classifier = load_network(options.network)
    meshes = find_meshes(options.meshes) if options.meshes else procedural_meshes()
    theta = SPACE.sample(BATCH, np.random.default_rng(0))
    rows = []
    with progress_bar(console, "meshes") as progress:
        bar = progress.add_task(options.network, total=len(meshes))
        for mesh in meshes:
            function = SceneFunction(classifier, [mesh], [class_index("cup")], SPACE)
            rows.append({"mesh": mesh.name, "faces": len(mesh.faces), **stages(function, theta, repeats, options)})
            progress.advance(bar)
    report(console, f"{options.network}, batches of {BATCH} views, milliseconds a view and ratios", rows)
    write_whole(folder / "stages.csv", csv_text(rows))
    overhead = optimizer_overhead(repeats)
    report(console, "beyond f: microseconds a step at n = 2, B = 1 (ask, charge, tell; f is a constant)", overhead)
    write_whole(folder / "overhead.csv", csv_text(overhead))
    console.print(f"wrote stages.csv and overhead.csv to {folder}")


def parser() -> ArgumentParser:
    """The command line."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    made = ArgumentParser(head, tail)
    made.add_argument("--network", help="network by name", default="efficientnet_lite0")
    made.add_argument("--meshes", help="folder searched for mesh files; default: the procedural shapes", default="")
    made.add_argument("--repeats", type=int, help="repeats that medians are taken over", default=7)
    made.add_argument("--gradients", action="store_true", help="time derivatives and gradients as well")
    made.add_argument("--out", help="output folder", default="results/speed")
    return made


def find_meshes(folder: str) -> list[Mesh]:
    """Every mesh file below a folder, normalised.

    Raises:
        InvalidMeshError: There is none, or one cannot be used.
    """
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InvalidMeshError(f"{folder}: no mesh file ({' '.join(SUFFIXES)}) below it; give another --meshes folder")
    return [normalize(load_mesh(path)) for path in paths]


def procedural_meshes() -> list[Mesh]:
    """Two shapes of every procedural class."""
    return [make_shape(name, number) for name in SHAPES for number in (0, 1)]


def stages(function: SceneFunction, theta: FloatArray, repeats: int, options: Any) -> dict[str, float]:
    """Milliseconds a view of each stage, and ratios of medians over repeats taken in turn."""
    classifier, renderer, mesh = function.classifier, function.renderer, function.meshes[0]
    scenes, classes = function.scenes(theta), np.full(len(theta), function.class_indices[0])
    pictures = renderer.render(mesh, scenes)
    steps: dict[str, Callable[[], object]] = {
        "render": lambda: renderer.render(mesh, scenes),
        "classify": lambda: classifier.scores(pictures, classes),
        "f": lambda: function.values(theta[None]),
    }
    if options.gradients:
        by_torch = None
        if isinstance(classifier, TorchClassifier):
            by_torch = TorchClassifier(
                classifier.module, classifier.preprocessing, name="torch", backend="torch", weights_digest=""
            )
        steps["render_derivatives"] = lambda: renderer.render_with_derivatives(mesh, scenes, SPACE.names)
        steps["classify_gradients"] = lambda: classifier.scores_and_gradients(pictures, classes)
        steps["f_gradients"] = lambda: function.values_and_gradients(theta[None])
        if by_torch is not None:
            torch_classifier = by_torch
            steps["torch_classify"] = lambda: torch_classifier.scores(pictures, classes)
            steps["torch_gradients"] = lambda: torch_classifier.scores_and_gradients(pictures, classes)
    times = interleaved(steps, repeats)
    result = {name: 1e3 * float(np.median(taken)) / len(theta) for name, taken in times.items()}
    ratio = {"f_throughput_of_classify": float(np.median(times["classify"] / times["f"]))}
    for name, (above, below) in {
        "derivatives_of_render": ("render_derivatives", "render"),
        "gradients_of_classify": ("classify_gradients", "classify"),
        "gradients_of_f": ("f_gradients", "f"),
        "torch_of_openvino_values": ("torch_classify", "classify"),
        "torch_of_openvino_gradients": ("torch_gradients", "classify_gradients"),
    }.items():
        if above in times:
            ratio[name] = float(np.median(times[above] / times[below]))
    return result | ratio


def interleaved(steps: dict[str, Callable[[], object]], repeats: int) -> dict[str, FloatArray]:
    """Seconds (repeats,) of each step; every repeat times all of them in turn, after one untimed call."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if repeat:
                times[name].append(time.perf_counter() - started)
    return {name: np.array(taken) for name, taken in times.items()}


def optimizer_overhead(repeats: int) -> list[dict[str, Any]]:
    """Time of a whole step of each method on a function that costs next to nothing."""
    function = CallableFunction(
        SPACE, lambda theta: np.full(len(theta), 0.5), gradients=lambda theta: np.zeros_like(theta)
    )
    rows = []
    for name, method in OPTIMIZERS.items():
        taken = []
        for _ in range(repeats):
            optimizer = method(SPACE, SPACE.point("azimuth=130,elevation=30"))
            started = time.perf_counter()
            result = run(optimizer, QueryOracle(function), max_steps=100)
            taken.append((time.perf_counter() - started) / max(1, int(result.steps[0])))
        rows.append({"method": name, "microseconds_a_step": 1e6 * float(np.median(taken))})
    return rows


def report(console: Console, title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows, with the median and the worst of each number below where there are several."""
    table = Table(title=title)
    for name in rows[0]:
        table.add_column(name.replace("_", "\n"), justify="right")
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    if len(rows) > 1:
        numbers = {name: [row[name] for row in rows] for name, value in rows[0].items() if isinstance(value, float)}
        table.add_section()
        for label, pick in (("median", np.median), ("lowest", np.min), ("highest", np.max)):
            first = next(iter(rows[0]))
            shown = (
                label if name == first else f"{pick(numbers[name]):.3g}" if name in numbers else "" for name in rows[0]
            )
            table.add_row(*shown, style="bold")
    console.print(table)


if __name__ == "__main__":
    sys.exit(run_script(main))
