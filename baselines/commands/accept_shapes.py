"""Which shapes does a network recognize: the paper's acceptance rule over any source of shapes.

Examples:
  semrob accept_shapes                                        the ten standard shapes of every class
  semrob accept_shapes my_meshes/ --class cup                 every mesh below a folder, scored as a cup
  semrob accept_shapes KatorLegaz.sh3f --networks efficientnet_lite0,efficientnet_lite2
  semrob accept_shapes ShapeNetCore.v2 --classes chair,piano --dry-run
  semrob accept_shapes --networks ResNet-50,mine=file:mine.onnx --score margin --threshold 0

A shape is accepted by a network if the mean score over a regular grid on the whole space is at least --threshold
(Hamdi & Ghanem 2020, section 5: 0.1). Sources: "procedural", a folder of meshes or of ShapeNet, a Sweet Home 3D library
(.sh3f), a mesh file, or one shape of these as SOURCE#NAME. The class is told by the names of folders and shapes unless
--class says it; shapes whose class nobody tells are left out and counted. A shape that cannot be loaded is a line of
the report. Written to --out: acceptance.md, acceptance.csv (a row per shape and network asked for) and maps.npz, which
each new map is added to at once: an interrupted command goes on from there, other shapes and networks come beside those
of earlier commands, and recorded:NETWORK/CLASS/SHAPE?file=... reads it. One file has one grid and one score range:
another --grid, or --score margin, wants another --out.
"""

from dataclasses import dataclass
from typing import final

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import GridCounts


@final
@dataclass(frozen=True, kw_only=True)
class AcceptShapesOptions(shared.ShapeOptions, shared.LookOptions, shared.Networks):
    grid: GridCounts = (12, 7)
    """views: azimuths x elevations"""
    threshold: float = 0.1
    """least mean score of an accepted shape"""
    imports: shared.Imports = ()
    out: shared.Out = "results/acceptance"
    dry_run: shared.DryRun = False


main = Command(AcceptShapesOptions, after_interrupt="what was scored is kept; run the same command to go on")
