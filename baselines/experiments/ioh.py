"""A comparison in the format of IOHprofiler: files that iohinspector and IOHanalyzer read as they are.

Source: J. de Nobel, F. Ye, D. Vermetten, H. Wang, C. Doerr & T. Baeck, *IOHexperimenter*, Evolutionary Computation
2024, arXiv 2111.04077; iohinspector 0.0.8.

    ROOT/METHOD/IOHprofiler_f{ID}_{NAME}.json
    ROOT/METHOD/data_f{ID}_{NAME}/IOHprofiler_f{ID}_DIM{n}.dat

A method that plans by its budget is one METHOD a budget, LABEL@BUDGET; of the others it is the largest budget, whose
runs begin with those of the smaller ones. What their words mean here:

| word          | meaning                                                                                       |
|---------------|-----------------------------------------------------------------------------------------------|
| suite         | `semrob-` and the suite                                                                       |
| function      | function (member) and goal, numbered from 1 by first appearance                               |
| instance      | start point of that function and goal, from 1                                                 |
| run           | seed                                                                                          |
| evaluations   | queries charged                                                                               |
| raw_y         | feasible share of the region that is recommended then; 0 where it does not meet the goal      |
| maximization  | true                                                                                          |

A row has `evaluations raw_y`. A run begins at evaluations 1, whatever its method asks at once, for readers take that
for the beginning, and ends at the budget. What is recommended can become worse: readers that show the best so far
show the first hit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import numpy as np

from baselines.experiments.tables import Comparison
from semrob_env.types import FloatArray

VERSION = "0.3.18"
"""Of the format, as IOHexperimenter writes it."""


def ioh_files(comparison: Comparison) -> dict[str, str]:
    """The files by their paths below ROOT; see the module."""
    protocol, out, suite = comparison.protocol, comparison.outcomes, comparison.suite
    asked = [(question.function_id, question.goal.text) for question in suite.questions]
    number = {pair: place for place, pair in enumerate(dict.fromkeys(asked), start=1)}
    starts: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for pair, question in zip(asked, suite.questions, strict=True):
        if question.start not in starts.setdefault(pair, []):
            starts[pair].append(question.start)
    rows: dict[tuple[str, tuple[str, str]], list[int]] = {}
    for row in range(len(out.entry)):
        entry, budget = protocol.entries[out.entry[row]], int(out.budget[row])
        if entry.plans or budget == max(protocol.budgets):
            label = f"{entry.label}@{budget}" if entry.plans else entry.label
            rows.setdefault((label, asked[out.question[row]]), []).append(row)
    files: dict[str, str] = {}
    for (label, pair), own in rows.items():
        own = sorted(own, key=lambda row: (starts[pair].index(suite.questions[out.question[row]].start), out.seed[row]))
        name = f"f{number[pair]}_{plain_name(f'{pair[0]} {pair[1]}')}"
        n = len(suite.questions[out.question[own[0]]].start)
        path = f"data_{name}/IOHprofiler_f{number[pair]}_DIM{n}.dat"
        lines, runs = ["evaluations raw_y"], []
        for row in own:
            points = curve(*out.checkpoints[row], float(out.best[row]), int(out.budget[row]))
            lines += [f"{queries} {share:.10f}" for queries, share in points]
            best = max(points, key=lambda point: (point[1], -point[0]))
            instance = starts[pair].index(suite.questions[out.question[row]].start) + 1
            solution = {"evals": best[0], "y": best[1], "x": []}
            runs.append({"instance": instance, "evals": points[-1][0], "best": solution})
        described: Mapping[str, object] = {
            "version": VERSION,
            "suite": f"semrob-{suite.name}",
            "function_id": number[pair],
            "function_name": plain_name(f"{pair[0]} {pair[1]}"),
            "maximization": True,
            "algorithm": {"name": label, "info": f"protocol {protocol.digest()}"},
            "attributes": ["evaluations", "raw_y"],
            "scenarios": [{"dimension": n, "path": path, "runs": runs}],
        }
        folder = plain_name(label)
        files[f"{folder}/IOHprofiler_{name}.json"] = json.dumps(described, indent=1)
        files[f"{folder}/{path}"] = "\n".join([*lines, ""])
    return files


def curve_lines(comparison: Comparison) -> list[dict[str, object]]:
    """The lines of `curves.csv`, the same as one long table: a line a checkpoint of every run, its last the budget.

    Columns: `protocol` (digest), `suite`, `goal`, `function_id`, `n`, `start` (numbers with spaces between), `label`,
    `budget`, `seed`, `evaluations` (queries charged), `share` (feasible share of the region recommended then), `best`
    (share of the optimum; 0: there is none) and `best_is_exact` (1: known, 0: the best that was found).
    """
    out, digest = comparison.outcomes, comparison.protocol.digest()
    lines: list[dict[str, object]] = []
    for row in range(len(out.entry)):
        question = comparison.suite.questions[out.question[row]]
        about = {
            "protocol": digest,
            "suite": comparison.suite.name,
            "goal": question.goal.text,
            "function_id": question.function_id,
            "n": len(question.start),
            "start": " ".join(map(repr, question.start)),
            "label": comparison.protocol.entries[out.entry[row]].label,
            "budget": int(out.budget[row]),
            "seed": int(out.seed[row]),
        }
        best = {"best": float(out.best[row]), "best_is_exact": int(out.is_exact[row])}
        for queries, share in curve(*out.checkpoints[row], float(out.best[row]), int(out.budget[row])):
            lines.append({**about, "evaluations": queries, "share": share, **best})
    return lines


def curve(queries: FloatArray, quality: FloatArray, best: float, budget: int) -> list[tuple[int, float]]:
    """Queries and feasible shares of a run from 1 to its budget: one row where a checkpoint is, and both ends."""
    bills = np.ceil(queries).astype(np.int64).tolist()
    shares = np.clip(np.nan_to_num(quality * best), 0.0, 1.0).tolist()
    points: dict[int, float] = {1: 0.0}
    for bill, share in zip(bills, shares, strict=True):
        points[max(bill, 1)] = share
    last = max(points)
    points.setdefault(max(last, budget), points[last])
    return sorted(points.items())


def plain_name(text: str) -> str:
    """A text as a name of files that any system and reader takes, at most 100 characters."""
    return re.sub(r"[^A-Za-z0-9.@=-]+", "_", text).strip("_")[:100]
