"""Files and pictures of whatever names, under whatever settings of a user."""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import semrob_env.plotting
from semrob_env.errors import OutputError
from semrob_env.files import markdown_table, output_folder, write_whole
from semrob_env.plotting import Cell, gallery_figure, maps_figure, save_figure
from tests.recorded_maker import wavy_maps

ODD = ["caf\udce9 cup", "a\0b", "\ud800", "100$ cup$", "$\\frac{$", "\u676f"]
"""Names as files and libraries have them: not UTF-8, with a null byte, half a character, formulas, another script."""


def picture(name: str, folder: Path) -> bytes:
    cell = Cell(np.zeros((3, 8, 8), dtype=np.float32), (name, "0.5"))
    sheet = save_figure(gallery_figure([(name, [cell])], title=name), folder / "sheet.png").read_bytes()
    figure = maps_figure(wavy_maps(["ResNet50/cup/0"]), title=name)
    return sheet + save_figure(figure, folder / "maps.png").read_bytes()


@pytest.mark.parametrize("name", ODD)
def test_a_picture_may_show_any_name(tmp_path: Path, name: str) -> None:
    assert picture(name, tmp_path).count(b"IEND") == 2


def test_the_settings_of_a_user_change_no_picture_and_pictures_no_settings(tmp_path: Path) -> None:
    expected = picture("cup", tmp_path)
    theirs: dict[Any, object] = {
        "text.usetex": True,
        "savefig.bbox": "tight",
        "font.size": 30,
        "font.family": "serif",
        "axes.grid": True,
        "figure.facecolor": "red",
        "lines.linewidth": 9,
    }
    with matplotlib.rc_context(theirs):
        assert picture("cup", tmp_path) == expected
        assert all(matplotlib.rcParams[name] == value or name == "font.family" for name, value in theirs.items())


@pytest.mark.slow  # a process of its own: settings are read once
def test_settings_that_are_no_text_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_bytes(b"\xff\xfe\0")
    code = (
        "import semrob_env.errors as e\ntry:\n import semrob_env.plotting\nexcept e.OutputError as told:\n print(told)"
    )
    root = str(Path(__file__).resolve().parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        check=True,
    )
    assert ended.stdout.decode().startswith("matplotlib cannot read its settings")


def test_all_that_makes_a_figure_draws_in_the_plain_style() -> None:
    found = [
        (module.name, name)
        for module in pkgutil.iter_modules(semrob_env.plotting.__path__, "semrob_env.plotting.")
        for name, made in vars(importlib.import_module(module.name)).items()
        if getattr(made, "__annotations__", {}).get("return") == "Figure" and not hasattr(made, "__wrapped__")
    ]
    assert not found, "decorate them with @plain_style()"


def test_numbers_at_a_logarithmic_axis_stay_formulas(tmp_path: Path) -> None:
    figure = Figure()
    figure.add_subplot().loglog([1, 1e6], [1, 10])
    figure.canvas.draw()
    save_figure(figure, tmp_path / "log.png")
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and "mathdefault" in text.get_text()]
    assert texts
    assert all(text.get_parse_math() for text in texts)


@pytest.mark.parametrize("name", ["no/folder.json", "file/below.json", "x" * 300, "a\0b", "\ud800", ""])
def test_what_cannot_be_written_is_one_error_of_ours_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"):
        write_whole(str(tmp_path) + "/" + name, "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    if name not in ("", "no/folder.json"):
        with pytest.raises(OutputError, match="cannot write to folder"):
            output_folder(str(tmp_path) + "/" + name)


def test_a_write_that_fails_at_the_end_removes_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(own: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OutputError, match="No space left"):
        write_whole(tmp_path / "name", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_name_as_long_as_the_system_takes_is_written(tmp_path: Path) -> None:
    assert write_whole(tmp_path / ("x" * 255), "text").read_text() == "text"


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("a|b", r"a\|b"),
        ("two\nlines\r\nthree", "two lines three"),
        ("<script>x</script>", r"\<script>x\</script>"),
        ("[x](http://y)", r"[x\](http://y)"),
        ("*bold* `code` _it_", r"\*bold\* \`code\` \_it\_"),
        ("&lt;", r"\&lt;"),
        ("\x1b[2J", r"\x1b[2J"),
        ("caf\udce9", r"caf\udce9"),
        ("oir_b", "oir_b"),
        ("f <= 0.5 & more", "f <= 0.5 & more"),
        ("0.5 [0.1, 0.2]", "0.5 [0.1, 0.2]"),
    ],
)
def test_a_cell_of_a_table_is_plain_text_on_one_line(cell: str, shown: str) -> None:
    table = markdown_table([{"name": cell, "next": "1"}])
    assert len(table.splitlines()) == 3
    assert table.splitlines()[2] == f"| {shown} | 1    |"
    assert markdown_table([{cell: "a"}]).splitlines()[0] == f"| {shown} |"
