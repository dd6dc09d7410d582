"""Trains examiners, lets them examine members that they did not train on, and compares them with point methods."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, final

import numpy as np

from baselines.agents import load_agent
from baselines.agents.actor import Actor
from baselines.agents.examiner import Examination, Examined, examined_by_agent, examined_by_method
from baselines.agents.training import Recipe, Trainer, train_in
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.commands.train_examiner import TrainExaminerOptions
from baselines.commands.work.train_agent import agent_folder, split
from optimizers.registry import get_optimizer
from semrob_env.errors import InvalidBudgetError, InvalidParameterError
from semrob_env.files import markdown_table
from semrob_env.functions import ScoreFunction, make_function
from semrob_env.parameters import paper_starts
from semrob_env.plotting.comparison import Curve, Panel, comparison_figure
from semrob_env.types import IntArray


def run(options: TrainExaminerOptions, console: Console) -> None:
    plan = ExaminerPlan.of(options)
    console.say(plan.describe())
    if options.dry_run:
        return
    bundle = Bundle(options.out, console)
    bundle.keep("plan.json", json.dumps(plan.frozen(), indent=1, default=str) + "\n", "training")
    with progress_bar(console, "rounds") as progress:
        bar = progress.add_task("train", total=len(plan.recipes) * options.rounds)
        for number, recipe in enumerate(plan.recipes):

            def on_progress(done: float, before: int = number * options.rounds) -> None:
                progress.update(bar, completed=before + done)

            folder, make = agent_folder(bundle.folder, recipe), partial(plan.trainer, recipe)
            curve, _ = train_in(folder, recipe, make, plan.test, on_progress)
            console.say(f"seed {recipe.seed}: lowest score on test {curve[-1]['lowest']:.3f}")
    report(plan, bundle, console)


@final
@dataclass(frozen=True, eq=False)
class ExaminerPlan:
    """What a command asks for."""

    options: TrainExaminerOptions
    function: ScoreFunction
    train: IntArray
    asked: Examination
    recipes: tuple[Recipe, ...]
    methods: Mapping[str, tuple[str, dict[str, Any]]]  # name and settings by label

    @classmethod
    def of(cls, options: TrainExaminerOptions) -> ExaminerPlan:
        """Everything that is misspelt is told here, before any work."""
        if options.budget < 2:
            raise InvalidBudgetError(f"--budget {options.budget}: give at least 2, the start point and one more")
        methods = {text: method_of(text) for text in options.methods}
        function = make_function(options.function)
        train, test = split(function, options)
        recipes = tuple(
            Recipe(
                algorithm=options.algorithm,
                seed=seed,
                steps=options.steps,
                rounds=options.rounds,
                environments=options.environments,
            )
            for seed in options.seeds
        )
        asked = Examination(function, test, paper_starts(function.space), options.budget)
        plan = cls(options, function, train, asked, recipes, methods)
        plan.trainer(recipes[0])  # what does not fit ends here
        return plan

    def trainer(self, recipe: Recipe) -> Trainer:
        rules = {"budget": self.options.budget, "goal": "low"}
        return Trainer(recipe, self.function, self.train, rules=rules, start="random", searches_points=True)

    def test(self, actor: Actor) -> dict[str, float]:
        return {"lowest": float(examined_by_agent(self.asked, actor)[:, -1].mean())}

    def describe(self) -> str:
        given, recipe = self.options, self.recipes[0]
        return (
            f"{len(self.recipes)} {given.algorithm} agents learn on {len(self.train)} members, "
            f"{recipe.steps_of_round * recipe.rounds:,} steps (queries) each, and examine {len(self.asked.members)} "
            f"others x {len(self.asked.starts)} start points with {given.budget} queries, beside "
            f"{', '.join(self.methods)}; a failure is a unit score below {given.level:g}"
        )

    def frozen(self) -> dict[str, Any]:
        """All that decides about the agents, as plain data."""
        others = {"out", "dry_run", "imports", "methods", "level"}
        given = {name: value for name, value in vars(self.options).items() if name not in others}
        parts = {"train": self.train, "test": self.asked.members}
        members = {part: [self.function.member_ids[row] for row in rows] for part, rows in parts.items()}
        prints = [dict(sorted(found.items())) for found in self.function.fingerprints]
        return {**given, **members, "fingerprints": prints, "recipes": [asdict(recipe) for recipe in self.recipes]}


def method_of(text: str) -> tuple[str, dict[str, Any]]:
    """A point method over the whole space and its settings, of NAME:SETTING=VALUE:..."""
    name, *parts = text.split(":")
    settings: dict[str, Any] = {"radius": 1.0}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidParameterError(f"--methods {text}: write NAME:SETTING=VALUE")
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    kind = get_optimizer(name)
    if kind.recommends != "points":
        raise InvalidParameterError(f"--methods {name} recommends regions; an examiner looks for points")
    kind.settings_class.from_mapping(settings)
    return name, settings


def report(plan: ExaminerPlan, bundle: Bundle, console: Console) -> None:
    given, found = plan.options, list[Examined]()
    actors = [load_agent(agent_folder(bundle.folder, recipe)).actor for recipe in plan.recipes]
    found.append(
        Examined.of(f"{given.algorithm} agents", plan.asked, [examined_by_agent(plan.asked, actor) for actor in actors])
    )
    for label, (name, settings) in plan.methods.items():
        runs = [examined_by_method(plan.asked, name, settings, seed) for seed in given.seeds]
        found.append(Examined.of(label, plan.asked, runs))
    counts = sorted({1, 2, min(4, given.budget), max(2, given.budget // 2), given.budget})
    rows = [own.row(given.level, count) for count in counts for own in found]
    trained = sum(recipe.steps_of_round * recipe.rounds for recipe in plan.recipes)
    body = "\n\n".join([
        "# Examiners on members that agents did not train on",
        plan.describe() + ".",
        markdown_table([shown(row) for row in rows]),
        f"- Each run costs {given.budget} forward queries; {len(plan.asked.pairs[0])} runs a seed. Agents asked "
        f"{trained:,} forward queries more, to learn; point methods learn nothing from other members.\n"
        "- Intervals: 95 %, over other test members; seeds and start points are averaged first. Agents choose without "
        "chance: one run a start point and seed of training.",
    ])
    bundle.text("examiner.md", body)
    bundle.rows("examiner.csv", rows)
    bundle.figure("examiner.png", figure_of(plan, found))
    console.say(body)
    bundle.close("the agents")


def shown(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "queries": str(row["queries"]),
        "examiner": row["examiner"],
        "seeds": str(row["seeds"]),
        "lowest unit score": f"{row['lowest_score']:.3f}",
        "95 %": ends(row["lowest_low"], row["lowest_high"], 1, 3),
        "runs that found a failure %": f"{100 * row['failures_found']:.0f}",
        "95 % ": ends(row["failures_low"], row["failures_high"], 100, 0),
    }


def ends(low: float, high: float, factor: int, digits: int) -> str:
    return f"{factor * low:.{digits}f} to {factor * high:.{digits}f}" if np.isfinite(low) else "-"


def figure_of(plan: ExaminerPlan, found: Sequence[Examined]) -> Any:
    queries = np.arange(1, plan.options.budget + 1, dtype=np.float64)
    panels = []
    for place, label in enumerate(("lowest unit score", "share of runs that found a failure")):
        curves = tuple(
            Curve(
                own.label,
                queries,
                np.array([own.by_member(plan.options.level, int(q))[place].mean() for q in queries]),
                is_planned=False,
            )
            for own in found
        )
        panels.append(Panel(label, "queries", "", curves))
    title = f"{len(plan.asked.members)} members that no agent trained on, {len(plan.asked.starts)} start points each"
    return comparison_figure([panels], title=title)
