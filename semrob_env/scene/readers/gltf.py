"""glTF 2.0 files, GLB or JSON: the triangles of the scene, put up by its nodes, skins, morph targets and instances.

Specification: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html . What a file requires and this reader does
not know is refused by its name. Cameras, lights, animations, points and lines draw no faces.
"""

from __future__ import annotations

import itertools
from typing import Any, Final, final

import numpy as np

from semrob_env.errors import InvalidMeshError
from semrob_env.scene.companions import Companions
from semrob_env.scene.readers.gltf_data import Document
from semrob_env.scene.readers.gltf_materials import Finish, Surfaces
from semrob_env.scene.readers.paint import sample_textures
from semrob_env.scene.readers.parts import Part, Wanted, check_count
from semrob_env.scene.surface import join_surfaces
from semrob_env.types import FloatArray, IntArray

MAX_NODES: Final = 100_000
"""Most nodes of a scene; instances by EXT_mesh_gpu_instancing are no nodes."""

GEOMETRY: Final = {"EXT_mesh_gpu_instancing", "KHR_mesh_quantization", "KHR_node_visibility"}
"""Extensions that change geometry, and are read."""

LOOKS: Final = (
    "KHR_materials_", "EXT_materials_", "KHR_texture_", "EXT_texture_", "MSFT_texture_dds", "KHR_lights_",
    "EXT_lights_", "KHR_xmp", "KHR_animation_pointer",
)  # fmt: skip
"""Starts of those that change no geometry; those that change colors are read or refused where colors are wanted."""

INSTANCING: Final = "EXT_mesh_gpu_instancing"
PLACES: Final = ("TRANSLATION", "ROTATION", "SCALE")
NODE_PLACES: Final = ("translation", "rotation", "scale")
COMPRESSED_PRIMITIVES: Final = ("KHR_draco_mesh_compression", "DRACO_mesh_compression")
TRIANGLES, STRIP, FAN = 4, 5, 6
MAX_DEPTH: Final = 24
"""Nodes above one another whose matrices are multiplied from the right."""


def read_gltf(data: bytes, companions: Companions, wanted: Wanted, most_faces: int) -> list[Part]:
    """The triangles of a GLB or glTF file; arguments as `Reader`.

    Raises:
        InvalidMeshError: It cannot be read, needs what is not read, or is too large.
        RefusedFileError, OSError: As `Companions.find`.
    """
    document = Document(data, companions, 3 * most_faces)
    required = document.json.get("extensionsRequired", [])
    unknown = [name for name in required if name not in GEOMETRY and not str(name).startswith(LOOKS)]
    if unknown:
        names = ", ".join(map(str, unknown))[:300]
        raise InvalidMeshError(f"it requires {names}, which is not supported; save it without")
    return _Scene(document, wanted, most_faces).parts()


