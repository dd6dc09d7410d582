"""Renderers: a mesh and scenes in, pictures and their derivatives out. Adding one is adding a file."""

from semrob_env.scene.renderers.base import Renderer
from semrob_env.scene.renderers.rasterizer import Rasterizer

__all__ = ["Rasterizer", "Renderer"]
