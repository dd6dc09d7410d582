"""Measure the rasterizer: speed, error of its pictures and of their derivatives, and batch invariance.

Examples:
  semrob check_rasterizer                                   object 0 of every class
  semrob check_rasterizer models/*.obj my_meshes/           meshes of yours

Columns, per mesh:
  ms            milliseconds a view in a batch of 32 (best of the repeats)
  x deriv       time with derivatives in azimuth and elevation, relative to without
  error         mean absolute difference, in 1/255, to a picture supersampled 8 x 8 without edge smoothing
  outline       the same over the pixels that the outline of the object passes
  no AA         error of plain samples at pixel centres, to compare with
  cosine        between derivative pictures and central differences (median over views and parameters)
"""

from dataclasses import dataclass
from typing import final

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count, OptionalCount, Repeats


@final
@dataclass(frozen=True, kw_only=True)
class CheckRasterizerOptions(shared.ShapeOptions, shared.LookOptions):
    numbers: shared.ObjectNumbers = (0,)
    size: Count = 224
    """picture size in pixels"""
    threads: OptionalCount = None
    """none: all"""
    views: Count = 6
    """random views a mesh for error and cosine"""
    repeats: Repeats = 7
    """repeats of each timing"""
    supersample: Count = 2
    """supersampling for the cosine"""
    blur: float = 0.7
    """blur in pixels for the cosine"""
    step: float = 0.3
    """step of the central differences in degrees"""
    seed: shared.Seed = 0


main = Command(CheckRasterizerOptions)
