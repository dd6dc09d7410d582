"""Loops compiled by numba and kept on disk; where there is no place for them, compiled anew in every process."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from semrob_env.errors import CacheWarning

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def cached_njit(**options: Any) -> Callable[[FunctionT], FunctionT]:
    """As `numba.njit(cache=True, **options)`, but without a cache where none can be kept: told once, by a warning."""
    from numba import njit  # slow to load

    def compile_lazily(function: FunctionT) -> FunctionT:
        compiled: Any = njit(**options)(function)
        try:
            compiled._cache = _lenient_cache()(function)  # what enable_caching() does with numba's own
        except RuntimeError as error:  # code in a read-only place, and no home
            _tell(str(error))
        return cast(FunctionT, compiled)

    return compile_lazily


@cache
def _lenient_cache() -> Any:
    from numba.core.caching import FunctionCache

    numbas: Any = FunctionCache

    class LenientCache(numbas):  # type: ignore[misc]
        """A cache of numba's whose files may be damaged, gone, or on a disk that is full: then nothing is kept.

        Numba's own is valid until the file of the function changes; this one notices what is built into it as well.
        """

        def load_overload(self, *args: Any) -> Any:
            try:
                self._cache_file._source_stamp = _fingerprint(self._py_func)
                return super().load_overload(*args)
            except Exception:  # whatever half a pickle raises
                return None

        def save_overload(self, *args: Any) -> None:
            try:
                super().save_overload(*args)
            except Exception as error:
                _tell(f"{type(error).__name__}: {error}")

    return LenientCache


def _fingerprint(function: Any) -> str:
    """Digest of what compiled code is made of: the files of all functions in it, and the constants that these read."""
    sha, seen, waiting = hashlib.sha256(), set[Any](), [function]
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        for name in one.__code__.co_names:
            value = one.__globals__.get(name)
            if hasattr(value, "py_func"):
                waiting.append(value.py_func)
            elif isinstance(value, np.ndarray):
                sha.update(value.tobytes())
            elif isinstance(value, (int, float, str, tuple, np.generic)):
                sha.update(repr(value).encode())
    for path in sorted({one.__code__.co_filename for one in seen}):
        sha.update(Path(path).read_bytes())
    return sha.hexdigest()


def _tell(reason: str) -> None:
    if not _told:
        _told.append(reason)
        text = (
            f"compiled loops cannot be kept on disk ({' '.join(reason.split())}), so every process compiles for some "
            "seconds; set NUMBA_CACHE_DIR to a folder that can be written"
        )
        warnings.warn_explicit(text, CacheWarning, "<numba>", 1)  # where it was noticed says nothing


_told: list[str] = []
