"""What may be said about a network beside its name: in ids, on command lines, to `load_network`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, final

from semrob_env.errors import MissingFileError
from semrob_env.scene.classifiers.score_kinds import ScoreKind, score_kind

_TRUSTED: set[Path] = set()


@final
@dataclass(frozen=True)
class NetworkOptions:
    """Options of a network.

    Attributes:
        weights: File of weights; of the whole model for the network `file`. Empty: those of the network's own.
        labels: File of class names. Empty: those of the network's own.
        score: See `semrob_env.scene.classifiers.score_kinds`.
        device: `cpu`, or a torch device as `cuda` or `cuda:1`; a device other than the CPU answers by torch.
        output: Of a model file with several outputs the one that holds the classes: its name, or its place from 0.

    Raises:
        InvalidParameterError: An unknown score.
    """

    weights: str = ""
    labels: str = ""
    score: ScoreKind = "softmax"
    device: str = "cpu"
    output: str = ""

    def __post_init__(self) -> None:
        score_kind(self.score)

    def changed(self) -> dict[str, str]:
        """The options that differ from their defaults."""
        own = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        return {field.name: own[field.name] for field in fields(self) if own[field.name] != field.default}

    def in_ids(self) -> dict[str, Any]:
        """The changed options as ids write them, paths and names escaped."""
        from semrob_env.scene.sources.texts import escape  # its package loads meshes, which names do without

        escaped = ("weights", "labels", "output")
        return {name: escape(value) if name in escaped else value for name, value in self.changed().items()}


def trust_model_file(path: str) -> None:
    """Allow this process to load a file that can run code when loaded (TorchScript, torch.export).

    An id cannot say this: ids come from stores and strangers.

    Raises:
        MissingFileError: There is no such file.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"{path}: there is no such model file; give its path")
    _TRUSTED.add(Path(path).resolve())


def is_trusted(path: str) -> bool:
    """Whether `trust_model_file` named this file."""
    return Path(path).resolve() in _TRUSTED


def trusted_model_files() -> tuple[str, ...]:
    """The files that `trust_model_file` named: what another process of the same user must be told."""
    return tuple(sorted(map(str, _TRUSTED)))
