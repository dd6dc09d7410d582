"""Procedural shapes that ImageNet networks recognise: `make_shape("cup", 3)` or `make_shape("cup:3")`.

One file per class, each a description of the object on the solids of `kit`; y is up, the front faces -z.
"""

from __future__ import annotations

from semrob_env.scene.shapes import (
    aeroplane,
    bathtub,
    bench,
    bottle,
    chair,
    cup,
    piano,
    rifle,
    toilet,
    vase,
)
from semrob_env.scene.shapes.base import SHAPES, ShapeClass, make_shape, register

__all__ = [
    "SHAPES",
    "ShapeClass",
    "aeroplane",
    "bathtub",
    "bench",
    "bottle",
    "chair",
    "cup",
    "make_shape",
    "piano",
    "register",
    "rifle",
    "toilet",
    "vase",
]
