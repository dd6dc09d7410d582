"""Evaluates one network on shapes, and writes report, document, rows and pictures."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any, Literal

from rich.progress import TaskID

from baselines.commands.evaluate import EvaluateOptions
from baselines.commands.shared.networks import estimate, introduce
from baselines.commands.shared.options import workers_of
from baselines.commands.shared.terminal import Bundle, Console, digits_table, progress_bar
from baselines.experiments.evaluation.asking import (
    EvaluationSettings,
    Step,
    Target,
    evaluate_targets,
    one_line,
)
from baselines.experiments.evaluation.evaluation import Evaluation
from baselines.experiments.evaluation.page import page
from baselines.experiments.evaluation.pictures import png_bytes
from baselines.experiments.evaluation.values import GATES
from baselines.experiments.functions import Functions
from baselines.experiments.runner import LIVE_MODULES
from semrob_env.errors import GateError, InvalidParameterError
from semrob_env.files import output_folder, write_whole
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.classifiers.registry import takes_option
from semrob_env.scene.classifiers.score_kinds import SCORE_WORDS
from semrob_env.scene.sources import load_shape
from semrob_env.tables.words import count_words, goal_words, interval_words

USUAL_CLASSES, USUAL_NUMBERS = ("cup", "chair", "bottle", "piano"), (0, 3)
"""Built-in shapes where no source is given: those of `srvr_table`."""


def run(options: EvaluateOptions, console: Console) -> None:
    options = usual(options)
    if options.fail_below is not None and not 0 <= options.fail_below <= 1:
        raise InvalidParameterError(f"--fail-below {options.fail_below:g}: give a share from 0 to 1, for example 0.3")
    settings = EvaluationSettings(**{field.name: getattr(options, field.name) for field in fields(EvaluationSettings)})
    targets = targets_of(options)
    settings.require_certificates(len(targets))
    space = SemanticSpace.of(options.params)
    console.say(describe(options, settings, targets, space))
    if options.dry_run:
        each = sum(settings.most_queries(space).values())
        console.say(estimate({target.function_id: each for target in targets}))
        return
    workers = workers_of(options, alone=True)
    workers.begin(LIVE_MODULES)
    introduce(console, dict.fromkeys(target.function_id for target in targets))
    bundle = Bundle(options.out, console)
    with progress_bar(console, "") as progress:
        bars: dict[str, TaskID] = {}

        def on_step(step: Step) -> None:
            if step.stage not in bars:
                bars[step.stage] = progress.add_task(step.stage, total=step.total)
            progress.update(bars[step.stage], completed=step.done)
            if step.line:
                console.say(step.line)

        found = evaluate_targets(
            targets,
            Functions(target.function_id for target in targets),
            settings,
            bundle.folder,
            workers=workers,
            modules=options.imports,
            notes=console.notes,
            on_step=on_step,
        )
    gate = asked_gate(options, found)
    write(found, gate, bundle)
    console.say(digits_table([shown(row) for row in found.rows("shapes")]))
    console.say("\n".join(found.words()))
    bundle.close("runs.sqlite", "answers.sqlite")
    if gate is not None and not gate["passed"]:
        raise GateError(gate["text"])
    if gate is not None:
        console.say(gate["text"])


def usual(options: EvaluateOptions) -> EvaluateOptions:
    """The options with the usual shapes where no source is given, and a score that the network has."""
    if not all(takes_option(spec.network, "score") for spec in options.specs()):
        options = replace(options, score="softmax")  # told by `describe`
    is_usual = options.sources == ("procedural",) and not options.class_name
    return replace(
        options,
        classes=options.classes or (USUAL_CLASSES if is_usual else ()),
        numbers=options.numbers or USUAL_NUMBERS,
    )


def targets_of(options: EvaluateOptions) -> list[Target]:
    """The shapes, each of which is loaded: a broken one ends here."""
    specs = options.specs()
    if len(specs) != 1:
        raise InvalidParameterError(f"--networks: {len(specs)} networks; an evaluation is of one")
    shapes = options.selected()
    scenes = options.scenes(shapes, options.params, options)
    for shape in shapes:
        load_shape(shape.class_name or "", shape.source, options.colors, shape.pose, options.shading)
    return [Target(shape.label, str(shape.class_name), str(scene)) for shape, scene in zip(shapes, scenes, strict=True)]


def describe(
    options: EvaluateOptions, settings: EvaluationSettings, targets: list[Target], space: SemanticSpace
) -> str:
    """What will be asked."""
    each = settings.most_queries(space)
    count = len(targets)
    whose = "for all certificates together" if settings.together else "for each certificate"
    return (
        f"{options.specs()[0].label} on {count_words(count, 'shape')} over {', '.join(space.names)}; score: "
        f"{SCORE_WORDS[options.score]}\n"
        f"robust: {goal_words(settings.goal, options.score)}; {100 * settings.confidence:g} % confidence {whose}\n"
        f"at most {count * sum(each.values()):,} queries: of each shape "
        + ", ".join(f"{most:,} {name}" for name, most in each.items())
    )


def asked_gate(options: EvaluateOptions, found: Evaluation) -> dict[str, Any] | None:
    """Whether the figure that was asked reaches what it should, in words; None: nothing was asked."""
    if options.fail_below is None:
        return None
    figure = found.figure(options.fail_on)
    passed = figure >= options.fail_below
    text = (
        f"{options.fail_on} {figure:.4f} is {'not ' if passed else ''}below {options.fail_below:g} "
        f"({GATES[options.fail_on]})"
    )
    return {"passed": passed, "text": text}


def write(found: Evaluation, gate: dict[str, Any] | None, bundle: Bundle) -> None:
    """The files of the report; the page last, so that what it stands for is there."""
    document = found.to_json() | {"gate": gate}
    bundle.text("report.json", json.dumps(document, indent=1, allow_nan=False))
    kinds: tuple[Literal["shapes", "failures", "regions"], ...] = ("shapes", "failures", "regions")
    for name in kinds:
        if rows := found.rows(name):
            bundle.rows(f"{name}.csv", rows)
        else:
            bundle.text(f"{name}.csv", "")
    bundle.figure("failures.png", found.plot_failures())
    bundle.figure("rates.png", found.plot_rates())
    bundle.figure("reach.png", found.plot_regions())
    output_folder(bundle.folder / "pictures")
    for own in found.shapes:
        for one in own.failures:
            image = found.pictures.image(own.function_id, one.theta)
            write_whole(bundle.folder / found.picture_of(one), png_bytes(image))
    bundle.text("report.html", page(found, gate=gate))


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A line of the table that the terminal gets."""
    return {
        "shape": one_line(row["shape"]),
        "class": row["class"],
        "right views %": 100 * row["top1"],
        "interval": interval_words(row["top1_low"], row["top1_high"]),
        "mean probability": row["mean_probability"],
        "certified region %": 100 * row["certified_region"],
        "(of found)": 100 * row["found_region"],
        "certified failing %": 100 * row["certified_failing_region"],
        "mostly taken for": row["predicted_instead"],
    }
