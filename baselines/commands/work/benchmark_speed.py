"""Times each stage of the score function, and with --overhead a step of each method."""

import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from baselines.commands.benchmark_speed import BenchmarkSpeedOptions
from baselines.commands.shared.networks import introduce
from baselines.commands.shared.terminal import Bundle, Console, digits_table, interleaved, progress_bar
from baselines.experiments.costs import PLANNED_BUDGET
from optimizers.registry import OPTIMIZERS
from semrob_env.errors import MissingExtraError
from semrob_env.functions import CallableFunction
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.questions import Questions
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.scene.function import SceneFunction, make_scene_function
from semrob_env.scene.mesh import Mesh, normalize
from semrob_env.scene.shading import Shading
from semrob_env.scene.surface import Surface, Texture
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
BATCH = 32  # views a call
GOAL_MS = 0.2  # that a step of the paper's methods may take besides f, at n = 2

AROUND, TEXELS = (72, 142), 512
"""Sides around the made meshes, for 5,000 and 20,000 faces, and those of their texture."""

TRAJECTORIES, STEPS, MOST_SECONDS = (1, 64), 100, 3.0
"""Trajectories of the overhead's batches, steps that medians are over, and when a slow method stops short of them; one
that takes as long in all is not repeated."""


def run(options: BenchmarkSpeedOptions, console: Console) -> None:
    bundle = Bundle(options.out, console)
    if options.surfaces:
        bundle.rows("surfaces.csv", measured_surfaces(options, console))
        bundle.close()
        return
    if not options.overhead:
        bundle.rows("stages.csv", measured_stages(options, console))
    overhead = optimizer_overhead(options.repeats)
    title = f"milliseconds a step besides f at n = 2, for all B trajectories; goal of the paper's methods: {GOAL_MS:g}"
    report(console, title, overhead)
    bundle.rows("overhead.csv", overhead)
    bundle.close()


def measured_stages(options: BenchmarkSpeedOptions, console: Console) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    scenes = options.scenes(options.selected(), options.params, options)
    introduce(console, dict.fromkeys(map(str, scenes)))
    with progress_bar(console, "shapes") as progress:
        for scene in progress.track(scenes, description="stages"):
            function = make_scene_function(str(scene))
            theta = function.space.sample(BATCH, np.random.default_rng(options.seed))
            faces = len(function.meshes[0].faces)
            head = {"network": scene.network, "shape": f"{scene.class_name}/{scene.source}", "faces": faces}
            rows.append(head | stages(function, theta, options.repeats, with_gradients=options.gradients))
    report(console, f"batches of {BATCH} views, milliseconds a view and ratios", rows)
    return rows


def stages(function: SceneFunction, theta: FloatArray, repeats: int, *, with_gradients: bool) -> dict[str, float]:
    """Milliseconds a view of each stage, and ratios of medians over repeats taken in turn."""
    classifier, renderer, mesh = function.classifier, function.renderer, function.meshes[0]
    scenes, classes = function.scenes(theta), np.full(len(theta), function.class_indices[0])
    images = renderer.render(mesh, scenes)
    steps: dict[str, Callable[[], object]] = {
        "render": lambda: renderer.render(mesh, scenes),
        "classify": lambda: classifier.scores(images, classes),
        "f": lambda: function.values(theta[None]),
    }
    if with_gradients:
        steps["render_derivatives"] = lambda: renderer.render_with_derivatives(mesh, scenes, function.space.names)
        steps["classify_gradients"] = lambda: classifier.scores_and_gradients(images, classes)
        steps["f_gradients"] = lambda: function.values_and_gradients(theta[None])
        if isinstance(classifier, TorchClassifier):
            by_torch = TorchClassifier(
                classifier.module, classifier.preprocessing, name="torch", backend="torch", weights_digest=""
            )
            steps["torch_classify"] = lambda: by_torch.scores(images, classes)
            steps["torch_gradients"] = lambda: by_torch.scores_and_gradients(images, classes)
    times = interleaved(steps, repeats)
    ratios = {
        "f_throughput_of_classify": ("classify", "f"),
        "derivatives_of_render": ("render_derivatives", "render"),
        "gradients_of_classify": ("classify_gradients", "classify"),
        "gradients_of_f": ("f_gradients", "f"),
        "torch_of_openvino_values": ("torch_classify", "classify"),
        "torch_of_openvino_gradients": ("torch_gradients", "classify_gradients"),
    }
    return {name: 1e3 * times.median(name) / len(theta) for name in times} | {
        name: times.ratio(above, below) for name, (above, below) in ratios.items() if above in times
    }


