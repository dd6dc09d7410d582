"""Small maps, and runs on them as the released code would have recorded them, for tests of what reads both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import optimizers  # noqa: F401  (fills the registry)
from optimizers.corner_method import settings_of_form
from optimizers.registry import get_optimizer
from semrob_env.oracle import QueryOracle
from semrob_env.parameters import PAPER_STARTS, SemanticSpace
from semrob_env.questions import Questions
from semrob_env.recorded import RecordedMaps, ScoreMaps
from semrob_env.recorded.traces import METHODS, Run
from semrob_env.types import FloatArray

SPACE = SemanticSpace.of("azimuth,elevation")
STARTS = np.array([SPACE.point(text) for text in PAPER_STARTS])
NAMES = tuple(
    f"{network}/{name}/{number}"
    for network in ("ResNet50", "Inceptionv3")
    for name in ("cup", "chair")
    for number in (0, 1)
)


AZIMUTHS: FloatArray = np.arange(0.0, 360.0, 30.0, dtype=np.float64)
ELEVATIONS: FloatArray = np.arange(-10.0, 91.0, 20.0, dtype=np.float64)
"""Grid lines of the smallest maps."""


def wavy_maps(names: Sequence[str] = NAMES) -> ScoreMaps:
    """Smooth maps of 24 x 11 lines, each with its own robust views."""
    azimuth, elevation = np.meshgrid(np.arange(0.0, 360.0, 15.0), np.arange(-10.0, 91.0, 10.0), indexing="ij")
    scores = [
        0.55
        + 0.3 * np.cos(np.radians(azimuth - 37.0 * number))
        + 0.13 * np.cos(np.radians(3 * elevation + 50 * number))
        for number in range(len(names))
    ]
    return ScoreMaps(SPACE, (azimuth[:, 0], elevation[0]), np.array(scores, dtype=np.float32), tuple(names))


def flat_maps(scores: dict[str, float]) -> ScoreMaps:
    """Maps of one score each, by name."""
    values = np.tile(np.array(list(scores.values()), dtype=np.float32)[:, None, None], (1, 12, 6))
    return ScoreMaps(SPACE, (AZIMUTHS, ELEVATIONS), values, tuple(scores))


def released_settings(method: str) -> Any:
    """A method's settings with the released code's choices."""
    plain = settings_of_form(get_optimizer(method), "paper").to_mapping()
    changes = {"projection": "at_the_end", "gradient": "cross_entropy"}
    chosen = {**plain, **{name: word for name, word in changes.items() if name in plain}}
    return get_optimizer(method).settings_class.from_mapping(chosen)


def run_of(
    name: str,
    lower: Sequence[float],
    upper: Sequence[float],
    *,
    method: str = "naive",
    start: int = 0,
    steps: int = 1,
    trace: FloatArray | None = None,
) -> Run:
    """A recorded run with these final bounds; `steps` is the length of the trace if there is one."""
    rows = np.empty((0, 4)) if trace is None else trace
    final = np.array(lower, dtype=np.float64), np.array(upper, dtype=np.float64)
    count = steps if trace is None else len(trace)
    return Run(name, method, start, STARTS[start], *final, count, rows, np.empty(0), "made up")


def recorded_runs(
    function: RecordedMaps, steps: int, methods: Sequence[str] = METHODS, *, traced: Sequence[int] = range(4)
) -> list[Run]:
    """A run for every map, method and start point by our own methods; `traced` names the start points with a trace."""
    members = np.repeat(np.arange(function.members), len(STARTS))
    starts = np.tile(np.arange(len(STARTS)), function.members)
    runs = []
    for method in methods:
        optimizer = get_optimizer(method)(
            Questions(SPACE, STARTS[starts], member=members), settings=released_settings(method)
        )
        oracle, bounds = QueryOracle(function, trajectories=len(members)), []
        for _ in range(steps + 1):
            state = optimizer.save()
            bounds.append(np.concatenate([state["state.lower"], state["state.upper"]], axis=1))
            optimizer.tell(oracle.query(optimizer.ask()))
        history = np.array(bounds)
        runs += [
            run_of(
                function.maps.names[member],
                history[-1, row, :2].tolist(),
                history[-1, row, 2:].tolist(),
                method=method,
                start=int(start),
                steps=steps,
                trace=history[:-1, row] if start in traced else None,
            )
            for row, (member, start) in enumerate(zip(members, starts, strict=True))
        ]
    return runs
