"""Attacks views and grows regions under pixel noise, and writes tables, curves and pictures of both."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, final

import numpy as np

from baselines.commands.pixel_attacks import PixelAttacksOptions
from baselines.commands.shared.networks import check, introduce
from baselines.commands.shared.options import start_points
from baselines.commands.shared.questions import region_methods
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.experiments.functions import Functions
from baselines.experiments.runner import RunSummary, run_tasks
from baselines.experiments.view_attacks import (
    BOTH,
    SEMANTIC,
    AttackedViews,
    ViewAttacks,
    both_attacks,
    pixel_attacks,
    semantic_attacks,
)
from optimizers.registry import get_optimizer
from semrob_env.errors import InvalidBudgetError, InvalidParameterError, OutputError
from semrob_env.files import interval_text, markdown_table, write_whole
from semrob_env.metrics.srvr import srvr
from semrob_env.metrics.survey import exact_interval
from semrob_env.plotting import Cell, bounds_columns, gallery_figure
from semrob_env.plotting.attacks import NoiseCurve, noise_figure
from semrob_env.questions import Question
from semrob_env.regions import Regions
from semrob_env.scene.albedo_attack import attack_albedo, colored_images
from semrob_env.scene.function import SceneId, make_scene_function
from semrob_env.scene.image_function import attacked
from semrob_env.scene.picture_attack import ALBEDO, PictureAttack
from semrob_env.store import FAILED, RunRow, RunStore, RunTask, canonical_json
from semrob_env.tables import Subject, region_records
from semrob_env.tables.words import goal_words, short_point_words
from semrob_env.types import Float32Array, FloatArray

LIVE_CHUNK = 4
MOST_SHOWN = 8  # shapes whose views are shown
KEPT = "views.json"


def run(options: PixelAttacksOptions, console: Console) -> None:
    plan = AttackPlan.of(options)
    console.say(plan.describe())
    if options.dry_run:
        check(plan.scenes)
        return
    options.load()
    introduce(console, {str(scene): plan.starts for scene in plan.scenes})
    bundle = Bundle(options.out, console)
    kept = Kept(bundle)
    outcomes: list[ViewAttacks] = []
    with progress_bar(console, "attacks") as progress:
        bar = progress.add_task("views", total=len(plan.scenes) * len(plan.labels))
        for scene in plan.scenes:
            outcomes += kept.outcomes(plan, scene, lambda: progress.advance(bar))
            console.say(line_of(scene, outcomes))
    rows: list[RunRow] = []
    with progress_bar(console, "runs") as progress:
        bar = progress.add_task("regions", total=len(plan.tasks))

        def on_rows(found: Sequence[RunRow], summary: RunSummary) -> None:
            del summary
            rows.extend(found)
            progress.update(bar, completed=len(rows))

        if plan.tasks:
            run_tasks(
                plan.tasks,
                RunStore(bundle.folder / "runs.sqlite"),
                functions=Functions(),
                chunk=LIVE_CHUNK,
                modules=options.imports,
                retry_failed=True,
                on_rows=on_rows,
            )
    if failed := [row for row in rows if row.status == FAILED]:
        raise OutputError(f"{len(failed)} of {len(rows)} runs failed; the first one: {failed[0].error}")
    report(plan, outcomes, rows, bundle, console)


@final
@dataclass(frozen=True, eq=False)
class AttackPlan:
    """What a command asks for."""

    options: PixelAttacksOptions
    scenes: tuple[SceneId, ...]
    attacks: tuple[PictureAttack, ...]
    noise: tuple[PictureAttack, ...]  # by epsilon
    starts: FloatArray
    tasks: tuple[RunTask, ...]

    @classmethod
    def of(cls, options: PixelAttacksOptions) -> AttackPlan:
        """Everything that is misspelt is told here, before any work."""
        epsilons = options.epsilons
        if any(low >= high for low, high in itertools.pairwise(epsilons)):
            raise InvalidParameterError(f"--epsilons {epsilons}: each must be larger than the one before")
        attacks = tuple(map(PictureAttack.parse, options.attacks))
        if not 0 < options.radius <= 1:
            raise InvalidParameterError(f"--radius {options.radius}: give a share of each range above 0, at most 1")
        if get_optimizer(options.semantic).recommends != "points":
            raise InvalidParameterError(f"--semantic {options.semantic} recommends regions; give a point method")
        if options.budget < 5:
            raise InvalidBudgetError(f"--budget {options.budget}: view and pixels together take at least 5")
        noise = tuple(PictureAttack("linf", own / 255, options.steps) for own in epsilons)
        asked = options.scenes(options.selected(), options.params, options)
        if odd := [str(own) for own in asked if own.scheme != SceneId.scheme]:
            raise InvalidParameterError(f"{odd[0]}: what is attacked here is rendered; give shapes or meshes")
        scenes = tuple(SceneId.parse(str(own)) for own in asked)
        if any(own.attack for own in scenes):
            raise InvalidParameterError("--scene attack=...: give --attacks, --epsilons and --steps in its place")
        starts = start_points(options.space(), options.starts)
        starts = starts if options.starts or len(starts) < 2 else starts[1::2]
        plan = cls(options, scenes, attacks, noise, starts, ())
        return replace(plan, tasks=tuple(plan.tasks_of()))

    def tasks_of(self) -> list[RunTask]:
        given = self.options
        return [
            RunTask(
                Question(self.noisy(scene, attack), tuple(start), given.goal, self.budget(name, attack)),
                name,
                seed=given.seed,
                judge_points=given.judge_points,
                judge_seed=given.seed,
                certificate_points=given.certificate_points,
                confidence=given.confidence,
            )
            for scene in self.scenes
            for attack in self.noise
            for name in region_methods(given.methods)
            for start in self.starts.tolist()
        ]

    @staticmethod
    def noisy(scene: SceneId, attack: PictureAttack) -> str:
        """The function under noise; without any, the plain one, whose rows other tables share."""
        return str(replace(scene, attack=attack.text) if attack.epsilon else scene)

    def budget(self, method: str, attack: PictureAttack) -> float:
        """Queries that `region_answers` of a plain function would be."""
        uses = get_optimizer(method).uses_gradient
        paid = attack.gradient_price if uses else attack.value_price
        return self.options.region_answers * sum(paid) / (1 + uses)

    @property
    def both_epsilon(self) -> float:
        """Of the first linf attack of several steps on pixels, else of any such attack, else that of the curve."""
        pixels = [own for own in self.attacks if own.target == "pixels" and own.norm == "linf"]
        chosen = [own for own in pixels if own.steps > 1] or pixels or [own for own in self.noise if own.epsilon]
        return chosen[0].epsilon if chosen else 1 / 255

    @property
    def labels(self) -> dict[str, Callable[[AttackedViews], ViewAttacks]]:
        """Every attack on views by its label in the tables."""
        given = self.options
        pixels = dict.fromkeys([*self.attacks, *(own for own in self.noise if own.epsilon)])
        found: dict[str, Callable[[AttackedViews], ViewAttacks]] = {
            attack.text: partial(pixel_attacks, attack=attack) for attack in pixels
        }
        moves: dict[str, Any] = {"method": given.semantic, "radius": given.radius, "budget": given.budget}
        found[SEMANTIC] = partial(semantic_attacks, **moves, seed=given.seed)
        found[BOTH] = partial(both_attacks, **moves, epsilon=self.both_epsilon, seed=given.seed)
        return found

    def describe(self) -> str:
        given = self.options
        each = sum(sum(own.value_price) for own in {*self.attacks, *self.noise} if own.epsilon) + 2 * given.budget
        answers = sum(task.question.budget or 0 for task in self.tasks)
        points = given.judge_points + given.certificate_points
        judged = sum(sum(own.value_price) for own in self.noise) * points * len(self.tasks) // max(1, len(self.noise))
        methods = ",".join(given.methods) or "no method"
        return (
            f"{len(self.scenes)} functions (networks x shapes) over {given.params}, {given.views} views each: at most "
            f"{len(self.scenes) * given.views * each:,} queries of attacks on right views; {len(self.tasks)} regions "
            f"({len(self.starts)} start points x {len(self.noise)} epsilons x {methods}; "
            f"goal: {goal_words(given.goal, given.score)}): at most {answers:,.0f} queries, and {judged:,} of judges "
            "and certificates, counted apart"
        )


@final
class Kept:
    """Outcomes of attacks on views that are asked once, also by a command that was interrupted."""

    def __init__(self, bundle: Bundle) -> None:
        self._path = bundle.folder / KEPT
        try:
            found: Any = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            found = {}
        self._found: dict[str, dict[str, Any]] = found if isinstance(found, dict) else {}

    def outcomes(self, plan: AttackPlan, scene: SceneId, on_done: Callable[[], object]) -> list[ViewAttacks]:
        """Every attack on the views of a scene; views that none is missing of are not drawn."""
        given, function = plan.options, make_scene_function(str(scene))
        views: AttackedViews | None = None
        outcomes = []
        for label, attack in plan.labels.items():
            told = (label, str(scene), function.fingerprints[0], given.views, given.level, given.seed)
            moves = (given.semantic, given.radius, given.budget, plan.both_epsilon) * (label in {SEMANTIC, BOTH})
            key = hashlib.sha256(canonical_json({"told": told, "moves": moves}).encode()).hexdigest()
            if key not in self._found:
                views = views or AttackedViews.drawn(scene, given.views, level=given.level, seed=given.seed)
                self._found[key] = asdict(attack(views))
                write_whole(self._path, json.dumps(self._found, indent=1) + "\n")
            outcomes.append(ViewAttacks(**self._found[key]))
            on_done()
        return outcomes


def line_of(scene: SceneId, outcomes: Sequence[ViewAttacks]) -> str:
    own = [outcome for outcome in outcomes if outcome.scene == str(scene)]
    told = ", ".join(f"{outcome.label} {outcome.broken}" for outcome in own)
    subject = Subject.of(str(scene))
    return f"{subject.network} {subject.class_name} {subject.shape}: of {own[0].views} right views broken: {told}"


def report(
    plan: AttackPlan, outcomes: Sequence[ViewAttacks], rows: Sequence[RunRow], bundle: Bundle, console: Console
) -> None:
    given = plan.options
    successes = [row for network in networks_of(plan) for row in success_rows(plan, network, outcomes)]
    curve = [
        row
        for network in networks_of(plan)
        for attack in plan.noise
        for row in curve_rows(plan, network, attack, outcomes, rows)
    ]
    body = "\n\n".join([
        "# Attacks on pixels, colors and views",
        plan.describe() + ".",
        "## Right views that an attack makes wrong",
        markdown_table([shown_success(row) for row in successes]),
        f"- {given.views} independent uniform views of each shape; right: a unit score of at least {given.level:g}; "
        "broken in % of the right ones, with the exact 95 % interval over views of these shapes, pooled, not of other "
        "shapes.\n"
        f"- semantic: {given.semantic} within {100 * given.radius:g} % of each range; both: half of its budget for "
        f"the view, the rest for PGD on pixels, linf:{255 * plan.both_epsilon:g}/255. No attack pays for the query "
        "that told that a view is right.\n"
        "- Attacked pictures are not rounded to bytes; a camera or a file would do so.",
        f"## Robust views and regions under pixel noise (PGD, {given.steps} steps)",
        markdown_table([shown_curve(row) for row in curve]),
        "- Right views: those that no attack of this strength broke, in % of all views; exact 95 % interval over views "
        "of these shapes.\n"
        f"- SRVR: mean share of the space of the region in which the attacked score meets the goal "
        f"({goal_words(given.goal, given.score)}), in %, {given.region_answers} attacked scores a region, 95 % "
        "intervals over other shapes (none of one "
        "shape). Feasible: by the judge's points; certified: with "
        f"{100 * given.confidence:g} % confidence each.\n"
        "- Each epsilon is attacked by itself, and a region is found by itself: the curve need not fall everywhere. An "
        "attack is an upper bound of what noise does: certified speaks of this attack, not of all noise.",
    ])
    bundle.text("attacks.md", body)
    bundle.rows("attacks.csv", successes)
    bundle.rows("curve.csv", curve)
    if rows:
        bundle.rows("regions.csv", [region_columns(row) for row in rows])
    bundle.figure("curve.png", curve_figure(plan, curve))
    bundle.figure("views.png", views_figure(plan))
    console.say(body)
    bundle.close(KEPT, *(["runs.sqlite"] if rows else []))


def networks_of(plan: AttackPlan) -> list[str]:
    return list(dict.fromkeys(Subject.of(str(scene)).network for scene in plan.scenes))


def of_network(outcomes: Sequence[ViewAttacks], network: str, label: str) -> list[ViewAttacks]:
    return [own for own in outcomes if own.label == label and Subject.of(own.scene).network == network]


def success_rows(plan: AttackPlan, network: str, outcomes: Sequence[ViewAttacks]) -> list[dict[str, Any]]:
    rows = []
    for label in [SEMANTIC, *(attack.text for attack in plan.attacks), BOTH]:
        own = of_network(outcomes, network, label)
        views, broken = sum(one.views for one in own), sum(one.broken for one in own)
        low, high = exact_interval(broken, views, 0.95)
        forward, gradient = (
            sum(one.forward_queries for one in own),
            sum(one.gradient_queries for one in own),
        )
        left = sum(one.mean_score * one.views for one in own if one.views)
        rows.append({
            "network": network,
            "attack": label,
            "shapes": len(own),
            "right_views": views,
            "broken": broken,
            "rate": broken / views if views else float("nan"),
            "low": float(low),
            "high": float(high),
            "forward_queries": forward,
            "gradient_queries": gradient,
            "queries_a_view": (forward + gradient) / views if views else float("nan"),
            "mean_score_left": left / views if views else float("nan"),
        })
    return rows


def shown_success(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "network": row["network"],
        "attack": row["attack"],
        "queries a view": f"{row['queries_a_view']:.0f}" if row["right_views"] else "-",
        "broken / right views": f"{row['broken']} / {row['right_views']}",
        "broken %": f"{100 * row['rate']:.0f}" if row["right_views"] else "-",
        "95 %": f"{100 * row['low']:.0f} to {100 * row['high']:.0f}",
        "mean score left": f"{row['mean_score_left']:.2f}" if row["right_views"] else "-",
        "bill (forward + gradient)": f"{row['forward_queries']:,} + {row['gradient_queries']:,}",
    }


def curve_rows(
    plan: AttackPlan, network: str, attack: PictureAttack, outcomes: Sequence[ViewAttacks], rows: Sequence[RunRow]
) -> list[dict[str, Any]]:
    own = of_network(outcomes, network, attack.text if attack.epsilon else SEMANTIC)
    left = sum(one.views - one.broken * bool(attack.epsilon) for one in own)
    all_views = plan.options.views * len(own)
    low, high = exact_interval(left, all_views, 0.95)
    common = {
        "network": network,
        "epsilon_255": 255 * attack.epsilon,
        "views": all_views,
        "right": left,
        "right_share": left / all_views,
        "right_low": float(low),
        "right_high": float(high),
        "answer_forward": attack.value_price.forward,
        "answer_gradient": attack.value_price.gradient,
    }
    found = []
    for method in plan.options.methods:
        ids = {plan.noisy(scene, attack) for scene in plan.scenes if Subject.of(str(scene)).network == network}
        ids = {make_scene_function(name).id for name in ids}
        chosen = [row for row in rows if row.task.method == method and row.task.question.function_id in ids]
        overall = next(one for one in srvr(region_records(chosen), np.random.default_rng(0)) if one.class_name is None)
        found.append({
            **common,
            "method": method,
            "srvr": overall.estimate,
            "feasible": overall.feasible_estimate,
            "feasible_low": overall.feasible_low,
            "feasible_high": overall.feasible_high,
            "certified": overall.certified_estimate,
            "certified_low": overall.certified_low,
            "certified_high": overall.certified_high,
            "runs": len(chosen),
            "forward_queries": sum(row.forward_queries for row in chosen),
            "gradient_queries": sum(row.gradient_queries for row in chosen),
            "judge_queries": sum(row.judge_queries + row.certificate_queries for row in chosen),
        })
    return found or [common]


def shown_curve(row: Mapping[str, Any]) -> dict[str, str]:
    shown = {
        "network": row["network"],
        "epsilon (1/255)": f"{row['epsilon_255']:.4g}",
        "queries a score": f"{row['answer_forward']} + {row['answer_gradient']}",
        "right views %": f"{100 * row['right_share']:.0f} "
        f"({100 * row['right_low']:.0f} to {100 * row['right_high']:.0f})",
    }
    if "method" not in row:
        return shown

    def share(kind: str) -> str:
        return f"{100 * row[kind]:.1f} ({interval_text(row[f'{kind}_low'], row[f'{kind}_high'])})"

    return {
        **shown,
        "method": row["method"],
        "feasible SRVR %": share("feasible"),
        "certified SRVR %": share("certified"),
        "bill of regions": f"{row['forward_queries']:,} + {row['gradient_queries']:,}",
        "of judges": f"{row['judge_queries']:,}",
    }


def region_columns(row: RunRow) -> dict[str, Any]:
    own = Subject.of(row.task.question.function_id)
    space = make_scene_function(row.task.question.function_id).space
    region = Regions(space, np.array([row.lower]), np.array([row.upper]))
    scene = SceneId.parse(row.task.question.function_id)
    return {
        "network": own.network,
        "class": own.class_name,
        "shape": own.shape,
        "attack": scene.attack or "none",
        "method": row.task.method,
        **{f"start_{name}": value for name, value in zip(space.names, row.task.question.start, strict=True)},
        **bounds_columns(region, 0),
        "share": row.share,
        "feasible": int(row.feasible),
        "certified": int(row.certified),
        "goal_mean": row.goal_mean,
        "goal_lower": row.goal_lower,
        "forward_queries": row.forward_queries,
        "gradient_queries": row.gradient_queries,
        "judge_queries": row.judge_queries,
        "certificate_queries": row.certificate_queries,
    }


def curve_figure(plan: AttackPlan, curve: Sequence[Mapping[str, Any]]) -> Any:
    views, regions = [], []
    for color, network in enumerate(networks_of(plan)):
        own = [row for row in curve if row["network"] == network]
        first = own[:: max(1, len(plan.options.methods))]
        at = np.array([row["epsilon_255"] for row in first])
        shares, low, high = columns(first, "right_share", "right_low", "right_high")
        views.append(NoiseCurve(network, at, shares, low, high, color))
        for method in plan.options.methods:
            rows = [row for row in own if row["method"] == method]
            label = f"{network}, {method}" if len(plan.options.methods) > 1 else network
            for kind, dashes in (("feasible", "-"), ("certified", "--")):
                shares, low, high = columns(rows, kind, f"{kind}_low", f"{kind}_high")
                regions.append(NoiseCurve(f"{label}: {kind}", at, shares, low, high, color, dashes))
    panels: list[tuple[str, str, Sequence[NoiseCurve]]] = [("Right views", "right views (%)", views)]
    if regions:
        panels.append((f"Robust regions, {goal_words(plan.options.goal, plan.options.score)}", "SRVR (%)", regions))
    shapes = len({(scene.class_name, scene.source) for scene in plan.scenes})
    title = f"Under PGD on pixels (linf, {plan.options.steps} steps): {shapes} shapes, {plan.options.views} views each"
    return noise_figure(panels, title=title)


def columns(rows: Sequence[Mapping[str, Any]], *names: str) -> list[FloatArray]:
    return [np.array([row[name] for row in rows], dtype=np.float64) for name in names]


def views_figure(plan: AttackPlan) -> Any:
    rows = [(label_of(scene), view_cells(plan, scene)) for scene in plan.scenes[:MOST_SHOWN]]
    title = (
        "A view of each shape, the right one of median score (else the one of highest score): clean, attacked, "
        "difference around gray; orange: wrong"
    )
    return gallery_figure(rows, title=title)


def label_of(scene: SceneId) -> str:
    own = Subject.of(str(scene))
    return f"{own.class_name} {own.shape.removeprefix('procedural:')} {own.network.replace('_', ' ')}"


def view_cells(plan: AttackPlan, scene: SceneId) -> list[Cell]:
    given, function = plan.options, make_scene_function(str(scene))
    views = AttackedViews.drawn(scene, given.views, level=given.level, seed=given.seed)
    # The right view of median score: neither the easiest nor the hardest.
    order = np.argsort(views.scores, kind="stable")
    right = order[views.scores[order] >= given.level]
    at = int(right[len(right) // 2] if len(right) else order[-1])
    theta, classes = views.theta[at : at + 1], function.class_indices[:1]
    clean = function.images(theta)
    place = short_point_words(function.space.parameters, theta[0])
    cells = [Cell(clean[0], ("clean", place, f"score {views.scores[at]:.2f}"))]
    for attack in plan.attacks:
        if attack.target == ALBEDO:
            found = attack_albedo(function, attack, theta)
            seen = colored_images(function, found.seen, theta)
        else:
            found = attacked(function.classifier, attack, clean, classes)
            seen = found.seen
        score = float(function.scale.unit(found.scores)[0])
        largest = float(np.abs(seen - clean).max())
        gain = 0.45 / largest if largest else 1.0
        told = f"difference x {gain:.0f}" if largest else "nothing lower found"
        cells.append(Cell(seen[0], (attack.text, f"score {score:.2f}"), is_marked=score < given.level))
        cells.append(Cell(enlarged(seen[0] - clean[0], gain), (told,)))
    return cells


def enlarged(change: Float32Array, gain: float) -> Float32Array:
    return np.asarray(np.clip(0.5 + gain * change, 0, 1), dtype=np.float32)
