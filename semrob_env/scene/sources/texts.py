"""The text that names a shape inside an id: a kind, an escaped path and an escaped name (grammar: see the package)."""

from __future__ import annotations

import os
from urllib.parse import quote, unquote_to_bytes

from semrob_env.errors import UnknownNameError

MOST_DIGITS = 15
"""Longest number of a procedural shape."""

FORMS = "procedural:3, file:PATH, folder:PATH#NAME or sh3f:PATH#NAME"
"""For messages."""


def escape(text: str) -> str:
    """A path or a name without the characters that have a meaning in ids (`?`, `&`, `#`, `+`, brackets, spaces)."""
    return quote(os.fsencode(text), safe="/:.-_")


def unescape(text: str) -> str:
    """What was escaped.

    Raises:
        UnknownNameError: It holds a zero byte, which no path does.
    """
    data = unquote_to_bytes(text)
    if b"\0" in data:
        raise UnknownNameError(f"{text!r} holds a zero byte, which no path or name does; write {FORMS}")
    return os.fsdecode(data)


def source_text(kind: str, path: str, name: str = "") -> str:
    """The source text of a path, or of a name in it."""
    return f"{kind}:{escape(path)}" + (f"#{escape(name)}" if name else "")


def split_source(source: str) -> tuple[str, str, str]:
    """Kind, path (procedural: the number) and name of a source text; the name is empty where the kind has none.

    Raises:
        UnknownNameError: Not of the grammar.
    """
    kind, colon, rest = source.partition(":")
    path, _, name = rest.partition("#")
    is_number = rest.isascii() and rest.isdigit() and len(rest) <= MOST_DIGITS
    if kind == "procedural" and is_number:
        return kind, str(int(rest)), ""
    if kind == "file" and colon:
        return kind, unescape(rest), ""
    if kind in ("folder", "sh3f") and path and name:
        return kind, unescape(path), unescape(name)
    raise UnknownNameError(f"unknown shape source {source!r}; write {FORMS}")
