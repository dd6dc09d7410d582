"""The default renderer: a CPU rasterizer with exact edge areas and derivative pictures, compiled by numba.

A z-buffer finds the nearest face at every pixel center, then every visible edge is smoothed by the exact area that it
cuts off the pixels it passes (see `kernels._smooth_edges`). Working on edges in picture space is the idea of Laine et
al. 2020, "Modular primitives for high-performance differentiable rendering", arXiv 2011.03277; that every edge counts
by itself, by the area under a box-shaped pixel, and that their contributions add up, is ours: it keeps what is
thinner than a pixel.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from typing import Final, final
from weakref import WeakKeyDictionary

import numba
import numpy as np
from numba.np.ufunc.parallel import threading_layer

from semrob_env.errors import InvalidParameterError
from semrob_env.processes import OPENMP, THIS
from semrob_env.scene.camera import Scenes, Views
from semrob_env.scene.mesh import Mesh
from semrob_env.scene.renderers.base import Renderer
from semrob_env.scene.renderers.kernels import Topology, draw_views
from semrob_env.scene.renderers.surface_kernels import Coat, draw_surfaces
from semrob_env.scene.surface import Surface
from semrob_env.types import Float32Array, FloatArray

MOST_PIXELS: Final = 8192
"""Largest side of the picture that is drawn, before it is averaged down."""

VERSION: Final = 1
"""Goes up with every change of the pixels, so that stored runs are never mixed."""

_TOPOLOGIES: WeakKeyDictionary[Mesh, Topology] = WeakKeyDictionary()
_COATS: WeakKeyDictionary[Mesh, Coat] = WeakKeyDictionary()
"""What is known of meshes in use, whoever draws them."""


@final
class Rasterizer(Renderer):
    """Flat, two-sided shading of a mesh on a plain background; see the module for the method.

    The same scene gives the same bytes alone, in any batch, in any order and with any number of threads. Faces with a
    vertex nearer to the camera plane than 0.01 are left out whole. The first call compiles for some seconds, unless
    an earlier process has left its result in the on-disk cache; `warm_up` does it ahead of time.

    Derivatives are those of the picture formula: exact inside faces and for every edge that is visible now. They do
    not see what appears or vanishes between two pixel centers, nor curves along which faces cut through one another.

    Args:
        size: Height and width of a picture in pixels.
        supersample: See `Renderer`.
        blur: Sigma of a Gaussian blur of picture and derivatives, in pixels; 0 for none.
        threads: Number of threads, at most numba's (NUMBA_NUM_THREADS); None takes what numba is set to.
        antialias: Whether edges are smoothed; without, pictures are plain samples at pixel centers, and derivatives
            leave out what edges do.

    Raises:
        InvalidParameterError: An option is out of range.
    """

    def __init__(
        self,
        size: int = 224,
        supersample: int = 1,
        blur: float = 0.0,
        threads: int | None = None,
        *,
        antialias: bool = True,
    ) -> None:
        super().__init__(size, supersample, MOST_PIXELS)
        if not 0 <= blur < size:
            raise InvalidParameterError(f"blur {blur} must lie in [0, {size}) pixels")
        most = int(getattr(numba.config, "NUMBA_NUM_THREADS"))  # noqa: B009 - set at run time, unknown to type checkers
        if threads is not None and not 1 <= threads <= most:
            raise InvalidParameterError(f"threads {threads} must lie in 1..{most}; set NUMBA_NUM_THREADS for more")
        self._blur, self._threads, self._antialias = float(blur), threads, antialias
        self._weights = _gaussian_weights(self._blur)

    @property
    def identity(self) -> str:
        """E.g. `rasterizer-1?size=224&supersample=1&blur=0`; threads do not change a pixel and are left out."""
        plain = "" if self._antialias else "&antialias=0"
        return f"rasterizer-{VERSION}?size={self.size}&supersample={self._supersample}&blur={self._blur:g}{plain}"

    def warm_up(self) -> None:
        """Compile the kernels, or load them from numba's cache."""
        triangle = Mesh(np.eye(3), np.array([[0, 1, 2]], dtype=np.int32))
        self.render(triangle, Scenes.from_parameters({"azimuth": np.zeros(1)}))

    def _draw(self, mesh: Mesh, scenes: Scenes, parameters: Sequence[str]) -> tuple[Float32Array, Float32Array]:
        views = Views.of(scenes, parameters)
        topology = _TOPOLOGIES.get(mesh)
        if topology is None:
            topology = _TOPOLOGIES.setdefault(mesh, Topology.of(mesh))
        images = np.empty((len(scenes), 3, self.size, self.size), dtype=np.float32)
        channels = 1 if _is_gray(mesh, views) else 3
        derivatives = np.empty((len(scenes), len(parameters), channels, *images.shape[2:]), dtype=np.float32)
        projection, changes = self._in_pixels(views.projection), self._in_pixels(views.projection_tangents)
        options = self._antialias, self._supersample, self._weights
        OPENMP.require()
        if THIS.is_forked:  # says nothing once numba's threads run; others in the parent may have used up OpenMP
            setattr(numba.config, "THREADING_LAYER", "forksafe")  # noqa: B010 - as above, unknown to type checkers
        before = numba.get_num_threads()
        layer = threading_layer()  # type: ignore[no-untyped-call]
        if layer == "omp":  # the others follow a fork
            OPENMP.enter()
        with contextlib.nullcontext() if layer in ("omp", "tbb") else _turns.lock:
            numba.set_num_threads(self._threads or before)
            try:
                if mesh.surface is None:
                    draw_views(
                        topology,
                        projection,
                        views.light_table,
                        changes,
                        views.light_tangents,
                        *options,
                        images,
                        derivatives,
                    )
                else:
                    draw_surfaces(
                        topology,
                        _coat_of(mesh, mesh.surface, topology),
                        projection,
                        views.light_table,
                        views.eyes,
                        changes,
                        views.light_tangents,
                        views.eye_tangents,
                        *options,
                        images,
                        derivatives,
                    )
            finally:
                numba.set_num_threads(before)
        # Gray ones are one channel seen three times: memory, not arithmetic, is what many of them cost.
        return images, np.broadcast_to(derivatives, (*derivatives.shape[:2], *images.shape[1:]))

    def _in_pixels(self, projection: FloatArray) -> FloatArray:
        """Matrices whose (X / W, Y / W) are pixels from the top left corner of the fine picture, y down."""
        half = self.size * self._supersample / 2
        to_pixels = np.array([[half, 0.0, half], [0.0, -half, half], [0.0, 0.0, 1.0]])
        return np.ascontiguousarray(to_pixels @ projection)


class _Turns:
    """Whose turn it is where numba has neither OpenMP nor TBB: its own threads end the process of a second caller."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.lock = threading.Lock()


_turns = _Turns()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_turns.begin)  # another thread may have held it


def _coat_of(mesh: Mesh, surface: Surface, topology: Topology) -> Coat:
    coat = _COATS.get(mesh)
    return _COATS.setdefault(mesh, Coat.of(mesh, surface, topology)) if coat is None else coat


def _gaussian_weights(sigma: float) -> Float32Array:
    """Weights (2 r + 1,) of a Gaussian of `sigma` pixels, cut at r = ceil(4 sigma) and summing to 1."""
    radius = int(np.ceil(4 * sigma))
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-9)) ** 2)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def _is_gray(mesh: Mesh, views: Views) -> bool:
    """Whether all channels of all pictures are alike, so that one is enough to draw."""
    rows = [0, 1, 3]  # row 2 of a light table is a direction
    tables = (views.light_table[:, rows], views.light_tangents[:, :, rows])
    return (
        mesh.albedo is None and mesh.surface is None and all(bool((table == table[..., :1]).all()) for table in tables)
    )
