"""An optional renderer: the pictures of the paper's protocol by PyTorch3D's rasterizer, on CPU or CUDA.

PyTorch3D (Ravi et al. 2020, "Accelerating 3D deep learning with PyTorch3D", arXiv 2007.08501) finds the faces at and
around every pixel center; from there on the picture is a formula in plain torch, so that its derivatives come from
torch's forward mode. Its own shaders are not used: they smooth by a temperature, or not at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, final
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch.autograd import forward_ad

from semrob_env.errors import InvalidParameterError, MissingExtraError
from semrob_env.processes import TORCH
from semrob_env.scene.camera import Scenes, Views
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.renderers.base import Renderer
from semrob_env.types import Float32Array, FloatArray

VERSION: Final = 1
"""Goes up with every change of the pixels, so that stored runs are never mixed."""

NEAR: Final = 1e-2
"""Faces with a vertex nearer to the camera plane are left out whole, as by the default renderer."""

MOST_PIXELS: Final = 4096
"""Largest side of the picture that is drawn, before it is averaged down."""

_TINY = 1e-12

_Inputs = tuple[torch.Tensor, torch.Tensor]
"""A matrix (3, 4) and a light table (4, 3), or their derivatives."""


@final
class PyTorch3DRenderer(Renderer):
    """Flat, two-sided shading of a mesh on a plain background, edges smoothed by their distance from pixel centers.

    The share of a (fine) pixel that a face covers is taken as 1/2 + its signed distance to the nearest side of the
    face in pixels, cut to [0, 1]. Faces are laid over one another from the nearest on. Those that hold the center
    overlap as much as they can, so do those that do not; one of each kind overlap as little as they can: so two faces
    that meet in a side fill the pixel, and the two faces of an outline do not cover it twice.

    A scene has the same bytes in any batch, for it is drawn alone; pictures of CPU and CUDA differ by rounding.
    Derivatives are exact for the formula, given which faces are at which pixel.

    Args:
        size: Height and width of a picture in pixels.
        supersample: See `Renderer`.
        device: `cpu`, `cuda` or `cuda:1`.
        faces_per_pixel: Most faces that count at one pixel, the nearest.

    Raises:
        MissingExtraError: PyTorch3D is not installed.
        InvalidParameterError: An option is out of range, or the device is not there.
    """

    def __init__(self, size: int = 224, supersample: int = 2, *, device: str = "cpu", faces_per_pixel: int = 8) -> None:
        super().__init__(size, supersample, MOST_PIXELS)
        if not 1 <= faces_per_pixel <= 100:
            raise InvalidParameterError(f"faces_per_pixel {faces_per_pixel}: give 1 to 100")
        self._version, self._rasterize, self._meshes = _library()
        TORCH.enter()
        try:
            self._device = torch.device(device)
            torch.zeros(1, device=self._device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise InvalidParameterError(f"device {device!r}: {reason}; choose cpu or cuda") from error
        self._faces_per_pixel = faces_per_pixel
        self._surfaces: WeakKeyDictionary[Mesh, _Surface] = WeakKeyDictionary()

    @property
    def identity(self) -> str:
        """E.g. `pytorch3d-0.7.9-1?size=224&supersample=2&faces=8&device=cpu`."""
        return (
            f"pytorch3d-{self._version}-{VERSION}?size={self.size}&supersample={self._supersample}"
            f"&faces={self._faces_per_pixel}&device={self._device.type}"
        )

    def _draw(self, mesh: Mesh, scenes: Scenes, parameters: Sequence[str]) -> tuple[Float32Array, Float32Array]:
        if mesh.surface is not None:
            raise InvalidParameterError(
                "pytorch3d draws flat faces of one color each; leave colors=texture, normals and specular away, or use "
                "the renderer rasterizer"
            )
        views = Views.of(scenes, parameters)
        surface = self._surfaces.get(mesh)
        if surface is None:
            surface = self._surfaces.setdefault(mesh, _Surface.of(mesh, self._device))
        images = np.empty((len(scenes), 3, self.size, self.size), dtype=np.float32)
        derivatives = np.empty((len(scenes), len(parameters), *images.shape[1:]), dtype=np.float32)
        for view in range(len(scenes)):
            matrix, light = self._tensor(views.projection[view]), self._tensor(views.light_table[view])
            with torch.no_grad():
                found = self._find(surface, matrix)
            for k in range(len(parameters)):
                changes = self._tensor(views.projection_tangents[view, k]), self._tensor(views.light_tangents[view, k])
                derivatives[view, k] = self._change(surface, found, (matrix, light), changes).cpu().numpy()
            with torch.no_grad():
                images[view] = self._paint(surface, found, matrix, light).cpu().numpy()
        return images, derivatives

    def _change(self, surface: _Surface, found: _Found, inputs: _Inputs, changes: _Inputs) -> torch.Tensor:
        """Derivative (3, size, size) of the picture, given those of matrix and light table."""
        dual: Any = forward_ad  # torch has no types for it
        with dual.dual_level(), warnings.catch_warnings():
            # Torch 2.13 warns of its own torch.jit.script when forward mode is first used.
            warnings.simplefilter("ignore", DeprecationWarning)
            matrix, light = (dual.make_dual(*pair) for pair in zip(inputs, changes, strict=True))
            image, change = dual.unpack_dual(self._paint(surface, found, matrix, light))
        return torch.zeros_like(image) if change is None else change

    def _tensor(self, values: FloatArray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)

    def _find(self, surface: _Surface, matrix: torch.Tensor) -> _Found:
        """Ask PyTorch3D which faces are at and around each pixel center."""
        fine = self.size * self._supersample
        screen, depth = _project(surface.vertices, matrix)
        shown = torch.nonzero((depth[surface.faces] > NEAR).all(dim=1))[:, 0]
        is_edge = torch.zeros(fine * fine, dtype=torch.bool, device=self._device)
        if not len(shown):
            return _Found(torch.full((fine * fine, 1), -1, dtype=torch.int64, device=self._device), is_edge)
        # PyTorch3D counts x to the left; its pictures are [-1, 1] across as ours.
        points = torch.stack([-screen[:, 0], screen[:, 1], depth], dim=1).to(torch.float32)
        on_gpu = self._device.type == "cuda"
        faces, _, _, _ = self._rasterize(
            self._meshes(verts=[points], faces=[surface.faces[shown]]),
            image_size=fine,
            blur_radius=(1.0 / fine) ** 2,  # half a pixel
            faces_per_pixel=self._faces_per_pixel,
            bin_size=None if on_gpu else 0,
            max_faces_per_bin=len(shown) if on_gpu else None,  # a full bin would drop faces
            perspective_correct=True,
            clip_barycentric_coords=True,
        )
        nearest = faces[0].reshape(fine * fine, -1)
        nearest = torch.where(nearest >= 0, shown[nearest.clamp_min(0)], nearest)
        # A pixel deep inside its first face needs no geometry.
        pixels = torch.nonzero(nearest[:, 0] >= 0)[:, 0]
        inside, _ = _nearest_side(screen, surface.faces[nearest[pixels, :1]], self._centers(pixels), fine)
        pixels = pixels[inside[:, 0] < 0.5]
        is_edge[pixels] = True
        nearest[pixels] = _in_order(screen, 1 / depth, surface.faces, nearest[pixels], self._centers(pixels), fine)
        return _Found(nearest, is_edge)

    def _centers(self, pixels: torch.Tensor) -> torch.Tensor:
        """Picture coordinates (P, 2) of pixel centers, right and up, [-1, 1] across the picture."""
        fine = self.size * self._supersample
        column, row = pixels % fine, pixels // fine
        return torch.stack([(2 * column + 1) / fine - 1, 1 - (2 * row + 1) / fine], dim=1).to(torch.float64)

    def _paint(self, surface: _Surface, found: _Found, matrix: torch.Tensor, light: torch.Tensor) -> torch.Tensor:
        """The picture (3, size, size) as a differentiable formula."""
        fine = self.size * self._supersample
        screen, _ = _project(surface.vertices, matrix)
        colors = torch.cat([_shade(surface, screen, light), light[3:4]])  # the last one, -1, is the background
        plain = colors[found.nearest[:, 0]]
        pixels = torch.nonzero(found.is_edge)[:, 0]
        faces = found.nearest[pixels]
        signed, _ = _nearest_side(screen, surface.faces[faces.clamp_min(0)], self._centers(pixels), fine)
        cover = (0.5 + signed).clamp(0.0, 1.0) * (faces >= 0)
        blended = _lay_over(cover, signed > 0, colors[faces], light[3])
        image = plain.index_copy(0, pixels, blended).clamp(0.0, 1.0)
        blocks = image.reshape(self.size, self._supersample, self.size, self._supersample, 3)
        return blocks.mean(dim=(1, 3)).permute(2, 0, 1)


class _Surface(NamedTuple):
    """A mesh on the device: vertices (V, 3), faces (F, 3), unit normals (F, 3), albedo (F, 3)."""

    vertices: torch.Tensor
    faces: torch.Tensor
    normals: torch.Tensor
    albedo: torch.Tensor

    @classmethod
    def of(cls, mesh: Mesh, device: torch.device) -> _Surface:
        vertices = torch.from_numpy(mesh.vertices.copy()).to(device)
        faces = torch.from_numpy(mesh.faces.astype(np.int64)).to(device)
        albedo = np.ones(mesh.faces.shape) if mesh.albedo is None else mesh.albedo.astype(np.float64)
        a, b, c = vertices[faces].unbind(dim=1)
        normals = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=1, eps=_TINY)
        return cls(vertices, faces, normals, torch.from_numpy(albedo).to(device))


class _Found(NamedTuple):
    """Per fine pixel: its faces from the nearest on (P, k), -1 for none, and whether one of their sides is near."""

    nearest: torch.Tensor
    is_edge: torch.Tensor


def _library() -> tuple[str, Any, Any]:
    """Version, rasterizer and batch type of PyTorch3D."""
    try:
        import pytorch3d
        from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes
        from pytorch3d.structures import Meshes
    except ImportError as error:
        raise MissingExtraError(
            "pytorch3d is not installed and PyPI has no wheel of it for most systems; "
            "see INSTALL.md of https://github.com/facebookresearch/pytorch3d, or use the default renderer"
        ) from error
    return str(pytorch3d.__version__), rasterize_meshes, Meshes


def _project(vertices: torch.Tensor, matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Picture coordinates (V, 2) and depths (V,) of vertices under a (3, 4) matrix."""
    moved = vertices @ matrix[:, :3].T + matrix[:, 3]
    depth = moved[:, 2]
    safe = torch.where(depth > NEAR, depth, torch.ones_like(depth))  # the others are in no face that is shown
    return moved[:, :2] / safe[:, None], depth


