"""Compiled loops where their cache has no place, is damaged, or cannot be written."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import warnings
warnings.simplefilter("always")
from numba.core import config
if {no_place}:
    from numba.core.caching import CacheImpl
    CacheImpl._locator_classes = []  # as in a read-only place without a home
from semrob_env.compiled import cached_njit
import twice
print(twice.twice(21), twice.thrice(7))
"""

MODULE = """
from semrob_env.compiled import cached_njit

@cached_njit(nogil=True)
def twice(x):
    return 2 * x

@cached_njit(nogil=True)
def thrice(x):
    return 3 * x
"""


def run(folder: Path, cache: Path, *, no_place: bool = False) -> tuple[str, list[str]]:
    """What a program prints that uses compiled loops, and the warnings it gets."""
    (folder / "twice.py").write_text(MODULE)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")]), str(Path.cwd())])
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(no_place=no_place)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(cache)},
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CacheWarning" in line]


def test_loops_compile_in_every_process_where_nothing_can_be_kept_and_say_so_once(tmp_path: Path) -> None:
    told, warned = run(tmp_path, tmp_path / "cache", no_place=True)
    assert told == "42 21\n"
    assert len(warned) == 1
    assert "set NUMBA_CACHE_DIR to a folder" in warned[0]


@pytest.mark.parametrize(
    ("before", "after"), [("return FACTOR * x", "return FACTOR * x + 1"), ("FACTOR = 2", "FACTOR = 3")]
)
def test_loops_that_are_kept_notice_what_changes_in_other_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    monkeypatch.setattr("numba.config.CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    other = "from numba import njit\nFACTOR = 2\n@njit\ndef scaled(x):\n    return FACTOR * x\n"
    own = "from other_file import scaled\nfrom semrob_env.compiled import cached_njit\n@cached_njit()\n"
    (tmp_path / "own_file.py").write_text(f"{own}def result(x):\n    return scaled(x)\n")
    told = []
    for text in (other, other, other.replace(before, after)):
        (tmp_path / "other_file.py").write_text(text)
        for name in ("own_file", "other_file"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        found = importlib.import_module("own_file").result
        told.append((found(7), sum(found.stats.cache_hits.values())))
    assert told == [(14, 0), (14, 1), (15 if "1" in after else 21, 0)]


@pytest.mark.slow
def test_a_damaged_or_unwritable_cache_ends_no_work(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert run(tmp_path, cache) == ("42 21\n", [])
    kept = list(cache.rglob("*.nb?"))
    assert kept
    for path in kept:
        path.write_bytes(path.read_bytes()[:40])
    assert run(tmp_path, cache)[0] == "42 21\n"
    for path in cache.rglob("*.nbi"):  # numba writes beside and renames: onto a folder it cannot
        path.unlink()
        path.mkdir()
    told, warned = run(tmp_path, cache)
    assert told == "42 21\n"
    assert len(warned) == 1
