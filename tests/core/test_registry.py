"""Registries: names without imports, replacing, plug-ins that are lazy, broken or in each other's way."""

from __future__ import annotations

import re
import sys
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import baselines
from baselines.experiments.plugins import import_modules
from optimizers.registry import OPTIMIZERS
from semrob_env import registry
from semrob_env.errors import MissingExtraError, NameClashError, PluginError, PluginWarning, UnknownNameError
from semrob_env.registry import Registry

GROUP = "semrob.tests"


def fresh(
    monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str], known: dict[str, Any] | None = None
) -> Registry[Any]:
    """A registry of callables in a world with these entry points."""
    installed = {GROUP: [EntryPoint(name, value, GROUP) for name, value in points]}
    monkeypatch.setattr(registry, "_entry_points", installed.__getitem__)
    monkeypatch.setattr(registry, "_told", set())
    return Registry("thing", GROUP, known)


def module(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, name, raising=False)


def test_names_import_nothing_and_objects_are_imported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    things = fresh(monkeypatch, ("hsv", "colorsys:rgb_to_hsv"), known={"own": print, "lazy": "colorsys:rgb_to_hls"})
    assert things.names() == ("own", "lazy", "hsv")
    assert "hsv" in things
    assert things.reference("hsv") == "colorsys:rgb_to_hsv"
    assert "colorsys" not in sys.modules
    assert things["hsv"] is things["hsv"] is sys.modules["colorsys"].rgb_to_hsv
    assert dict(things) == dict(things.items()) == {name: things[name] for name in things.names()}
    assert things.get("nobody") is None


def test_an_unknown_name_is_told_with_all_known_ones_and_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    things = fresh(monkeypatch, known={"cup": print, "piano": print})
    with pytest.raises(UnknownNameError, match=r"^unknown thing 'pianos'; known are cup, piano; the nearest is piano$"):
        things["pianos"]
    with pytest.raises(LookupError, match=r"unknown thing 'x'; known are cup, piano$"):
        del things["x"]


def test_a_name_is_taken_until_it_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    things = fresh(monkeypatch, ("plugged", "colorsys:rgb_to_hsv"), known={"lazy": "colorsys:rgb_to_hls"})
    assert things.register("mine", print) is print
    for taken in ("mine", "lazy", "plugged"):
        with pytest.raises(NameClashError, match=f"thing '{taken}' is registered already; .* give replace=True"):
            things.register(taken, len)
        assert things.register(taken, len, replace=True) is things[taken] is len
    del things["mine"]
    assert "mine" not in things


def test_a_module_may_register_what_its_entry_point_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    things = fresh(monkeypatch, ("a", "registers_itself:a"), ("b", "registers_itself"), ("c", "registers_nothing"))
    monkeypatch.setattr(sys, "things", things, raising=False)
    text = "import sys\ndef a(): pass\nsys.things.register('a', a)\nsys.things.register('b', a)\n"
    module(tmp_path, monkeypatch, "registers_itself", text)
    module(tmp_path, monkeypatch, "registers_nothing", "")
    assert things["b"] is things["a"] is sys.modules["registers_itself"].a
    with pytest.raises(
        PluginError, match=r"thing 'c' \(registers_nothing\) cannot be used \(TypeError: .* is no thing"
    ):
        things["c"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("def thing(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("other = print", "AttributeError: .*thing"),
        ("thing = 3", "TypeError: 3 is no thing"),
    ],
)
def test_what_breaks_is_one_line_and_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    module(tmp_path, monkeypatch, "broken_plugin", text)
    two = ("bad", "broken_plugin:thing"), ("worse", "broken_plugin:thing")
    things = fresh(monkeypatch, *two, ("good", "colorsys:rgb_to_hsv"), known={"own": print})
    with pytest.warns(PluginWarning, match=reason) as told:
        assert list(things) == ["own", "good"]
    assert len(told) == 1
    assert "\n" not in str(told[0].message)
    assert "\n" not in warnings.formatwarning(told[0].message, PluginWarning, told[0].filename, told[0].lineno).strip()
    assert list(things.items()) == [("own", print), ("good", sys.modules["colorsys"].rgb_to_hsv)]  # and not told again
    with pytest.raises(PluginError, match=reason):
        things["bad"]
    assert things.names() == ("own", "good")


def test_a_plugin_takes_no_name_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    things = fresh(monkeypatch, ("own", "colorsys:rgb_to_hsv"), known={"own": print})
    with pytest.warns(PluginWarning, match="thing 'own' .* is left out, for the name is taken"):
        assert things.names() == ("own",)
    assert things["own"] is print


def test_the_entry_points_of_the_house_are_the_baselines(project_root: Path) -> None:
    text = (project_root / "pyproject.toml").read_text()
    block = text.partition('[project.entry-points."semrob.optimizers"]\n')[2].partition("\n\n")[0]
    promised = dict(re.findall(r'^(\w+) = "(.*)"$', block, re.MULTILINE))
    package = baselines.__name__
    own = {name: f"{m.__module__}:{m.__name__}" for name, m in OPTIMIZERS.items() if m.__module__.startswith(package)}
    assert promised == own
    assert len(own) >= 11


def test_a_module_to_import_is_there_or_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_told", set())
    module(tmp_path, monkeypatch, "breaks_on_import", "import no_such_library")
    with pytest.warns(PluginWarning, match=r"--import breaks_on_import cannot be used \(ModuleNotFoundError") as told:
        import_modules(["breaks_on_import", "colorsys"])
    assert len(told) == 1
    with pytest.raises(MissingExtraError, match="--import no_such_module: No module named 'no_such_module'"):
        import_modules(["no_such_module"])
