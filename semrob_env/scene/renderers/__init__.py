"""Renderers: a mesh and scenes in, pictures and their derivatives out; those that ids know by name."""

from __future__ import annotations

from collections.abc import Callable

from semrob_env.errors import InvalidParameterError
from semrob_env.registry import Registry
from semrob_env.scene.renderers.base import Renderer as Renderer
from semrob_env.scene.renderers.rasterizer import Rasterizer as Rasterizer


def _rasterizer(size: int, supersample: int, blur: float, device: str) -> Renderer:
    del device  # it is that of the network; this renderer works on the CPU
    return Rasterizer(size, supersample, blur)


def _pytorch3d(size: int, supersample: int, blur: float, device: str) -> Renderer:
    from semrob_env.scene.renderers.pytorch3d_renderer import PyTorch3DRenderer  # torch is slow to load

    if blur:
        raise InvalidParameterError(f"blur {blur:g}: pytorch3d has none; use supersample, or the renderer rasterizer")
    return PyTorch3DRenderer(size, supersample, device=device)


RENDERERS: Registry[Callable[[int, int, float, str], Renderer]] = Registry(
    "renderer", "semrob.renderers", {"rasterizer": _rasterizer, "pytorch3d": _pytorch3d}
)
"""Every renderer by name; called with picture size, supersampling, blur in pixels and device."""


def make_renderer(name: str, size: int, supersample: int = 1, blur: float = 0.0, device: str = "cpu") -> Renderer:
    """The renderer of that name; see `RENDERERS` for the arguments.

    Raises:
        UnknownNameError: No such renderer.
        PluginError: Its plug-in cannot be imported.
        InvalidParameterError: An option that it does not take.
        MissingExtraError: Its library is not installed.
    """
    return RENDERERS[name](size, supersample, blur, device)
