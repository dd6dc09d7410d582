"""Splits maps into a public and a hidden part, and scores submitted regions on the hidden one."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from baselines.commands.challenge import ChallengeOptions
from baselines.commands.shared.terminal import Bundle, Console
from semrob_env.errors import InvalidParameterError, RefusedFileError
from semrob_env.files import bounded_text, csv_text, markdown_table, output_folder, write_whole
from semrob_env.ground_truth import exact_moments, optimum
from semrob_env.parameters import SemanticSpace, paper_starts
from semrob_env.questions import Goal, read_goal
from semrob_env.recorded import RecordedMaps, ScoreMaps, load_maps, save_maps
from semrob_env.regions import Regions
from semrob_env.types import FloatArray

MOST_BYTES = 2**24
"""Largest table that is read."""

Line = dict[str, object]


def run(options: ChallengeOptions, console: Console) -> None:
    if options.score:
        scored(options, console)
        return
    maps = load_maps(options.maps)
    numbers = {str(number) for number in options.hidden_shapes}
    hidden = [row for row, name in enumerate(maps.names) if name.rsplit("/", 1)[-1] in numbers]
    public = [row for row in range(len(maps)) if row not in set(hidden)]
    if not hidden or not public:
        raise InvalidParameterError(
            f"--hidden-shapes hides {len(hidden)} of {len(maps)} maps; name some shapes of {options.maps}, not all"
        )
    given, kept = output_folder(Path(options.out) / "public"), output_folder(Path(options.out) / "hidden")
    known, asked = maps.only(public), maps.only(hidden)
    questions = listed(asked, options.goals, "q")
    if not questions:
        raise InvalidParameterError("no start point of a hidden map scores enough for a goal; give a lower --goal")
    save_maps(asked, kept / "maps.npz")
    save_maps(known, given / "maps.npz")
    write_whole(given / "questions.csv", csv_text(questions))
    answers = [{**line, **best_of(known, line)} for line in listed(known, options.goals, "a")]
    if answers:
        write_whole(given / "answers.csv", csv_text(answers))
    example: list[Line] = []
    for line in questions:
        start = start_of(maps.space, line)
        example.append({"question": line["question"], **bounds_line(maps.space, start, start)})
    write_whole(given / "regions.csv", csv_text(example))
    console.say(
        f"{len(questions)} questions on {len(asked)} hidden maps, {len(answers)} with answers on {len(known)} others\n"
        f"wrote {given} to be given away, and {kept} to be kept"
    )


def listed(maps: ScoreMaps, goals: Sequence[Goal], letter: str) -> list[Line]:
    """Questions on maps: the paper's start points at which the score is at least the level of a goal."""
    function, starts = RecordedMaps(maps), paper_starts(maps.space)
    scores = function.scale.unit(function.values(np.tile(starts, (len(maps), 1, 1)), np.arange(len(maps))))
    lines: list[Line] = []
    for goal in goals:
        for row, column in np.argwhere(scores >= goal.level).tolist():
            start = dict(zip(maps.space.names, starts[column].tolist(), strict=True))
            lines.append({
                "question": f"{letter}{len(lines) + 1:04d}",
                "map": maps.names[row],
                "map_sha256": maps.digests[row],
                "goal": goal.text,
                **{f"start_{name}": value for name, value in start.items()},
            })
    return lines


def best_of(maps: ScoreMaps, line: Mapping[str, object]) -> Line:
    start, goal = start_of(maps.space, line), read_goal(str(line["goal"]))
    best = optimum(RecordedMaps(maps), start, goal, member=maps.index(str(line["map"])))
    if best.region is None:
        return {"share": 0.0, **bounds_line(maps.space, start, start)}
    return {"share": best.share, **bounds_line(maps.space, best.region.lower[0], best.region.upper[0])}


def start_of(space: SemanticSpace, line: Mapping[str, object]) -> FloatArray:
    return np.array([float(str(line[f"start_{name}"])) for name in space.names])