@final
class _Scene:
    """The scene of a document.

    Args:
        document: The file.
        wanted: What is, beside triangles.
        most: The most triangles.
    """

    def __init__(self, document: Document, wanted: Wanted, most: int) -> None:
        self._document, self._wanted, self._most = document, wanted, most
        self._worlds: dict[int, FloatArray] = {}
        self._meshes: dict[int, list[tuple[tuple[int, int], dict[str, Any]]]] = {}
        self._shapes: dict[tuple[int, int], tuple[FloatArray, IntArray]] = {}
        self._albedos: dict[tuple[int, int], FloatArray | None] = {}
        self._finishes: dict[tuple[int, int], Finish] = {}
        self._faces, self._vertices = 0, 0

    def parts(self) -> list[Part]:
        """Every primitive of every node that is drawn, in the coordinates of the scene."""
        drawn = []
        for node in self._walk():
            drawn += [(node, key, primitive) for key, primitive in self._primitives(node)]
            check_count(len(drawn), "parts of its nodes", 2 * MAX_NODES)
        for node, key, primitive in drawn:
            points, faces = self._shape(key, primitive)
            copies = self._copies(node)
            self._faces, self._vertices = self._faces + copies * len(faces), self._vertices + copies * len(points)
            check_count(self._faces, "faces", self._most)
            check_count(self._vertices, "vertices of its nodes", 3 * self._most)
        if self._wanted is Wanted.SURFACE:
            surfaces = Surfaces(self._document)
            for _, key, primitive in drawn:
                if key not in self._finishes:
                    self._finishes[key] = surfaces.finish(primitive, self._shapes[key][1])
            surfaces.tell()
        elif self._wanted is Wanted.COLORS:
            surfaces, samples = Surfaces(self._document), []
            for _, key, primitive in drawn:
                if key not in self._albedos:
                    self._albedos[key], more = surfaces.albedo(primitive, self._shapes[key][1])
                    samples += more
            sample_textures(samples, surfaces.images)
        return [self._part(self._document.at("nodes", node), node, key, primitive) for node, key, primitive in drawn]

    def _walk(self) -> list[int]:
        """The nodes that are drawn, last children first; the place of all of them in the scene is kept."""
        nodes = self._document.table("nodes")
        if self._document.table("scenes"):
            roots = self._document.at("scenes", self._document.json.get("scene", 0)).get("nodes", [])
        else:
            children = {child for node in nodes for child in node.get("children", [])}
            roots = [number for number in range(len(nodes)) if number not in children]
        drawn = []
        stack: list[tuple[int, tuple[FloatArray, ...], bool, bool]] = [(root, (), False, True) for root in roots]
        while stack:
            number, path, is_below, is_seen = stack.pop()
            node = self._document.at("nodes", number)
            if number in self._worlds:
                raise InvalidMeshError(f"its node {number} is in two places or below itself; nodes are a tree")
            check_count(len(self._worlds) + 1, "nodes", MAX_NODES)
            local = _local(node)
            path = path if _is_identity(local) else (*path, local)
            world = np.eye(4) if is_below else local
            for matrix in reversed(path) if is_below else ():  # from the right, as the first reader: bytes depend on it
                world = matrix @ world
            self._worlds[number] = world
            extensions = node.get("extensions", {})
            is_seen = is_seen and bool(extensions.get("KHR_node_visibility", {}).get("visible", True))
            path = path if len(path) < MAX_DEPTH else (world,)
            stack += [(child, path, True, is_seen) for child in node.get("children", [])]
            if is_seen and "mesh" in node:
                drawn.append(number)
        return drawn

    def _primitives(self, number: int) -> list[tuple[tuple[int, int], dict[str, Any]]]:
        """The primitives of a node that hold triangles, by mesh and place."""
        mesh = self._document.at("nodes", number)["mesh"]
        if mesh not in self._meshes:
            primitives = self._document.at("meshes", mesh)["primitives"]
            modes = [primitive.get("mode", TRIANGLES) for primitive in primitives]
            unknown = [mode for mode in modes if mode not in {0, 1, 2, 3, TRIANGLES, STRIP, FAN}]
            if unknown:
                raise InvalidMeshError(f"it draws in mode {str(unknown[0])[:20]}, which is not read")
            self._meshes[mesh] = [
                ((mesh, place), primitive)
                for place, (primitive, mode) in enumerate(zip(primitives, modes, strict=True))
                if mode >= TRIANGLES
            ]
        return self._meshes[mesh]

    def _shape(self, key: tuple[int, int], primitive: dict[str, Any]) -> tuple[FloatArray, IntArray]:
        """Vertices (V, 3) and faces (F, 3) of a primitive where it was made."""
        if key not in self._shapes:
            attributes = primitive["attributes"]
            for name in COMPRESSED_PRIMITIVES:
                accessor = self._document.at("accessors", attributes.get("POSITION"))
                if name in primitive.get("extensions", {}) and "bufferView" not in accessor:
                    raise InvalidMeshError(f"it is compressed by {name}, which is not supported; save it without")
            points = self._document.values(attributes["POSITION"]).astype(np.float64)
            if points.shape[1] != 3:
                raise InvalidMeshError("its vertices (POSITION) are no triples of numbers")
            if "indices" in primitive:
                indices = self._document.raw(primitive["indices"])
                if indices.shape[1] != 1 or indices.dtype.kind != "u":
                    raise InvalidMeshError("its indices are no whole numbers")
                row = indices[:, 0].astype(np.int64)
            else:
                row = np.arange(len(points))
            if row.max(initial=-1) >= len(points):
                raise InvalidMeshError(f"a face refers to vertex {row.max()}, but only 0..{len(points) - 1} exist")
            self._shapes[key] = points, _triangles(row, primitive.get("mode", TRIANGLES))
        return self._shapes[key]

    def _copies(self, number: int) -> int:
        instances = self._document.at("nodes", number).get("extensions", {}).get(INSTANCING, {}).get("attributes", {})
        counts = {self._document.at("accessors", instances[name])["count"] for name in PLACES if name in instances}
        if len(counts) > 1:
            raise InvalidMeshError(f"the instances of its node {number} have lists of several lengths")
        return max(counts, default=1)

    def _part(self, node: dict[str, Any], number: int, key: tuple[int, int], primitive: dict[str, Any]) -> Part:
        points, faces = self._shapes[key]
        points = points + self._morphed(node, key, primitive, "POSITION")
        finish = self._finishes.get(key)
        if finish is not None and finish.surface is not None and finish.surface.normals is not None:
            finish = finish.bent(self._morphed(node, key, primitive, "NORMAL")[faces])
        world = self._worlds[number]
        if "skin" in node:  # only its joints move it
            return self._dressed(key, finish, self._skinned(points, node, primitive), [faces], [None])
        instances = node.get("extensions", {}).get(INSTANCING, {}).get("attributes", {})
        if not any(name in instances for name in PLACES):
            moved = points @ world[:3, :3].T + world[:3, 3]
            return self._dressed(key, finish, moved, [_wound(faces, world)], [world[:3, :3]])
        found = [self._document.values(instances[name]) if name in instances else None for name in PLACES]
        matrices = world @ _matrices(*found)
        moved = (points @ matrices[:, :3, :3].transpose(0, 2, 1) + matrices[:, None, :3, 3]).reshape(-1, 3)
        copies = [_wound(faces, matrix) + place * len(points) for place, matrix in enumerate(matrices)]
        return self._dressed(key, finish, moved, copies, [*matrices[:, :3, :3]])

    def _dressed(
        self,
        key: tuple[int, int],
        finish: Finish | None,
        points: FloatArray,
        copies: list[IntArray],
        matrices: list[FloatArray | None],
    ) -> Part:
        """A part of copies of a primitive in their colors.

        Args:
            key: The primitive.
            finish: Its finish, where it is wanted.
            points: Vertices of all copies.
            copies: The faces of each.
            matrices: What has moved each, (3, 3); None: more than a matrix: its normals are not known.
        """
        faces = np.concatenate([np.zeros((0, 3), dtype=np.int64), *copies])
        albedo = self._albedos.get(key)
        surface = None
        if finish is not None:
            albedo = finish.albedo
            surface = join_surfaces([finish.moved(matrix) for matrix in matrices], [len(own) for own in copies])
        if albedo is not None:
            albedo = np.tile(albedo, (len(copies), 1))
        return Part(points, faces, albedo, surface)

    def _morphed(self, node: dict[str, Any], key: tuple[int, int], primitive: dict[str, Any], name: str) -> FloatArray:
        """How far the weights of its morph targets move each vertex, or its normal, (V, 3)."""
        weights = node.get("weights", self._document.at("meshes", key[0]).get("weights", []))
        moved = np.zeros_like(self._shapes[key][0])
        for weight, target in zip(weights, primitive.get("targets", []), strict=False):
            if (
                weight
                and self._wanted is not Wanted.NOTHING
                and any(name.startswith(("COLOR", "TEXCOORD")) for name in target)
            ):
                raise InvalidMeshError("a morph target of it changes colors, which is not supported")
            if weight and name in target:
                change = self._document.values(target[name])
                if change.shape != moved.shape:
                    raise InvalidMeshError("a morph target of it has not one change for each vertex")
                moved += float(weight) * change
        return moved

    def _skinned(self, points: FloatArray, node: dict[str, Any], primitive: dict[str, Any]) -> FloatArray:
        """Vertices (V, 3) of the scene as the joints of the skin carry them; joints stand as their nodes do."""
        if INSTANCING in node.get("extensions", {}):
            raise InvalidMeshError("it has instances of a mesh with a skin, which are not supported")
        skin = self._document.at("skins", node["skin"])
        if not all(joint in self._worlds for joint in skin["joints"]):
            raise InvalidMeshError("a joint of its skin is no node of its scene")
        joints = np.stack([self._worlds[joint] for joint in skin["joints"]])
        if "inverseBindMatrices" in skin:
            inverse = self._document.values(skin["inverseBindMatrices"])[: len(joints)].astype(np.float64)
            if inverse.shape != (len(joints), 16):
                raise InvalidMeshError("its skin has not one inverse bind matrix for each joint")
            joints = joints @ _affine(inverse.reshape(-1, 4, 4).transpose(0, 2, 1))
        total, weight = np.zeros((len(points), 4, 4)), np.zeros(len(points))
        attributes = primitive["attributes"]
        for number in itertools.takewhile(lambda number: f"JOINTS_{number}" in attributes, itertools.count()):
            which = self._document.raw(attributes[f"JOINTS_{number}"]).astype(np.int64)
            shares = self._document.values(attributes[f"WEIGHTS_{number}"]).astype(np.float64)
            if which.max(initial=0) >= len(joints) or which.shape != shares.shape or len(which) != len(points):
                raise InvalidMeshError("its vertices refer to joints that its skin has not")
            for column in range(which.shape[1]):
                total += shares[:, column, None, None] * joints[which[:, column]]
                weight += shares[:, column]
        total[weight <= 0.0] = joints[0]
        total /= np.where(weight > 0.0, weight, 1.0)[:, None, None]
        return np.asarray(np.einsum("vij,vj->vi", total[:, :3, :3], points) + total[:, :3, 3])


