"""Measures which gradient foretells f over which distance, and which grows better regions."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from baselines.commands.gradient_study import GradientStudyOptions
from baselines.commands.shared.networks import check, introduce
from baselines.commands.shared.options import start_points, workers_of
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.experiments.runner import each
from optimizers.oir_w import OirW, OirWSettings
from optimizers.run import run as run_optimizer
from semrob_env.errors import InvalidParameterError
from semrob_env.files import markdown_table
from semrob_env.metrics import Judge, judge_regions
from semrob_env.oracle import FiniteDifferences, NeighborhoodGradients, Queries, QueryOracle
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting import PALETTE
from semrob_env.plotting.canvas import plain_style
from semrob_env.questions import Questions
from semrob_env.scene.function import SceneFunction, make_scene_function
from semrob_env.scene.image_function import ImageId
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("paper2")
"""The space of the study."""

MOVES_DEG = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Distances over which changes are predicted."""


class Kind(NamedTuple):
    """One kind of gradient: its options of the id and of the oracle, and whether regions are grown with it."""

    scene: Mapping[str, float] = {}
    oracle: Mapping[str, Any] = {}
    grows: bool = False


KINDS: Mapping[str, Kind] = {
    "exact": Kind(grows=True),
    "smooth picture": Kind({"gradient_supersample": 2, "gradient_blur": 1.5}, grows=True),
    "mean 1 deg": Kind(oracle={"neighborhood": NeighborhoodGradients((1.0, 1.0), 4)}),
    "mean 3 deg": Kind(oracle={"neighborhood": NeighborhoodGradients((3.0, 3.0), 4)}, grows=True),
    "difference 0.1": Kind(oracle={"finite_differences": FiniteDifferences((0.1, 0.1))}),
    "difference 1": Kind(oracle={"finite_differences": FiniteDifferences((1.0, 1.0))}),
    "difference 3": Kind(oracle={"finite_differences": FiniteDifferences((3.0, 3.0))}, grows=True),
}


def run(options: GradientStudyOptions, console: Console) -> None:
    if options.points < 3:
        raise InvalidParameterError(f"--points {options.points}: a correlation needs at least 3")
    for value in options.emphasis:
        OirWSettings(emphasis_factor=value)
    if len(options.specs()) != 1:
        raise InvalidParameterError(f"--networks {','.join(options.networks)}: this command takes one network")
    scenes = options.scenes(options.selected(), SPACE.spec, options)
    starts = start_points(SPACE, options.starts)
    judge = Judge(options.goal, options.judge_points, options.seed, certificate_points=0)
    grown = [name for name, kind in KINDS.items() if kind.grows]
    runs = len(scenes) * len(grown) * len(options.emphasis) * len(starts)
    bill = sum(_bill(name) for name in KINDS) * options.points + len(MOVES_DEG) * 2 * options.points
    console.say(
        f"{len(scenes)} shapes: {bill} queries each for predictions; {runs} runs of OIR_W of at most "
        f"{options.budget} queries, {options.judge_points} more for the judge"
    )
    if options.dry_run:
        check(scenes)
        return
    introduce(console, {str(scene): starts for scene in scenes})
    bundle, workers = Bundle(options.out, console), workers_of(options, alone=True)
    predictions: dict[int, list[dict[str, Any]]] = {}
    regions: dict[int, list[dict[str, Any]]] = {}
    foretell = partial(foretold, options.points, options.seed)
    grow_on = partial(regions_on, grown, starts, options.emphasis, options.budget, judge)
    with progress_bar(console, "shapes") as progress:
        for words, call, found in (("prediction", foretell, predictions), ("regions", grow_on, regions)):
            bar = progress.add_task(words, total=len(scenes))
            with closing(each(workers, call, list(enumerate(scenes)), options.imports)) as results:
                for number, rows in results:
                    found[number] = rows
                    write_report(bundle, in_order(predictions), in_order(regions), scenes[0].network)
                    progress.advance(bar)
    console.say(report_text(in_order(predictions), in_order(regions)))
    bundle.close()


