"""Times replays on maps, and queries one by one and in batches, beside a plain loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from baselines.commands.benchmark_recorded import BenchmarkRecordedOptions
from baselines.commands.shared.terminal import Bundle, Console, digits_table, interleaved, progress_bar
from optimizers.corner_method import LEAST_SHARE, START_HALF_WIDTH, settings_of_form
from optimizers.registry import get_optimizer
from optimizers.run import RunResult
from optimizers.run import run as run_optimizer
from semrob_env.errors import InvalidParameterError
from semrob_env.oracle import Queries, QueryOracle
from semrob_env.parameters import SemanticSpace, paper_starts
from semrob_env.questions import Questions
from semrob_env.recorded import RecordedMaps, load_maps
from semrob_env.regions import Regions, corner_masks
from semrob_env.scene.classifiers.names import parts_of
from semrob_env.types import Float32Array, FloatArray, IntArray

SPACE = SemanticSpace.of("azimuth,elevation")  # of the plain loop
STEPS = 600  # of the released runs


Score = Callable[[FloatArray], float]
Bounds = tuple[FloatArray, FloatArray]
"""Or their slopes, lower and upper (2,)."""


def run(options: BenchmarkRecordedOptions, console: Console) -> None:
    unknown = [name for name in options.methods if name not in DIRECTIONS]
    if unknown:
        raise InvalidParameterError(f"no plain loop for {unknown[0]!r}; there is one for {', '.join(DIRECTIONS)}")
    maps = load_maps(options.maps)
    if maps.space != SPACE:
        raise InvalidParameterError(f"{options.maps} is over {', '.join(maps.space.names)}, not azimuth, elevation")
    bundle = Bundle(options.out, console)
    plan = Replays.of(RecordedMaps(maps), options.shapes)
    with progress_bar(console, "measurements") as progress:
        bar = progress.add_task("replays", total=len(options.methods) * options.repeats + 1)
        replays = [
            replay_line(plan, name, options.repeats, options.reference_runs, lambda: progress.advance(bar))
            for name in options.methods
        ]
        queries = query_lines(plan.function, options.repeats)
        progress.advance(bar)
    console.say(f"{digits_table(replays)}\n\n{digits_table(queries)}")
    bundle.rows("replays.csv", replays)
    bundle.rows("queries.csv", queries)
    bundle.close()


@final
@dataclass(frozen=True, eq=False)
class Replays:
    """B runs on maps: the function, and start (B, 2) and member (B,) of each."""

    function: RecordedMaps
    start: FloatArray
    member: IntArray

    @classmethod
    def of(cls, function: RecordedMaps, shapes: int) -> Replays:
        """Every network, `shapes` shapes of it, the paper's start points."""
        by_network: dict[str, list[int]] = {}
        for member, name in enumerate(function.maps.names):
            by_network.setdefault(parts_of(name)[0], []).append(member)
        members = np.array([own[shape % len(own)] for own in by_network.values() for shape in range(shapes)])
        starts = paper_starts(function.space)
        return cls(function, np.tile(starts, (len(members), 1)), np.repeat(members, len(starts)))

    def run(self, method: str) -> RunResult:
        chosen = get_optimizer(method)
        questions = Questions(self.function.space, self.start, member=self.member)
        optimizer = chosen(questions, settings=settings_of_form(chosen, "paper"))
        return run_optimizer(optimizer, QueryOracle(self.function, trajectories=len(self.start)), max_steps=STEPS)


def replay_line(
    plan: Replays, method: str, repeats: int, reference_runs: int, on_repeat: Callable[[], None]
) -> dict[str, object]:
    """Times of the batch and of the plain loop, in turn; how far their regions are apart."""
    chosen = np.linspace(0, len(plan.start) - 1, min(reference_runs, len(plan.start))).astype(int)
    maps, space = plan.function.maps, plan.function.space
    batch, plain = [], []
    for _ in range(repeats):
        started = time.perf_counter()
        result = plan.run(method)
        batch.append(time.perf_counter() - started)
        started = time.perf_counter()
        loop = PlainLoop(maps.axes, DIRECTIONS[method])
        bounds = np.array([loop.run(maps.scores[plan.member[row]], plan.start[row]) for row in chosen])
        plain.append(time.perf_counter() - started)
        on_repeat()
    again, own = Regions(space, bounds[:, 0], bounds[:, 1]).clip(), result.regions[chosen]
    queries, seconds = int(result.forward_queries.sum()), float(np.median(batch))
    a_query = float(np.median(plain)) / int(result.forward_queries[chosen].sum())
    return {
        "method": method,
        "runs": len(plan.start),
        "queries": queries,
        "batch_s": seconds,
        "batch_queries_a_second": queries / seconds,
        "plain_us_a_query": 1e6 * a_query,
        "plain_for_all_s": a_query * queries,
        "ratio": a_query * queries / seconds,
        "largest_difference": max(
            float(np.abs(again.lower - own.lower).max()), float(np.abs(again.width - own.width).max())
        ),
    }


