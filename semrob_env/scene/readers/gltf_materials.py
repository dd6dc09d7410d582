"""Materials of a glTF file: base color, colors of vertices and texture of the faces of a primitive."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.readers.gltf_data import Document
from semrob_env.scene.readers.paint import Images, Sample, corner_means, covered, eight_bits, tell
from semrob_env.scene.surface import Surface, Texture, Wrap, display_values
from semrob_env.types import FloatArray, IntArray

WRAPS: Final[dict[int, Wrap]] = {10497: "repeat", 33071: "clamp", 33648: "mirror"}
GLOSS: Final = "KHR_materials_pbrSpecularGlossiness"
FIRST_SOURCE: Final = "EXT_texture_webp"
OTHER_SOURCES: Final = ("EXT_texture_avif", "MSFT_texture_dds", "KHR_texture_basisu")
"""Extensions that name another image than `source`: one goes before it, others count where it is missing."""

NOT_DRAWN: Final = {
    "normalTexture": "normal maps", "occlusionTexture": "occlusion maps", "emissiveTexture": "emissive textures",
}  # fmt: skip
"""Textures of a material that are passed over."""

DRAWN: Final = {GLOSS, "KHR_materials_emissive_strength", "KHR_texture_transform"}
"""Extensions of a material that are read."""


@final
@dataclass(frozen=True, eq=False)
class Finish:
    """How a primitive looks: color (F, 3) of its faces, and what covers them, where it was made."""

    albedo: FloatArray | None
    surface: Surface | None

    def bent(self, change: FloatArray) -> Finish:
        """The same with normals of corners that are moved by (F, 3, 3)."""
        if self.surface is None or self.surface.normals is None:
            return self
        normals = self.surface.normals + change
        lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
        normals = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
        return replace(self, surface=replace(self.surface, normals=normals.astype(np.float32)))

    def moved(self, matrix: FloatArray | None) -> Surface | None:
        """The surface of a copy that a matrix (3, 3) has moved; None: more than one, its normals are not known."""
        if self.surface is None:
            return None
        if matrix is None or abs(np.linalg.det(matrix)) < 1e-30:
            return replace(self.surface, normals=None)
        own = self.surface.moved(matrix)
        return own.turned_over() if np.linalg.det(matrix) < 0 else own


@final
class Surfaces:
    """What faces of a document look like.

    Attributes:
        images: The bytes of the images that are used, by the keys of samples.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._textures = Images()
        self._told: set[str] = set()
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

    def finish(self, primitive: dict[str, Any], faces: IntArray) -> Finish:
        """How a primitive of faces (F, 3) looks: linear factors as display values.

        Raises:
            InvalidMeshError: A material, texture or accessor cannot be read, or a texture is missing.
        """
        attributes = primitive.get("attributes", {})
        material = self._document.at("materials", primitive["material"]) if "material" in primitive else {}
        factor, info = _base(material)
        factors = np.array([*(factor or [1.0, 1.0, 1.0]), 1.0][:4], dtype=np.float64)
        if len(factors) < 4 or not np.isfinite(factors).all():
            raise InvalidMeshError(f"its base color {str(factor)[:100]} is no RGBA")
        self._note(material)
        has_mask = material.get("alphaMode", "OPAQUE") == "MASK"
        cutoff = float(material.get("alphaCutoff", 0.5)) / max(factors[3], 1e-9) if has_mask else 0.0
        textures: list[Texture] = []
        places = None
        found = None if info is None else self._put_on(info, attributes, faces, is_needed=True)
        if found is not None:
            key, of_vertices, wraps = found
            if material.get("alphaMode") == "BLEND":
                self._told.add("half-transparent textures (alphaMode BLEND), which are cut off at one half")
                cutoff = 0.5
            textures.append(self._textures.texture(key, self.images[key], wraps, cutoff))
            places = of_vertices.astype(np.float64)[faces]
        elif cutoff > 1.0:  # all of it is clear
            textures.append(Texture(np.zeros((1, 1, 4), dtype=np.uint8), cutoff=1.0))
            places = np.zeros((len(faces), 3, 2))
        colors = normals = None
        if "COLOR_0" in attributes:
            light = self._vertex_colors(attributes["COLOR_0"])[:, :3]
            light = light / 255.0 if light.dtype == np.uint8 else light
            colors = display_values(np.clip(np.nan_to_num(_of_corners(light, faces, "COLOR_0")), 0.0, 1.0))
        if "NORMAL" in attributes:
            normals = _of_corners(self._document.values(attributes["NORMAL"]), faces, "NORMAL").astype(np.float64)
            if normals.shape[2] != 3:
                raise InvalidMeshError("its normals (NORMAL) are no triples of numbers")
        strength = (
            material.get("extensions", {}).get("KHR_materials_emissive_strength", {}).get("emissiveStrength", 1.0)
        )
        glow = np.array(material.get("emissiveFactor", [0.0, 0.0, 0.0]), dtype=np.float64) * float(strength)
        if glow.shape != (3,) or not np.isfinite(glow).all():
            raise InvalidMeshError("an emissiveFactor of it is no RGB")
        if "emissiveTexture" in material:
            glow *= 0.0
        shown = display_values(np.clip(factors[:3], 0.0, 1.0))
        texture_of = np.full(len(faces), 0 if textures else -1)
        emission = np.tile(display_values(np.clip(glow, 0.0, 1.0)), (len(faces), 1))
        surface = covered(places, texture_of, textures, colors, normals, emission)
        return Finish(np.tile(shown, (len(faces), 1)) if material or colors is not None else None, surface)

    def tell(self) -> None:
        """Say once what `finish` has met and nobody draws."""
        if self._told:
            tell(", ".join(sorted(self._told)))

    def _note(self, material: dict[str, Any]) -> None:
        self._told |= {text for name, text in NOT_DRAWN.items() if name in material}
        metallic = material.get("pbrMetallicRoughness", {})
        if "metallicRoughnessTexture" in metallic or metallic.get("metallicFactor", 0) > 0:
            self._told.add("metalness")
        self._told |= {str(name)[:60] for name in material.get("extensions", {}) if name not in DRAWN}

    def _vertex_colors(self, index: object) -> np.typing.NDArray[Any]:
        colors = self._document.raw(index)
        if colors.shape[1] not in {3, 4} or colors.dtype not in (np.uint8, np.uint16, np.float32):
            raise InvalidMeshError("its vertex colors (COLOR_0) are no RGB or RGBA")
        return colors / 65535.0 if colors.dtype == np.uint16 else colors

    def _samples(
        self, info: dict[str, Any], attributes: dict[str, Any], albedo: FloatArray, faces: IntArray
    ) -> list[Sample]:
        found = self._put_on(info, attributes, faces)
        if found is None:
            return []
        key, places, wraps = found
        places[:, 1] = 1 - places[:, 1]  # glTF counts from the upper edge; here first, as the first reader did
        middles = places.astype(np.float64)[faces].mean(axis=1)
        return [Sample(key, albedo, np.arange(len(faces)), middles, wraps)]

    def _put_on(
        self, info: dict[str, Any], attributes: dict[str, Any], faces: IntArray, *, is_needed: bool = False
    ) -> tuple[str, np.typing.NDArray[Any], tuple[Wrap, Wrap]] | None:
        """Image, coordinates (V, 2) from the upper edge, and wraps of a texture; None: there is no image or place."""
        texture = self._document.at("textures", info["index"])
        moved = info.get("extensions", {}).get("KHR_texture_transform", {})
        name = f"TEXCOORD_{moved.get('texCoord', info.get('texCoord', 0))}"
        key = self._image(texture, is_needed=is_needed)
        if key is None or name not in attributes:
            return None
        places = self._document.values(attributes[name])
        if not is_needed:
            places = np.clip(np.nan_to_num(places), -1e9, 1e9)
        if places.shape[1] != 2 or faces.max(initial=-1) >= len(places):
            raise InvalidMeshError(f"its texture coordinates ({name}) are no pairs, one a vertex")
        if moved:
            places = _transformed(places.astype(np.float64), moved)
        sampler = self._document.at("samplers", texture["sampler"]) if "sampler" in texture else {}
        wraps = [sampler.get(key, 10497) for key in ("wrapS", "wrapT")]
        if not set(wraps) <= WRAPS.keys():
            raise InvalidMeshError(f"its texture wraps as {wraps}, which is not read; allowed are {sorted(WRAPS)}")
        return key, places, (WRAPS[wraps[0]], WRAPS[wraps[1]])

    def _image(self, texture: dict[str, Any], *, is_needed: bool = False) -> str | None:
        """The key of a texture's image; None: it is missing, and not needed."""
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
            if data is None and not is_needed:
                return None
            if data is None:
                self._textures.texture(str(title), None)
            self.images[key] = data or b""
        return key


def _of_corners(values: np.typing.NDArray[Any], faces: IntArray, name: str) -> np.typing.NDArray[Any]:
    """What vertices have (V, K), at corners of faces (F, 3, K)."""
    if faces.max(initial=-1) >= len(values):
        raise InvalidMeshError(f"its {name} has {len(values)} entries, not one a vertex")
    return np.asarray(values[faces])


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
