"""Trains agents, tests them where they did not train, and compares them with other methods."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast, final

import numpy as np

from baselines.agents import load_agent
from baselines.agents.actor import Actor
from baselines.agents.evaluation import (
    HeldOutQuestions,
    Outcome,
    mean_interval,
    played,
    played_by_seeds,
    shown,
    table_rows,
)
from baselines.agents.policies import lent_policy
from baselines.agents.training import ALGORITHMS, Algorithm, Curve, Recipe, Trainer, train_in
from baselines.commands.shared.networks import introduce
from baselines.commands.shared.questions import region_methods
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.commands.train_agent import STEPS, TrainAgentOptions
from optimizers.registry import get_optimizer
from semrob_env.errors import InvalidParameterError, UnknownNameError
from semrob_env.files import markdown_table
from semrob_env.functions import ScoreFunction, make_function
from semrob_env.metrics import Judge
from semrob_env.parameters import paper_starts
from semrob_env.plotting.learning import LearningCurve, learning_figure
from semrob_env.types import IntArray

RANDOM_POLICY = "random policy"
RANDOM_STARTS = 8  # of the test, drawn once, where episodes begin at random ones
TRIAL_STEPS = 8192  # of --dry-run


def run(options: TrainAgentOptions, console: Console) -> None:
    plan = TrainingPlan.of(options)
    console.say(plan.describe())
    if options.dry_run:
        console.say(plan.estimate())
        return
    introduce(console, dict.fromkeys(plan.function.member_ids))
    bundle = Bundle(options.out, console)
    bundle.keep("plan.json", json.dumps(plan.frozen(), indent=1, default=str) + "\n", "training")
    curves: dict[Algorithm, list[Curve]] = {}
    with progress_bar(console, "rounds") as progress:
        bar = progress.add_task("train", total=sum(recipe.rounds for recipe in plan.recipes))
        for number, recipe in enumerate(plan.recipes):
            before = number * recipe.rounds

            def on_progress(done: float, recipe: Recipe = recipe, before: int = before) -> None:
                progress.update(bar, description=f"{recipe.algorithm} seed {recipe.seed}", completed=before + done)

            curve = trained(plan, recipe, agent_folder(bundle.folder, recipe), on_progress, console)
            curves.setdefault(recipe.algorithm, []).append(curve)
    report(plan, curves, bundle, console)


@final
@dataclass(frozen=True, eq=False)
class TrainingPlan:
    """What a command asks for: members of the family to train and to test on, an agent a recipe, other methods."""

    options: TrainAgentOptions
    function: ScoreFunction
    train: IntArray
    test: IntArray
    recipes: tuple[Recipe, ...]
    methods: tuple[str, ...]

    @classmethod
    def of(cls, options: TrainAgentOptions) -> TrainingPlan:
        """The plan of a command line; everything that is misspelt is told here, before any work."""
        Judge(options.goal, options.judge_points)
        for text in options.algorithms:
            if text not in ALGORITHMS:
                raise UnknownNameError(f"unknown algorithm {text!r}; choose {', '.join(ALGORITHMS)}")
        methods = tuple(region_methods(options.methods))
        function = make_function(options.function)
        train, test = split(function, options)
        common: dict[str, Any] = {"rounds": options.rounds, "environments": options.environments}
        recipes = tuple(
            Recipe(algorithm=name, seed=seed, steps=options.steps or STEPS[name], **common)
            for name in cast("tuple[Algorithm, ...]", options.algorithms)
            for seed in options.seeds
        )
        plan = cls(options, function, train, test, recipes, methods)
        plan.trainer(recipes[0])  # rules that do not fit end here
        return plan

    def trainer(self, recipe: Recipe) -> Trainer:
        start = "random" if self.options.start == "random" else None
        return Trainer(recipe, self.function, self.train, rules=self.rules, start=start)

    @property
    def rules(self) -> dict[str, Any]:
        given = self.options
        corners = None if self.function.space.n <= 6 else 16
        return {"budget": given.budget, "goal": given.goal.text, "largest_step": given.largest_step, "corners": corners}

    @cached_property
    def questions(self) -> HeldOutQuestions:
        given, space = self.options, self.function.space
        is_random = given.start == "random"
        starts = space.sample(RANDOM_STARTS, np.random.default_rng(0)) if is_random else paper_starts(space)
        return HeldOutQuestions(
            self.function, self.test, starts, given.budget, Judge(given.goal, given.judge_points, certificate_points=0)
        )

    def describe(self) -> str:
        recipes = {recipe.algorithm: recipe for recipe in self.recipes}
        each = ", ".join(f"{name} {recipe.steps_of_round * recipe.rounds:,} steps" for name, recipe in recipes.items())
        return (
            f"{len(self.recipes)} agents ({each} each, {self.options.rounds} rounds) learn on {len(self.train)} "
            f"members and are tested on {len(self.test)} others x {len(self.questions.starts)} start points, "
            f"{self.options.budget} queries a run, {self.options.goal.words}"
        )

    def estimate(self) -> str:
        """Time that training will take, from a short trial of each algorithm."""
        total = 0.0
        for name in dict.fromkeys(recipe.algorithm for recipe in self.recipes):
            own = [recipe for recipe in self.recipes if recipe.algorithm == name]
            trial = replace(own[0], steps=TRIAL_STEPS, rounds=1)
            trainer = self.trainer(trial)
            started = time.perf_counter()
            trainer.round()
            pace = (time.perf_counter() - started) / trial.steps_of_round
            total += pace * sum(recipe.steps_of_round * recipe.rounds for recipe in own)
        return f"estimated time of training: {total / 60:.1f} minutes; tests come on top"

    def frozen(self) -> dict[str, Any]:
        """All that decides about the results, as plain data."""
        given = {name: value for name, value in vars(self.options).items() if name not in {"out", "dry_run", "imports"}}
        parts = {"train": self.train, "test": self.test}
        members = {part: [self.function.member_ids[row] for row in rows] for part, rows in parts.items()}
        prints = [dict(sorted(found.items())) for found in self.function.fingerprints]
        return {**given, **members, "fingerprints": prints, "recipes": [asdict(recipe) for recipe in self.recipes]}


def split(function: ScoreFunction, options: TrainAgentOptions) -> tuple[IntArray, IntArray]:
    from semrob_env.envs.splits import parts_of_member, split_members

    parts = {"network": options.test_networks, "class": options.test_classes, "shape": options.test_shapes}
    if options.test_members:
        if any(parts.values()):
            raise InvalidParameterError("give --test-members, or held-out networks, classes and shapes, not both")
        test = np.array(options.test_members)
        train = np.setdiff1d(np.arange(function.members), test)
        if test.max() >= function.members or not len(train):
            given = f"--test-members {max(options.test_members)}"
            raise InvalidParameterError(f"{given}: there are 0..{function.members - 1}; leave some")
        return train, test
    held_out: dict[str, list[str]] = {kind: list(map(str, held)) for kind, held in parts.items() if held}
    if not held_out:
        raise InvalidParameterError(
            "nothing is held out; give --test-networks, --test-classes, --test-shapes or members"
        )
    if "shape" in held_out:
        shapes = {parts_of_member(name)["shape"] for name in function.member_ids}
        objects = set(map(str, options.test_shapes))
        found = sorted(shape for shape in shapes if shape.partition("/")[2].split(":")[-1] in objects)
        if not found:
            raise UnknownNameError(
                f"--test-shapes {options.test_shapes[0]}: no member of {function.id} has such an object"
            )
        held_out["shape"] = found
    chosen = split_members(function, held_out)
    return chosen.train, chosen.test


def agent_folder(folder: Path, recipe: Recipe) -> Path:
    return folder / recipe.algorithm / f"seed_{recipe.seed}"


def trained(
    plan: TrainingPlan, recipe: Recipe, folder: Path, on_progress: Callable[[float], None], console: Console
) -> Curve:
    """The learning curve of an agent, after training what is missing of it."""
    started = time.perf_counter()

    def test(actor: Actor) -> dict[str, float]:
        with lent_policy("in training", actor, rules=plan.rules) as name:
            outcome = played(plan.questions, "reinforcement", {"policy": name}, recipe.seed)
        return {"volume": float(outcome.volume.mean()), "feasible": float(outcome.feasible.mean())}

    curve, is_new = train_in(folder, recipe, lambda: plan.trainer(recipe), test, on_progress)
    if is_new:
        console.say(
            f"{recipe.algorithm} seed {recipe.seed}: {curve[-1]['steps']:,.0f} steps, feasible volume on test "
            f"{100 * curve[-1]['volume']:.2f} %, {time.perf_counter() - started:.0f} s"
        )
    return curve


def outcomes_of(plan: TrainingPlan, folder: Path) -> dict[str, Outcome]:
    """What every method does on the test, by its name in the table; agents of several seeds as one."""
    outcomes: dict[str, Outcome] = {}
    seeds = list(dict.fromkeys(recipe.seed for recipe in plan.recipes))
    for kind in dict.fromkeys(recipe.algorithm for recipe in plan.recipes):
        own = [recipe for recipe in plan.recipes if recipe.algorithm == kind]
        policies = {recipe.seed: load_agent(agent_folder(folder, recipe)).actor for recipe in own}
        outcomes[f"{kind} agents"] = of_policies(plan, policies)
    outcomes[RANDOM_POLICY] = of_policies(plan, dict.fromkeys(seeds))
    for name in plan.methods:
        own_seeds = seeds if get_optimizer(name).is_stochastic else seeds[:1]
        settings: dict[int, dict[str, Any]] = {seed: {} for seed in own_seeds}
        outcomes[name] = played_by_seeds(plan.questions, name, settings, episodes=plan.options.episodes)
    return outcomes


def of_policies(plan: TrainingPlan, policies: Mapping[int, Actor | None]) -> Outcome:
    """What policies do on the test, one a seed; None acts at random.

    They are lent by name, for a run draws from its settings: a folder there would make results depend on --out.
    """
    with ExitStack() as lent:
        settings = {
            seed: {"policy": lent.enter_context(lent_policy(f"policy {seed}", policy, rules=plan.rules))}
            for seed, policy in policies.items()
        }
        return played_by_seeds(plan.questions, "reinforcement", settings, episodes=plan.options.episodes)


def report(plan: TrainingPlan, curves: Mapping[Algorithm, Sequence[Curve]], bundle: Bundle, console: Console) -> None:
    outcomes = outcomes_of(plan, bundle.folder)
    rows = table_rows(outcomes, RANDOM_POLICY)
    is_exact = all(outcome.is_exact for outcome in outcomes.values())
    judged = "exactly" if is_exact else f"on {plan.options.judge_points} held-out points a region"
    body = "\n\n".join([
        "# Agents on members that they did not train on",
        plan.describe() + ".",
        markdown_table([shown(row) for row in rows]),
        f"- Volumes in % of the space; a region is judged {judged}, an infeasible one counts 0.\n"
        "- Intervals by bootstrap over seeds; the last one over seeds and test members.",
    ])
    bundle.text("training.md", body)
    bundle.rows("training.csv", rows)
    lines = [
        {"algorithm": kind, "seed": seed, **point}
        for kind, own in curves.items()
        for seed, curve in zip((recipe.seed for recipe in plan.recipes if recipe.algorithm == kind), own, strict=True)
        for point in curve
    ]
    bundle.rows("curves.csv", lines)
    levels = {
        str(row["method"]): (100 * row["feasible_volume"], 100 * row["low"], 100 * row["high"])
        for row in rows
        if not str(row["method"]).endswith("agents")
    }
    drawn = [learning_curve(kind, own) for kind, own in curves.items()]
    title = f"{len(plan.test)} members that were not trained on, {plan.options.budget} queries a run"
    figure = learning_figure(drawn, levels, title=title, y_label="feasible volume, % of the space")
    bundle.figure("learning.png", figure)
    console.say(body)
    bundle.close("the agents")


def learning_curve(kind: str, curves: Sequence[Curve]) -> LearningCurve:
    each = 100 * np.array([[point["volume"] for point in curve] for curve in curves])
    steps = np.array([point["steps"] for point in curves[0]])
    rng = np.random.default_rng(0)
    ends = np.array([mean_interval(column[:, None], rng) for column in each.T])
    return LearningCurve(f"{kind} agents", steps, each.mean(axis=0), ends[:, 0], ends[:, 1], each)
