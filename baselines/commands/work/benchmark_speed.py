"""Measure each stage of the live score function, and f itself, as ratios taken side by side in one run.

Examples:
  python scripts/benchmark_speed.py
  python scripts/benchmark_speed.py --meshes FOLDER --gradients
  python scripts/benchmark_speed.py --overhead

For every mesh: milliseconds a view of the renderer, of the classifier alone (on pictures drawn before) and of
f = render + classify, in batches of 32 views; then the throughput of f over that of the classifier alone. Times vary
between machines and runs, ratios much less: each is the median over repeats in which both sides are timed in turn.
--gradients adds the derivative pictures, the classifier's gradient and values with gradients, each as a multiple
of its plain counterpart, and torch beside OpenVINO.

The last table, with --overhead the only one, is what a step of every registered method takes besides f, at n = 2: the
optimizer alone (ask and tell), and with the oracle, for one trajectory and for 64. Methods take turns, so all medians
are of one run; the goal for the paper's methods is 0.2 ms.
"""

from __future__ import annotations

import itertools
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from semrob_env.cli import ArgumentParser, make_console, positive, progress_bar, run_script

import baselines  # noqa: F401  (fills the registry)
import optimizers  # noqa: F401  (fills the registry)
from optimizers.registry import OPTIMIZERS
from semrob_env.errors import InvalidMeshError, MissingExtraError
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

GOAL_MS = 0.2
"""Milliseconds that a step of the paper's methods may take besides f, at n = 2."""

TRAJECTORIES, STEPS, MOST_SECONDS = (1, 64), 100, 3.0
"""Trajectories of the overhead's batches, steps that medians are over, and when a slow method stops short of them; one
that takes as long in all is not repeated."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read arguments, measure, print and write the tables."""
    options = parser().parse_args(arguments)
    console = make_console()
    repeats = positive(options.repeats, "--repeats")
    folder = output_folder(options.out)
    written = ["overhead.csv"] if options.overhead else ["stages.csv", "overhead.csv"]
    if not options.overhead:
        write_whole(folder / "stages.csv", csv_text(measured_stages(options, repeats, console)))
    overhead = optimizer_overhead(repeats)
    title = f"milliseconds a step besides f at n = 2, for all B trajectories; goal of the paper's methods: {GOAL_MS:g}"
    report(console, title, overhead)
    write_whole(folder / "overhead.csv", csv_text(overhead))
    console.print(f"wrote {' and '.join(written)} to {folder}")


def measured_stages(options: Namespace, repeats: int, console: Console) -> list[dict[str, Any]]:
    """Rows of the stages of f, printed."""
    classifier = load_network(options.network)
    meshes = find_meshes(options.meshes) if options.meshes else procedural_meshes()
    theta = SPACE.sample(BATCH, np.random.default_rng(0))
    rows: list[dict[str, Any]] = []
    with progress_bar(console, "meshes") as progress:
        bar = progress.add_task(options.network, total=len(meshes))
        for mesh in meshes:
            function = SceneFunction(classifier, [mesh], [class_index("cup")], SPACE)
            rows.append({"mesh": mesh.name, "faces": len(mesh.faces), **stages(function, theta, repeats, options)})
            progress.advance(bar)
    report(console, f"{options.network}, batches of {BATCH} views, milliseconds a view and ratios", rows)
    return rows


def parser() -> ArgumentParser:
    """The command line."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    made = ArgumentParser(head, tail)
    made.add_argument("--network", help="network by name", default="efficientnet_lite0")
    made.add_argument("--meshes", help="folder searched for mesh files; default: the procedural shapes", default="")
    made.add_argument("--repeats", type=int, help="repeats that medians are taken over", default=7)
    made.add_argument("--gradients", action="store_true", help="time derivatives and gradients as well")
    made.add_argument("--overhead", action="store_true", help="only the overhead of oracle and optimizers")
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
    """What a step of each method takes besides f, which is a constant here: medians over steps, then over repeats."""
    function = CallableFunction(
        SPACE, lambda theta: np.full(len(theta), 0.5), gradients=lambda theta: np.zeros_like(theta)
    )
    taken: dict[tuple[str, int], list[tuple[float, float]]] = {}
    spent: dict[tuple[str, int], float] = {}
    for _, count, name in itertools.product(range(repeats), TRAJECTORIES, OPTIMIZERS):
        if spent.get((name, count), 0.0) > MOST_SECONDS:
            continue
        started = time.perf_counter()
        try:
            times = step_times(name, count, function)
        except MissingExtraError:
            times = float("nan"), float("nan")
        taken.setdefault((name, count), []).append(times)
        spent[name, count] = spent.get((name, count), 0.0) + time.perf_counter() - started
    rows = []
    for name in OPTIMIZERS:
        row: dict[str, Any] = {"method": name}
        for count in TRAJECTORIES:
            alone, together = (1e3 * float(np.median(column)) for column in zip(*taken[name, count], strict=True))
            row |= {f"optimizer_B={count}": alone, f"with_oracle_B={count}": together}
        rows.append(row)
    return rows


def step_times(name: str, count: int, function: CallableFunction) -> tuple[float, float]:
    """Median seconds of ask and tell, and of a whole step, over the steps of a run; f itself is in the latter."""
    optimizer = OPTIMIZERS[name](SPACE, np.repeat([SPACE.point("azimuth=130,elevation=30")], count, axis=0))
    oracle = QueryOracle(function, trajectories=count)
    alone: list[float] = []
    together: list[float] = []
    started = time.perf_counter()
    while optimizer.running.any() and len(alone) < STEPS and time.perf_counter() - started < MOST_SECONDS:
        begun = time.perf_counter()
        queries = optimizer.ask()
        asked = time.perf_counter()
        answers = oracle.query(queries)
        answered = time.perf_counter()
        optimizer.tell(answers)
        ended = time.perf_counter()
        alone.append(ended - begun - (answered - asked))
        together.append(ended - begun)
    return float(np.median(alone)), float(np.median(together))


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
