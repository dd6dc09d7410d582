"""The functions of a comparison by id, those of one file of maps as one family, so that runs on them are one batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import final

import numpy as np

from semrob_env.functions import ScoreFunction, make_function
from semrob_env.recorded import RecordedMaps, load_maps
from semrob_env.types import FloatArray, IntArray

RECORDED = "recorded:"


@final
class Functions:
    """Members of functions by id.

    Args:
        ids: Ids of members, any number of times.
        maps_file: File in which the maps of `recorded:NAME` ids are looked up; ids do not name it, so that a run's key
            does not depend on where the file lies (it holds the hash of the map).

    Raises:
        UnknownNameError: No such function or map.
        MissingFileError, InvalidMapsError: The file of maps.
    """

    def __init__(self, ids: Iterable[str], maps_file: str) -> None:
        wanted = list(dict.fromkeys(ids))
        names = [name.removeprefix(RECORDED) for name in wanted if name.startswith(RECORDED)]
        made: list[ScoreFunction] = []
        if names:
            maps = load_maps(maps_file)
            made.append(RecordedMaps(maps.only([maps.index(name) for name in names])))
        made += [make_function(name) for name in wanted if not name.startswith(RECORDED)]
        self.families = {function.id: function for function in made}
        """The functions by their own id, as `run_tasks` takes them."""
        self._members = {name: (function, row) for function in made for row, name in enumerate(function.member_ids)}

    def member(self, function_id: str) -> tuple[ScoreFunction, int]:
        """The function that answers for an id, and which of its members does."""
        return self._members[function_id]

    def fingerprint(self, function_id: str) -> dict[str, str]:
        """What pins the answers of an id: hashes and versions."""
        function, member = self._members[function_id]
        return function.fingerprints[member]

    def grouped(self, ids: Sequence[str]) -> list[tuple[ScoreFunction, IntArray, IntArray]]:
        """For each function among R ids: the function, the rows that ask it and the member of each of these rows."""
        rows: dict[str, list[int]] = {}
        for row, name in enumerate(ids):
            rows.setdefault(self._members[name][0].id, []).append(row)
        return [
            (self.families[own], np.array(chosen), np.array([self._members[ids[row]][1] for row in chosen]))
            for own, chosen in rows.items()
        ]

    def unit_scores(self, ids: Sequence[str], points: Sequence[tuple[float, ...]]) -> FloatArray:
        """Scores (R,) at one point for each of R ids, mapped to [0, 1]; NaN is told as 0. Nobody is charged."""
        scores = np.zeros(len(ids))
        for function, rows, members in self.grouped(ids):
            theta = np.array([points[row] for row in rows])[:, None, :]
            low, high = function.score_range
            scores[rows] = np.nan_to_num((function.values(theta, members)[:, 0] - low) / (high - low))
        return scores
