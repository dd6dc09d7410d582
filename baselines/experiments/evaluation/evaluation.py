"""Evaluations: the findings, and how a person, a program and a notebook get them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from baselines.experiments.evaluation.document import document, failure_rows, region_rows, shape_rows
from baselines.experiments.evaluation.page import excerpt, page
from baselines.experiments.evaluation.values import FailingView, Findings
from semrob_env.errors import MissingExtraError
from semrob_env.metrics import reach
from semrob_env.plotting.gallery import Cell, gallery_figure
from semrob_env.plotting.parameters import rates_figure, reach_figure
from semrob_env.tables.words import goal_words, percent, short_point_words

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@final
@dataclass(frozen=True, eq=False)
class Evaluation(Findings):
    """What was found of one network on some shapes, as data, rows, a page and figures."""

    def to_json(self) -> dict[str, Any]:
        """Plain data for `json.dumps`, of the schema in `report.schema.json` beside this file."""
        return document(self)

    def rows(self, what: Literal["shapes", "failures", "regions"] = "shapes") -> list[dict[str, Any]]:
        """Flat rows: one a shape, a failing view or a region."""
        return {"shapes": shape_rows, "failures": failure_rows, "regions": region_rows}[what](self)

    def to_pandas(self, what: Literal["shapes", "failures", "regions"] = "shapes") -> Any:
        """The same as a `pandas.DataFrame`.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped]
        except ImportError as error:
            raise MissingExtraError("data frames need pandas: pip install pandas; rows() needs nothing") from error
        return pandas.DataFrame(self.rows(what))

    def to_html(self) -> str:
        """The report: one page that needs nothing else."""
        return page(self)

    def _repr_html_(self) -> str:
        return excerpt(self)

    def plot_rates(self) -> Figure:
        """The share of right views along each parameter, with exact intervals."""
        return rates_figure({self.network: self.survey}, title=f"{self.network}: right views along each parameter")

    def plot_failures(self, count: int = 6) -> Figure:
        """The worst distinct views of each shape, and what was predicted.

        Args:
            count: Most views of a shape.
        """
        rows: list[tuple[str, Sequence[Cell]]] = []
        for own in self.shapes:
            cells = [
                Cell(
                    self.pictures.image(own.function_id, failure.theta),
                    (self._short_point(failure), _answer(failure)),
                    is_marked=True,
                )
                for failure in own.failures[:count]
            ]
            best = Cell(
                self.pictures.image(own.function_id, own.best.theta),
                ("best: " + self._short_point(own.best), _answer(own.best)),
                is_marked=not own.looks.is_right[own.looks.best[0]],
            )
            rows.append((own.name, [best, *cells]))
        return gallery_figure(
            rows, title=f"{self.network}: the best view of each shape, and failing ones; orange: wrong"
        )

    def plot_regions(self) -> Figure:
        """How far the largest robust region of each shape reaches, as found and certified, and what ends it first."""
        shown = [own.largest for own in self.shapes if own.largest is not None]
        return reach_figure(
            {one.shape: reach(one.found, one.start) for one in shown},
            title=f"{self.network}: what ends the largest region first ({goal_words(self.goal, self.score)})",
            certified={one.shape: reach(one.certified.region, one.start) for one in shown if one.certified},
        )

    def _short_point(self, view: FailingView) -> str:
        return short_point_words(self.space.parameters, np.array(view.theta))


def _answer(failure: FailingView) -> str:
    return f"{failure.top[0].name} {percent(failure.top[0].probability)}"
