"""The file of answers: one file however many processes make it, and what was changed in it is told."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest

from baselines.experiments.answers import KeptAnswers, answer_key
from semrob_env.errors import StoreError


def test_answers_come_back_and_the_first_one_stays(tmp_path: Path) -> None:
    answers = KeptAnswers(tmp_path / "answers.sqlite")
    first, second = answer_key("a", 1), answer_key("a", 2)
    answers.add({first: [0.1, 1 / 3]})
    answers.add({first: [9.0], second: []})
    assert KeptAnswers(tmp_path / "answers.sqlite").find([first, second, "none"]) == {first: [0.1, 1 / 3], second: []}


def test_a_file_that_several_make_at_once_is_one_file(tmp_path: Path) -> None:
    gate = Barrier(4)

    def make(number: int) -> None:
        for turn in range(5):
            gate.wait()
            KeptAnswers(tmp_path / f"{turn}.sqlite").add({str(number): [1.0]})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(4)))
    for turn in range(5):
        assert len(KeptAnswers(tmp_path / f"{turn}.sqlite").find([str(number) for number in range(4)])) == 4


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ("UPDATE answers SET numbers = '[0.2]'", "not as it was written"),
        ("PRAGMA application_id = 7", "no file of answers"),
        ("PRAGMA user_version = 0", "has format 0"),
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_one_line(tmp_path: Path, edit: str, told: str) -> None:
    path = tmp_path / "answers.sqlite"
    KeptAnswers(path).add({"key": [0.1]})
    with closing(sqlite3.connect(path)) as database:
        database.execute(edit)
        database.commit()
    with pytest.raises(StoreError, match=told):
        KeptAnswers(path).find(["key"])
