"""A contact sheet of any source of shapes, with the mean score under each picture.

Examples:
  python scripts/shape_gallery.py                                        the ten standard shapes of every class
  python scripts/shape_gallery.py ../shared/shapes --networks efficientnet_lite0,efficientnet_lite2
  python scripts/shape_gallery.py KatorLegaz.sh3f --list                 names, titles, classes, authors and licences
  python scripts/shape_gallery.py KatorLegaz.sh3f --names coffee-mug,bench --columns views --colours material
  python scripts/shape_gallery.py my_meshes/ --class cup --no-scores

Sources: "procedural", a folder of meshes or of ShapeNet, a Sweet Home 3D library (.sh3f), a mesh file, or one shape of
these as SOURCE#NAME. Columns are the shapes of a class, or the views of one shape (then the label has the mean, and
each picture its own score). Scores are softmax scores of the class, means are over a regular grid on the whole space; a
shape whose class nobody tells is shown without. Written to --out: gallery.png, and gallery.txt with the
author and licence of each shape.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from semrob_env.cli import ArgumentParser, make_console, names, numbers, positive, progress_bar, run_script
from semrob_env.errors import InvalidParameterError, SemrobError
from semrob_env.files import output_folder, write_whole
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting import Cell, gallery_figure, save_figure
from semrob_env.scene.acceptance import THRESHOLD, ShapeReport, judge_for_networks
from semrob_env.scene.camera import Scenes
from semrob_env.scene.classes import CLASS_INDEX
from semrob_env.scene.classifiers.registry import NETWORKS, load_network
from semrob_env.scene.function import make_scene_function
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.sources import COLORS, ShapeInfo, load_shape, select_shapes
from semrob_env.types import Float32Array, FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
ONE_VIEW = "azimuth=40,elevation=25"
SIX_VIEWS = ";".join([*(f"azimuth={azimuth},elevation=20" for azimuth in (0, 40, 90, 180, 270)), "elevation=80"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Read arguments, draw and score every shape, write the sheet."""
    options = parser().parse_args(arguments)
    console = make_console()
    positive(options.width, "--width")
    networks = names(options.networks) if options.scores else []
    shapes = select_shapes(
        options.sources,
        names=names(options.names) if options.names else (),
        classes=names(options.classes) if options.classes else (),
        as_class=options.class_name,
        numbers=numbers(options.numbers),
    )
    if options.list:
        for shape in shapes:
            console.print(f"{shape.class_name or '-':10s} {credit(shape)}", soft_wrap=True)
        return
    views = points(options.views or (ONE_VIEW if options.columns == "shapes" else SIX_VIEWS))
    for network in networks:
        load_network(network)  # a misspelt one ends here
    folder = output_folder(options.out)
    seen: list[Seen] = []
    with progress_bar(console, "shapes") as progress:
        bar = progress.add_task("gallery", total=len(shapes))
        for shape in shapes:
            seen.append(look_at(shape, networks, views, options.colours))
            progress.advance(bar)
    title = f"{len(shapes)} shapes of {', '.join(options.sources)}" + (
        f"; mean score ({', '.join(map(short, networks))}), orange: below {THRESHOLD:g}" if networks else ""
    )
    rows = views_rows(seen, views) if options.columns == "views" else class_rows(seen, options.width)
    save_figure(gallery_figure(list(rows), title=title), folder / "gallery.png")
    write_whole(folder / "gallery.txt", "".join(f"{credit(one)}\n" for one in seen))
    for line in owed(shapes):
        console.print(line, soft_wrap=True)
    for one in seen:
        if one.error:
            console.print(f"not shown: {one.info.label}: {one.error}", soft_wrap=True)
    console.print(f"wrote gallery.png and gallery.txt to {folder}", soft_wrap=True)


@final
@dataclass(frozen=True, eq=False)
class Seen:
    """A shape on the sheet.

    Attributes:
        info: The shape.
        pictures: One a view, (V, 3, size, size); None where it could not be loaded.
        report: What the networks say of it.
        scores: Score of each view by the first network, (V,), or None.
        error: Why it could not be loaded.
    """

    info: ShapeInfo
    pictures: Float32Array | None
    report: ShapeReport
    scores: FloatArray | None = None
    error: str = ""


SIZE = 224  # of the pictures before they are put on the sheet


