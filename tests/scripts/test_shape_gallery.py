"""The contact sheet: shapes or views as columns, what cannot be loaded, and whom the shapes are owed to."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from baselines.commands import shape_gallery
from baselines.commands.program import BAD_INPUT, run_command
from baselines.commands.work import shape_gallery as work
from semrob_env.errors import InvalidParameterError
from semrob_env.plotting import Cell, gallery_figure
from semrob_env.plotting.gallery import fitted_lines
from semrob_env.scene.classifiers.network_spec import network_specs
from semrob_env.scene.sources import select_shapes

WEDGE = "v 0 0 6\nv 2 0 0\nv 0 4 0\nv 0 0 0\nf 1 2 3\nf 1 3 4\nf 1 4 2\nf 2 4 3\n"


@pytest.fixture
def library(tmp_path: Path) -> str:
    path = tmp_path / "lib.sh3f"
    catalog = "license=CC-BY 3.0 [x]\n" + "".join(
        f"id#{k}=M#{name}\nname#{k}={title}\nmodel#{k}=/{model}\ncreator#{k}={author}\n"
        for k, (name, title, model, author) in enumerate([
            ("mug", "Mug", "a.obj", "Ann"),
            ("oak", "Chair", "bad.obj", "Bob"),
            ("lamp", "Lamp", "a.obj", "Ann"),
        ])
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", catalog)
        archive.writestr("a.obj", WEDGE)
        archive.writestr("bad.obj", "v 0 0 0\n")
    return str(path)


def run(folder: Path, *extra: str) -> int:
    return run_command(shape_gallery.main, ["--networks", "tiny", "--out", str(folder), *extra])


def size_of(folder: Path) -> tuple[int, int]:
    with Image.open(folder / "gallery.png") as image:
        assert np.asarray(image.convert("L")).std() > 5
        width, height = image.size
        return width, height


def test_a_sheet_shows_every_shape_and_names_authors_and_failures(
    tiny: str, tmp_path: Path, library: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(out, library) == 0
    one_row_each = size_of(out)
    shown = capsys.readouterr().out
    assert "CC-BY 3.0 [x]: by Ann, Bob" in shown
    assert "not shown: oak (Chair): " in shown
    assert "has no faces" in shown
    lines = (out / "gallery.txt").read_text().splitlines()
    assert lines[0].startswith("mug, by Ann, CC-BY 3.0 [x] [sh3f:")
    assert "cannot be loaded" in lines[1]
    assert len(lines) == 3
    assert run(out, "procedural", "--classes", "cup", "--numbers", "0-3", "--width", "2", "--no-scores") == 0
    two_rows_of_two = size_of(out)
    assert two_rows_of_two[0] > one_row_each[0]
    assert two_rows_of_two[1] < one_row_each[1]


def test_columns_may_be_views_of_one_shape(tiny: str, tmp_path: Path) -> None:
    assert run(tmp_path, "cup:0", "cup:1", "--columns", "views", "--views", "azimuth=0;azimuth=90;elevation=80") == 0
    width, height = size_of(tmp_path)
    assert width > height
    row = work.views_rows(
        [work.look_at(select_shapes(["cup:0"])[0], network_specs(["tiny"]), np.zeros((2, 2)))],
        np.zeros((2, 2)),
    )
    label, cells = next(row)
    assert label.startswith("cup cup:0 0.")
    assert [cell.lines[0] for cell in cells] == ["0, 0", "0, 0"]
    assert all(cell.lines[1].startswith("score ") for cell in cells)


def test_a_list_draws_nothing(tiny: str, tmp_path: Path, library: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "out", library, "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["cup", "chair", "-"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["nowhere.sh3f"], "nowhere.sh3f: there is no such file"),
        (["--width", "0"], "--width 0"),
        (["--views", ";"], "--views names no point"),
        (["--views", "azimuth=400"], "azimuth=400"),
        (["--networks", "lenet"], "unknown network 'lenet'"),
        (["--class", "dragon"], "class 'dragon' is not known"),
    ],
    ids=lambda case: str(case),
)
def test_bad_input_is_one_line_and_exit_code_2(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], message: str
) -> None:
    assert run(tmp_path / "out", *extra) == BAD_INPUT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_captions_keep_their_values() -> None:
    assert fitted_lines("light az 146, light el 62, dist 2.5") == ["light az 146", "light el 62, dist 2.5"]
    assert fitted_lines("a name longer than the line is 0.84") == ["a name longer than… 0.84"]
    assert fitted_lines("short") == ["short"]


def test_a_sheet_holds_its_images_where_they_belong() -> None:
    red = np.zeros((3, 8, 8), dtype=np.float32)
    red[0] = 1.0
    figure = gallery_figure([("row $x", [Cell(red, ("a_{b}$",)), Cell(None, ("gone",), is_marked=True)])], title="t $")
    figure.canvas.draw()
    sheet = figure.axes[0].images[0].get_array()
    assert sheet is not None
    assert (np.asarray(sheet) == [1.0, 0.0, 0.0]).all(axis=2).sum() == 168**2
    sheets: list[list[tuple[str, list[Cell]]]] = [[], [("row", [])], [("row", [Cell(None, ())])] * 500]
    for rows in sheets:
        with pytest.raises(InvalidParameterError, match="a sheet of"):
            gallery_figure(rows, title="")
