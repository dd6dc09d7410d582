"""Means and cuts of maps: NSM in one and two dimensions, DSM (Hamdi & Ghanem 2020, arXiv 1904.04621; method section 4).

All results are `ScoreMaps` again: they can be saved, named in ids, and asked as functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from semrob_env.errors import UnknownNameError
from semrob_env.parameters import SemanticSpace
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.scene.classifiers.names import parts_of
from semrob_env.types import Float32Array, FloatArray

MEAN = "mean"  # what stands in a name in place of the part that a map is averaged over


def network_maps(maps: ScoreMaps) -> ScoreMaps:
    """The NSM of each network for each class, NETWORK/CLASS/mean: the mean over the shapes of the class."""
    return _averaged(maps, (True, True, False))


def data_maps(maps: ScoreMaps) -> ScoreMaps:
    """The DSM of each class, mean/CLASS/mean: the mean of its NSMs, so that each network weighs the same.

    "Its holes speak of the data, not of a network."
    """
    return _averaged(network_maps(maps), (False, True, False))


def section(maps: ScoreMaps, parameters: str | Sequence[str], at: str | Mapping[str, float] = "") -> ScoreMaps:
    """The maps along some of their parameters, interpolated (multilinear) where the others stand.

    `section(maps, "azimuth")` is the NSM in one dimension: azimuth at elevation 0.

    Args:
        maps: Maps of n parameters.
        parameters: Names of those that stay, comma separated or as a list, in their order.
        at: Values of the others, as a point by name; what is missing takes its default.

    Raises:
        UnknownNameError: A name that the maps do not have, or none.
        OutOfSpaceError: A value outside the bounds.
    """
    chosen = [part.strip() for part in parameters.split(",")] if isinstance(parameters, str) else list(parameters)
    unknown = [name for name in chosen if name not in maps.space.names]
    if unknown or not chosen:
        raise UnknownNameError(f"unknown parameter {unknown[:1] or ''} of maps over {', '.join(maps.space.names)}")
    kept = [maps.space.names.index(name) for name in chosen]
    axes = tuple(maps.axes[k] for k in kept)
    point = maps.space.point(at)
    theta = np.tile(point, (*(len(axis) for axis in axes), 1))
    for k, lines in zip(kept, np.meshgrid(*axes, indexing="ij"), strict=True):
        theta[..., k] = lines
    members = np.arange(len(maps))
    flat = theta.reshape(1, -1, maps.space.n)
    values = RecordedMaps(maps).values(np.broadcast_to(flat, (len(maps), *flat.shape[1:])), members)
    others = {maps.space.names[k]: f"{point[k]:g}" for k in range(maps.space.n) if k not in kept}
    return ScoreMaps(
        SemanticSpace(tuple(maps.space.parameters[k] for k in kept)),
        axes,
        _within(values, maps).reshape(len(maps), *theta.shape[:-1]),
        maps.names,
        tuple({**fact, **others} for fact in maps.facts),
        maps.score_range,
    )


def line_shares(maps: ScoreMaps) -> tuple[FloatArray, ...]:
    """Share of its range that each grid line stands for, (P_k,) a parameter; each sums to 1.

    A line owns the range up to half way to its neighbors, the outer lines of a plain axis the rest. The mean of the
    scores with the products of these shares as weights is the exact mean of the interpolant over the space.
    """
    shares = []
    for parameter, axis in zip(maps.space.parameters, maps.axes, strict=True):
        if parameter.period is not None:
            shares.append(np.full(len(axis), 1 / len(axis)))
        else:
            ends = np.concatenate([[parameter.low], (axis[1:] + axis[:-1]) / 2, [parameter.high]])
            shares.append(np.diff(ends) / (parameter.high - parameter.low))
    return tuple(shares)


def cell_shares(maps: ScoreMaps) -> FloatArray:
    """Share of the space that each grid point stands for, (P_1, ..., P_n): the products of `line_shares`."""
    product = np.ones(())
    for shares in line_shares(maps):
        product = product[..., None] * shares
    return product


def overall_means(maps: ScoreMaps) -> FloatArray:
    """Mean score over the whole space, (F,): the exact integral of the interpolant over the volume of the space."""
    return np.asarray((maps.scores * cell_shares(maps)).reshape(len(maps), -1).sum(axis=1))


def _averaged(maps: ScoreMaps, keeps: tuple[bool, bool, bool]) -> ScoreMaps:
    """Mean over all maps with the same network, class and shape, where only the kept parts count."""
    groups: dict[str, list[int]] = {}
    for row, name in enumerate(maps.names):
        key = "/".join(part if keep else MEAN for part, keep in zip(parts_of(name), keeps, strict=True))
        groups.setdefault(key, []).append(row)
    scores = np.array([maps.scores[rows].mean(axis=0, dtype=np.float64) for rows in groups.values()])
    facts = tuple({"mean_of": str(len(rows))} for rows in groups.values())
    return ScoreMaps(maps.space, maps.axes, _within(scores, maps), tuple(groups), facts, maps.score_range)


def _within(values: FloatArray, maps: ScoreMaps) -> Float32Array:
    """Means of scores, kept from leaving by a rounding what the scores keep to."""
    return np.asarray(np.clip(values.astype(np.float32), maps.scores.min(), maps.scores.max()))
