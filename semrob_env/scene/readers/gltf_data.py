"""The container of a glTF file: its JSON, buffers and accessors, within bounds."""

from __future__ import annotations

import base64
import json
from typing import Any, Final, final
from urllib.parse import unquote_to_bytes

import numpy as np

from semrob_env.errors import InvalidMeshError, RefusedFileError
from semrob_env.scene.companions import Companions
from semrob_env.scene.readers.parts import check_count

Numbers = np.typing.NDArray[Any]

MAX_JSON_VALUES: Final = 4_000_000
"""Most values in the JSON, as its commas and opening brackets tell them before it is read."""

KINDS: Final = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS: Final = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
COMPRESSED: Final = ("EXT_meshopt_compression", "KHR_meshopt_compression", "MESHOPT_compression")
"""Extensions of buffers and views that hold compressed data, or a plain copy for readers that do not know them."""


@final
class Document:
    """A file that has been opened, its buffers read.

    Args:
        data: The bytes of a GLB or of JSON.
        companions: Where its buffers and images lie.
        most: The most elements of an accessor.

    Attributes:
        json: What the JSON holds.

    Raises:
        InvalidMeshError: It is no glTF 2 file, is cut off, or is too large.
        RefusedFileError, OSError: As `Companions.find`.
    """

    def __init__(self, data: bytes, companions: Companions, most: int) -> None:
        self._companions, self._most = companions, most
        text, self._chunk = _chunks(data) if data[:4] == b"glTF" else (data, None)
        check_count(sum(map(text.count, (b",", b"[", b"{"))), "values in its JSON", MAX_JSON_VALUES)
        self.json: dict[str, Any] = json.loads(text)
        if not isinstance(self.json, dict):
            raise InvalidMeshError("not a readable glTF file: it is no JSON object")
        asset = self.json.get("asset", {})
        version = str(asset.get("minVersion", asset.get("version", "2.0")))
        if version != "2.0" and (not version.startswith("2.") or "minVersion" in asset):
            raise InvalidMeshError(f"it is glTF {version[:20]}, and only 2.0 is read; save it anew")
        for accessor in self.table("accessors"):
            check_count(int(accessor["count"]), "elements in an accessor", most)
        self._buffers = [self._buffer(number, buffer) for number, buffer in enumerate(self.table("buffers"))]

    def table(self, name: str) -> list[dict[str, Any]]:
        """A list of objects; empty where there is none."""
        found = self.json.get(name, [])
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise InvalidMeshError(f"not a readable glTF file: its '{name}' are no list of objects")
        return found

    def at(self, name: str, index: object) -> dict[str, Any]:
        """An entry of such a list."""
        entries = self.json.get(name, [])
        if type(index) is not int or not 0 <= index < len(entries) or not isinstance(entries[index], dict):
            raise InvalidMeshError(
                f"not a readable glTF file: it refers to {str(index)[:50]} of {len(entries)} '{name}'"
            )
        entry: dict[str, Any] = entries[index]
        return entry

    def raw(self, index: object) -> Numbers:
        """The numbers (count, width) of an accessor as they are stored, those that sparse ones replace too."""
        accessor = self.at("accessors", index)
        count, width = accessor["count"], WIDTHS.get(accessor.get("type", ""), 0)
        if width == 0:
            raise InvalidMeshError(
                f"its accessor {index} is of type {str(accessor.get('type'))[:20]}, which is not read"
            )
        kind = _kind(accessor)
        sparse = accessor.get("sparse")
        if "bufferView" in accessor:
            found = self._read(accessor, kind, count, width)
        elif sparse:
            found = np.zeros((count, width), dtype=kind)
        else:
            raise InvalidMeshError(f"its accessor {index} holds no data; an extension that is not read may hold it")
        if sparse:
            places = self._read(sparse["indices"], _kind(sparse["indices"]), sparse["count"], 1)[:, 0].astype(np.int64)
            if (np.diff(places) <= 0).any() or (places < 0).any() or places.max(initial=-1) >= count:
                raise InvalidMeshError(f"the places in its sparse accessor {index} do not ascend within {count}")
            found[places] = self._read(sparse["values"], kind, sparse["count"], width)
        return found

    def values(self, index: object) -> Numbers:
        """The numbers of an accessor as floats: whole ones that are normalized in [0, 1] or [-1, 1]."""
        found = self.raw(index)
        if found.dtype.kind == "f":
            return found
        if not self.at("accessors", index).get("normalized", False):
            return np.asarray(found, dtype=np.float64)
        return np.asarray(np.maximum(found / float(np.iinfo(found.dtype).max), -1.0))

    def uri(self, uri: object) -> bytes | None:
        """What a uri holds or names; None: it is missing."""
        if not isinstance(uri, str):
            raise InvalidMeshError("not a readable glTF file: a uri is no text")
        if uri[:5].lower() != "data:":
            return self._companions.find(uri)
        head, _, body = uri.partition(",")
        data = unquote_to_bytes(body)
        is_packed = head.lower().endswith(";base64")
        return base64.b64decode(data.translate(None, b" \t\r\n"), validate=True) if is_packed else data

    def view(self, index: object) -> memoryview:
        """The bytes of a view of a buffer."""
        view = self.at("bufferViews", index)
        number = view["buffer"]
        self.at("buffers", number)
        buffer = self._buffers[number]
        if buffer is None:
            raise InvalidMeshError(
                f"its buffer {number} is a stand-in for compressed data ({', '.join(COMPRESSED[:1])})"
                ", which is not supported; save it without"
            )
        start, size = view.get("byteOffset", 0), view["byteLength"]
        if start < 0 or size < 0 or start + size > len(buffer):
            raise InvalidMeshError(f"not a readable glTF file: its buffer {number} is cut off")
        return memoryview(buffer)[start : start + size]

    def _read(self, place: dict[str, Any], kind: np.dtype[Any], count: int, width: int) -> Numbers:
        data = self.view(place["bufferView"])
        size = kind.itemsize * width
        stride = self.at("bufferViews", place["bufferView"]).get("byteStride", size)
        start = place.get("byteOffset", 0)
        check_count(count, "elements in an accessor", self._most)
        if count < 0 or start < 0 or stride < 1 or (count and start + (count - 1) * stride + size > len(data)):
            raise InvalidMeshError("not a readable glTF file: an accessor reaches beyond its buffer")
        if not count:
            return np.zeros((0, width), dtype=kind)
        return np.array(np.ndarray((count, width), kind, data, start, (stride, kind.itemsize)))

    def _buffer(self, number: int, buffer: dict[str, Any]) -> bytes | None:
        """Its bytes; None: it stands in for compressed ones."""
        name = "GLB" if self._chunk is not None else "GLTF"
        if "uri" in buffer:
            try:
                data = self.uri(buffer["uri"])
            except RefusedFileError as error:
                raise InvalidMeshError(f"not a readable {name} file: {error}") from error
            if data is None:
                raise InvalidMeshError(f"not a readable {name} file: its buffer {buffer['uri'][:200]!r} is missing")
        elif any(extension.get("fallback", False) for extension in _extensions(buffer, COMPRESSED)):
            return None
        elif self._chunk is None:
            raise InvalidMeshError(f"not a readable {name} file: its buffer {number} is missing")
        else:
            data, self._chunk = self._chunk, None
        if len(data) < buffer.get("byteLength", 0):
            raise InvalidMeshError(f"not a readable {name} file: its buffer {number} is cut off")
        return data