def measured_surfaces(options: BenchmarkSpeedOptions, console: Console) -> list[dict[str, Any]]:
    """A row for each made mesh: processor milliseconds a view, and ratios of medians over repeats taken in turn."""
    rows: list[dict[str, Any]] = []
    space = SemanticSpace.of(options.params)
    theta = space.sample(BATCH, np.random.default_rng(options.seed))
    for spec in options.specs():
        classifier = spec.load()
        for around in AROUND:
            textured = bumpy_ball(around)
            flat = Mesh(textured.vertices, textured.faces)
            looks = {"flat": flat, "textured": Shading("smooth").on(textured)}
            functions = {look: SceneFunction(classifier, [mesh], [0], space) for look, mesh in looks.items()}
            steps: dict[str, Callable[[], object]] = {}
            for look, function in functions.items():
                steps[f"render_{look}"] = partial(function.renderer.render, looks[look], function.scenes(theta))
                steps[f"f_{look}"] = partial(function.values, theta[None])
            scenes = functions["textured"].scenes(theta)
            images = functions["textured"].renderer.render(looks["textured"], scenes)
            steps["classify"] = partial(classifier.scores, images, np.zeros(len(theta), dtype=np.int64))
            times = interleaved(steps, options.repeats, time.process_time)
            row: dict[str, Any] = {"network": str(spec), "faces": len(flat.faces)}
            row |= {name: 1e3 * times.median(name) / len(theta) for name in times}
            row["textured_of_flat"] = times.ratio("render_textured", "render_flat")
            row |= {f"f_throughput_{look}": times.ratio("classify", f"f_{look}") for look in looks}
            rows.append(row)
    report(console, f"batches of {BATCH} views, processor milliseconds a view and ratios", rows)
    return rows


def bumpy_ball(around: int) -> Mesh:
    """A textured ball of around x around faces with bumps, as a scan has them."""
    rings = around // 2
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings + 1)
    longitude = np.arange(around) * (2 * np.pi / around)
    height, turn = np.meshgrid(np.sin(latitude), longitude, indexing="ij")
    radius = np.sqrt(1 - height**2)
    points = np.stack([radius * np.cos(turn), height, radius * np.sin(turn)], axis=-1).reshape(-1, 3)
    random = np.random.default_rng(0)
    waves, phases = random.normal(0, 4, (8, 3)), random.uniform(0, 2 * np.pi, 8)
    points *= 1 + 0.06 * np.cos(points @ waves.T + phases).sum(axis=1, keepdims=True)

    ring, step = (part.reshape(-1, 1) for part in np.meshgrid(np.arange(rings), np.arange(around), indexing="ij"))
    up, right = np.array([0, 1, 0, 0, 1, 1]), np.array([0, 1, 1, 0, 0, 1])
    faces = ((ring + up) * around + (step + right) % around).reshape(-1, 3)
    places = np.stack([(step + right) / around, (ring + up) / rings], axis=-1).reshape(-1, 3, 2)

    y, x = np.mgrid[:TEXELS, :TEXELS] / TEXELS
    shades = [np.sin(40 * x), np.cos(30 * y + 9 * x), np.sin(50 * x * y), np.ones_like(x)]
    texture = Texture(np.uint8(127.5 + 127.5 * np.stack(shades, axis=-1)))
    surface = Surface(np.zeros(len(faces), dtype=np.int32), (texture,), places.astype(np.float32))
    return normalize(Mesh(points, faces.astype(np.int32), surface=surface))


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
    starts = np.repeat([SPACE.point("azimuth=130,elevation=30")], count, axis=0)
    optimizer = OPTIMIZERS[name](Questions(SPACE, starts, budget=PLANNED_BUDGET))
    oracle = QueryOracle(function, trajectories=count)
    alone, together = list[float](), list[float]()
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
    first, *names = rows[0]
    summary = [
        {first: label}
        | {name: pick([row[name] for row in rows]) if isinstance(rows[0][name], float) else "" for name in names}
        for label, pick in (("median", np.median), ("lowest", np.min), ("highest", np.max))
    ]
    console.say(f"{title}\n\n{digits_table([*rows, *(summary if len(rows) > 1 else [])])}")
