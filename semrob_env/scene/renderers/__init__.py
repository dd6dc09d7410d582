"""Renderers: a mesh and scenes in, pictures and their derivatives out. Adding one is adding a file."""

from semrob_env.scene.renderers.base import Renderer
from semrob_env.scene.renderers.rasterizer import Rasterizer
from semrob_env.scene.renderers.registry import RENDERERS, make_renderer

__all__ = ["RENDERERS", "Rasterizer", "Renderer", "make_renderer"]
