"""What maps say of the data that networks were trained on: where all of them fail, and how alike they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from semrob_env.errors import InvalidParameterError
from semrob_env.maps.means import cell_shares, data_maps, network_maps
from semrob_env.recorded import ScoreMaps
from semrob_env.scene.classifiers.names import parts_of
from semrob_env.types import BoolArray, FloatArray

LOW, HIGH = 0.2, 0.5  # default thresholds of a mean score: a network fails below the first and holds from the second on
SECTORS = 8  # azimuth sectors of 45 degrees, the first one centred at azimuth 0
BANDS_DEG = ((-10.0, 20.0), (20.0, 50.0), (50.0, 90.0))  # elevation bands


@final
@dataclass(frozen=True)
class ClassBias:
    """What the maps of one class say of the data. Shares are shares of the space, all means are over the space.

    Attributes:
        class_name: The class.
        networks: Number of networks K.
        shapes: Number of shapes, the most of any network.
        mean: Mean of the DSM.
        low_share: Share where the DSM is below `low`.
        high_share: Share where the DSM is at least `high`.
        all_fail: Share where every network's NSM is below `low`: what the data lacks.
        some_fail: Share where at least one network's NSM is below `low`, but not every one: what a network lacks.
        best_view: The grid point at which the DSM is highest, as a point by name, and the DSM there.
        worst_view: Where it is lowest; of equal ones the first.
        best_window: Name and mean of the DSM of the best window: an azimuth sector of 45 degrees and an elevation band.
        worst_window: Same of the worst window.
        front, side, back: Mean of the DSM within 45 degrees of azimuth 0, of 90 or 270, and of 180.
        correlation: Mean over pairs of networks of Pearson's correlation of their NSMs over the space: are they high
            and low at the same viewpoints? NaN for K = 1 or a constant map.
        common: Mean over pairs of the covariance of their NSMs, over the mean of their variances: the share of the
            variance that is common to networks. 0 for unrelated maps, 1 for equal ones up to a constant, at any K; the
            rest, 1 - common, is each network's own. NaN for K = 1 or constant maps.
    """

    class_name: str
    networks: int
    shapes: int
    mean: float
    low_share: float
    high_share: float
    all_fail: float
    some_fail: float
    best_view: tuple[str, float]
    worst_view: tuple[str, float]
    best_window: tuple[str, float]
    worst_window: tuple[str, float]
    front: float
    side: float
    back: float
    correlation: float
    common: float


def data_bias(maps: ScoreMaps, *, low: float = LOW, high: float = HIGH) -> list[ClassBias]:
    """The data bias of each class.

    A grid point stands for its share of the space (`cell_shares`), and belongs to the window it lies in.

    Args:
        maps: Maps over azimuth, with or without elevation, of one or more networks and shapes.
        low: A mean score below this is a failure.
        high: A mean score from this on is a success.

    Raises:
        InvalidParameterError: Not low <= high, or maps of other parameters.
    """
    if maps.space.names not in (("azimuth",), ("azimuth", "elevation")) or not low <= high:
        raise InvalidParameterError(
            f"data bias of maps over {', '.join(maps.space.names)} with thresholds {low:g} and {high:g}: give maps "
            "over azimuth or azimuth, elevation, and low <= high; section() cuts maps of more parameters"
        )
    by_network, by_class = network_maps(maps), data_maps(maps)
    weights, windows = cell_shares(maps), _windows(maps)
    names = [parts_of(name) for name in maps.names]
    found = []
    for row, label in enumerate(by_class.names):
        class_name = parts_of(label)[1]
        mean = by_class.scores[row].astype(np.float64)
        own = [at for at, name in enumerate(by_network.names) if parts_of(name)[1] == class_name]
        networks = by_network.scores[own].astype(np.float64)
        shapes = [sum(part[:2] == parts_of(by_network.names[at])[:2] for part in names) for at in own]
        means = {name: _mean(mean, weights, window) for name, window in windows.items() if window.any()}
        best, worst = max(means, key=lambda name: means[name]), min(means, key=lambda name: means[name])
        fails = networks < low
        everywhere, somewhere = np.asarray(fails.all(axis=0)), np.asarray(fails.any(axis=0))
        correlation, common = _agreement(networks.reshape(len(own), -1), weights.ravel())
        front, side, back = (_mean(mean, weights, window) for window in _quarters(maps))
        found.append(
            ClassBias(
                class_name,
                len(own),
                max(shapes),
                mean=float((mean * weights).sum()),
                low_share=_share(weights, np.less(mean, low)),
                high_share=_share(weights, mean >= high),
                all_fail=_share(weights, everywhere),
                some_fail=_share(weights, somewhere & ~everywhere),
                best_view=_view(maps, mean, int(mean.argmax())),
                worst_view=_view(maps, mean, int(mean.argmin())),
                best_window=(best, means[best]),
                worst_window=(worst, means[worst]),
                front=front,
                side=side,
                back=back,
                correlation=correlation,
                common=common,
            )
        )
    return found


def _share(weights: FloatArray, where: BoolArray) -> float:
    """Share of the space; rounding does not lift it above 1."""
    return min(float(weights[where].sum()), 1.0)


def _mean(scores: FloatArray, weights: FloatArray, window: BoolArray) -> float:
    """Mean over a window; NaN where no grid point lies in it."""
    total = weights[window].sum()
    return float((scores * weights)[window].sum() / total) if total else float("nan")


def _view(maps: ScoreMaps, scores: FloatArray, place: int) -> tuple[str, float]:
    """One grid point by name, by its place in an array of scores, and the score there."""
    index = np.unravel_index(place, scores.shape)
    values = (f"{name} {axis[at]:g}" for name, axis, at in zip(maps.space.names, maps.axes, index, strict=True))
    return ", ".join(values), float(scores[index])


def _off(maps: ScoreMaps, azimuth_deg: float) -> FloatArray:
    """Angle between each azimuth line and one azimuth, 0..180, as (P_1, 1...)."""
    away = np.abs((maps.axes[0] - azimuth_deg + 180) % 360 - 180)
    return away.reshape(-1, *[1] * (maps.space.n - 1))


def _quarters(maps: ScoreMaps) -> list[BoolArray]:
    """Front, side and back; a line on a border between two belongs to front or back."""
    shape = maps.scores.shape[1:]
    front, back = (np.broadcast_to(_off(maps, azimuth) <= 45, shape) for azimuth in (0.0, 180.0))
    return [front, ~(front | back), back]


def _windows(maps: ScoreMaps) -> dict[str, BoolArray]:
    """Every azimuth sector within every elevation band, by name, each grid point in one of them."""
    shape, width = maps.scores.shape[1:], 360 / SECTORS
    sector = np.round(maps.axes[0] / width).astype(int) % SECTORS
    windows = {}
    for at in range(SECTORS):
        in_sector = (sector == at).reshape(-1, *[1] * (maps.space.n - 1))
        if maps.space.n == 1:
            windows[f"azimuth {at * width:.0f}"] = in_sector
            continue
        for low, high in BANDS_DEG:
            in_band = (maps.axes[1] >= low) & ((maps.axes[1] < high) | (high == BANDS_DEG[-1][1]))
            name = f"azimuth {at * width:.0f}, elevation {low:.0f} to {high:.0f}"
            windows[name] = np.broadcast_to(in_sector & in_band, shape)
    return windows


def _agreement(networks: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Mean correlation and common share of the variance of maps (K, P) with weights (P,) that sum to 1."""
    centered = networks - (networks * weights).sum(axis=1, keepdims=True)
    covariance = (centered * weights) @ centered.T
    variance = np.diag(covariance)
    pairs = ~np.eye(len(networks), dtype=np.bool_)
    # A constant map keeps variance of the size of rounding.
    if len(networks) < 2 or not (variance > 1e-15).all():
        return float("nan"), float("nan")
    correlation = covariance / np.sqrt(np.outer(variance, variance))
    return float(correlation[pairs].mean()), float(covariance[pairs].mean() / variance.mean())