def _triangles(row: IntArray, mode: int) -> IntArray:
    """Faces (F, 3) from a row of vertices."""
    if mode == TRIANGLES:
        if len(row) % 3:
            raise InvalidMeshError(f"its triangles have {len(row)} corners, which three does not divide")
        return row.reshape(-1, 3)
    if len(row) < 3:
        return np.zeros((0, 3), dtype=np.int64)
    if mode == FAN:
        return np.stack([row[1:-1], row[2:], np.full(len(row) - 2, row[0])], axis=1)
    faces = np.stack([row[:-2], row[1:-1], row[2:]], axis=1)
    faces[1::2] = faces[1::2, ::-1]
    return faces


def _wound(faces: IntArray, matrix: FloatArray) -> IntArray:
    """Faces as a matrix leaves them: one that mirrors turns the winding."""
    return faces[:, ::-1] if np.linalg.det(matrix[:3, :3]) < 0 else faces


def _local(node: dict[str, Any]) -> FloatArray:
    """The matrix (4, 4) of a node below its parent."""
    matrix = _affine(np.array(node.get("matrix", np.eye(4)), dtype=np.float64).reshape(4, 4).T)
    found = [None if key not in node else np.array([node[key]], dtype=np.float64) for key in NODE_PLACES]
    return np.asarray(matrix if all(place is None for place in found) else matrix @ _matrices(*found)[0])


