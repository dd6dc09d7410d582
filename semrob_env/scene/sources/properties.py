r"""Java properties: `key=value` lines with escapes, comments and continued lines (java.util.Properties.load)."""

from __future__ import annotations

import re

_ENTRY = re.compile(r"((?:\\.|[^\\=:\s])*)[ \t\f]*[=:]?[ \t\f]*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_LETTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse_properties(data: bytes) -> dict[str, str]:
    """Keys and values; of a repeated key the last value counts. No text is an error: odd lines give odd keys.

    The text is UTF-8 where it can be, else ISO-8859-1, as Java reads resource bundles since version 9.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    values: dict[str, str] = {}
    whole = ""
    for line in [*re.split(r"\r\n|\r|\n", text), ""]:
        natural = line.lstrip(" \t\f")
        if not whole and natural.startswith(("#", "!")):
            continue
        whole += natural
        if (len(whole) - len(whole.rstrip("\\"))) % 2:  # an odd number of backslashes: the line goes on
            whole = whole[:-1]
            continue
        match = _ENTRY.match(whole)
        if whole and match:
            values[_plain(match.group(1))] = _plain(match.group(2))
        whole = ""
    return values


def _plain(text: str) -> str:
    r"""Escapes undone; a pair of \uD83C \uDF75 is one character."""

    def letter(match: re.Match[str]) -> str:
        escaped = match.group(1)
        return chr(int(escaped[1:], 16)) if len(escaped) == 5 else _LETTERS.get(escaped, escaped)

    return _ESCAPE.sub(letter, text).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