def bounds_line(space: SemanticSpace, lower: FloatArray, upper: FloatArray) -> Line:
    sides = {f"{name}_lower": float(value) for name, value in zip(space.names, lower, strict=True)}
    return {**sides, **{f"{name}_upper": float(value) for name, value in zip(space.names, upper, strict=True)}}


def scored(options: ChallengeOptions, console: Console) -> None:
    folder = Path(options.challenge)
    maps, questions = load_maps(folder / "hidden" / "maps.npz"), table(folder / "public" / "questions.csv")
    submitted = {line.get("question", ""): line for line in table(Path(options.score))}
    if unknown := [name for name in submitted if name not in {line["question"] for line in questions}]:
        raise InvalidParameterError(f"{options.score}: no question {unknown[0][:40]!r}; questions.csv has them")
    function = RecordedMaps(maps)
    lines: list[Line] = []
    for line in questions:
        member, goal = maps.index(line["map"]), read_goal(line["goal"])
        if maps.digests[member] != line["map_sha256"]:
            raise RefusedFileError(f"{folder}: the hidden map {line['map']} is not the one of questions.csv")
        start = start_of(maps.space, line)
        best = optimum(function, start, goal, member=member).share
        region = region_of(maps.space, submitted.get(line["question"]), options.score)
        share, feasible = 0.0, False
        if region is not None:
            mean, variance = exact_moments(function, region, [member], goal)
            share = float(region.share()[0])
            feasible = bool(goal.is_met(mean, variance)[0] and region.contains(start[None])[0])
        quality = share / best if feasible and best > 0 else 0.0
        told = {"question": line["question"], "goal": line["goal"], "answered": int(region is not None)}
        lines.append({**told, "feasible": int(feasible), "share": share, "quality": quality})
    bundle = Bundle(options.out, console)
    goals = dict.fromkeys(str(line["goal"]) for line in lines)
    rows = [summary(goal, [line for line in lines if line["goal"] == goal]) for goal in goals]
    note = "Quality: share of a feasible region over that of the exact optimum, else 0; without an answer, 0."
    body = f"# Scores of a submission\n\n{markdown_table(rows)}\n\n{note}"
    bundle.text("scores.md", body)
    bundle.rows("scores.csv", lines)
    console.say(body)
    bundle.close()


def summary(goal: str, lines: Sequence[Mapping[str, object]]) -> dict[str, str]:
    mean = {name: np.mean([float(str(line[name])) for line in lines]) for name in ("answered", "feasible", "quality")}
    qualities = [float(str(line["quality"])) for line in lines]
    return {
        "goal": goal,
        "questions": str(len(lines)),
        "answered %": f"{100 * mean['answered']:.0f}",
        "feasible %": f"{100 * mean['feasible']:.0f}",
        "median quality": f"{np.median(qualities):.2f}",
        "mean quality": f"{mean['quality']:.2f}",
    }


def region_of(space: SemanticSpace, line: Mapping[str, str] | None, path: str) -> Regions | None:
    """The region of a line of a submission; None for one that has no bounds."""
    if line is None:
        return None
    texts = [[line.get(f"{name}_{side}") or "" for name in space.names] for side in ("lower", "upper")]
    if not any(text.strip() for side in texts for text in side):
        return None
    try:
        lower, upper = ([float(text) for text in side] for side in texts)
        if not all(map(math.isfinite, [*lower, *upper])):
            raise ValueError("not finite")
        return Regions(space, [lower], [upper]).clip()  # type: ignore[arg-type]  # it makes arrays of them
    except ValueError as error:
        raise InvalidParameterError(f"{path}: question {line.get('question')!r}: {error}") from error


def table(path: Path) -> list[dict[str, str]]:
    """The lines of a CSV."""
    return [dict(line) for line in csv.DictReader(io.StringIO(bounded_text(path, MOST_BYTES)))]