def _matrices(translations: FloatArray | None, rotations: FloatArray | None, scales: FloatArray | None) -> FloatArray:
    """Matrices (N, 4, 4) that scale, then turn by quaternions (N, 4: x, y, z, w), then move."""
    given = [(found, width) for found, width in ((translations, 3), (rotations, 4), (scales, 3)) if found is not None]
    count = len(given[0][0])
    if any(found.shape != (count, width) for found, width in given):
        raise InvalidMeshError("a translation, rotation or scale of it is not of three, four and three numbers")
    matrices = np.tile(np.eye(4), (count, 1, 1))
    if translations is not None:
        matrices[:, :3, 3] = translations
    if rotations is not None:
        turned = rotations.astype(np.float64)[:, [3, 0, 1, 2]]
        squares = (turned**2).sum(axis=1)
        has_turn = squares > 4 * np.finfo(np.float64).eps
        turned[has_turn] *= np.sqrt(2.0 / squares[has_turn, None])
        q = turned[:, :, None] * turned[:, None, :]
        linear = np.empty((count, 3, 3))
        linear[:, 0] = np.stack([1 - q[:, 2, 2] - q[:, 3, 3], q[:, 1, 2] - q[:, 3, 0], q[:, 1, 3] + q[:, 2, 0]], axis=1)
        linear[:, 1] = np.stack([q[:, 1, 2] + q[:, 3, 0], 1 - q[:, 1, 1] - q[:, 3, 3], q[:, 2, 3] - q[:, 1, 0]], axis=1)
        linear[:, 2] = np.stack([q[:, 1, 3] - q[:, 2, 0], q[:, 2, 3] + q[:, 1, 0], 1 - q[:, 1, 1] - q[:, 2, 2]], axis=1)
        matrices[has_turn, :3, :3] = linear[has_turn]
    if scales is not None:
        matrices[:, :3, :3] *= scales[:, None, :]
    return matrices


def _affine(matrices: FloatArray) -> FloatArray:
    """Matrices (..., 4, 4) that move, turn, scale and shear, and nothing else."""
    if not np.allclose(matrices[..., 3, :], [0.0, 0.0, 0.0, 1.0], rtol=0.0, atol=1e-4):
        raise InvalidMeshError("a matrix of it has another last row than 0, 0, 0, 1, which is not read")
    return matrices


def _is_identity(matrix: FloatArray) -> bool:
    """Whether a matrix moves nothing, but for the noise of some exporters."""
    return bool(np.abs(matrix[:, :3] - np.eye(4)[:, :3]).max() <= 1e-8 and not matrix[:3, 3].any())
