"""A comparison made again from the lines of its `runs.csv`, without its maps, networks or runs."""

from __future__ import annotations

import csv
import io
import json
import zlib
from os import PathLike, fspath
from pathlib import Path
from typing import Final

import numpy as np

from baselines.experiments.functions import Functions
from baselines.experiments.protocols import Protocol, load_protocol, published_protocols
from baselines.experiments.quality import Outcomes
from baselines.experiments.suites import Suite
from baselines.experiments.tables import Comparison, percent
from semrob_env.errors import InvalidParameterError, MissingFileError, RefusedFileError, SemrobError
from semrob_env.files import read_regular
from semrob_env.questions import Question
from semrob_env.store import FAILED
from semrob_env.types import FloatArray, IntArray

MOST_BYTES: Final = 2**28
"""Largest text of rows that is read."""


def published_rows() -> dict[str, Path]:
    """Files of rows of the published comparisons that were run whole, by name."""
    paths = {name: path.with_suffix(".csv.gz") for name, path in published_protocols().items()}
    return {name: path for name, path in paths.items() if path.exists()}


def published_comparison(name: str) -> Comparison:
    """A published comparison that was run whole, from its rows.

    Raises:
        MissingFileError: There are no rows of it.
    """
    found = published_rows()
    if name not in found:
        raise MissingFileError(
            f"no rows of a comparison {name!r} are published; there are {', '.join(found) or 'none'}"
        )
    return read_comparison(load_protocol(name, any_version=True), found[name])


def read_comparison(protocol: Protocol, path: str | PathLike[str]) -> Comparison:
    """A comparison with all its tables; curves need checkpoints, which rows do not hold.

    Args:
        protocol: What was compared.
        path: Its `runs.csv`, as it is or compressed (`.gz`).

    Raises:
        RefusedFileError: The file is too large, is no such table, or lacks a column or a number.
        InvalidParameterError: The rows are of another comparison, or not all of it.
    """
    try:
        lines = list(csv.DictReader(io.StringIO(_text(Path(path))), strict=True))
        if {line["protocol"] for line in lines} != {protocol.digest()}:
            raise InvalidParameterError(
                f"{fspath(path)}: rows of another comparison; give --protocol the protocol.json that lies beside them"
            )
        return _comparison(protocol, lines)
    except SemrobError:
        raise
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise RefusedFileError(
            f"{fspath(path)} is no runs.csv as compare_methods writes it: {type(error).__name__} {error!s:.80}"
        ) from error


def _comparison(protocol: Protocol, lines: list[dict[str, str]]) -> Comparison:
    goals = {goal.text: goal for goal in protocol.goals}
    entries = {entry.label: number for number, entry in enumerate(protocol.entries)}
    numbers, questions, groups, asked = dict[tuple[str, ...], int](), list[Question](), list[str](), list[int]()
    for line in lines:
        key = tuple(line[name] for name in ("goal", "function_id", "start"))
        if key not in numbers:
            numbers[key] = len(numbers)
            start = tuple(map(float, line["start"].split()))
            questions.append(Question(line["function_id"], start, goals[line["goal"]]))
            groups.append(line["group"])
        asked.append(numbers[key])
    if len(questions) != protocol.questions[0]:
        raise InvalidParameterError(f"rows of {len(questions)} questions; the comparison has {protocol.questions[0]}")

    def numbers_of(name: str) -> FloatArray:
        return np.array([float(line[name] or "nan") for line in lines])

    def counts_of(name: str) -> IntArray:
        return np.array([int(line[name]) for line in lines])

    def times_of(kind: str) -> FloatArray:
        return np.stack([numbers_of(f"{kind}_{percent(target)}") for target in protocol.targets], axis=-1)

    failed = [f"{line['label']} on {line['function_id']}" for line in lines if line["status"] == FAILED]
    outcomes = Outcomes(
        entry=np.array([entries[line["label"]] for line in lines]),
        question=np.array(asked),
        budget=counts_of("budget"),
        seed=counts_of("seed"),
        status=[line["status"] for line in lines],
        queries=numbers_of("queries"),
        sharers=counts_of("sharers"),
        feasible=counts_of("feasible") == 1,
        certified=counts_of("certified") == 1,
        share=numbers_of("share"),
        goal_mean=numbers_of("goal_mean"),
        purity=numbers_of("purity"),
        best=numbers_of("best"),
        is_exact=counts_of("best_is_exact") == 1,
        is_whole=counts_of("trivial") == 1,
        quality=numbers_of("quality"),
        reached=times_of("reached"),
        held=times_of("held"),
        checkpoints=[],
        errors=failed,
    )
    options = {name: tuple(words) for name, words in json.loads(protocol.options).items()}
    suite = Suite(protocol.suite, options, tuple(questions), tuple(groups), Functions())
    return Comparison(protocol, suite, outcomes)


def _text(path: Path) -> str:
    data = read_regular(path, MOST_BYTES)
    if data[:2] == b"\x1f\x8b":
        unpacked = zlib.decompressobj(wbits=31)
        try:
            data = unpacked.decompress(data, MOST_BYTES)
        except zlib.error as error:
            raise RefusedFileError(f"{path} is a damaged gzip file: {error}") from error
        if not unpacked.eof:
            raise RefusedFileError(f"{path} is cut off, or holds more than {MOST_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RefusedFileError(f"{path} is no text of UTF-8") from error