@final
@dataclass(frozen=True, eq=False)
class PlainLoop:
    """The reference: one run after the other, one corner after the other, plain NumPy for azimuth and elevation."""

    axes: tuple[FloatArray, ...]
    direction: Callable[[FloatArray, FloatArray, Score], Bounds]

    def score(self, scores: Float32Array, theta: FloatArray) -> float:
        """Bilinear score at one theta (2,), which may lie outside: azimuth wraps, elevation is clamped."""
        along = (theta - [axis[0] for axis in self.axes]) / [axis[1] - axis[0] for axis in self.axes]
        along[1] = min(max(along[1], 0.0), len(self.axes[1]) - 1)
        cell = np.floor(along).astype(int)
        (u, v), i, j = along - cell, cell[0] % len(self.axes[0]), cell[1]
        right, above = (i + 1) % len(self.axes[0]), min(j + 1, len(self.axes[1]) - 1)
        corners = scores[[i, right, i, right], [j, j, above, above]]
        return float(corners @ np.array([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v]))

    def run(self, scores: Float32Array, start: FloatArray) -> tuple[FloatArray, FloatArray]:
        a, b = start - START_HALF_WIDTH, start + START_HALF_WIDTH
        low, high, turn = np.array([start[0] - 360, -10]), np.array([start[0] + 360, 90]), np.array([360, 100])
        for _ in range(STEPS):
            down, up = self.direction(a, b, lambda theta: self.score(scores, theta))
            lower = np.clip(a - STEP_SIZE * down, low, start - LEAST_SHARE * turn)
            upper = np.clip(b - STEP_SIZE * up, start + LEAST_SHARE * turn, high)
            if upper[0] - lower[0] > 360:  # the sides meet after a part of this step
                part = (360 - (b[0] - a[0])) / ((upper[0] - lower[0]) - (b[0] - a[0]) or 1.0)
                lower[0] = a[0] + part * (lower[0] - a[0])
                upper[0] = lower[0] + 360
            a, b = lower, upper
        return a, b


STEP_SIZE, REGULARIZATION, BOUNDARY_FACTOR = 0.1, 0.1, 0.05
"""eta, lambda and alpha of the paper."""

MASKS = corner_masks(2).T.astype(float)
"""M: a row a parameter, a column a corner."""


def corner_scores(a: FloatArray, b: FloatArray, score: Score) -> FloatArray:
    """f_D (4,): one query after the other."""
    return np.array([score(a + mask * (b - a)) for mask in MASKS.T])


def naive_direction(a: FloatArray, b: FloatArray, score: Score) -> Bounds:
    """dL/da and dL/db of Naive (Hamdi & Ghanem 2020)."""
    r, inner = b - a, corner_scores(a, b, score)
    factor = 2 * np.prod(r) / 4 / r
    return factor * ((1 - MASKS) @ inner) - REGULARIZATION * r, -factor * (MASKS @ inner) + REGULARIZATION * r


def oir_b_direction(a: FloatArray, b: FloatArray, score: Score) -> Bounds:
    """dL/da and dL/db of OIR_B (Hamdi & Ghanem 2020)."""
    r, alpha = b - a, BOUNDARY_FACTOR
    inner, outer = corner_scores(a, b, score), corner_scores(a - alpha / 2 * r, b + alpha / 2 * r, score)
    factor, w = 2 * np.prod(r) / 4 / r, 1 + alpha
    low, high, outer_low, outer_high = (1 - MASKS) @ inner, MASKS @ inner, (1 - MASKS) @ outer, MASKS @ outer
    down = factor * (2 * low - w * ((1 + alpha / 2) * outer_low + alpha / 2 * outer_high))
    up = factor * (-2 * high + w * ((1 + alpha / 2) * outer_high + alpha / 2 * outer_low))
    return down, up


DIRECTIONS = {"naive": naive_direction, "oir_b": oir_b_direction}


def query_lines(function: RecordedMaps, repeats: int) -> list[dict[str, object]]:
    """Queries a second through the oracle: one by one in both ways, and batched."""
    points = function.space.sample(1000, np.random.default_rng(0))
    single = [Queries(point[None, None, :], np.zeros(1, dtype=np.int64), np.ones((1, 1), np.bool_)) for point in points]
    theta = function.space.sample(256 * 400, np.random.default_rng(1)).reshape(256, 400, -1)
    batch = Queries(theta, np.arange(256) % function.members, np.ones((256, 400), np.bool_))
    one, many = QueryOracle(function, budget=1e12), QueryOracle(function, trajectories=256, budget=1e12)
    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "oracle.value, one by one": (len(points), lambda: [one.value(point) for point in points]),
        "oracle.query, one by one": (len(points), lambda: [one.query(queries) for queries in single]),
        "oracle.query, 102 400 at once": (theta[..., 0].size, lambda: many.query(batch)),
    }
    times = interleaved({name: call for name, (_, call) in ways.items()}, repeats)
    return [{"way": name, "queries_a_second": ways[name][0] / times.median(name)} for name in ways]
