"""The rounds of a training, kept in a folder: what was interrupted goes on from its last finished round.

In the folder: `checkpoint.pt` while it lasts, then `curve.json` (a point a round) and the saved agent.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from baselines.agents.actor import Actor
from baselines.agents.files import load_agent, save_agent
from baselines.agents.training import Recipe, Trainer
from semrob_env.errors import MissingFileError
from semrob_env.files import output_folder, write_whole

CHECKPOINT, CURVE = "checkpoint.pt", "curve.json"

Curve = list[dict[str, float]]
"""A point a round: `steps` so far, mean `return` of its episodes, and the measures of the test."""


def train_in(
    folder: str | Path,
    recipe: Recipe,
    make: Callable[[], Trainer],
    test: Callable[[Actor], dict[str, float]],
    on_progress: Callable[[float], None],
) -> tuple[Curve, bool]:
    """Train what is missing of an agent.

    Args:
        folder: Of this agent alone.
        recipe: How it is trained.
        make: Makes its trainer; not called where the agent is there already.
        test: Measures of the agent after each round; nothing is chosen by them.
        on_progress: Told how many rounds are done, in fractions.

    Returns:
        The learning curve, and whether anything was trained.

    Raises:
        RefusedFileError: The folder holds another agent, or files that are not of this format.
        OutputError: It cannot be written.
    """
    target = Path(folder)
    if (kept := _kept(target, recipe)) is not None:
        return kept, False
    output_folder(target)
    trainer, checkpoint = make(), target / CHECKPOINT
    if checkpoint.exists():
        trainer.restore(checkpoint)
    while not trainer.is_done:
        done = trainer.done

        def on_step(steps: int, done: int = done) -> None:
            on_progress(done + steps / recipe.steps_of_round)

        trainer.round(on_step)
        trainer.note(**test(trainer.actor))
        trainer.save(checkpoint)
        on_progress(trainer.done)
    write_whole(target / CURVE, json.dumps(trainer.curve) + "\n")
    save_agent(target, trainer.saved_agent({"recipe": asdict(recipe), "members": list(trainer.member_ids)}))
    checkpoint.unlink(missing_ok=True)
    return trainer.curve, True


def _kept(folder: Path, recipe: Recipe) -> Curve | None:
    """The curve of an agent that is there already; None: there is none."""
    try:
        agent = load_agent(folder)
        curve: Any = json.loads((folder / CURVE).read_text(encoding="utf-8"))
    except (MissingFileError, FileNotFoundError, ValueError) as error:
        if isinstance(error, ValueError) and not isinstance(error, json.JSONDecodeError):
            raise
        return None
    is_same = agent.training.get("recipe") == json.loads(json.dumps(asdict(recipe)))
    return curve if is_same and len(curve) == recipe.rounds else None
