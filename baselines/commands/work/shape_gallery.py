"""Draws a sheet of shapes, with their scores where a network is given."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

from baselines.commands.shape_gallery import ONE_VIEW, SIX_VIEWS, ShapeGalleryOptions
from baselines.commands.shared.networks import asked_of, introduce
from baselines.commands.shared.options import LookOptions, read_points
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from semrob_env.errors import SemrobError
from semrob_env.parameters import SemanticSpace
from semrob_env.plotting import Cell, gallery_figure
from semrob_env.scene.acceptance import THRESHOLD, ShapeReport, judge_for_networks
from semrob_env.scene.camera import Scenes
from semrob_env.scene.classes import CLASS_INDEX
from semrob_env.scene.classifiers.network_spec import NetworkSpec
from semrob_env.scene.function import make_scene_function
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.sources import ShapeInfo, load_shape
from semrob_env.types import Float32Array, FloatArray

PLAIN = LookOptions()

SPACE = SemanticSpace.of("azimuth,elevation")


def run(options: ShapeGalleryOptions, console: Console) -> None:
    networks = options.specs() if options.scores else ()
    shapes = options.selected()
    if options.list:
        for shape in shapes:
            console.say(f"{shape.class_name or '-':10s} {credit(shape)}")
        return
    views = read_points(SPACE, options.views or (ONE_VIEW if options.columns == "shapes" else SIX_VIEWS), "--views")
    if networks:
        options.load(options.class_name)
        introduce(console, asked_of(shapes, networks, options.feed, options.in_ids()))
    bundle = Bundle(options.out, console)
    with progress_bar(console, "shapes") as progress:
        look = partial(look_at, networks=networks, views=views, look=options, feed=options.feed)
        seen = [look(shape) for shape in progress.track(shapes, description="gallery")]
    labels = ", ".join(spec.label.replace("efficientnet_", "") for spec in networks)
    title = f"{len(shapes)} shapes of {', '.join(options.sources)}" + (
        f"; mean score ({labels}), orange: below {THRESHOLD:g}" if networks else ""
    )
    rows = views_rows(seen, views) if options.columns == "views" else class_rows(seen, options.width)
    bundle.figure("gallery.png", gallery_figure(list(rows), title=title))
    bundle.text("gallery.txt", "\n".join(map(credit, seen)))
    for line in owed(shapes):
        console.say(line)
    for one in seen:
        if one.error:
            console.say(f"not shown: {one.info.label}: {one.error}")
    bundle.close()


@final
@dataclass(frozen=True, eq=False)
class Seen:
    """A shape on the sheet: a picture a view, (V, 3, size, size), and scores (V,) of the first network.

    There are no pictures of a shape that could not be loaded; `error` tells why.
    """

    info: ShapeInfo
    images: Float32Array | None
    report: ShapeReport
    scores: FloatArray | None = None
    error: str = ""


SIZE = 224  # of the pictures before they are put on the sheet


def look_at(
    info: ShapeInfo,
    networks: Sequence[NetworkSpec],
    views: FloatArray,
    look: LookOptions = PLAIN,
    feed: str = "normalized",
) -> Seen:
    """Draw a shape and have it scored; one that cannot be loaded is seen as an error."""
    try:
        mesh = load_shape(info.class_name or "", info.source, look.colors, info.pose, look.shading)
    except SemrobError as error:
        return Seen(info, None, ShapeReport(info), error=" ".join(str(error).split()))
    scenes = Scenes.from_parameters(dict(zip(SPACE.names, views.T, strict=True)))
    images = Rasterizer(SIZE).render(mesh, scenes)
    if not networks or info.class_name is None:
        return Seen(info, images, ShapeReport(info, len(mesh.faces)))
    report = judge_for_networks(info, networks, colors=look.colors, shading=look.shading, feed=feed)
    function = make_scene_function(next(iter(report.verdicts.values())).function_id) if not report.error else None
    return Seen(info, images, report, None if function is None else function.values(views[None])[0], report.error)


def class_rows(seen: Sequence[Seen], width: int) -> Iterator[tuple[str, list[Cell]]]:
    """Rows of at most `width` shapes, class by class in the order of the paper, then what has no class."""
    for class_name in [*CLASS_INDEX, None]:
        own = [one for one in seen if one.info.class_name == class_name]
        for start in range(0, len(own), width):
            cells = []
            for one in own[start : start + width]:
                is_good = not one.error and all(verdict.is_accepted for verdict in one.report.verdicts.values())
                image = None if one.images is None else one.images[0]
                cells.append(Cell(image, lines(one, means(one.report)), is_marked=not is_good))
            yield (class_name or "no class") if start == 0 else "", cells


def views_rows(seen: Sequence[Seen], views: FloatArray) -> Iterator[tuple[str, list[Cell]]]:
    """A row a shape: its name and mean, and a picture from each view with its own score."""
    for one in seen:
        label = " ".join([one.info.title, one.info.name, means(one.report)])
        if one.images is None:
            yield label, [Cell(None, lines(one, ""), is_marked=True)]
            continue
        cells = []
        for index, view in enumerate(views):
            where = ", ".join(f"{value:g}" for value in view)
            shown = "" if one.scores is None else f"score {one.scores[index]:.2f}"
            cells.append(Cell(one.images[index], (where, shown)))
        yield label, cells


def lines(one: Seen, scores: str) -> tuple[str, ...]:
    by = (f"by {one.info.author}",) if one.info.author else ()
    name = one.info.title if one.info.title.casefold() not in one.info.name.casefold() else one.info.name
    return (name.rpartition("/")[2], *by, "cannot be loaded" if one.error else scores)


def means(report: ShapeReport) -> str:
    return "  ".join(f"{verdict.mean:.2f}" for verdict in report.verdicts.values())


def credit(shape: ShapeInfo | Seen) -> str:
    """A shape, whom it is owed to, and where it is or why it is not shown."""
    info = shape.info if isinstance(shape, Seen) else shape
    by = f", by {info.author}" if info.author else ""
    license = f", {info.license}" if info.license else ""
    failed = f": cannot be loaded: {shape.error}" if isinstance(shape, Seen) and shape.error else ""
    return f"{info.label}{by}{license} [{info.source}]{failed}"


def owed(shapes: Sequence[ShapeInfo]) -> Iterator[str]:
    """Authors under each licence, for sources that state them."""
    for license in dict.fromkeys(shape.license for shape in shapes):
        authors = sorted({shape.author for shape in shapes if shape.license == license and shape.author})
        if license or authors:
            yield f"{license or 'no license stated'}: by {', '.join(authors) or 'unknown authors'}"
