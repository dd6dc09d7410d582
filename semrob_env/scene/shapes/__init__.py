"""Procedural shapes that ImageNet networks recognize: `make_shape("cup", 3)` or `make_shape("cup:3")`.

One file per class, each a description of the object on the solids of `kit`; y is up, the front faces -z.
"""
# ruff: noqa: F401 - classes register themselves

from __future__ import annotations

from semrob_env.scene.shapes import aeroplane, bathtub, bench, bottle, chair, cup, piano, rifle, toilet, vase
from semrob_env.scene.shapes.base import SHAPES as SHAPES
from semrob_env.scene.shapes.base import ShapeClass as ShapeClass
from semrob_env.scene.shapes.base import make_shape as make_shape
from semrob_env.scene.shapes.base import register as register
