"""The text that names a shape inside an id: a kind, an escaped path and an escaped name (grammar: see the package)."""

from __future__ import annotations

import os
from urllib.parse import quote, unquote_to_bytes

from semrob_env.errors import UnknownNameError


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
        raise UnknownNameError(f"{text!r} holds a zero byte, which no path or name does; leave it out")
    return os.fsdecode(data)


def source_text(kind: str, path: str, name: str = "") -> str:
    """The source text of a path, or of a name in it."""
    return f"{kind}:{escape(path)}" + (f"#{escape(name)}" if name else "")
