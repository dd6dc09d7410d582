"""The named parts of a file, and a file cut down to one of them: nodes of glTF, objects and groups of OBJ.

Readers know nothing of it: they are given the bytes of a file without the faces of all other parts, so that what moves
the part that is left still does.
"""

from __future__ import annotations

import difflib
import json
import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.readers.parts import plain_text

JSON_CHUNK: Final = 0x4E4F534A
GLB_HEADER: Final = struct.Struct("<4sII")
CHUNK_HEADER: Final = struct.Struct("<II")

MOST_LISTED: Final = 12
"""Names that a message lists."""


def node_names(data: bytes, suffix: str) -> list[str]:
    """Names of the parts of a file that draw something, in order, none twice; empty for formats without names.

    Of glTF those of the first level at which the tree of nodes branches; of OBJ the objects, or else the groups.

    Raises:
        InvalidMeshError: A glTF file that cannot be read.
    """
    if suffix.lower() in (".glb", ".gltf"):
        document, _ = _document(data, suffix)
        nodes, level = _nodes(document), _roots(document)
        while len(level) == 1 and "mesh" not in nodes[level[0]]:
            level = _children(nodes[level[0]], len(nodes))
        found = [str(nodes[number].get("name", "")) for number in level if _draws(nodes, number)]
    elif suffix.lower() == ".obj":
        objects, groups = _obj_names(plain_text(data))
        found = objects if len(objects) > 1 else groups
    else:
        found = []
    return list(dict.fromkeys(filter(None, found)))


def only_node(data: bytes, suffix: str, name: str) -> bytes:
    """A file without the faces of all parts but those of a name, and what is below them.

    Raises:
        InvalidMeshError: It has no such part, or its format has no names.
    """
    if suffix.lower() == ".obj":
        return _only_obj(plain_text(data), name)
    if suffix.lower() not in (".glb", ".gltf"):
        raise InvalidMeshError(f"node {name!r}: {suffix[1:].upper()} files have no names of parts; leave the node away")
    document, rest = _document(data, suffix)
    nodes = _nodes(document)
    kept: set[int] = set()
    stack = [number for number, node in enumerate(nodes) if node.get("name") == name]
    while stack:
        number = stack.pop()
        if number not in kept:
            kept.add(number)
            stack += _children(nodes[number], len(nodes))
    if not kept:
        raise _unknown(name, (str(node["name"]) for node in nodes if node.get("name")))
    for number, node in enumerate(nodes):
        if number not in kept:
            node.pop("mesh", None)
    text = json.dumps(document).encode()
    if rest is None:
        return text
    text += b" " * (-len(text) % 4)
    body = CHUNK_HEADER.pack(len(text), JSON_CHUNK) + text + rest
    return GLB_HEADER.pack(b"glTF", 2, GLB_HEADER.size + len(body)) + body


def _document(data: bytes, suffix: str) -> tuple[dict[str, Any], bytes | None]:
    """The JSON of a glTF file, and of a binary one the chunks behind it."""
    rest = None
    if data.startswith(b"glTF"):
        if len(data) < GLB_HEADER.size + CHUNK_HEADER.size:
            raise InvalidMeshError(f"not a readable {suffix[1:].upper()} file: it is cut off")
        length, kind = CHUNK_HEADER.unpack_from(data, GLB_HEADER.size)
        begin = GLB_HEADER.size + CHUNK_HEADER.size
        if kind != JSON_CHUNK or begin + length > len(data):
            raise InvalidMeshError(f"not a readable {suffix[1:].upper()} file: it is cut off")
        data, rest = data[begin : begin + length], data[begin + length :]
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidMeshError(f"not a readable {suffix[1:].upper()} file: {str(error)[:200]}") from error
    if not isinstance(found, dict):
        raise InvalidMeshError(f"not a readable {suffix[1:].upper()} file: its JSON is no object")
    return found, rest


def _nodes(document: dict[str, Any]) -> list[dict[str, Any]]:
    nodes = document.get("nodes", [])
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        raise InvalidMeshError("its nodes are no list of objects")
    return nodes


def _roots(document: dict[str, Any]) -> list[int]:
    nodes = _nodes(document)
    below = {child for node in nodes for child in _children(node, len(nodes))}
    return [number for number in range(len(nodes)) if number not in below]


def _children(node: dict[str, Any], count: int) -> list[int]:
    children = node.get("children", [])
    return [own for own in children if isinstance(own, int) and 0 <= own < count] if isinstance(children, list) else []


def _draws(nodes: Sequence[dict[str, Any]], number: int) -> bool:
    """Whether a node, or one below it, has a mesh."""
    seen, stack = set[int](), [number]
    while stack:
        own = stack.pop()
        if "mesh" in nodes[own]:
            return True
        if own not in seen:
            seen.add(own)
            stack += _children(nodes[own], len(nodes))
    return False


def _obj_names(text: bytes) -> tuple[list[str], list[str]]:
    """Names of the objects and of the groups that faces follow."""
    found: dict[bytes, dict[str, None]] = {b"o": {}, b"g": {}}
    now: dict[bytes, list[str]] = {b"o": [], b"g": []}
    for line in text.split(b"\n"):
        word, rest = _statement(line)
        if word in now:
            now[word] = _names(word, rest)
        elif word in (b"f", b"fo"):
            for kind, names in now.items():
                found[kind].update(dict.fromkeys(names))
    return list(found[b"o"]), list(found[b"g"])


def _only_obj(text: bytes, name: str) -> bytes:
    now: dict[bytes, list[str]] = {b"o": [], b"g": []}
    lines, kept = text.split(b"\n"), 0
    known: dict[str, None] = {}
    for place, line in enumerate(lines):
        word, rest = _statement(line)
        if word in now:
            now[word] = _names(word, rest)
            known.update(dict.fromkeys(now[word]))
        elif word in (b"f", b"fo"):
            if name in now[b"o"] or name in now[b"g"]:
                kept += 1
            else:
                lines[place] = b"#"  # the number of vertices above the others stays
    if not kept:
        raise _unknown(name, known)
    return b"\n".join(lines)


def _statement(line: bytes) -> tuple[bytes, bytes]:
    word, rest = (*line.split(None, 1), b"", b"")[:2]
    return word, rest


def _names(word: bytes, rest: bytes) -> list[str]:
    """An object has one name, which may hold spaces; a face may be of several groups."""
    text = rest.decode(errors="replace").strip()
    return list(filter(None, [text] if word == b"o" else [text, *text.split()]))


def _unknown(name: str, known: Iterable[str]) -> InvalidMeshError:
    names = list(dict.fromkeys(known))
    if not names:
        return InvalidMeshError(f"no part is called {name!r}: the file names none; leave the node away")
    if len(names) <= MOST_LISTED:
        return InvalidMeshError(f"no part is called {name!r}, or it draws nothing; there are {', '.join(names)}")
    near = difflib.get_close_matches(name.casefold(), [own.casefold() for own in names], n=MOST_LISTED)
    listed = [own for own in names if own.casefold() in near] or names[:MOST_LISTED]
    more = f"{', '.join(listed)} and {len(names) - len(listed)} more"
    return InvalidMeshError(f"no part is called {name!r}, or it draws nothing; there are {more}")