def parser() -> ArgumentParser:
    """The command line."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    made = ArgumentParser(head, tail)
    made.add_argument("sources", nargs="*", help="sources of shapes", default=["procedural"])
    made.add_argument("--names", help="only these shapes, by name or title, comma separated; empty: all", default="")
    made.add_argument("--classes", help="only shapes of these classes, comma separated; empty: all", default="")
    made.add_argument("--class", dest="class_name", help="score every mesh for this class", default="")
    made.add_argument("--numbers", help="object numbers of procedural shapes, e.g. 0-4,7", default="0-9")
    made.add_argument("--columns", choices=("shapes", "views"), help="what stands side by side", default="shapes")
    made.add_argument("--views", help=f"points with ; between them; empty: {ONE_VIEW}, or six sides", default="")
    made.add_argument("--width", type=int, help="most shapes in a row", default=10)
    made.add_argument("--networks", help=f"comma separated; known: {', '.join(NETWORKS)}", default="efficientnet_lite0")
    made.add_argument("--no-scores", dest="scores", action="store_false", help="pictures only: much faster")
    made.add_argument("--colours", choices=COLORS, help="white, or each face as its material", default=COLORS[0])
    made.add_argument("--list", action="store_true", help="print what there is and draw nothing")
    made.add_argument("--out", help="output folder", default="results/gallery")
    return made


def points(text: str) -> FloatArray:
    """Views (V, 2) of `azimuth=40,elevation=25;...`."""
    found = [SPACE.point(part) for part in text.split(";") if part.strip()]
    if not found:
        raise InvalidParameterError(f"--views names no point; write {ONE_VIEW}")
    return np.array(found)


def look_at(info: ShapeInfo, networks: Sequence[str], views: FloatArray, colours: str) -> Seen:
    """Draw a shape and have it scored; one that cannot be loaded is seen as an error."""
    try:
        mesh = load_shape(info.class_name or "", info.source, colours)
    except SemrobError as error:
        return Seen(info, None, ShapeReport(info), error=" ".join(str(error).split()))
    scenes = Scenes.from_parameters(dict(zip(SPACE.names, views.T, strict=True)))
    pictures = Rasterizer(SIZE).render(mesh, scenes)
    if not networks or info.class_name is None:
        return Seen(info, pictures, ShapeReport(info, len(mesh.faces)))
    report = judge_for_networks(info, networks, colors=colours)
    function = make_scene_function(report.verdicts[networks[0]].function_id) if not report.error else None
    return Seen(info, pictures, report, None if function is None else function.values(views[None])[0], report.error)


def class_rows(seen: Sequence[Seen], width: int) -> Iterator[tuple[str, list[Cell]]]:
    """Rows of at most `width` shapes, class by class: the paper's in its order, others, then what has no class."""
    others = [one.info.class_name for one in seen if one.info.class_name]
    for class_name in [*dict.fromkeys([*CLASS_INDEX, *others]), None]:
        own = [one for one in seen if one.info.class_name == class_name]
        for start in range(0, len(own), width):
            cells = [
                Cell(
                    None if one.pictures is None else one.pictures[0],
                    lines(one, means(one.report)),
                    is_marked(one),
                )
                for one in own[start : start + width]
            ]
            yield (class_name or "no class") if start == 0 else "", cells


def views_rows(seen: Sequence[Seen], views: FloatArray) -> Iterator[tuple[str, list[Cell]]]:
    """A row a shape: its name and mean, and a picture from each view with its own score."""
    for one in seen:
        label = " ".join([one.info.title, one.info.name, means(one.report)])
        if one.pictures is None:
            yield label, [Cell(None, lines(one, ""), is_marked=True)]
            continue
        cells = []
        for index, view in enumerate(views):
            where = ", ".join(f"{value:g}" for value in view)
            shown = "" if one.scores is None else f"score {one.scores[index]:.2f}"
            cells.append(Cell(one.pictures[index], (where, shown)))
        yield label, cells


def lines(one: Seen, scores: str) -> tuple[str, ...]:
    """What stands under a picture."""
    by = (f"by {one.info.author}",) if one.info.author else ()
    name = one.info.title if one.info.title.casefold() not in one.info.name.casefold() else one.info.name
    return (name.rpartition("/")[2], *by, "cannot be loaded" if one.error else scores)


def means(report: ShapeReport) -> str:
    """Mean scores of all networks in a few letters."""
    return "  ".join(f"{verdict.mean:.2f}" for verdict in report.verdicts.values())


def is_marked(one: Seen) -> bool:
    """Whether something is wrong: not loaded, or not accepted by some network."""
    return bool(one.error) or not all(verdict.is_accepted for verdict in one.report.verdicts.values())


def short(network: str) -> str:
    """A network's name for a title."""
    return network.replace("efficientnet_", "")


def credit(shape: ShapeInfo | Seen) -> str:
    """A shape, whom it is owed to, and where it is or why it is not shown."""
    info = shape.info if isinstance(shape, Seen) else shape
    by = f", by {info.author}" if info.author else ""
    licence = f", {info.licence}" if info.licence else ""
    failed = f": cannot be loaded: {shape.error}" if isinstance(shape, Seen) and shape.error else ""
    return f"{info.label}{by}{licence} [{info.source}]{failed}"


def owed(shapes: Sequence[ShapeInfo]) -> Iterator[str]:
    """Authors under each licence, for sources that state them."""
    for licence in dict.fromkeys(shape.licence for shape in shapes):
        authors = sorted({shape.author for shape in shapes if shape.licence == licence and shape.author})
        if licence or authors:
            yield f"{licence or 'no licence stated'}: by {', '.join(authors) or 'unknown authors'}"


if __name__ == "__main__":
    sys.exit(run_script(main))
