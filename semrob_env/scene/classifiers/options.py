"""What may be said about a network beside its name: in ids, on command lines, to `load_network`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, final

from semrob_env.errors import InvalidParameterError, MissingFileError
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

    Raises:
        InvalidParameterError: An unknown score.
    """

    weights: str = ""
    labels: str = ""
    score: ScoreKind = "softmax"
    device: str = "cpu"

    def __post_init__(self) -> None:
        score_kind(self.score)

    def changed(self) -> dict[str, str]:
        """The options that differ from their defaults."""
        own = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        return {field.name: own[field.name] for field in fields(self) if own[field.name] != field.default}

    def in_ids(self) -> dict[str, Any]:
        """The changed options as ids write them, paths escaped."""
        from semrob_env.scene.sources.texts import escape  # its package loads meshes, which names do without

        paths = ("weights", "labels")
        return {name: escape(value) if name in paths else value for name, value in self.changed().items()}


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


def network_options(options: argparse.Namespace, networks: Sequence[str]) -> Mapping[str, NetworkOptions]:
    """Options of each network of a command line; with --trust-model-file its files are trusted.

    Args:
        options: With `weights` (FILE of the one network, or NETWORK=FILE, each), `labels`, `score`, `device` and
            `trust_model_file`.
        networks: Their names.

    Raises:
        InvalidParameterError: --weights FILE for several networks, NETWORK=FILE of a network that is not asked for.
        MissingFileError: A file of weights that is not there.
    """
    common = NetworkOptions(labels=options.labels, score=score_kind(options.score), device=options.device)
    made = dict.fromkeys(networks, common)
    for text in options.weights:
        name, equals, path = text.partition("=")
        if not equals or (name not in made and Path(text).is_file()):
            if len(made) != 1:
                raise InvalidParameterError(f"--weights {text}: {len(made)} networks; write NETWORK=FILE")
            name, path = next(iter(made)), text
        if name not in made:
            raise InvalidParameterError(f"--weights {text}: {name!r} is not among the networks {', '.join(made)}")
        if made[name].weights:
            raise InvalidParameterError(
                f"--weights {text}: {name!r} has weights already, {made[name].weights}; give one"
            )
        if not Path(path).is_file():
            raise MissingFileError(f"--weights {path}: there is no such file; give the path of a file of weights")
        if options.trust_model_file:
            trust_model_file(path)
        made[name] = replace(made[name], weights=path)
    return made


def changed_options(options: argparse.Namespace) -> list[str]:
    """Which options of a command line about networks have a value other than the default."""
    defaults = {"weights": [], "labels": "", "score": "softmax", "device": "cpu", "trust_model_file": False}
    return [name.replace("_", "-") for name, default in defaults.items() if getattr(options, name) != default]