def _extensions(entry: dict[str, Any], names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [entry["extensions"][name] for name in names if name in entry.get("extensions", {})]


def _kind(accessor: dict[str, Any]) -> np.dtype[Any]:
    if accessor.get("componentType") not in KINDS:
        raise InvalidMeshError(
            f"it holds numbers of type {str(accessor.get('componentType'))[:20]}, which are not read"
        )
    return np.dtype(KINDS[accessor["componentType"]])


def _chunks(data: bytes) -> tuple[bytes, bytes | None]:
    """The JSON of a GLB, and the binary chunk where there is one."""
    version = int.from_bytes(data[4:8], "little")
    if version != 2:
        raise InvalidMeshError(f"not a readable GLB file: it is of version {version}, and only 2 is read")
    found: dict[bytes, bytes] = {}
    place, end = 12, int.from_bytes(data[8:12], "little")
    while place + 8 <= len(data) and place != end:  # what stands behind the end is no chunk
        size, kind = int.from_bytes(data[place : place + 4], "little"), data[place + 4 : place + 8]
        if place + 8 + size > len(data):
            raise InvalidMeshError("not a readable GLB file: it is cut off")
        if not found and kind != b"JSON":
            break
        found.setdefault(kind, data[place + 8 : place + 8 + size])
        place += 8 + size
    if b"JSON" not in found:
        raise InvalidMeshError("not a readable GLB file: it does not begin with its JSON")
    return found[b"JSON"], found.get(b"BIN\0")
