"""Small glTF files for tests: a cube of side 2 about the origin, and what may hang on it."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Numbers = npt.NDArray[Any]

CUBE = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float32)
CUBE_FACES = np.array(
    [
        (0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1),
        (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3),
    ],
    dtype=np.uint16,
)  # fmt: skip
"""Counter-clockwise from outside."""

KINDS = {"int8": 5120, "uint8": 5121, "int16": 5122, "uint16": 5123, "uint32": 5125, "float32": 5126}
WIDTHS = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def png(*colors: tuple[int, int, int]) -> bytes:
    """A row of pixels."""
    stream = io.BytesIO()
    Image.fromarray(np.array([colors], dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


class Gltf:
    """The JSON of a file with one cube, to which things are added.

    Attributes:
        json: What is written.
        primitive: The one of the cube.
    """

    def __init__(self, points: Numbers = CUBE, faces: Numbers = CUBE_FACES, **accessor: Any) -> None:
        self.json: dict[str, Any] = {"asset": {"version": "2.0"}, "buffers": [], "bufferViews": [], "accessors": []}
        self.primitive: dict[str, Any] = {"attributes": {"POSITION": self.add(points, **accessor)}}
        self.primitive["indices"] = self.add(faces.reshape(-1, 1))
        self.json |= {"meshes": [{"primitives": [self.primitive]}], "nodes": [{"mesh": 0}], "scenes": [{"nodes": [0]}]}

    def view(self, data: bytes) -> int:
        """A view of bytes."""
        uri = f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"
        self.json["buffers"].append({"byteLength": len(data), "uri": uri})
        self.json["bufferViews"].append({"buffer": len(self.json["buffers"]) - 1, "byteLength": len(data)})
        return len(self.json["bufferViews"]) - 1

    def add(self, values: Numbers, **more: Any) -> int:
        """An accessor of numbers (N, width)."""
        entry = {"componentType": KINDS[values.dtype.name], "count": len(values), "type": WIDTHS[values.shape[1]]}
        self.json["accessors"].append({"bufferView": self.view(values.tobytes()), **entry, **more})
        return len(self.json["accessors"]) - 1

    def paint(self, image: bytes, places: Numbers | None = None, *, name: str = "TEXCOORD_0", **info: Any) -> None:
        """A texture; `places` are the texture coordinates (8, 2) of the cube's corners."""
        if places is not None:
            self.primitive["attributes"][name] = self.add(places, normalized=places.dtype.kind != "f")
        self.json["images"] = [{"bufferView": self.view(image), "mimeType": "image/png"}]
        self.json["textures"] = [{"source": 0}]
        self.json["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0, **info}}}]
        self.primitive["material"] = 0

    def write(self, folder: Path, name: str = "cube.gltf") -> Path:
        """The file."""
        path = folder / name
        path.write_text(json.dumps(self.json))
        return path

    def glb(self) -> bytes:
        """The bytes of a GLB, its first buffer as the binary chunk."""
        header = json.loads(json.dumps(self.json))
        uri = header["buffers"][0].pop("uri")
        chunk = base64.b64decode(uri.partition(",")[2])
        text = json.dumps(header).encode()
        text, chunk = text + b" " * (-len(text) % 4), chunk + bytes(-len(chunk) % 4)
        header["buffers"][0]["byteLength"] = len(chunk)
        parts = [len(text).to_bytes(4, "little"), b"JSON", text, len(chunk).to_bytes(4, "little"), b"BIN\0", chunk]
        body = b"".join(parts)
        return b"glTF" + (2).to_bytes(4, "little") + (12 + len(body)).to_bytes(4, "little") + body


def everywhere(across: float, along: float = 0.5, kind: str = "float32") -> Numbers:
    """One place in a texture for every corner of the cube; of whole numbers, as a share of their range."""
    scale = 1 if kind == "float32" else np.iinfo(kind).max
    return np.tile(np.array([[across * scale, along * scale]]), (8, 1)).astype(kind)
