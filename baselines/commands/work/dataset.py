"""Renders views of shapes into an ImageFolder."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from baselines.commands.dataset import DatasetOptions
from baselines.commands.shared.networks import asked_of, introduce
from baselines.commands.shared.options import PoseOptions, workers_of
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.dataset import SPLITS, DatasetRecipe, Made, read_mix, split_shapes, write_dataset
from semrob_env.errors import InvalidParameterError
from semrob_env.metrics.survey import RIGHT
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.classifiers.registry import takes_option
from semrob_env.scene.classifiers.score_kinds import SCORE_WORDS

MOST_TOLD = 6
"""Shapes that a line names."""


def run(options: DatasetOptions, console: Console) -> None:
    if options.networks and not all(takes_option(spec.network, "score") for spec in options.specs()):
        options = replace(options, score="softmax")
    specs = options.specs() if options.networks else ()
    if len(specs) > 1:
        raise InvalidParameterError(f"{len(specs)} networks; give one: pictures are those on which it fails")
    load = partial(specs[0].load, unnormalized=options.unnormalized) if specs else None
    recipe = DatasetRecipe(
        space=SemanticSpace.of(options.params),
        views=options.views,
        failing=read_mix(options.mix),
        classifier=load,
        size=options.image_size,
        colors=options.colors,
        seed=options.seed,
        regions=options.regions,
        budget=options.budget,
    )
    shapes = options.selected()
    chosen, left_out = split_shapes(shapes, options.split, recipe)
    if load is not None:
        classifier = load()
        for name in sorted({shape.class_name for shape in chosen}):
            classifier.classes.index(name)
        console.say(f"right and failing: a unit score from {RIGHT:g} on, and below; f: {SCORE_WORDS[options.score]}")
    if options.dry_run:
        counts = {name: sum(shape.split == name for shape in chosen) for name in SPLITS}
        sides = [f"{count} shapes for {name}" for name, count in counts.items() if count]
        console.say(f"{len(chosen) * options.views:,} pictures: {' and '.join(sides)}, {options.views} views each")
        tell_left_out(left_out, console)
        return
    PoseOptions.tell_meshes(options, console)
    if specs:
        introduce(console, asked_of(shapes, specs, options.feed, {"colors": options.colors}))
    bundle = Bundle(options.out, console)
    with progress_bar(console, "shapes") as progress:
        bar = progress.add_task("data set", total=len(shapes))

        def on_shape(name: str, count: int) -> None:
            progress.advance(bar)
            if not console.is_terminal and (progress.tasks[0].completed % 10 == 0):
                console.say(f"{progress.tasks[0].completed:.0f} of {len(shapes)} shapes: {name}, {count} pictures")

        made = write_dataset(
            shapes,
            bundle.folder,
            recipe,
            split=options.split,
            workers=workers_of(options, alone=True),
            facts={"mix": options.mix, "network": str(specs[0]) if specs else ""},
            on_shape=on_shape,
        )
    report(made, console)
    written = dict.fromkeys(name.partition("/")[0] for name in made.views)
    bundle.close(*written, "factors.csv", "dataset.json")


def report(made: Made, console: Console) -> None:
    total = sum(made.views.values())
    for name in SPLITS:
        own = {key.partition("/")[2]: count for key, count in made.views.items() if key.startswith(f"{name}/")}
        if own:
            each = ", ".join(f"{key} {count}" for key, count in own.items())
            rate = f"; right: {100 * made.rate[name]:.0f} % of the uniform views" if name in made.rate else ""
            console.say(f"{name}: {sum(own.values()):,} pictures ({each}){rate}")
    empty = [name for name, count in made.views.items() if not count]
    if empty:
        console.say(
            f"no picture of {', '.join(empty)}: ImageFolder would number the classes of both sides differently; "
            "give it allow_empty=True, or choose --mix both:0.5"
        )
    if made.failing:
        console.say(f"{made.failing:,} of {total:,} pictures are failing views")
    if made.missing:
        names = list(made.missing)
        more = f" and {len(names) - MOST_TOLD} more shapes" if len(names) > MOST_TOLD else ""
        told = ", ".join(f"{name} ({made.missing[name]})" for name in names[:MOST_TOLD])
        console.say(f"fewer failing views than asked for, as no more were found: {told}{more}")
    tell_left_out(made.left_out, console)
    if made.drawn:
        spent = sum(made.seconds_of.values())
        parts = ", ".join(f"{name} {100 * seconds / spent:.0f} %" for name, seconds in made.seconds_of.items())
        console.say(
            f"{made.drawn:,} pictures in {made.seconds:.1f} s: {60 * made.drawn / made.seconds:,.0f} a minute ({parts})"
        )
    else:
        console.say("all pictures were there already")


def tell_left_out(left_out: dict[str, str], console: Console) -> None:
    for name, why in left_out.items():
        console.say(f"left out: {name}: {why}")