def _shade(surface: _Surface, screen: torch.Tensor, light: torch.Tensor) -> torch.Tensor:
    """Colors (F, 3): min(1, albedo * (ambient + directional * relu(normal . light))), normals towards the camera."""
    a, b, c = screen[surface.faces].unbind(dim=1)
    facing = torch.sign(_cross(b - a, c - a))
    lit = torch.relu(facing * (surface.normals @ light[2]))
    return (surface.albedo * (light[0] + light[1] * lit[:, None])).clamp_max(1.0)


def _nearest_side(
    screen: torch.Tensor, faces: torch.Tensor, centers: torch.Tensor, fine: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances (P, k) in pixels of centers (P, 2) to the sides of faces (P, k, 3), below 0 outside; and the way there.

    The way (P, k, 3, 2) leads from the nearest point of each side to the center.
    """
    corners = screen[faces]  # (P, k, 3, 2)
    point = centers[:, None, None, :] - corners
    side = torch.roll(corners, -1, dims=2) - corners
    along = ((point * side).sum(-1) / (side * side).sum(-1).clamp_min(_TINY)).clamp(0.0, 1.0)
    away = point - along[..., None] * side
    square = (away * away).sum(-1).clamp_min(_TINY)
    turn = _cross(side, point)
    inside = (turn > 0).all(dim=-1) | (turn < 0).all(dim=-1)
    return torch.where(inside, 1.0, -1.0) * torch.sqrt(square.amin(dim=-1)) * (fine / 2), away


def _in_order(
    screen: torch.Tensor,
    inverse_depth: torch.Tensor,
    faces: torch.Tensor,
    candidates: torch.Tensor,
    centers: torch.Tensor,
    fine: int,
) -> torch.Tensor:
    """Candidates (P, k) of pixels, nearest first.

    Where a face does not hold the center, its depth counts at the mirror image of the center in its nearest side: so of
    the two faces of an outline, which meet at one depth, the visible one comes first.
    """
    corners = faces[candidates.clamp_min(0)]
    signed, away = _nearest_side(screen, corners, centers, fine)
    side = (away * away).sum(-1).argmin(dim=-1)[..., None, None].expand(-1, -1, 1, 2)
    mirror = centers[:, None] - 2 * away.gather(2, side)[:, :, 0]
    point = torch.where((signed > 0)[..., None], centers[:, None], mirror)
    a, b, c = screen[corners].unbind(dim=2)
    whole = _cross(b - a, c - a)
    whole = torch.where(whole.abs() > _TINY, whole, _TINY)
    second, third = _cross(point - a, c - a) / whole, _cross(b - a, point - a) / whole
    heights = inverse_depth[corners]
    height = heights[..., 0] * (1 - second - third) + heights[..., 1] * second + heights[..., 2] * third
    height = torch.minimum(torch.maximum(height, heights.amin(-1)), heights.amax(-1))
    height = torch.where(candidates >= 0, height, -torch.inf)
    return candidates.gather(1, torch.sort(height, dim=1, descending=True, stable=True).indices)


def _cross(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


def _lay_over(
    cover: torch.Tensor, inside: torch.Tensor, colors: torch.Tensor, background: torch.Tensor
) -> torch.Tensor:
    """Colors (P, 3) of pixels whose faces, nearest first, cover shares (P, k) and have colors (P, k, 3)."""
    held = torch.zeros_like(cover[:, 0])  # covered by faces that hold the center ...
    beside = torch.zeros_like(held)  # ... and by those that do not
    total = torch.zeros_like(colors[:, 0])
    for face in range(cover.shape[1]):
        share, holds = cover[:, face], inside[:, face]
        gain = torch.minimum((share - torch.where(holds, held, beside)).clamp_min(0.0), 1 - held - beside)
        held = held + torch.where(holds, gain, 0.0)
        beside = beside + torch.where(holds, 0.0, gain)
        total = total + gain[:, None] * colors[:, face]
    return total + (1 - held - beside)[:, None] * background
