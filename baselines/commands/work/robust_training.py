"""Runs the trials of a study of robust training, and writes table and picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from baselines.commands.robust_training import RobustTrainingOptions
from baselines.commands.shared.options import workers_of
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.experiments.runner import each
from baselines.robust_training import ARMS, MEASURES, Study, student_interval, trial
from semrob_env.errors import OutputError
from semrob_env.files import markdown_table, write_whole
from semrob_env.metrics.bootstrap import LEVEL
from semrob_env.plotting.training import Measured, training_figure
from semrob_env.regions import Regions

QUICK = Study(
    classes=("cup", "chair"),
    shapes=1,
    held_out=1,
    size=24,
    views=12,
    added=8,
    steps=30,
    more_steps=10,
    test_views=32,
    regions=1,
    budget=8,
    points=32,
)
"""The study of --quick."""

QUICK_SEEDS = 2

PAIRS = (
    ("regions", "random"),
    ("regions", "mined"),
    ("regions", "random_same_bill"),
    ("regions", "none"),
    ("random", "none"),
)
"""Arms whose paired differences are told."""


def run(options: RobustTrainingOptions, console: Console) -> None:
    study = study_of(options)
    seeds = range(QUICK_SEEDS if options.quick else options.seeds)
    bundle = Bundle(options.out, console)
    bundle.keep("study.json", json.dumps(asdict(study), indent=1) + "\n", "study")
    trials = bundle.folder / "trials"
    trials.mkdir(exist_ok=True)
    done = {seed: record for seed in seeds if (record := kept(trials / f"seed_{seed}.json")) is not None}
    left = [seed for seed in seeds if seed not in done]
    with progress_bar(console, "trials") as progress:
        bar = progress.add_task("robust training", total=len(seeds), completed=len(done))
        workers = workers_of(options, alone=len(left) < 2)
        call = partial(trial, study)
        for place, record in each(workers, call, left):
            seed = left[place]
            write_whole(trials / f"seed_{seed}.json", json.dumps(record) + "\n")
            done[seed] = record
            progress.advance(bar)
            accuracies = ", ".join(f"{ARMS[arm]} {100 * own['whole']:.1f}" for arm, own in record["arms"].items())
            console.say(f"trial {seed}: right views of the whole space in %: {accuracies}")
    report(study, [done[seed] for seed in seeds], bundle, console)


def study_of(options: RobustTrainingOptions) -> Study:
    if options.quick:
        return QUICK
    names = ("classes", "shapes", "held_out", "ordinary", "views", "added", "regions")
    return replace(Study(), **{name: getattr(options, name) for name in names})


def kept(path: Path) -> dict[str, Any] | None:
    """A finished trial; None: there is none.

    Raises:
        OutputError: It cannot be read.
    """
    if not path.exists():
        return None
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return record if all(arm in record["arms"] for arm in ARMS) else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path} cannot be read ({error}); remove it, and its trial runs again") from error


def report(study: Study, records: Sequence[dict[str, Any]], bundle: Bundle, console: Console) -> None:
    rows = [
        {"seed": record["seed"], "arm": arm, **{name: value for name, value in own.items() if name != "map"}}
        for record in records
        for arm, own in record["arms"].items()
    ]
    bundle.rows("robust_training.csv", rows)
    numbers = {name: numbers_of(records, name) for name in (*MEASURES, "added", "bill")}
    tables = [arms_table(numbers), pairs_table(numbers)]
    words = conclusion(numbers, len(records))
    text = "\n\n".join([
        "# Robust training",
        about(study, records),
        f"Means over {len(records)} trials with {100 * LEVEL:.0f} % intervals, in %; pictures and renders of a trial.",
        tables[0],
        "Paired differences, in points; an interval without 0 proves a difference at its level, each by itself.",
        tables[1],
        words,
    ])
    bundle.text("robust_training.md", text)
    maps = {ARMS[arm]: np.sum([record["arms"][arm]["map"] for record in records], axis=0) for arm in ARMS}
    shares = {
        label: np.divide(right, views, out=np.full(views.shape, np.nan), where=views > 0)
        for label, (right, views) in maps.items()
    }
    ordinary = study.ordinary_space
    measured = [Measured(title, *spread(numbers[name])) for name, title in MEASURES.items()]
    title = (
        f"A network trained on ordinary views (orange box), then on what is told above each map: right views of "
        f"held-out shapes, {len(records)} trials"
    )
    bundle.figure(
        "robust_training.png",
        training_figure(
            study.space, shares, Regions(study.space, ordinary.low[None], ordinary.high[None]), measured, title=title
        ),
    )
    console.say("\n".join(["", *tables, "", words]))
    bundle.close("trials")


def numbers_of(records: Sequence[dict[str, Any]], name: str) -> dict[str, list[float]]:
    """A number of every arm, one a trial."""
    return {arm: [float(record["arms"][arm][name]) for record in records] for arm in ARMS}


def spread(numbers: dict[str, list[float]]) -> tuple[Any, Any, Any]:
    """Every arm in every trial (A, S), and the ends of the interval of each (A,)."""
    ends = np.array([student_interval(own)[1:] for own in numbers.values()])
    return np.array(list(numbers.values())), *np.clip(ends.T, 0.0, 1.0)


def about(study: Study, records: Sequence[dict[str, Any]]) -> str:
    base = {name: 100 * float(np.mean([record["base"][name] for record in records])) for name in records[0]["base"]}
    share = 100 * float(np.mean([record["region_share"] for record in records]))
    return (
        f"{len(study.classes)} classes ({', '.join(study.classes)}), {study.shapes} training and {study.held_out} "
        f"held-out shapes of each a trial, pictures of {study.size} pixels, {study.views} ordinary views a shape "
        f"({study.ordinary}), {study.steps} steps, then {study.more_steps} of each arm. Before the arms part, the "
        f"network is right in {base['ordinary']:.1f} % of ordinary views of held-out shapes, {base['whole']:.1f} % of "
        f"the whole space. Its failing regions ({study.regions} a training shape at most, {study.budget} queries each) "
        f"add up to {share:.0f} % of the space, where they overlap counted twice."
    )


def arms_table(numbers: dict[str, dict[str, list[float]]]) -> str:
    return markdown_table([
        {
            "after ordinary views": label,
            "added": f"{np.mean(numbers['added'][arm]):.0f}",
            "renders": f"{np.mean(numbers['bill'][arm]):.0f}",
            **{title: interval(numbers[name][arm]) for name, title in MEASURES.items()},
        }
        for arm, label in ARMS.items()
    ])


def pairs_table(numbers: dict[str, dict[str, list[float]]]) -> str:
    return markdown_table([
        {
            "difference": f"{ARMS[first]} less {ARMS[second] if second != 'none' else 'nothing added'}",
            **{
                title: interval(np.subtract(numbers[name][first], numbers[name][second]), sign="+")
                for name, title in MEASURES.items()
            },
        }
        for first, second in PAIRS
    ])


def interval(values: Any, sign: str = "") -> str:
    """A mean in % and its interval, in brackets, cut to what is possible; a sign is that of a difference."""
    mean, low, high = 100 * np.clip(student_interval(values), -1.0 if sign else 0.0, 1.0)
    return f"{mean:{sign}.1f} ({low:{sign}.1f} to {high:{sign}.1f})" if np.isfinite(low) else f"{mean:{sign}.1f}"


def conclusion(numbers: dict[str, dict[str, list[float]]], trials: int) -> str:
    """What the paired differences say, and what they leave open."""
    if trials < 5:
        return f"{trials} trials are too few to say anything; give --seeds 5 or more."
    lines = []
    for first, second in PAIRS:
        name, other = ARMS[first], ARMS[second] if second != "none" else "nothing added"
        told = verdict(np.subtract(numbers["whole"][first], numbers["whole"][second]))
        lines.append(f"{name[0].upper()}{name[1:]} {told} {other}, on the whole space of held-out shapes.")
    return "\n".join(lines)


def verdict(differences: Any) -> str:
    mean, low, high = (100 * number for number in student_interval(differences))
    told = f"({mean:+.1f} points, {low:+.1f} to {high:+.1f})"
    if low > 0:
        return f"buy more {told} than"
    return f"buy less {told} than" if high < 0 else f"are not proved to buy more or less {told} than"
