"""What `semrob accept_shapes` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from baselines.commands.accept_shapes import Options
from baselines.commands.shared.terminal import Bundle, progress_bar
from semrob_env.errors import InvalidMapsError, InvalidParameterError, LibraryError, MissingFileError
from semrob_env.files import markdown_table
from semrob_env.maps import map_name
from semrob_env.recorded import ScoreMaps, load_maps, save_maps
from semrob_env.scene.acceptance import ShapeReport, judge_for_networks
from semrob_env.scene.classifiers.score_kinds import SCORE_WORDS
from semrob_env.scene.sources import ShapeInfo
from semrob_env.types import FloatArray


def run(options: Options, console: Console) -> None:
    """Judge every shape, write the report."""
    networks = options.network_options()
    if not np.isfinite(options.threshold):
        raise InvalidParameterError(f"--threshold {options.threshold}: give a finite number")
    shapes, unknown = chosen_shapes(options)
    azimuths, elevations = options.grid
    scores = len(shapes) * len(networks) * azimuths * elevations
    console.print(
        f"{len(shapes)} shapes x {len(networks)} networks x {azimuths}x{elevations} views = {scores:,} scores"
        + (f"; {unknown} shapes of no known class are left out: --class NAME scores them all" if unknown else ""),
        soft_wrap=True,
    )
    if options.dry_run:
        for shape in shapes:
            console.print(f"  {shape.class_name}  {shape.label}", soft_wrap=True)
        return
    options.load()  # a broken one ends here
    bundle = Bundle(options.out, console)
    known = stored(bundle.folder / "maps.npz")
    reports: list[ShapeReport] = []
    with progress_bar(console, "scores") as progress:
        bar = progress.add_task("acceptance", total=scores)
        for number, shape in enumerate(shapes, start=1):
            reports.append(
                judge_for_networks(
                    shape,
                    list(networks),
                    counts=options.grid,
                    threshold=options.threshold,
                    colours=options.colors,
                    feed=options.feed,
                    options=networks,
                    known=known,
                    on_scores=lambda count: progress.advance(bar, count),
                )
            )
            progress.update(bar, completed=scores * number / len(shapes))
            keep(reports, bundle.folder / "maps.npz")
    if not any(report.verdicts for report in reports):
        raise LibraryError(f"none of {len(reports)} shapes could be scored; the first one: {reports[0].error}")
    told = markdown(reports, list(networks), options, unknown)
    bundle.text("acceptance.md", told)
    bundle.rows("acceptance.csv", csv_rows(reports, list(networks)))
    console.print(told, soft_wrap=True)
    bundle.close("maps.npz")


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


def chosen_shapes(options: Options) -> tuple[list[ShapeInfo], int]:
    """The shapes whose class is known, and how many others there are."""
    selected = options.selected()
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


def markdown(reports: Sequence[ShapeReport], networks: Sequence[str], options: Options, unknown: int) -> str:
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
        "# Which shapes are recognized",
        f"Mean score over {'x'.join(map(str, options.grid))} views (azimuth x elevation, ends of it included); "
        f"bold: accepted, mean >= {options.threshold:g}. Score: {SCORE_WORDS[options.score]}. Colors: {options.colors}"
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
    return "\n\n".join(parts)


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
