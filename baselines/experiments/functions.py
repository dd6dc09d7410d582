"""The functions that tasks name: found by the id of a member, made when first asked for.

Maps of one file are one family, so that runs on them are one batch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import final

import numpy as np

from semrob_env.errors import InvalidParameterError, NameClashError
from semrob_env.functions import Complement, ScoreFunction, make_function
from semrob_env.recorded import RecordedMaps, ScoreMaps, load_maps
from semrob_env.types import FloatArray, IntArray

RECORDED = "recorded:"

MOST_KEPT = 32
"""Functions made by id that are kept; the least recently used go first."""


@final
class Functions:
    """Members of functions by id.

    Args:
        ids: Ids of members, any number of times: the maps among them that `maps_file` holds become one family.
        maps_file: File in which the maps of `recorded:NAME` ids are looked up; ids do not name it, so that a run's key
            does not depend on where the file lies (it holds the hash of the map). None: ids name their files.
        given: Functions already made.

    Raises:
        NameClashError: A member is given by two of the functions.
        UnknownNameError: No such map.
        MissingFileError, InvalidMapsError: The file of maps.
    """

    def __init__(
        self, ids: Iterable[str] = (), maps_file: str | None = None, *, given: Iterable[ScoreFunction] = ()
    ) -> None:
        self.maps_file = maps_file
        self._given: dict[str, tuple[ScoreFunction, int]] = {}
        self._made: dict[str, ScoreFunction] = {}
        self.can_travel = True
        """Whether another process can find the same functions: none was made by hand."""
        self._making = threading.RLock()
        asked = list(dict.fromkeys(ids)) if maps_file is not None else []
        for before, after, family in ((RECORDED, "", RecordedMaps), (f"complement({RECORDED}", ")", _complements)):
            names = [name[len(before) : len(name) - len(after)] for name in asked if name.startswith(before)]
            if names and maps_file is not None:
                maps = load_maps(maps_file)
                self._add(family(maps.only([maps.index(name) for name in names])))
        for function in given:
            self._add(function)
            self.can_travel = False

    def _add(self, function: ScoreFunction) -> None:
        for member, member_id in enumerate(function.member_ids):
            if member_id in self._given:
                raise NameClashError(f"member {member_id!r} is given twice; give each function once")
            self._given[member_id] = function, member

    @classmethod
    def standing_in(cls, members: Mapping[str, tuple[ScoreFunction, int]]) -> Functions:
        """Members of functions by the ids of others, for which they answer: maps of what takes long."""
        functions = cls()
        functions._given, functions.can_travel = dict(members), False
        return functions

    def member(self, function_id: str) -> tuple[ScoreFunction, int]:
        """The function that answers for an id, and which of its members does.

        Raises:
            InvalidParameterError: The id is that of a family.
            UnknownNameError: As `make_function`, which may raise more.
        """
        if function_id in self._given:
            return self._given[function_id]
        with self._making:  # threads that ask for the same one must not each make it
            made = self._made.pop(function_id, None) or make_function(function_id)
            if made.members != 1:
                raise InvalidParameterError(
                    f"{function_id!r} has {made.members} members; a task names one, the family is given as a function"
                )
            self._made[function_id] = made  # at the end: the most recently used
            while len(self._made) > MOST_KEPT:
                self._made.pop(next(iter(self._made)))
        return made, 0

    def family(self, function_id: str) -> object:
        """Equal for ids that one function answers for."""
        return id(self._given[function_id][0]) if function_id in self._given else function_id

    def fingerprint(self, function_id: str) -> dict[str, str]:
        """What pins the answers of an id: hashes and versions."""
        function, member = self.member(function_id)
        return function.fingerprints[member]

    def grouped(self, ids: Sequence[str]) -> list[tuple[ScoreFunction, IntArray, IntArray]]:
        """For each function among R ids: the function, the rows that ask it and the member of each of these rows."""
        rows: dict[object, list[int]] = {}
        for row, name in enumerate(ids):
            rows.setdefault(self.family(name), []).append(row)
        found = []
        for chosen in rows.values():
            functions, members = zip(*(self.member(ids[row]) for row in chosen), strict=True)
            found.append((functions[0], np.array(chosen), np.array(members)))
        return found

    def unit_scores(self, ids: Sequence[str], points: Sequence[tuple[float, ...]]) -> FloatArray:
        """Unit scores (R,) at one point for each of R ids; NaN is told as 0. Nobody is charged."""
        scores = np.zeros(len(ids))
        for function, rows, members in self.grouped(ids):
            theta = np.array([points[row] for row in rows])[:, None, :]
            scores[rows] = function.scale.unit(function.values(theta, members)[:, 0])
        return scores


def _complements(maps: ScoreMaps) -> ScoreFunction:
    return Complement(RecordedMaps(maps))
