"""Materials of a glTF file: base color, colors of vertices and texture of the faces of a primitive."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, Final, final

import numpy as np

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.readers.gltf_data import Document
from semrob_env.scene.readers.paint import Sample, Wrap, corner_means, eight_bits
from semrob_env.types import FloatArray, IntArray

WRAPS: Final[dict[int, Wrap]] = {10497: "repeat", 33071: "clamp", 33648: "mirror"}
GLOSS: Final = "KHR_materials_pbrSpecularGlossiness"
FIRST_SOURCE: Final = "EXT_texture_webp"
OTHER_SOURCES: Final = ("EXT_texture_avif", "MSFT_texture_dds", "KHR_texture_basisu")
"""Extensions that name another image than `source`: one goes before it, others count where it is missing."""


@final
class Surfaces:
    """What faces of a document look like.

    Attributes:
        images: The bytes of the images that are used, by the keys of samples.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self.images: dict[Hashable, bytes] = {}

    def albedo(self, primitive: dict[str, Any], faces: IntArray) -> tuple[FloatArray | None, list[Sample]]:
        """Colors (F, 3) of faces, None where none are given, and the texture that they are still to be multiplied by.

        Raises:
            InvalidMeshError: A material, texture or accessor cannot be read.
        """
        attributes = primitive.get("attributes", {})
        if "material" not in primitive and "COLOR_0" not in attributes:
            return None, []
        material = self._document.at("materials", primitive["material"]) if "material" in primitive else {}
        factor, texture = _base(material)
        albedo = np.ones((len(faces), 3))
        if factor is not None:
            if len(factor) < 3:
                raise InvalidMeshError(f"its base color {str(factor)[:100]} is no RGBA")
            albedo *= eight_bits(np.array(factor, dtype=np.float64)[:3]) / 255.0
        if "COLOR_0" in attributes:
            albedo *= corner_means(self._vertex_colors(attributes["COLOR_0"]), faces)
        return albedo, [] if texture is None else self._samples(texture, attributes, albedo, faces)

    def _vertex_colors(self, index: object) -> np.typing.NDArray[Any]:
        colors = self._document.raw(index)
        if colors.shape[1] not in {3, 4} or colors.dtype.kind == "i":
            raise InvalidMeshError("its vertex colors (COLOR_0) are no RGB or RGBA")
        return colors / 65535.0 if colors.dtype == np.uint16 else colors

    def _samples(
        self, info: dict[str, Any], attributes: dict[str, Any], albedo: FloatArray, faces: IntArray
    ) -> list[Sample]:
        texture = self._document.at("textures", info["index"])
        moved = info.get("extensions", {}).get("KHR_texture_transform", {})
        name = f"TEXCOORD_{moved.get('texCoord', info.get('texCoord', 0))}"
        key = self._image(texture)
        if key is None or name not in attributes:
            return []
        places = np.clip(np.nan_to_num(self._document.values(attributes[name])), -1e9, 1e9)
        if places.shape[1] != 2 or faces.max(initial=-1) >= len(places):
            raise InvalidMeshError(f"its texture coordinates ({name}) are no pairs, one a vertex")
        if moved:
            places = _transformed(places.astype(np.float64), moved)
        places[:, 1] = 1 - places[:, 1]  # glTF counts from the upper edge; here first, as the first reader did
        middles = places.astype(np.float64)[faces].mean(axis=1)
        sampler = self._document.at("samplers", texture["sampler"]) if "sampler" in texture else {}
        wraps = [sampler.get(key, 10497) for key in ("wrapS", "wrapT")]
        if not set(wraps) <= WRAPS.keys():
            raise InvalidMeshError(f"its texture wraps as {wraps}, which is not read; allowed are {sorted(WRAPS)}")
        return [Sample(key, albedo, np.arange(len(faces)), middles, (WRAPS[wraps[0]], WRAPS[wraps[1]]))]

    def _image(self, texture: dict[str, Any]) -> str | None:
        """The key of a texture's image; None: it is missing."""
        others = {name: value.get("source") for name, value in texture.get("extensions", {}).items()}
        sources = (others.get(FIRST_SOURCE), texture.get("source"), *map(others.get, OTHER_SOURCES))
        source = next((found for found in sources if found is not None), None)
        if source is None:
            if not others:
                return None
            raise InvalidMeshError(f"its texture needs {', '.join(others)[:200]}, which is not supported")
        image = self._document.at("images", source)
        uri = image.get("uri", "")
        title = uri if uri and not str(uri).startswith("data:") else image.get("name", "")
        key = f"{str(title)[:100]} (image {source})".lstrip()
        if key not in self.images:
            data = self._document.uri(uri) if "uri" in image else bytes(self._document.view(image.get("bufferView")))
            if data is None:
                return None
            self.images[key] = data
        return key


def _base(material: dict[str, Any]) -> tuple[list[float] | None, dict[str, Any] | None]:
    """Base color and texture of a material; specular-glossiness goes before metallic-roughness, as glTF has it."""
    gloss = material.get("extensions", {}).get(GLOSS)
    if gloss is not None:
        return gloss.get("diffuseFactor"), gloss.get("diffuseTexture")
    metallic = material.get("pbrMetallicRoughness", {})
    return metallic.get("baseColorFactor"), metallic.get("baseColorTexture")


def _transformed(places: FloatArray, moved: dict[str, Any]) -> FloatArray:
    """Texture coordinates (V, 2) under KHR_texture_transform: scaled, turned, moved."""
    turn = float(moved.get("rotation", 0.0))
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    scale, offset = (
        np.array(moved.get(key, default), dtype=np.float64) for key, default in (("scale", [1, 1]), ("offset", [0, 0]))
    )
    if not all(np.isfinite(numbers).all() and numbers.shape == (2,) for numbers in (scale, offset)):
        raise InvalidMeshError("a KHR_texture_transform of it is no pairs of numbers")
    return np.asarray((places * scale) @ rotation.T + offset)
