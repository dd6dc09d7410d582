"""A network as a command line names it: `[LABEL=]NETWORK[@WEIGHTS][?OPTION=VALUE&...]`, or `[LABEL=]file:MODEL`.

    efficientnet_lite0
    before=efficientnet_lite0@epoch_1.pth
    after=efficientnet_lite0@epoch_9.pth?score=margin
    mine=file:model.onnx?labels=names.txt

The label is what tables call the network; without one it is the network's name. Options are those of `NetworkOptions`,
as `?size=64&range=-1-1`. In paths and numbers `?`, `,`, `&` and `%` are written %3F, %2C, %26 and %25; all else is
taken as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, final
from urllib.parse import quote

from semrob_env.errors import InvalidParameterError, MissingFileError, NameClashError
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.names import FILE, check_alias
from semrob_env.scene.classifiers.options import NetworkOptions
from semrob_env.scene.classifiers.registry import canonical_network, load_network
from semrob_env.scene.classifiers.score_kinds import score_kind
from semrob_env.scene.sources.texts import unescape

OPTIONS = tuple(option.name for option in fields(NetworkOptions) if option.name != "weights")
"""What may stand behind the question mark."""


@final
@dataclass(frozen=True)
class NetworkSpec:
    """One network of a command line; `str` gives the canonical text.

    Attributes:
        label: What tables call it.
        network: Its name, as `canonical_network` spells it.
        options: Its weights and what else is said of it.

    Raises:
        InvalidParameterError: A label with letters that have a meaning in ids.
    """

    label: str
    network: str
    options: NetworkOptions = field(default_factory=NetworkOptions)

    def __post_init__(self) -> None:
        if self.label != self.network:
            check_alias(self.label)

    @classmethod
    def parse(cls, text: str, common: NetworkOptions | None = None) -> NetworkSpec:
        """Read a text.

        Args:
            text: See the module.
            common: Options that hold where the text does not say otherwise; None: the defaults.

        Raises:
            InvalidParameterError: Not of the grammar, or an unknown option.
            UnknownNameError: No such network.
        """
        body, _, query = text.partition("?")
        found = re.fullmatch(r"(?:([^=/:@]*)=)?(.*)", body, re.DOTALL)
        assert found is not None
        label, rest = found.groups()
        name, at, weights = rest.partition(":" if rest.startswith(f"{FILE}:") else "@")
        if not name or label == "" or (at and not weights):
            raise InvalidParameterError(
                f"cannot read network {text!r}; write NETWORK, LABEL=NETWORK@WEIGHTS or LABEL=file:MODEL"
            )
        changes: dict[str, Any] = {"weights": unescape(weights)} if at else {}
        for part in filter(None, query.split("&")):
            option, equals, value = part.partition("=")
            if option not in OPTIONS or not equals or option in changes:
                raise InvalidParameterError(
                    f"cannot read option {part!r} of network {text!r}; write each of {', '.join(OPTIONS)} once, as "
                    "?score=margin&device=cuda"
                )
            changes[option] = _READERS.get(option, unescape)(value)
        network = canonical_network(name)
        return cls(label or network, network, replace(common or NetworkOptions(), **changes))

    def __str__(self) -> str:
        named = f"{self.label}=" if self.label != self.network else ""
        changed = {name: _quoted(value) for name, value in self.options.changed().items()}
        at = (":" if self.network == FILE else "@") + changed["weights"] if "weights" in changed else ""
        query = "&".join(f"{name}={changed[name]}" for name in OPTIONS if name in changed)
        return f"{named}{self.network}{at}" + (f"?{query}" if query else "")

    def in_ids(self) -> dict[str, Any]:
        """The fields of a `SceneId` that it sets beside the network: its options, and the label as `alias`."""
        return {**self.options.in_ids(), **({"alias": self.label} if self.label != self.network else {})}

    def load(self, *, unnormalized: bool = False, size: int | None = None) -> Classifier:
        """The classifier; see `load_network`."""
        return load_network(self.network, unnormalized=unnormalized, size=size, options=self.options)


def network_specs(texts: Sequence[str], common: NetworkOptions | None = None) -> tuple[NetworkSpec, ...]:
    """The networks of a command line, in its order; the same one twice is one.

    Args:
        texts: Each may hold several, comma separated.
        common: As `NetworkSpec.parse`.

    Raises:
        NameClashError: Two different networks have one label.
        MissingFileError: A file of weights or labels that is not there.
        InvalidParameterError, UnknownNameError: As `NetworkSpec.parse`; or there is none.
    """
    parts = [part.strip() for text in texts for part in text.split(",") if part.strip()]
    chosen: dict[str, NetworkSpec] = {}
    for spec in (NetworkSpec.parse(part, common) for part in parts):
        if chosen.setdefault(spec.label, spec) != spec:
            raise NameClashError(
                f"two networks are called {spec.label!r}: {chosen[spec.label]} and {spec}; name each, as in "
                f"before={chosen[spec.label].network}@..."
            )
        for path in (spec.options.weights, spec.options.labels):
            if path and not Path(path).is_file():
                raise MissingFileError(f"network {spec}: there is no file {path}; give the path of a file")
    if not chosen:
        raise InvalidParameterError("no network is named; write NETWORK or LABEL=NETWORK@WEIGHTS")
    return tuple(chosen.values())


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise InvalidParameterError(f"size {text[:40]!r} of a network: give pixels")
    return int(text)


_READERS: Final[dict[str, Callable[[str], Any]]] = {"score": score_kind, "size": _size}
"""Of options that are no plain text."""


def _quoted(path: str) -> str:
    """A path with what has a meaning here escaped."""
    return "".join(quote(letter) if letter in "?,%&" else letter for letter in path)
