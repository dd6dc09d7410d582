"""Which shapes does a network recognise: the paper's acceptance rule over any source of shapes.

Examples:
  python scripts/accept_shapes.py                                        the ten standard shapes of every class
  python scripts/accept_shapes.py my_meshes/ --class cup                 every mesh below a folder, scored as a cup
  python scripts/accept_shapes.py KatorLegaz.sh3f --networks efficientnet_lite0,efficientnet_lite2
  python scripts/accept_shapes.py ShapeNetCore.v2 --classes chair,piano --dry-run
  python scripts/accept_shapes.py --networks ResNet-50,file --weights file=mine.onnx --score margin --threshold 0

A shape is accepted by a network if the mean score over a regular grid on the whole space is at least --threshold
(Hamdi & Ghanem 2020, section 5: 0.1). Sources: "procedural", a folder of meshes or of ShapeNet, a Sweet Home 3D library
(.sh3f), a mesh file, or one shape of these as SOURCE#NAME. The class is told by the names of folders and shapes unless
--class says it; shapes whose class nobody tells are left out and counted. A shape that cannot be loaded is a line of
the report. Written to --out: acceptance.md, acceptance.csv (a row per shape and network) and maps.npz, which is written
after every shape: an interrupted command goes on from there, and recorded:NETWORK/CLASS/SHAPE?file=... reads it.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from semrob_env.cli import ArgumentParser, make_console, names, numbers, progress_bar, run_script

from semrob_env.errors import InvalidMapsError, InvalidParameterError, LibraryError, MissingFileError
from semrob_env.files import csv_text, markdown_table, output_folder, write_whole
from semrob_env.maps import map_name
from semrob_env.parameters import SemanticSpace
from semrob_env.recorded import ScoreMaps, load_maps, save_maps
from semrob_env.scene.acceptance import GRID, THRESHOLD, ShapeReport, judge_for_networks
from semrob_env.scene.classifiers.options import add_network_options, network_options
from semrob_env.scene.classifiers.registry import NETWORKS, canonical_network, load_network
from semrob_env.scene.classifiers.score_kinds import SCORE_WORDS
from semrob_env.scene.sources import COLOURS, ShapeInfo, select_shapes
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
"""The space of the paper's rule."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Read arguments, judge every shape, write the report."""
    options = parser().parse_args(arguments)
    console = make_console()
    counts = grid_counts(options.grid)
    networks = list(dict.fromkeys(map(canonical_network, names(options.networks))))
    own = network_options(options, networks)
    if not np.isfinite(options.threshold):
        raise InvalidParameterError(f"--threshold {options.threshold}: give a finite number")
    shapes, unknown = chosen_shapes(options)
    feed = "unnormalized" if options.unnormalized else "normalized"
    scores = len(shapes) * len(networks) * int(np.prod(counts))
    console.print(
        f"{len(shapes)} shapes x {len(networks)} networks x {options.grid} views = {scores:,} scores"
        + (f"; {unknown} shapes of no known class are left out: --class NAME scores them all" if unknown else ""),
        soft_wrap=True,
    )
    if options.dry_run:
        for shape in shapes:
            console.print(f"  {shape.class_name}  {shape.label}", soft_wrap=True)
        return
    for network in networks:
        load_network(network, unnormalized=options.unnormalized, options=own[network])  # a broken one ends here
    folder = output_folder(options.out)
    known = stored(folder / "maps.npz")
    reports: list[ShapeReport] = []
    with progress_bar(console, "scores") as progress:
        bar = progress.add_task("acceptance", total=scores)
        for number, shape in enumerate(shapes, start=1):
            reports.append(
                judge_for_networks(
                    shape,
                    networks,
                    counts=counts,
                    threshold=options.threshold,
                    colours=options.colours,
                    feed=feed,
                    options=own,
                    known=known,
                    on_scores=lambda count: progress.advance(bar, count),
                )
            )
            progress.update(bar, completed=scores * number / len(shapes))
            keep(reports, folder / "maps.npz")
    if not any(report.verdicts for report in reports):
        raise LibraryError(f"none of {len(reports)} shapes could be scored; the first one: {reports[0].error}")
    write_whole(folder / "acceptance.csv", csv_text(csv_rows(reports, networks)))
    write_whole(folder / "acceptance.md", markdown(reports, networks, options, unknown))
    console.print(terminal_table(reports, networks, options.threshold))
    show_failures(reports, console)
    console.print(summary(reports, networks), soft_wrap=True)
    console.print(f"wrote acceptance.md, acceptance.csv and maps.npz to {folder}", soft_wrap=True)