def in_order(found: Mapping[int, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The rows of all shapes, as they were named."""
    return [row for number in sorted(found) for row in found[number]]


def foretold(points: int, seed: int, work: tuple[int, ImageId]) -> list[dict[str, Any]]:
    """Rows of what gradients foretell on a shape, by its number."""
    number, scene = work
    return predict(functions_of(scene, list(KINDS)), scene.class_name, points, np.random.default_rng([seed, number]))


def regions_on(
    kinds: Sequence[str],
    starts: FloatArray,
    emphases: Sequence[float],
    budget: int,
    judge: Judge,
    work: tuple[int, ImageId],
) -> list[dict[str, Any]]:
    """Rows of regions that are grown on a shape, with each kind of gradient and each emphasis factor."""
    functions = functions_of(work[1], kinds)
    return [
        row
        for name, function in functions.items()
        for emphasis in emphases
        for row in grow(function, name, starts, emphasis, budget, judge)
    ]


def write_report(
    bundle: Bundle, predictions: Sequence[dict[str, Any]], regions: Sequence[dict[str, Any]], network: str
) -> None:
    """Tables and picture of what has been measured so far, after every shape: an interrupt loses one."""
    bundle.rows("prediction.csv", predictions)
    if regions:
        bundle.rows("regions.csv", regions)
    bundle.text("gradient_study.md", report_text(predictions, regions))
    bundle.figure("gradient_study.png", study_figure(predictions, regions, network))


def predict(
    functions: Mapping[str, SceneFunction], shape: str, points: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """One row a kind and distance: how changes of f go with gradient times move, over points and both directions."""
    theta = SPACE.sample(points, rng)
    function = functions["exact"]
    signs = np.where(theta[:, 1] > SPACE.high[1] - max(MOVES_DEG), -1.0, 1.0)[:, None, None]  # away from the bound
    value = function.values(theta[None])[0]
    changes = {}
    for move in MOVES_DEG:
        moved = theta[:, None, :] + signs * move * np.eye(SPACE.n)
        changes[move] = function.values(SPACE.project(moved)) - value[:, None]
    rows = []
    for name, kind in KINDS.items():
        oracle = QueryOracle(functions[name], **kind.oracle)
        active = np.ones((1, points), dtype=np.bool_)
        answers = oracle.query(Queries(theta[None], np.zeros(1, dtype=np.int64), active, wants_gradient=True))
        assert answers.gradients is not None
        for move, change in changes.items():
            told = answers.gradients[0] * signs[:, 0] * move
            rows.append({
                "shape": shape,
                "kind": name,
                "move_deg": move,
                "correlation": correlation(told.ravel(), change.ravel()),
                "cosine": cosine(told.ravel(), change.ravel()),
                "slope": float((told * change).sum() / max(float((told**2).sum()), 1e-300)),
                "queries_a_point": float(oracle.spent[0] / points),
            })
    return rows


def correlation(told: FloatArray, change: FloatArray) -> float:
    """Pearson correlation of two (N,); 0 where one of them is constant."""
    return cosine(told - told.mean(), change - change.mean())


def cosine(told: FloatArray, change: FloatArray) -> float:
    """Cosine of two (N,); 0 where one of them is 0."""
    norms = float(np.linalg.norm(told) * np.linalg.norm(change))
    return float((told * change).sum()) / norms if norms > 0 else 0.0


def grow(
    function: SceneFunction, name: str, starts: FloatArray, emphasis: float, budget: int, judge: Judge
) -> list[dict[str, Any]]:
    """One row a start point: the region of OIR_W with one kind of gradient."""
    questions = Questions(SPACE, starts, goal=judge.goal, budget=budget)
    optimizer = OirW(questions, settings=OirWSettings(emphasis_factor=emphasis))
    result = run_optimizer(
        optimizer, QueryOracle(function, trajectories=len(starts), budget=budget, **KINDS[name].oracle)
    )
    judged = judge_regions(function, result.regions, judge=judge)
    return [
        {
            "shape": function.id.partition("/")[2].partition("?")[0],
            "kind": name,
            "emphasis": emphasis,
            "start": start,
            **vars(judged.measures(row)),
            "steps": int(result.steps[row]),
            "queries": int(result.forward_queries[row] + result.gradient_queries[row]),
            "status": result.status[row],
        }
        for row, start in enumerate(map(SPACE.format_point, starts))
    ]


def report_text(predictions: Sequence[Mapping[str, Any]], regions: Sequence[Mapping[str, Any]]) -> str:
    return "\n\n".join([prediction_table(predictions)] + ([region_table(regions)] if regions else []))


def prediction_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Median correlation over shapes with its quartiles, a row a kind and a column a distance."""
    lines = []
    for name in KINDS:
        own = [row for row in rows if row["kind"] == name]
        line = {"gradient": name, "queries": f"{own[0]['queries_a_point']:g}"}
        for move in MOVES_DEG:
            low, middle, high = np.quantile([row["correlation"] for row in own if row["move_deg"] == move], QUARTILES)
            line[f"{move:g}°"] = f"{middle:.2f} ({low:.2f} to {high:.2f})"
        lines.append(line)
    head = (
        f"Correlation of gradient times move with the change of f: median over {_shapes(rows)} (quartiles). "
        f"Queries: of a value with its gradient, n = {SPACE.n}."
    )
    return f"{head}\n\n{markdown_table(lines)}"


def region_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Mean share of the space, in %, with infeasible regions as 0 in brackets: a row a kind, a column an emphasis."""
    lines = []
    emphases = sorted({row["emphasis"] for row in rows})
    for name in dict.fromkeys(row["kind"] for row in rows):
        line = {"gradient": name}
        for emphasis in emphases:
            own = [row for row in rows if row["kind"] == name and row["emphasis"] == emphasis]
            share, feasible = shares(own)
            line[f"β = {emphasis:g}"] = f"{100 * share.mean():.1f} ({100 * feasible.mean():.1f})"
            line[f"steps, β = {emphasis:g}"] = f"{np.mean([row['steps'] for row in own]):.1f}"
        lines.append(line)
    head = (
        f"Regions of OIR_W on {_shapes(rows)}: mean share of the space in % (infeasible regions as 0), and steps paid "
        f"from at most {max(row['queries'] for row in rows)} queries."
    )
    return f"{head}\n\n{markdown_table(lines)}"


def shares(rows: Sequence[Mapping[str, Any]]) -> tuple[FloatArray, FloatArray]:
    """Shares of the regions, and the same with 0 for infeasible ones."""
    share = np.array([row["share"] for row in rows])
    return share, share * np.array([row["feasible"] for row in rows])


QUARTILES = (0.25, 0.5, 0.75)


@plain_style()
def study_figure(predictions: Sequence[Mapping[str, Any]], regions: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Correlation over distance for each kind (bars: quartiles), and shares of regions (bars: standard errors)."""
    figure = Figure(figsize=(12.0, 4.6), layout="constrained")
    figure.suptitle(f"{title}, {_shapes(predictions)}", fontsize=11)
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1.0])
    places = np.arange(len(MOVES_DEG))
    for index, (name, color) in enumerate(zip(KINDS, PALETTE, strict=False)):
        found = np.array([
            np.quantile(
                [row["correlation"] for row in predictions if (row["kind"], row["move_deg"]) == (name, move)], QUARTILES
            )
            for move in MOVES_DEG
        ])
        beside = places + 0.09 * (index - (len(KINDS) - 1) / 2)
        spread = np.abs(found[:, [0, 2]] - found[:, [1]]).T
        style = "--" if name.startswith("difference") else "-"
        left.errorbar(beside, found[:, 1], yerr=spread, color=color, ls=style, marker="o", ms=4, lw=1.4, label=name)
    left.axhline(0.0, color="black", lw=0.6)
    left.set(xticks=places, xticklabels=[f"{move:g}°" for move in MOVES_DEG], xlabel="move of theta")
    left.set(ylabel="correlation with the change of f", ylim=(-0.6, 1.02))
    left.legend(fontsize=8, loc="lower left", ncols=2)
    left.set_title("what a gradient foretells (bars: quartiles over shapes)", fontsize=9)
    right.set_title("regions of OIR_W, equal budgets (bars: standard errors)", fontsize=9)
    if not regions:
        right.text(0.5, 0.5, "not grown yet", ha="center", transform=right.transAxes)
        return figure
    kinds = list(dict.fromkeys(row["kind"] for row in regions))
    emphases = sorted({row["emphasis"] for row in regions})
    for index, emphasis in enumerate(emphases):
        at = np.arange(len(kinds)) + 0.8 * (index - (len(emphases) - 1) / 2) / len(emphases)
        means, errors, alls = [], [], []
        for name in kinds:
            share, feasible = shares([row for row in regions if (row["kind"], row["emphasis"]) == (name, emphasis)])
            means.append(100 * feasible.mean())
            errors.append(100 * feasible.std() / max(1.0, np.sqrt(len(feasible))))
            alls.append(100 * share.mean())
        color = PALETTE[index % len(PALETTE)]
        right.bar(
            at, means, 0.7 / len(emphases), yerr=errors, color=color, capsize=3, label=f"feasible, β = {emphasis:g}"
        )
        right.plot(at, alls, "_", color="black", ms=14, label="all regions" if index == 0 else None)
    right.set(xticks=range(len(kinds)), ylabel="mean share of the space, %")
    right.set_xticklabels(kinds, fontsize=8)
    right.legend(fontsize=8)
    return figure


def functions_of(shape: ImageId, kinds: Sequence[str]) -> dict[str, SceneFunction]:
    """The function of a shape for each kind of gradient; kinds of the same scene share one."""
    made: dict[tuple[tuple[str, float], ...], SceneFunction] = {}
    for name in kinds:
        options = tuple(KINDS[name].scene.items())
        if options not in made:
            made[options] = make_scene_function(str(shape) + "".join(f"&{key}={value:g}" for key, value in options))
    return {name: made[tuple(KINDS[name].scene.items())] for name in kinds}


def _shapes(rows: Sequence[Mapping[str, Any]]) -> str:
    count = len({row["shape"] for row in rows})
    return f"{count} shape{'s' if count != 1 else ''}"


def _bill(name: str) -> int:
    oracle = KINDS[name].oracle
    if "finite_differences" in oracle:
        return 1 + 2 * SPACE.n
    return 2 * (1 + (oracle["neighborhood"].neighbors if "neighborhood" in oracle else 0))
