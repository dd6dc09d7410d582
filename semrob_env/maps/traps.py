"""Semantic traps: low-score parts of a map that a high-score part encloses (arXiv 1904.04621; method section 4).

A *basin* is a connected component of {f < high} on the grid: neighbors share a side or a corner, and a periodic axis
joins its last line to its first. A basin is *enclosed* if no way leads from it out of the map and none around it:

- it touches neither end of a plain axis: what lies beyond the map is not known, so a hole at the lowest or the highest
  elevation is not a trap;
- it does not wind around a periodic axis: a band through all azimuths has two shores, not one ring.

All grid points around an enclosed basin, its *rim*, score at least `high`; as the basin is joined across corners, its
outer rim is joined across sides: one component of {f >= high}. A *trap* is an enclosed basin whose lowest score is
below `low` <= `high`: between both thresholds, a shallow dent is no trap and noise at one threshold splits nothing.
Nothing of this changes when the map is rolled along a periodic axis.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, final

import numpy as np
import numpy.typing as npt

from semrob_env.errors import InvalidParameterError
from semrob_env.maps.means import cell_shares
from semrob_env.recorded import ScoreMaps
from semrob_env.regions import Regions
from semrob_env.types import BoolArray, FloatArray, IntArray

LOW, HIGH = 0.3, 0.5  # default thresholds, as shares of the score range


@final
@dataclass(frozen=True, eq=False)
class Trap:
    """One semantic trap.

    Attributes:
        row: Which of the maps.
        name: Name of the map.
        center: Mean of the points below `low`, each by its share of the space, (n,); along a periodic axis taken
            within the basin, across the seam.
        lowest: The point of the lowest score, (n,).
        box: Smallest box of grid lines around the points below `low`, widened by half a step to each side; a batch of
            one region, in canonical form.
        share: Share of the space of the points below `low`.
        basin_share: Share of the space of the whole basin, all below `high`.
        minimum: Lowest score.
        rim: Mean score of the rim: the grid points that touch the basin by a side or a corner.
        map_share: Share of the space of all points of its map below `low`: what fails anyway, traps included.
        cells: Grid lines of every point of the basin, (N, n).
    """

    row: int
    name: str
    center: FloatArray
    lowest: FloatArray
    box: Regions
    share: float
    basin_share: float
    minimum: float
    rim: float
    map_share: float
    cells: IntArray

    @property
    def depth(self) -> float:
        """Mean score of the rim less the lowest score."""
        return self.rim - self.minimum


def semantic_traps(maps: ScoreMaps, *, low: float | None = None, high: float | None = None) -> list[Trap]:
    """All traps of all maps, the largest of each map first.

    Args:
        maps: Maps of any n.
        low: A trap reaches below this score; None: `LOW` of the score range.
        high: A trap is enclosed by at least this score; None: `HIGH` of the score range.

    Raises:
        InvalidParameterError: Not low <= high within the score range.
    """
    least, most = maps.score_range
    low = least + LOW * (most - least) if low is None else low
    high = least + HIGH * (most - least) if high is None else high
    if not least <= low <= high <= most:
        raise InvalidParameterError(
            f"trap thresholds low {low:g}, high {high:g}: give low <= high within [{least:g}, {most:g}]"
        )
    shares = cell_shares(maps)
    found = []
    for row in range(len(maps)):
        own = [_trap(maps, row, basin, low, shares) for basin in _enclosed(maps, row, low, high)]
        found += sorted(own, key=lambda trap: (-trap.share, -trap.depth, tuple(trap.lowest)))
    return found


def _enclosed(maps: ScoreMaps, row: int, low: float, high: float) -> Iterator[IntArray]:
    """Each enclosed basin that reaches below `low`: its grid lines (N, n), unrolled where it crosses a seam."""
    scores, periodic = maps.scores[row], maps.space.is_periodic
    counts = np.array(scores.shape)
    pieces, joins = _pieces(scores < high, periodic)
    inner = pieces[tuple(slice(count) for count in scores.shape)]
    for members in _joined(joins, int(pieces.max()), maps.space.n):
        if members is None:
            continue
        cells = np.concatenate([np.argwhere(inner == piece) + turn * counts for piece, turn in members.items()])
        wrapped = cells % counts
        at_end = ((wrapped == 0) | (wrapped == counts - 1)) & ~periodic
        if len(cells) and not at_end.any() and scores[tuple(wrapped.T)].min() < low:
            yield cells


def _pieces(mask: BoolArray, periodic: BoolArray) -> tuple[npt.NDArray[np.int32], list[tuple[int, int, int]]]:
    """Labels of the connected pieces of a mask, and which pieces are one across a seam.

    Periodic axes get a copy of their first line at the end. A point of the copy with label a and its original with
    label b make the join (a, b, k): on axis k, b goes on where a ends, one turn later.
    """
    from scipy import ndimage  # here, for it takes a while to import

    padded = np.pad(mask, [(0, int(turn)) for turn in periodic], mode="wrap")
    labels, _ = ndimage.label(padded, structure=np.ones((3,) * mask.ndim))
    pieces: npt.NDArray[np.int32] = np.asarray(labels, dtype=np.int32)
    joins = set()
    for k in np.flatnonzero(periodic).tolist():
        copy, original = pieces.take(-1, axis=k).ravel(), pieces.take(0, axis=k).ravel()
        joins |= {(int(a), int(b), k) for a, b in zip(copy, original, strict=True) if a}
    return pieces, sorted(joins)


def _joined(joins: list[tuple[int, int, int]], count: int, n: int) -> Iterator[dict[int, IntArray] | None]:
    """The components: their pieces, each with its turns (n,) against the others; None for one that winds around."""
    neighbors: defaultdict[int, list[tuple[int, IntArray]]] = defaultdict(list)
    for a, b, k in joins:
        turn = np.eye(n, dtype=np.int64)[k]
        neighbors[a].append((b, turn))
        neighbors[b].append((a, -turn))
    seen: set[int] = set()
    for first in range(1, count + 1):
        if first in seen:
            continue
        periodic, waiting, winds = {first: np.zeros(n, dtype=np.int64)}, [first], False
        while waiting:
            piece = waiting.pop()
            for other, turn in neighbors[piece]:
                if other not in periodic:
                    periodic[other] = periodic[piece] + turn
                    waiting.append(other)
                # Two ways to one piece that differ by a turn: the component closes around the axis.
                winds = winds or bool((periodic[other] != periodic[piece] + turn).any())
        seen |= periodic.keys()
        yield None if winds else periodic


def _trap(maps: ScoreMaps, row: int, cells: IntArray, low: float, shares: FloatArray) -> Trap:
    scores, counts = maps.scores[row], np.array(maps.scores.shape[1:])
    wrapped = cells % counts
    index: Any = tuple(wrapped.T)
    is_low = scores[index] < low
    weight = shares[index][is_low]
    origin = np.array([axis[0] for axis in maps.axes])
    points = origin + cells * maps.steps
    half = maps.steps / 2
    below = points[is_low]
    box = Regions(maps.space, (below.min(axis=0) - half)[None], (below.max(axis=0) + half)[None]).clip()
    around = np.concatenate([cells + np.array(offset) for offset in product((-1, 0, 1), repeat=cells.shape[1])])
    rim = np.unique(np.ravel_multi_index(tuple((around % counts).T), scores.shape))
    rim = np.setdiff1d(rim, np.ravel_multi_index(index, scores.shape))
    return Trap(
        row,
        maps.names[row],
        maps.space.project(weight @ below / weight.sum()),
        maps.space.project(points[np.argmin(scores[index])]),
        box,
        float(weight.sum()),
        float(shares[index].sum()),
        float(scores[index].min()),
        float(scores.ravel()[rim].mean(dtype=np.float64)),
        float(shares[scores < low].sum()),
        wrapped,
    )