def parser() -> ArgumentParser:
    """The command line."""
    head, _, tail = (__doc__ or "").partition("\n\n")
    made = ArgumentParser(head, tail)
    made.add_argument("sources", nargs="*", help="sources of shapes", default=["procedural"])
    made.add_argument("--names", help="only these shapes, by name or title, comma separated; empty: all", default="")
    made.add_argument("--classes", help="only shapes of these classes, comma separated; empty: all", default="")
    made.add_argument("--class", dest="class_name", help="score every mesh for this class", default="")
    made.add_argument("--numbers", help="object numbers of procedural shapes, e.g. 0-4,7", default="0-9")
    made.add_argument("--networks", help=f"comma separated; known: {', '.join(NETWORKS)}", default="efficientnet_lite0")
    made.add_argument("--grid", help="views: azimuths x elevations", default=f"{GRID[0]}x{GRID[1]}")
    made.add_argument("--threshold", type=float, help="least mean score of an accepted shape", default=THRESHOLD)
    made.add_argument("--colours", choices=COLOURS, help="white, or each face as its material", default=COLOURS[0])
    made.add_argument("--unnormalized", action="store_true", help="feed pictures in [0, 1] as the paper's code did")
    add_network_options(made)
    made.add_argument("--out", help="output folder", default="results/acceptance")
    made.add_argument("--dry-run", action="store_true", help="list the shapes and count the scores only")
    return made


def stored(path: Path) -> list[tuple[Mapping[str, str], FloatArray]]:
    """Facts and scores of the maps of an earlier run; none where there is no file, or another one."""
    try:
        maps = load_maps(path)
    except (MissingFileError, InvalidMapsError):
        return []
    return [(facts, scores.astype(np.float64)) for facts, scores in zip(maps.facts, maps.scores, strict=True)]


def keep(reports: Sequence[ShapeReport], path: Path) -> None:
    """Write the maps of all verdicts so far."""
    verdicts = {map_name(v.function_id): v for report in reports for v in report.verdicts.values()}
    if verdicts:
        some = next(iter(verdicts.values()))
        scores = np.array([verdict.scores for verdict in verdicts.values()], dtype=np.float32)
        facts = tuple(verdict.facts for verdict in verdicts.values())
        save_maps(ScoreMaps(some.space, some.axes, scores, tuple(verdicts), facts, some.score_range), path)


def grid_counts(text: str) -> tuple[int, int]:
    """Azimuths and elevations of `12x7`."""
    parts = text.split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and int(part[:6]) >= 2 for part in parts):
        raise InvalidParameterError(f"--grid {text[:40]!r}: write azimuths x elevations, at least 2 of each, e.g. 12x7")
    counts = int(parts[0][:6]), int(parts[1][:6])
    if max(counts) > 1000:
        raise InvalidParameterError(f"--grid {text[:40]!r}: give at most 1000 of each")
    return counts


def chosen_shapes(options: Namespace) -> tuple[list[ShapeInfo], int]:
    """The shapes whose class is known, and how many others there are."""
    selected = select_shapes(
        options.sources,
        names=names(options.names) if options.names else (),
        classes=names(options.classes) if options.classes else (),
        as_class=options.class_name,
        numbers=numbers(options.numbers),
    )
    known = [shape for shape in selected if shape.class_name]
    if not known:
        raise LibraryError(f"{len(selected)} shapes, and their names tell no class; give --class NAME")
    return known, len(selected) - len(known)


