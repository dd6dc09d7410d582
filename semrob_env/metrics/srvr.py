"""SRVR, the semantic robustness volume ratio, with intervals (method section 2).

SRVR of a network for a class and a method is the mean over shapes and start points of Vol(D) / Vol(space), over every
returned region, cut to the space. Beside it stands the same mean with infeasible regions counted as 0. A network's
SRVR is the mean over classes and methods.

Intervals are 95 % percentile bootstraps that resample shapes within each class and keep the start points, for the start
points are the protocol and the shapes are the sample. Two networks are compared by the differences on the same
shapes. With one shape a class nothing can be resampled: the interval is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from semrob_env.errors import InvalidParameterError
from semrob_env.types import FloatArray

RESAMPLES = 2000
"""Bootstrap resamples."""

LEVEL = 0.95
"""Share of the resamples inside an interval."""


@final
@dataclass(frozen=True)
class SrvrRecord:
    """One run, as far as SRVR goes.

    Attributes:
        network: Name of the network.
        class_name: Class of the shape.
        shape: Id of the shape within the class.
        start: Which start point.
        method: Name of the method.
        share: Volume of the region over the volume of the space, in [0, 1].
        feasible: Whether the judge calls the region feasible.
    """

    network: str
    class_name: str
    shape: str
    start: str
    method: str
    share: float
    feasible: bool


@final
@dataclass(frozen=True)
class SrvrLine:
    """SRVR of one group of runs, as shares (0.12 is 12 %).

    Attributes:
        network: Name of the network.
        class_name: Class, or `all`.
        method: Method, or `all`.
        srvr: Mean share over every returned region.
        low: Lower end of its interval; NaN with one shape a class.
        high: Upper end.
        feasible_srvr: The same mean with infeasible regions as 0.
        feasible_low: Lower end of its interval.
        feasible_high: Upper end.
        feasible: Number of feasible regions.
        runs: Number of runs.
        shapes: Number of shapes.
    """

    network: str
    class_name: str
    method: str
    srvr: float
    low: float
    high: float
    feasible_srvr: float
    feasible_low: float
    feasible_high: float
    feasible: int
    runs: int
    shapes: int


@final
@dataclass(frozen=True)
class Difference:
    """SRVR of one network minus that of another on the same shapes.

    Attributes:
        first: Name of the first network.
        second: Name of the second network.
        difference: SRVR of the first minus that of the second.
        low: Lower end of its interval; NaN with one shape a class.
        high: Upper end.
        shapes: Number of shapes that both have.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    shapes: int


ALL = "all"
"""Class or method of a line that averages over all of them."""


def srvr_lines(records: Sequence[SrvrRecord], rng: np.random.Generator) -> list[SrvrLine]:
    """One line for each network, class and method; for each network and method; and for each network.

    Lines over all classes average the classes, and lines over all methods the methods, with equal weights.

    Args:
        records: Runs; a group that has none gives no line.
        rng: Draws the bootstrap.
    """
    networks, classes, methods = (
        list(dict.fromkeys(getattr(record, name) for record in records)) for name in ("network", "class_name", "method")
    )
    lines = []
    for network in networks:
        own = [record for record in records if record.network == network]
        groups = [(class_name, method) for class_name in classes for method in methods]
        groups += [(ALL, method) for method in methods] + [(ALL, ALL)]
        for class_name, method in groups:
            chosen = [r for r in own if class_name in {r.class_name, ALL} and method in {r.method, ALL}]
            if chosen:
                lines.append(_line(network, class_name, method, chosen, rng))
    return lines


def paired_difference(
    records: Sequence[SrvrRecord], first: str, second: str, rng: np.random.Generator, *, feasible_only: bool = False
) -> Difference:
    """SRVR of one network minus another's, over the shapes that both have, resampling shapes in pairs.

    Args:
        records: Runs of both networks.
        first: Name of the first network.
        second: Name of the second network.
        rng: Draws the bootstrap.
        feasible_only: Count infeasible regions as 0.

    Raises:
        InvalidParameterError: The networks have no shape in common.
    """
    tables = []
    for network in (first, second):
        own = [record for record in records if record.network == network]
        tables.append(_by_shape(own)[int(feasible_only)])
    common = [
        {shape: values[shape] - other[shape] for shape in values if shape in other}
        for values, other in ((tables[0].get(name, {}), tables[1].get(name, {})) for name in tables[0])
    ]
    differences = [np.array(list(part.values())) for part in common if part]
    if not differences:
        raise InvalidParameterError(f"{first} and {second} have no shape in common; run both on the same shapes")
    estimate, low, high = _bootstrap(differences, rng)
    return Difference(first, second, estimate, low, high, sum(map(len, differences)))


def _line(
    network: str, class_name: str, method: str, records: Sequence[SrvrRecord], rng: np.random.Generator
) -> SrvrLine:
    every, feasible_only = ([np.array(list(part.values())) for part in t.values()] for t in _by_shape(records))
    return SrvrLine(
        network,
        class_name,
        method,
        *_bootstrap(every, rng),
        *_bootstrap(feasible_only, rng),
        feasible=sum(record.feasible for record in records),
        runs=len(records),
        shapes=sum(map(len, every)),
    )


Table = dict[str, dict[str, float]]
"""By class, then shape: mean share over methods of the mean over start points."""


def _by_shape(records: Sequence[SrvrRecord]) -> tuple[Table, Table]:
    """Mean share of each shape of each class, methods weighing the same: over every region, and infeasible as 0."""
    cells: dict[str, dict[str, dict[str, list[tuple[float, float]]]]] = {}
    for r in records:
        shares = (r.share, r.share if r.feasible else 0.0)
        cells.setdefault(r.class_name, {}).setdefault(r.shape, {}).setdefault(r.method, []).append(shares)
    tables: tuple[Table, Table] = ({}, {})
    for class_name, shapes in cells.items():
        for shape, methods in shapes.items():
            means = np.mean([np.mean(pairs, axis=0) for pairs in methods.values()], axis=0)
            for table, mean in zip(tables, means, strict=True):
                table.setdefault(class_name, {})[shape] = float(mean)
    return tables


def _bootstrap(classes: Sequence[FloatArray], rng: np.random.Generator) -> tuple[float, float, float]:
    """Mean over classes of the mean over shapes, and its percentile interval over resampled shapes."""
    estimate = float(np.mean([values.mean() for values in classes]))
    if all(len(values) < 2 for values in classes):
        return estimate, float("nan"), float("nan")
    means = [values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1) for values in classes]
    low, high = np.quantile(np.mean(means, axis=0), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return estimate, float(low), float(high)
