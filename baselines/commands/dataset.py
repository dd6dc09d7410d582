"""Pictures to train or test on: rendered views of shapes as an ImageFolder, split by shape, with their parameters.

Examples:
  semrob dataset cup:0 cup:1 chair:0 chair:1 --views 500 --out data
  semrob dataset my_meshes/ --class cup --params azimuth,elevation,distance,light_azimuth --colors material --out data
  semrob dataset my_meshes/ --networks mine=file:model.onnx --mix failing --out failures
  semrob dataset procedural --classes cup,chair --networks efficientnet_lite0 --mix both:0.5 --image-size 64 --workers 2

Written to --out: train/CLASS/SHAPE_000123.png, and val/... where --split leaves shapes for it (with --split 1 it leaves
none), as torchvision.datasets.ImageFolder reads them; factors.csv, a row a picture: class, shape, origin (uniform or
failing), the parameters with their units and, with a network, the unit score of its class and the top answer;
dataset.json: settings, versions, hashes, authors, failing regions.

--mix uniform draws views evenly from the whole space; failing draws them from failing regions of the network (boxes in
which at least 90 % of the views fail, found by box_quadrature), and keeps those that truly fail: another class is
answered (--score margin, the default here as in evaluate and failures; with softmax, and for networks that have no
other score, its score is below 0.5). They are spread: the first region is around the worst view, each other one around
the failing view farthest from those before it; as many views are drawn in each, and of all of them the one farthest
from those before it is asked next, by direction of camera and light, so that all azimuths straight from above are one
view. Where fewer are found than asked for, fewer are written, and that is told. The split is by shape: no shape, and no
mesh that is there twice, is on both sides. A command that was ended goes on when it is repeated; pictures are the same
bytes whatever --workers.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, final

from cyclopts import Parameter

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count

if TYPE_CHECKING:
    from baselines.commands.shared.terminal import Console


@final
@dataclass(frozen=True, kw_only=True)
class DatasetOptions(shared.ShapeOptions, shared.Networks, shared.WorkersOptions):
    networks: shared.OneNetwork = ()
    score: Annotated[
        Literal["softmax", "margin", "top1"],
        Parameter(group=shared.NETWORK, help="what a score is; margin: a view fails where another class is answered"),
    ] = "margin"
    colors: shared.Colors = "white"
    params: shared.Params = "azimuth,elevation"
    views: Count = 100
    """pictures of each shape"""
    split: float = 0.8
    """share of the shapes of each class that are for training; 1: all"""
    mix: str = "uniform"
    """uniform, failing, or both:0.5 for a half of each; what fails needs a network"""
    image_size: Annotated[int, Parameter(help="pixels of a picture; 0: the network's own, or 224")] = 0
    regions: Count = 4
    """failing regions that are looked for on each shape"""
    budget: Annotated[int, Parameter(help="queries of each of them")] = 60
    imports: shared.Imports = ()
    seed: shared.Seed = 0
    dry_run: shared.DryRun = False
    out: shared.Out = "results/dataset"

    def tell_meshes(self, console: "Console") -> None:
        """Told by the work, once all that can be refused is known."""


main = Command(DatasetOptions, after_interrupt="finished shapes are kept; run the same command to go on")