def csv_rows(reports: Sequence[ShapeReport], networks: Sequence[str]) -> list[dict[str, object]]:
    """One flat row a shape and network, in full precision."""
    rows: list[dict[str, object]] = []
    for report in reports:
        for network in networks:
            verdict = report.verdicts.get(network)
            rows.append({
                "name": report.info.name,
                "title": report.info.title,
                "class": report.info.class_name,
                "network": network,
                "accepted": "" if verdict is None else verdict.is_accepted,
                "mean": "" if verdict is None else verdict.mean,
                "lowest": "" if verdict is None else float(verdict.scores.min()),
                "highest": "" if verdict is None else float(verdict.scores.max()),
                "faces": report.faces,
                "author": report.info.author,
                "licence": report.info.licence,
                "source": report.info.source,
                "error": report.error,
            })
    return rows


def markdown(reports: Sequence[ShapeReport], networks: Sequence[str], options: Namespace, unknown: int) -> str:
    """The report: a table of means, failures, and whom the shapes are owed to."""
    rows = [
        {
            "class": str(report.info.class_name),
            "shape": report.info.label,
            "faces": str(report.faces),
            **{network: mean_text(report, network) for network in networks},
            "author": report.info.author,
        }
        for report in reports
        if not report.error
    ]
    parts = [
        "# Which shapes are recognised",
        f"Mean score over {options.grid} views (azimuth x elevation, ends of the elevation included); bold: accepted, "
        f"mean >= {options.threshold:g}. Score: {SCORE_WORDS[options.score]}. Colours: {options.colours}"
        + (", pictures fed in [0, 1]." if options.unnormalized else "."),
        markdown_table([{key: value.replace("|", "\\|") for key, value in row.items()} for row in rows]),
        summary(reports, networks),
    ]
    failed = [f"- {report.info.label}: {report.error}" for report in reports if report.error]
    if failed:
        parts += ["## Not loaded", "\n".join(failed)]
    if unknown:
        parts.append(f"{unknown} shapes of no known class were left out.")
    owed = sorted({report.info.licence for report in reports if report.info.licence})
    if owed:
        parts += ["## Licences", "\n".join(f"- {licence}" for licence in owed)]
    return "\n\n".join(parts) + "\n"


def mean_text(report: ShapeReport, network: str) -> str:
    """A mean, bold where it is accepted."""
    verdict = report.verdicts[network]
    return f"**{verdict.mean:.3f}**" if verdict.is_accepted else f"{verdict.mean:.3f}"


def summary(reports: Sequence[ShapeReport], networks: Sequence[str]) -> str:
    """How many shapes each network accepts."""
    good = [report for report in reports if not report.error]
    parts = [
        f"{network} accepts {sum(report.verdicts[network].is_accepted for report in good)} of {len(good)}"
        for network in networks
    ]
    failed = len(reports) - len(good)
    return ", ".join(parts) + (f"; {failed} could not be loaded" if failed else "")


def show_failures(reports: Sequence[ShapeReport], console: Console) -> None:
    """One line for each shape that could not be loaded."""
    for report in reports:
        if report.error:
            console.print(f"not loaded: {report.info.label}: {report.error}", soft_wrap=True)


def terminal_table(reports: Sequence[ShapeReport], networks: Sequence[str], threshold: float) -> Table:
    """The means for the eye."""
    table = Table(title="mean score over the whole space", caption=f"*: accepted, at least {threshold:g}")
    for name in ("class", "shape", "faces", *networks):
        table.add_column(name, justify="left" if name in ("class", "shape") else "right")
    for report in reports:
        if not report.error:
            means = [mean_text(report, network).replace("**", "") for network in networks]
            marks = ["*" if report.verdicts[network].is_accepted else " " for network in networks]
            cells = [f"{mean}{mark}" for mean, mark in zip(means, marks, strict=True)]
            table.add_row(report.info.class_name, report.info.label, str(report.faces), *cells)
    return table


if __name__ == "__main__":
    sys.exit(run_script(main, after_interrupt="what was scored is kept; run the same command to go on"))
