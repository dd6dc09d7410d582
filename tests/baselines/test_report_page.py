"""The page of an evaluation: nothing in it is read as markup, and in a real browser it loads, sorts and shows views."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import final

import pytest

from baselines.experiments.evaluation import Evaluation
from baselines.experiments.evaluation.page import page
from tests.baselines.evaluation_maker import HOSTILE, small
from tests.browser import Browser, find_browser

SECOND_RENDERING = ".cells rect:nth-child(40)"
ONE_LINE = " ".join(HOSTILE.split())


@pytest.fixture(scope="module")
def found() -> Evaluation:
    return small("plate", HOSTILE)


@pytest.fixture(scope="module")
def path(found: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = tmp_path_factory.mktemp("page") / "report.html"
    own.write_text(page(found, gate={"passed": False, "text": "<b>below</b>"}), encoding="utf-8")
    return own


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    if find_browser() is None:
        pytest.skip("no browser is installed: apt-get install chromium")
    with Browser(tmp_path / "profile") as own:
        yield own


@final
class Read(HTMLParser):
    """Tags, addresses and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.open.append(tag)
        for name, value in attrs:
            if name.startswith("on"):
                self.handlers.append(name)
            if name in ("src", "href"):
                self.addresses.append(str(value))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_a_page_is_one_file_in_which_names_are_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    read = Read(text)
    assert not read.handlers
    assert read.tags["script"] == 1
    assert all(address.startswith(("data:", "#")) for address in read.addresses)
    assert HOSTILE in read.texts
    assert "<b>below</b>" in read.texts
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    assert len(text) < 600_000


def test_a_notebook_gets_the_same_names_as_text(found: Evaluation) -> None:
    read = Read(found._repr_html_())
    assert HOSTILE in read.texts
    assert not read.tags["script"]
    assert read.tags["img"] == 4
    assert not read.handlers


def test_in_a_browser_it_loads_sorts_and_shows_the_view_under_the_pointer(browser: Browser, path: Path) -> None:
    browser.open(path.as_uri())
    assert browser.requests[0] == path.as_uri()
    assert all(address.startswith("data:") for address in browser.requests[1:])
    before = told(browser)
    browser.point_at(SECOND_RENDERING)
    after = told(browser)
    assert before != after
    at, *answers = after
    cell = browser.evaluate("[...document.querySelectorAll('.cells rect')].findIndex(c => c.matches('.on'))")
    assert cell == 39
    assert at == "azimuth 169 deg, elevation 21 deg"  # column 7 of 16, row 2 of 8
    assert answers[-1].startswith("plate: 0.")
    browser.point_at("#failures th:nth-child(5) button", click=True)
    elevations = [float(text) for text in column(browser, 5)]
    assert elevations == sorted(elevations)
    browser.point_at("#failures th:nth-child(5) button", click=True)
    assert [float(text) for text in column(browser, 5)] == sorted(elevations, reverse=True)
    browser.point_at("#failures th:nth-child(2) button", click=True)
    names = column(browser, 2)
    assert names == [ONE_LINE] * names.count(ONE_LINE) + ["plate"] * names.count("plate")
    assert not browser.complaints


def test_without_scripts_tables_maps_and_renderings_are_there(browser: Browser, path: Path) -> None:
    browser.without_scripts()
    browser.open(path.as_uri())
    assert browser.evaluate("document.querySelectorAll('.cells rect title').length") == 256
    assert browser.evaluate("document.querySelectorAll('th button').length") == 0
    assert browser.evaluate("[...document.querySelectorAll('.pane')].every(pane => pane.hidden)")
    assert browser.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")


def told(browser: Browser) -> list[str]:
    lines = browser.evaluate(
        "[...document.querySelectorAll('.pane')[0].querySelectorAll('.line')].map(l => l.textContent)"
    )
    return [str(line) for line in lines]


def column(browser: Browser, number: int) -> list[str]:
    cells = browser.evaluate(
        f"[...document.querySelectorAll('#failures tbody td:nth-child({number})')].map(cell => cell.innerText)"
    )
    return [str(cell).strip() for cell in cells]
