"""Scores shapes over the whole space for each network, and keeps, tables and tells what is accepted."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import numpy as np

from baselines.commands.accept_shapes import AcceptShapesOptions
from baselines.commands.shared.networks import asked_of, introduce
from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from semrob_env.errors import InvalidMapsError, InvalidParameterError, LibraryError, MissingFileError
from semrob_env.files import Markup, markdown_table
from semrob_env.maps import map_name
from semrob_env.parameters import SemanticSpace
from semrob_env.recorded import ScoreMaps, load_maps, save_maps
from semrob_env.scene.acceptance import Acceptance, ShapeReport, grid_axes, judge_for_networks
from semrob_env.scene.classifiers.score_kinds import SCORE_RANGES, SCORE_WORDS
from semrob_env.scene.sources import ShapeInfo
from semrob_env.types import Float32Array

SPACE = SemanticSpace.of("azimuth,elevation")  # of the paper's rule


def run(options: AcceptShapesOptions, console: Console) -> None:
    specs = options.specs()
    networks = [spec.label for spec in specs]
    if not np.isfinite(options.threshold):
        raise InvalidParameterError(f"--threshold {options.threshold}: give a finite number")
    ranges = {SCORE_RANGES[spec.options.score] for spec in specs}
    if len(ranges) > 1:
        raise InvalidParameterError("--networks with scores of two ranges: run the command once for each, and --out")
    shapes, unknown = chosen_shapes(options)
    azimuths, elevations = options.grid
    scores = len(shapes) * len(networks) * azimuths * elevations
    console.say(
        f"{len(shapes)} shapes x {len(networks)} networks x {azimuths}x{elevations} views = {scores:,} scores"
        + (f"; {unknown} shapes of no known class are left out: --class NAME scores them all" if unknown else "")
    )
    if options.dry_run:
        for shape in shapes:
            console.say(f"  {shape.class_name}  {shape.label}")
        options.load(options.class_name)
        return
    kept = KeptMaps(Path(options.out) / "maps.npz", options.grid, ranges.pop())
    earlier = kept.read()
    options.load(options.class_name)  # a broken one ends here
    introduce(console, asked_of(shapes, specs, options.feed, options.in_ids()))
    bundle = Bundle(options.out, console)
    known = [] if earlier is None else list(zip(earlier.facts, earlier.scores.astype(np.float64), strict=True))
    reports: list[ShapeReport] = []
    with progress_bar(console, "scores") as progress:
        bar = progress.add_task("acceptance", total=scores)
        for number, shape in enumerate(shapes, start=1):
            report = judge_for_networks(
                shape,
                specs,
                counts=options.grid,
                threshold=options.threshold,
                colors=options.colors,
                shading=options.shading,
                feed=options.feed,
                known=known,
                on_scores=lambda count: progress.advance(bar, count),
                on_verdict=kept.add,
            )
            reports.append(report)
            progress.update(bar, completed=scores * number / len(shapes))
    if not any(report.verdicts for report in reports):
        raise LibraryError(f"none of {len(reports)} shapes could be scored; the first one: {reports[0].error}")
    told = markdown(reports, networks, options, unknown)
    bundle.text("acceptance.md", told)
    bundle.rows("acceptance.csv", csv_rows(reports, networks))
    console.say(told)
    bundle.close("maps.npz")


@final
class KeptMaps:
    """The file of maps of this command and of others in the same folder: maps come in, none is taken out."""

    def __init__(self, path: Path, counts: tuple[int, int], score_range: tuple[float, float]) -> None:
        self.path, self.counts, self.score_range = path, counts, score_range
        self.axes = grid_axes(SPACE, counts)
        self._new: dict[str, tuple[Mapping[str, str], Float32Array]] = {}

    def read(self) -> ScoreMaps | None:
        """The maps in the file; None where there is no file.

        Raises:
            InvalidMapsError: The file is damaged, somebody else's, or of another grid or score range: it stays.
        """
        advice = f"it stays as it is: choose another --out, or move {self.path.name} away"
        try:
            maps = load_maps(self.path)
        except MissingFileError:
            return None
        except InvalidMapsError as error:
            raise InvalidMapsError(f"{error}; {advice}") from error
        counts = maps.scores.shape[1:]
        is_ours = maps.space == SPACE and all(map(np.array_equal, maps.axes, grid_axes(SPACE, counts)))
        if not is_ours or not all(str(fact.get("function")).startswith("scene:") for fact in maps.facts):
            raise InvalidMapsError(f"{self.path}: holds maps that this command did not make; {advice}")
        if counts != self.counts:
            grids = ["x".join(map(str, grid)) for grid in (counts, self.counts)]
            raise InvalidMapsError(f"{self.path}: holds maps of the grid {grids[0]}, not {grids[1]}; {advice}")
        if maps.score_range != self.score_range:
            ranges = ["{:g} to {:g}".format(*ends) for ends in (maps.score_range, self.score_range)]
            raise InvalidMapsError(f"{self.path}: holds scores from {ranges[0]}, not {ranges[1]}; {advice}")
        return maps

    def add(self, verdict: Acceptance) -> None:
        """Write a new map to the file at once, in the place of an older one of the same name.

        Raises:
            InvalidMapsError: As `read`.
            OutputError: The file cannot be written.
        """
        self._new[map_name(verdict.function_id)] = verdict.facts, verdict.scores.astype(np.float32)
        there = self.read()  # again: another command may have added maps meanwhile
        merged: dict[str, tuple[Mapping[str, str], Float32Array]] = {}
        if there is not None:
            merged.update(zip(there.names, zip(there.facts, there.scores, strict=True), strict=True))
        merged.update(self._new)
        facts, scores = zip(*merged.values(), strict=True)
        save_maps(ScoreMaps(SPACE, self.axes, np.array(scores), tuple(merged), facts, self.score_range), self.path)


def chosen_shapes(options: AcceptShapesOptions) -> tuple[list[ShapeInfo], int]:
    selected = options.selected()
    known = [shape for shape in selected if shape.class_name]
    if not known:
        raise LibraryError(f"{len(selected)} shapes, and their names tell no class; give --class NAME")
    return known, len(selected) - len(known)


def csv_rows(reports: Sequence[ShapeReport], networks: Sequence[str]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for report in reports:
        info = report.info
        for network in networks:
            told: list[object] = [""] * 4
            if (verdict := report.verdicts.get(network)) is not None:
                told = [verdict.is_accepted, verdict.mean, float(verdict.scores.min()), float(verdict.scores.max())]
            rows.append({
                "name": info.name,
                "title": info.title,
                "class": info.class_name,
                "network": network,
                **dict(zip(("accepted", "mean", "lowest", "highest"), told, strict=True)),
                "faces": report.faces,
                "author": info.author,
                "licence": info.license,
                "source": info.source,
                "error": report.error,
            })
    return rows


def markdown(
    reports: Sequence[ShapeReport], networks: Sequence[str], options: AcceptShapesOptions, unknown: int
) -> str:
    """The report: a table of means, failures, and whom the shapes are owed to."""
    rows = [
        {
            "class": str(report.info.class_name),
            "shape": report.info.label,
            "faces": str(report.faces),
            **{network: mean_text(report.verdicts[network]) for network in networks},
            "author": report.info.author,
        }
        for report in reports
        if not report.error
    ]
    scores = "; ".join(dict.fromkeys(SCORE_WORDS[spec.options.score] for spec in options.specs()))
    parts = [
        "# Which shapes are recognized",
        f"Mean score over {'x'.join(map(str, options.grid))} views (azimuth x elevation, ends of it included); "
        f"bold: accepted, mean >= {options.threshold:g}. Score: {scores}. "
        f"Colors: {options.colors}, normals: {options.normals}"
        + (", pictures fed in [0, 1]." if options.unnormalized else "."),
        markdown_table(rows),
        summary(reports, networks),
    ]
    failed = [f"- {report.info.label}: {report.error}" for report in reports if report.error]
    if failed:
        parts += ["## Not loaded", "\n".join(failed)]
    if unknown:
        parts.append(f"{unknown} shapes of no known class were left out.")
    owed = sorted({report.info.license for report in reports if report.info.license})
    if owed:
        parts += ["## Licences", "\n".join(f"- {license}" for license in owed)]
    return "\n\n".join(parts)


def mean_text(verdict: Acceptance) -> str:
    return Markup(f"**{verdict.mean:.3f}**") if verdict.is_accepted else f"{verdict.mean:.3f}"


def summary(reports: Sequence[ShapeReport], networks: Sequence[str]) -> str:
    good = [report for report in reports if not report.error]
    parts = [
        f"{network} accepts {sum(report.verdicts[network].is_accepted for report in good)} of {len(good)}"
        for network in networks
    ]
    failed = len(reports) - len(good)
    return ", ".join(parts) + (f"; {failed} could not be loaded" if failed else "")
