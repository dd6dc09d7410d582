"""A comparison made again from the lines of its `runs.csv`, without its maps, networks or runs."""

from __future__ import annotations

import csv
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import product
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

BYTES_A_ROW: Final = 2**12
"""Most bytes of a row, and of the header, on average; they take some hundred."""


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
        return _comparison(protocol, list(_lines(protocol, Path(path))))
    except SemrobError:
        raise
    except UnicodeDecodeError as error:
        raise RefusedFileError(f"{fspath(path)} is no text of UTF-8") from error
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
    _require_each_once(protocol, [(line["label"], line["budget"], line["seed"]) for line in lines], asked)

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


def _require_each_once(protocol: Protocol, lines: list[tuple[str, str, str]], asked: list[int]) -> None:
    """Refuse rows of which some are missing or repeated: with the first seed every method has run, on everything."""
    times = Counter(zip(lines, asked, strict=True))
    for label, budget in product((entry.label for entry in protocol.entries), map(str, protocol.budgets)):
        for seed in map(str, protocol.seeds):
            counts = {times[(label, budget, seed), question] for question in range(protocol.questions[0])}
            if counts != {1} and (counts != {0} or seed == str(protocol.seeds[0])):
                raise InvalidParameterError(
                    f"rows of {label}, {budget} queries, seed {seed}: one is not there, or there twice; give the whole "
                    "runs.csv"
                )


def _lines(protocol: Protocol, path: Path) -> Iterator[dict[str, str]]:
    """Its rows one by one, no more of them than it can have."""
    most = protocol.questions[0] * len(protocol.entries) * len(protocol.budgets) * len(protocol.seeds)
    data, digest, count = _unpacked(path, min(MOST_BYTES, (1 + most) * BYTES_A_ROW)), protocol.digest(), 0
    for line in csv.DictReader(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline=""), strict=True):
        count += 1
        if line["protocol"] != digest:
            raise InvalidParameterError(
                f"{path}: rows of another comparison; give --protocol the protocol.json that lies beside them"
            )
        if count > most:
            raise InvalidParameterError(f"{path} has more than the {most} rows of the comparison; give its runs.csv")
        yield line
    if not count:
        raise RefusedFileError(f"{path} has no rows; give the runs.csv of the comparison")


def _unpacked(path: Path, most_bytes: int) -> bytes:
    data = read_regular(path, most_bytes)
    if data[:2] == b"\x1f\x8b":
        unpacked = zlib.decompressobj(wbits=31)
        try:
            data = unpacked.decompress(data, most_bytes)
        except zlib.error as error:
            raise RefusedFileError(f"{path} is a damaged gzip file: {error}") from error
        if not unpacked.eof:
            raise RefusedFileError(f"{path} is cut off, or holds more than {most_bytes} bytes")
    return data
