"""A registry: objects of one kind by name, from the house, from `register`, and from installed packages of others.

A package plugs in by an entry point of the registry's group in its pyproject.toml, and is imported when what it brings
is first asked for:

    [project.entry-points."semrob.renderers"]
    mine = "my_package.renderer:make_mine"

Without an attribute (`mine = "my_package"`) the import itself has to register the name. A plug-in that cannot be
imported is told in one line (`PluginWarning`) and left out; only who asks for it by name gets an error.

In a checkout, the entry points of its own pyproject.toml count whether or not it is installed.
"""

from __future__ import annotations

import difflib
import importlib
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, final

from semrob_env.errors import NameClashError, PluginError, PluginWarning, UnknownNameError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T")


@final
class Registry(MutableMapping[str, T]):
    """Objects of one kind by name: `names()` imports nothing, `registry[name]` what it has to, iterating the plug-ins.

    So one that is broken is told and left out before anything depends on it.

    Args:
        kind: What it holds, for messages: `renderer`.
        group: Entry points of this group plug in.
        known: What the house brings: objects, or texts `module:attribute` that are imported when they are asked for.
        accepts: Whether what a plug-in brings is of the kind.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        known: Mapping[str, T | str] | None = None,
        *,
        accepts: Callable[[Any], bool] = callable,
    ) -> None:
        self.kind, self.group, self._accepts, self._has_plugins = kind, group, accepts, False
        self._entries: dict[str, T | _Promise] = {
            name: _Promise(value) if isinstance(value, str) else value for name, value in (known or {}).items()
        }
        self._broken: dict[str, str] = {}

    def names(self) -> tuple[str, ...]:
        """Every name in the order of registration, those of plug-ins last; nothing is imported."""
        return tuple(name for name in self._with_plugins() if name not in self._broken)

    def register(self, name: str, value: T, *, replace: bool = False) -> T:
        """Add an object under a name, and give it back.

        Args:
            name: What ids, commands and tables call it.
            value: The object.
            replace: Take the place of what has the name, for example in a notebook whose cell runs again.

        Raises:
            NameClashError: The name is taken, and `replace` was not given.
        """
        taken = self._with_plugins().get(name)
        is_own_code = isinstance(taken, _Promise) and taken.is_being_imported
        if taken is not None and not replace and not is_own_code:
            raise NameClashError(
                f"{self.kind} {name!r} is registered already; choose another name, or give replace=True"
            )
        self[name] = value
        return value

    def reference(self, name: str) -> T | str:
        """As `registry[name]`, but the text `module:attribute` where the object is not imported yet."""
        entry = self._entry(name)
        return entry.target if isinstance(entry, _Promise) else entry

    def __getitem__(self, name: str) -> T:
        """The object of that name; `UnknownNameError` lists those that there are, and the nearest.

        Raises:
            PluginError: It is a plug-in that cannot be imported.
        """
        entry = self._entry(name)
        return self._fulfilled(name, entry) if isinstance(entry, _Promise) else entry

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._entries or name in self._with_plugins())

    def __setitem__(self, name: str, value: T) -> None:
        self._broken.pop(name, None)
        self._entries[name] = value

    def __delitem__(self, name: str) -> None:
        self._entry(name)
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        for name in self.names():
            entry = self._entries.get(name)
            if isinstance(entry, _Promise) and entry.plugin:
                try:
                    self._fulfilled(name, entry)
                except PluginError as error:
                    # A package that breaks as a whole brings many names: they are told once.
                    warn_of_plugin(str(error), once=f"{entry.plugin}: {error.__cause__!r}")
                    continue
            yield name

    def __len__(self) -> int:
        return len(self.names())

    def _entry(self, name: str) -> T | _Promise:
        if not isinstance(name, str) or name not in self:
            known = self.names()
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; the nearest is {near[0]}" if near else ""
            raise UnknownNameError(f"unknown {self.kind} {str(name)[:200]!r}; known are {', '.join(known)}{hint}")
        return self._entries[name]

    def _with_plugins(self) -> dict[str, T | _Promise]:
        if not self._has_plugins:
            self._has_plugins = True
            for name, target in _points_of_checkout(self.group).items():
                self._entries.setdefault(name, _Promise(target))
            for point in _entry_points(self.group):
                promise = _Promise(point.value, point.dist.name if point.dist else point.value)
                taken = self._entries.setdefault(point.name, promise)
                if not (isinstance(taken, _Promise) and taken.target == promise.target):  # two copies are installed
                    warn_of_plugin(
                        f"plug-in {promise.plugin}: {self.kind} {point.name!r} ({point.value}) is left out, for "
                        "the name is taken"
                    )
        return self._entries

    def _fulfilled(self, name: str, promise: _Promise) -> T:
        if name in self._broken:
            raise PluginError(self._broken[name])
        try:
            loaded = promise.load()
            registered = self._entries.get(name)  # the import may have done it
            loaded = loaded if registered is promise else registered
            if promise.plugin and not self._accepts(loaded):
                raise TypeError(f"{loaded!r} is no {self.kind}")
        except (Exception, SystemExit) as error:  # whatever a stranger's module raises
            if not promise.plugin:
                raise
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self._broken[name] = (
                f"plug-in {promise.plugin}: {self.kind} {name!r} ({promise.target}) cannot be used ({reason}); mend "
                f"it, or pip uninstall {promise.plugin}"
            )
            raise PluginError(self._broken[name]) from error
        self._entries[name] = cast(T, loaded)
        return cast(T, loaded)


def warn_of_plugin(text: str, *, once: str = "") -> None:
    """Tell in one line of a plug-in that is left out; what is equal in `once`, or in its words, once a process."""
    if (once or text) not in _told:
        _told.add(once or text)
        warnings.warn_explicit(text, PluginWarning, "<plug-in>", 1)  # where it was noticed says nothing


_told: set[str] = set()


@final
@dataclass(frozen=True)
class _Promise:
    """An object that is imported when it is asked for."""

    target: str  # `module:attribute`, or `module` whose import registers the name
    plugin: str = ""  # the installed package that brings it; empty: the house

    @property
    def is_being_imported(self) -> bool:
        """Whether its module runs just now: then it is its own code that registers the name."""
        module = sys.modules.get(self.target.partition(":")[0])
        return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))

    def load(self) -> Any:
        module, _, attribute = self.target.partition(":")
        found: Any = importlib.import_module(module)
        for part in filter(None, attribute.split(".")):
            found = getattr(found, part)
        return found


def _entry_points(group: str) -> list[EntryPoint]:
    from importlib.metadata import entry_points  # slow to load, and not needed for what the house has itself

    return sorted(entry_points(group=group), key=lambda point: point.name)


def _points_of_checkout(group: str) -> dict[str, str]:
    """Name and target of those that the pyproject.toml beside the packages has; none where they are installed alone."""
    try:
        text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return {}
    block = text.partition(f'[project.entry-points."{group}"]\n')[2].partition("\n[")[0]
    return dict(re.findall(r'^(\w+) = "([\w.:]+)"$', block, re.MULTILINE)) if '\nname = "semrob"\n' in text else {}
