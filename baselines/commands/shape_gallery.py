"""A contact sheet of any source of shapes, with the mean score under each picture.

Examples:
  semrob shape_gallery                                        the ten standard shapes of every class
  semrob shape_gallery ../shared/shapes --networks efficientnet_lite0,efficientnet_lite2
  semrob shape_gallery KatorLegaz.sh3f --list                 names, titles, classes, authors and licences
  semrob shape_gallery KatorLegaz.sh3f --names coffee-mug,bench --columns views --colors material
  semrob shape_gallery my_meshes/ --class cup --no-scores

Sources: "procedural", a folder of meshes or of ShapeNet, a Sweet Home 3D library (.sh3f), a mesh file, or one shape of
these as SOURCE#NAME. Columns are the shapes of a class, or the views of one shape (then the label has the mean, and
each picture its own score). Means are over a regular grid on the whole space; a shape whose class nobody tells is shown
without. Written to --out: gallery.png, and gallery.txt with the author and licence of each shape.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, final

from cyclopts import Parameter

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count

if TYPE_CHECKING:
    from semrob_env.scene.classifiers.base import Classifier

ONE_VIEW = "azimuth=40,elevation=25"
SIX_VIEWS = ";".join([*(f"azimuth={azimuth},elevation=20" for azimuth in (0, 40, 90, 180, 270)), "elevation=80"])


@final
@dataclass(frozen=True, kw_only=True)
class ShapeGalleryOptions(shared.ShapeOptions, shared.LookOptions, shared.Networks):
    columns: Literal["shapes", "views"] = "shapes"
    """what stands side by side"""
    views: Annotated[str, Parameter(help=f"points with ; between them; none: {ONE_VIEW}, or six sides")] = ""
    width: Count = 10
    """most shapes in a row"""
    scores: Annotated[bool, Parameter(negative="--no-scores", help="without them it is much faster")] = True
    list: bool = False
    """print what there is and draw nothing"""
    imports: shared.Imports = ()
    out: shared.Out = "results/gallery"

    def trial_network(self) -> "Classifier | None":
        """None where nothing is scored."""
        return super().trial_network() if self.scores and not self.list else None


main = Command(ShapeGalleryOptions)
