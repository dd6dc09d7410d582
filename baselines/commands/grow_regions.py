"""Grow regions around start points on one shape, judge them and draw them.

Examples:
  semrob grow_regions cup:3
  semrob grow_regions mug.obj --class cup --methods naive,oir_b --budget 300
  semrob grow_regions "KatorLegaz.sh3f#coffee-mug" --budget 300 --goal mean=0.4,variance=0.05
  semrob grow_regions cup:3 --goal reliability=0.9,level=0.5
  semrob grow_regions cup:3 --goal reliability=0.9 --methods box_quadrature --shrink 128
  semrob grow_regions chair:0 --adversarial --export results/failures
  semrob grow_regions cup:3 --params paper6 --corners 8 --methods naive,oir_b,oir_w
  semrob grow_regions cup:3 --params "azimuth[90:180],roll" --dry-run
  semrob grow_regions cup:3 --networks torchvision/resnet18 --weights mine.pth --score margin

SOURCE is one shape: class:number, a mesh file with --class, FOLDER#NAME or LIBRARY.sh3f#NAME. A start point is given by
name, several with ; between them; what is missing takes its default. Written to --out: regions.csv, and for each method
METHOD_regions.png (the map of f with the regions; renders from inside and from just outside) and METHOD_bounds.png (how
the bounds moved). With more than two parameters there is no map: instead, METHOD_projections.png (the regions on every
pair of parameters) and METHOD_sides.png (renders along each side). --export also writes theta and renders from inside
each region. Map, renders and the judge's held-out points are not charged to any method.

With --adversarial, a region is one in which the network is wrong, around start points where it is most wrong; tables
and pictures show f itself, and --export writes only views that really are failures.

With --shrink, the largest of some boxes nested in each region that surely meets the goal stands beside it: a method
ends at the goal's bound, where few regions can be certified as they are.

A step of a corner method asks all 2^n corners of a box, or with --corners so many drawn ones; both bills are told.
"""

from dataclasses import dataclass
from typing import Annotated, final

from cyclopts import Parameter

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count, OptionalCount


@final
@dataclass(frozen=True, kw_only=True)
class GrowRegionsOptions(shared.ShapeOptions, shared.LookOptions, shared.Networks, shared.ViewOptions, shared.Asked):
    networks: shared.OneNetwork = ("efficientnet_lite0",)
    sources: shared.Sources = ()
    map_step: float = 6.0
    """grid of the drawn map in degrees"""
    shrink: Annotated[
        OptionalCount,
        Parameter(group=shared.QUESTION, help="points of each nested box that is tried until one is certified"),
    ] = None
    export: str = ""
    """folder for theta and renders from inside each region"""
    export_count: Count = 8
    """renders a region that --export writes"""
    out: shared.Out = "results/regions"
    dry_run: shared.DryRun = False


main = Command(GrowRegionsOptions)
