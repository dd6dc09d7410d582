"""What is made of files is kept while these stay as they are; and what is no regular file is not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from semrob_env.errors import InvalidMapsError, MissingFileError, RefusedFileError
from semrob_env.files import FileCache, note_file, read_regular
from semrob_env.functions import make_function


class Reader:
    """Joins the texts of files, and counts how often."""

    def __init__(self, *paths: Path) -> None:
        self.paths, self.read = paths, 0

    def __call__(self) -> str:
        self.read += 1
        for path in self.paths:
            note_file(path)
        return "".join(path.read_text() for path in self.paths if path.exists())


def test_a_value_is_made_anew_where_one_of_its_files_changes_comes_or_goes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a")
    cache: FileCache[str] = FileCache(2)
    make = Reader(one, other)
    assert [cache.get("key", make) for _ in range(3)] == ["a"] * 3
    assert make.read == 1
    other.write_text("b")
    assert cache.get("key", make) == "ab"
    status = one.stat()
    one.write_text("c")
    os.utime(one, ns=(status.st_atime_ns, status.st_mtime_ns))  # same size, same time
    assert cache.get("key", make) == "cb"
    other.unlink()
    assert [cache.get("key", make), cache.get("key", make)] == ["c", "c"]
    assert make.read == 4
    cache.clear()
    assert (cache.get("key", make), make.read) == ("c", 5)


def test_what_is_made_of_a_kept_value_has_its_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    inner: FileCache[str] = FileCache(2)
    outer: FileCache[str] = FileCache(2)
    make = Reader(tmp_path / "file")

    def whole() -> str:
        return inner.get("inner", make) + "!"

    assert inner.get("inner", make) + "!" == outer.get("outer", whole) == "a!"
    (tmp_path / "file").write_text("bb")
    assert outer.get("outer", whole) == "bb!"


def test_the_oldest_values_go_first_and_a_failure_keeps_nothing(tmp_path: Path) -> None:
    cache: FileCache[int] = FileCache(2)
    assert [cache.get(key, lambda key=key: key) for key in (1, 2, 1, 3)] == [1, 2, 1, 3]  # type: ignore[misc]
    assert [cache.get(key, lambda: 9) for key in (1, 3, 2)] == [1, 3, 9]
    with pytest.raises(ZeroDivisionError):
        cache.get("key", lambda: 1 // 0)
    assert cache.get("key", lambda: 5) == 5


@pytest.mark.parametrize("name", ["/dev/zero", "pipe", ".", "large"])
def test_only_regular_files_of_a_bounded_size_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if not path.exists() and name == "/dev/zero":
        pytest.skip("no devices here")
    if name == "pipe":
        os.mkfifo(path)
    elif name == "large":
        path.write_bytes(b"12345")
    with pytest.raises(RefusedFileError, match=r"give a regular file|5 bytes are more than the 4 allowed"):
        read_regular(path, 4)
    with pytest.raises(MissingFileError):
        read_regular(tmp_path / "none", 4)
    if name != "large":
        with pytest.raises(InvalidMapsError, match="give a regular file"):
            make_function(f"recorded:ResNet50/cup/0?file={path}")
