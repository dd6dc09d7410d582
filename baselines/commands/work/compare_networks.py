"""Sets networks beside the first of them: tables, words, a picture of what was won and lost, and an exit code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from baselines.commands.compare_networks import CompareNetworksOptions
from baselines.commands.shared.networks import estimate, introduce
from baselines.commands.shared.options import HIGHEST, LOWEST, start_points, workers_of
from baselines.commands.shared.questions import ranked_starts
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.experiments.functions import Functions
from baselines.experiments.network_comparison import JUDGE_POINTS, LEVELS, ComparisonSettings, compared, usual_starts
from baselines.experiments.paired_networks import (
    ALL,
    METRICS,
    RATE,
    WHOLE,
    Line,
    NetworkComparison,
    OnShape,
    ends_words,
)
from baselines.experiments.runner import LIVE_MODULES
from semrob_env.errors import GateError, InvalidParameterError, OutputError
from semrob_env.files import markdown_table
from semrob_env.functions import ScoreFunction
from semrob_env.metrics.survey import RIGHT
from semrob_env.plotting.flips import PICTURES, FlippedView, FlipRow, flips_figure
from semrob_env.scene.classifiers.score_kinds import SCORE_WORDS
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.sources import load_shape
from semrob_env.tables import Subject
from semrob_env.tables.words import count_words, goal_words
from semrob_env.types import FloatArray

MOST_DRAWN = 5
"""Shapes on a picture: those on which most views flipped."""


def run(options: CompareNetworksOptions, console: Console) -> None:
    ids, functions = scenes(options)
    asked = asked_of(options)
    labels = list(dict.fromkeys(Subject.of(name).network for name in ids))
    if len(labels) < 2:
        raise InvalidParameterError(
            f"{len(labels)} network to compare: give two or more, as in before=efficientnet_lite0@epoch_1.pth "
            "after=efficientnet_lite0@epoch_9.pth"
        )
    shapes = len(ids) // len(labels)
    starts = len(asked.starts(*functions.member(ids[0])))
    most = len(ids) * (options.views + starts * (options.budget + JUDGE_POINTS))
    console.say(
        f"{', '.join(labels[1:])} beside {labels[0]}: {count_words(shapes, 'shape')}, {options.views} common views of "
        f"each, {count_words(starts, 'start point')}; at most {most:,} queries of views, runs and judges\n"
        f"{meant(options)}"
    )
    if options.dry_run:
        console.say(estimate(dict.fromkeys(ids, most // len(ids))))
        return
    workers = workers_of(options, alone=True)
    workers.begin(LIVE_MODULES)
    is_ranked = options.starts in (LOWEST, HIGHEST)  # such start points cost answers of their own
    introduce(console, {name: None if is_ranked else asked.starts(*functions.member(name)) for name in ids})
    bundle = Bundle(options.out, console)
    if not options.resume and (bundle.folder / "runs.sqlite").exists():
        raise OutputError(
            f"{bundle.folder} holds runs already; --no-resume wants an empty --out, leave it away to go on"
        )
    with progress_bar(console, "") as progress:
        views, runs = progress.add_task("views", total=len(ids)), progress.add_task("runs", total=len(ids) * starts)
        found = compared(
            ids,
            functions,
            asked,
            bundle.folder,
            workers=workers,
            modules=options.imports,
            on_views=lambda done, total: progress.update(views, completed=done, total=total),
            on_runs=lambda done, total: progress.update(runs, completed=done, total=total),
        )
    report(found, bundle, console, options)


def meant(options: CompareNetworksOptions) -> str:
    """What right and certified stand for."""
    return (
        f"score: {SCORE_WORDS[options.score]}; right: a unit score of at least {RIGHT:g}; certified: "
        f"{goal_words(options.goal, options.score)}"
    )


def scenes(options: CompareNetworksOptions) -> tuple[list[str], Functions]:
    """Ids of every network with every shape; a shape or network that cannot be loaded ends here."""
    shapes = options.chosen_shapes()
    for shape in shapes:
        load_shape(shape.class_name or "", shape.source, options.colors, shape.pose, options.shading)
    ids = [str(scene) for scene in options.scenes(shapes, options.params, options)]
    return ids, Functions(ids)


def asked_of(options: CompareNetworksOptions) -> ComparisonSettings:
    """The questions."""

    def starts(function: ScoreFunction, member: int) -> FloatArray:
        if options.starts in (LOWEST, HIGHEST):
            return ranked_starts(function, member, highest=options.starts == HIGHEST)
        return start_points(function.space, options.starts) if options.starts else usual_starts(function.space)

    return ComparisonSettings(
        options.goal,
        options.levels or LEVELS,
        budget=options.budget,
        views=options.views,
        confidence=options.confidence,
        seed=options.seed,
        starts=starts,
    )


def report(
    found: Sequence[NetworkComparison], bundle: Bundle, console: Console, options: CompareNetworksOptions
) -> None:
    """Tables, words and pictures; last the gate."""
    parts = [f"# {', '.join(own.after for own in found)} beside {found[0].before}", meant(options)]
    for own in found:
        sentences = own.words()
        parts += ["\n".join(f"- {sentence}" for sentence in sentences)]
        parts += [markdown_table([shown(line, own) for line in own.lines if line.group in {ALL, *own.classes}])]
        if len(own.shapes) > 1:
            parts += [markdown_table([shape_line(shape, own) for shape in own.shapes])]
    parts.append("\n".join(f"- {note}" for note in notes(found, options)))
    body = "\n\n".join(parts)
    bundle.text("comparison.md", body)
    bundle.rows(
        "comparison.csv",
        [{"network": own.after, "against": own.before, **line.record()} for own in found for line in own.lines],
    )
    bundle.rows("views.csv", [row for own in found for row in view_rows(own)])
    for own in found:
        name = "comparison.png" if len(found) == 1 else f"comparison_{own.after}.png"
        bundle.figure(name, picture_of(own))
    console.say(body)
    bundle.close("runs.sqlite", "answers.sqlite")
    failed = [f"{own.after} is worse than {own.before} on {' and '.join(words_of(own))}" for own in found if own.worse]
    if options.fail_if_worse and failed:
        raise GateError("; ".join(failed))


def words_of(own: NetworkComparison) -> list[str]:
    """Where it surely is worse: all shapes, or classes, with the difference."""
    lines = {line.group: line for line in own.claims}
    return [
        f"{'all shapes' if group == ALL else group} ({100 * lines[group].difference:+.1f} points of right views)"
        for group in own.worse
    ]


def shown(line: Line, own: NetworkComparison) -> dict[str, str]:
    """A line for the eye, in %."""
    return {
        "on": line.group,
        "metric": line.metric,
        own.before: points(line.before),
        own.after: points(line.after),
        "difference": signed(line.difference),
        "on these shapes": ends_words(line.low, line.high),
        "on other shapes": "cannot tell"
        if line.shapes_high - line.shapes_low >= WHOLE
        else ends_words(line.shapes_low, line.shapes_high),
        "lost, won": f"{line.lost}, {line.won} of {line.views}" if line.metric == RATE else "",
        "verdict": "the same network" if own.is_same else line.verdict,
    }


def shape_line(shape: OnShape, own: NetworkComparison) -> dict[str, str]:
    """A shape for the eye: the rate with its interval, other metrics as differences, in points of %."""
    rate = own.line(RATE, shape.label)
    return {
        "shape": shape.label,
        f"right views, {own.before}": f"{100 * rate.before:.0f}",
        own.after: f"{100 * rate.after:.0f}",
        "difference": signed(rate.difference),
        "of all its views": ends_words(rate.low, rate.high),
        "lost, won": f"{rate.lost}, {rate.won}",
        **{metric: signed(own.line(metric, shape.label).difference) for metric in METRICS if metric != RATE},
    }


def points(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.1f}"


def signed(difference: float) -> str:
    """A difference in points of %, never -0; `-` where there is none."""
    return "-" if np.isnan(difference) else f"{round(100 * difference, 1) + 0.0:+.1f}"


def notes(found: Sequence[NetworkComparison], options: CompareNetworksOptions) -> list[str]:
    """How to read it, and what it cost."""
    level = f"{100 * options.confidence:g} %"
    return [
        f"differences are after minus before, in points of %; intervals have {level} each; those of right views on "
        f"these shapes, of all and of each class, have {level} together, in words and tables, and so has what is said "
        "of stretches",
        "these shapes: over all their views, from common ones (rate: exact, from flipped views; score: betting "
        "bounds); other shapes: of these classes, wide for few shapes, none for one",
        "certified SRVR: mean share of the widest region around a start point, certified by the common views; right "
        "views within: share of them that are right in it, which a mean does not promise; profile area: of regions "
        "that meet the level by them",
        *(f"{own.after} beside {own.before}: {own.queries:,} queries of views, runs and judges" for own in found),
        *(f"a run failed: {error}" for own in found for error in own.failed[:1]),
    ]


def view_rows(own: NetworkComparison) -> list[dict[str, object]]:
    """Every common view and what became of it."""
    rows: list[dict[str, object]] = []
    for shape in own.shapes:
        pair = shape.views
        for view, theta in enumerate(pair.before.theta):
            flip = "lost" if pair.lost[view] else "won" if pair.won[view] else ""
            rows.append({
                "network": own.after,
                "against": own.before,
                "class": shape.class_name,
                "shape": shape.shape,
                **dict(zip(pair.before.space.names, theta.tolist(), strict=True)),
                "before": float(pair.before.scores[view]),
                "after": float(pair.after.scores[view]),
                "flipped": flip,
            })
    return rows


def picture_of(own: NetworkComparison) -> Figure:
    """The shapes on which most views flipped."""
    order = sorted(own.shapes, key=lambda shape: -(shape.views.flips.lost + shape.views.flips.won))
    order = [shape for shape in order if (shape.views.lost | shape.views.won).any()][:MOST_DRAWN] or order[:1]
    rows = [
        FlipRow(
            shape.label,
            shape.views,
            shape.regions,
            np.array(shape.before[0].task.question.start),
            flipped_views(shape, lost=True),
            flipped_views(shape, lost=False),
        )
        for shape in order
    ]
    flips = own.flips
    left = f"; the {len(rows)} of {len(own.shapes)} shapes with most flipped views" * (len(rows) < len(own.shapes))
    title = f"{own.after} beside {own.before}: {flips.lost} of {flips.views} views lost, {flips.won} won{left}"
    return flips_figure(rows, (own.before, own.after), title=title)


def flipped_views(shape: OnShape, *, lost: bool) -> tuple[FlippedView, ...]:
    """Pictures of the views whose score changed most, unlike each other."""
    from semrob_env.metrics import distinct

    pair = shape.views
    places = np.flatnonzero(pair.lost if lost else pair.won)
    ranked = places[np.argsort(-np.abs(pair.after.scores - pair.before.scores)[places], kind="stable")]
    function, member = shape.functions[0]
    if not len(ranked) or not isinstance(function, SceneFunction):
        return ()
    chosen = ranked[distinct(pair.before.space, pair.before.theta[ranked], count=PICTURES)]
    images = function.images(pair.before.theta[chosen], member)
    return tuple(
        FlippedView(pair.before.theta[view], image, float(pair.before.scores[view]), float(pair.after.scores[view]))
        for view, image in zip(chosen, images, strict=True)
    )
