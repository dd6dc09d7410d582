"""Weights of networks: read from a file without running code in it, put into a module, or fetched into a cache."""

from __future__ import annotations

import hashlib
import pickle
import re
import urllib.request
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, final

import torch

from semrob_env.errors import InvalidParameterError, MissingExtraError, MissingFileError, RefusedFileError
from semrob_env.files import file_digest, note_file, write_whole
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.labels import read_labels
from semrob_env.scene.classifiers.options import NetworkOptions
from semrob_env.scene.classifiers.premises import ASSUMED, GIVE_NUMBERS, Sources
from semrob_env.scene.classifiers.torch_module import TorchClassifier

StateDict = Mapping[str, torch.Tensor]

TIMEOUT_S = 20  # longest wait for an answer of a server

SMALL_BYTES, MOST_RATIO = 2**26, 8
"""A zip of weights may unpack to so many bytes (64 MiB), or to so many times its size."""

MOST_BYTES = 2**34
"""Largest file of weights or of a model that torch reads (16 GiB)."""

# Where training scripts keep the state dict in their checkpoints; averaged weights first, as timm has it.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "net", "network", "weights")
PREFIXES = ("module.", "_orig_mod.")  # what torch's DataParallel and torch.compile put before every name


def read_state_dict(path: Path) -> StateDict:
    """The tensors of a file: a state dict saved by torch, a checkpoint that holds one, or safetensors.

    Nothing in the file is run: torch reads it with weights_only=True. Prefixes of DataParallel and torch.compile are
    taken off with a warning.

    Raises:
        MissingFileError: There is no such file.
        RefusedFileError: It is cut off or too large, or holds code, unknown types or no tensors.
    """
    note_file(path)
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file; give the path of a file of weights")
    refuse_size(path)
    loaded = _safetensors(path) if path.suffix == ".safetensors" else _torch_file(path)
    for wrapper in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
            break
    if (
        not isinstance(loaded, Mapping)
        or not loaded
        or not all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in loaded.items())
    ):
        raise RefusedFileError(f"{path}: holds no state dict (names and tensors); save model.state_dict()")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in loaded):
            loaded = {name.removeprefix(prefix): value for name, value in loaded.items()}
            warnings.warn(f"{path}: took the prefix {prefix!r} off its {len(loaded)} names", stacklevel=2)
    return loaded


def load_weights(make: Callable[[int | None], torch.nn.Module], weights: StateDict, network: str) -> torch.nn.Module:
    """The module with the weights in it; a last layer of another number of classes is made to fit.

    Args:
        make: Makes the module, with its own number of classes or the one given.
        weights: Names and tensors.
        network: Its name, for messages.

    Raises:
        RefusedFileError: The weights are of another architecture.
    """
    module = make(None)
    misfit = _Misfit(module, weights)
    if misfit.prefix:
        weights = {name.removeprefix(misfit.prefix): value for name, value in weights.items()}
        misfit = _Misfit(module, weights)
        warnings.warn(f"{network}: took the prefix of a wrapper off its {len(weights)} names of weights", stacklevel=2)
    if misfit.classes >= 2:
        module = make(misfit.classes)
        misfit = _Misfit(module, weights)
    if misfit.text:
        raise RefusedFileError(
            f"weights of another architecture than {network}: {misfit.text}; give weights of {network}"
        )
    module.load_state_dict(weights, strict=False)
    return module


def weights_file(own: str, network: str, url: str, name: str, size: str = "") -> Path:
    """Where the weights of a network lie: the file given, torch's cache, or a download into it.

    Args:
        own: The file that the user gave; empty: none.
        network: Its name, for messages.
        url: Where to fetch them.
        name: File name in the cache. A `-0123abcd` before its ending is the start of the file's SHA-256.
        size: For messages, for example `98 MB`.

    Raises:
        MissingFileError: The file given is not there; or there is none in the cache and none can be fetched.
    """
    if own:
        if not Path(own).is_file():
            raise MissingFileError(f"{own}: there is no such file; give the path of a file of weights")
        return Path(own)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / name
    if cached.is_file():
        return cached
    try:
        _download(url, cached)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        told = f"{url} ({size})" if size else url
        raise MissingFileError(
            f"no weights for {network}, and none can be fetched here ({reason}): fetch {told} elsewhere and put it at "
            f"{cached}, or give --weights FILE (in an id weights=FILE)"
        ) from error
    return cached


def classifier_of(
    module: torch.nn.Module,
    name: str,
    path: Path,
    preprocessing: Preprocessing,
    options: NetworkOptions,
    *,
    unnormalized: bool,
    categories: Sequence[str] | None = None,
    chunk: int | None = None,
    has_own_code: bool = False,
) -> TorchClassifier:
    """The classifier of a module that a file gave its weights.

    Args:
        module: With the weights in it; nobody else's.
        name: What messages and run keys call it.
        path: The file.
        preprocessing: Input size and normalization of its own; `options` may say others.
        options: Score, device, labels, and what else is said of it.
        unnormalized: Feed pictures in [0, 1] as they are.
        categories: Names of the classes where `options` tells none.
        chunk: See `TorchClassifier`.
        has_own_code: The module is a user's, whose code is part of run keys.

    Raises:
        InvalidParameterError: An output is asked for, of which the module has one.
    """
    if options.output:
        raise InvalidParameterError(f"{name} has one output; leave output={options.output} away")
    if options.factory:
        raise InvalidParameterError(f"{name} is made by its own name; leave factory={options.factory} away")
    return TorchClassifier(
        module,
        options.feed(preprocessing, unnormalized=unnormalized),
        name=name,
        weights_digest=None if has_own_code else file_digest(path),
        score=options.score,
        categories=read_labels(options.labels) if options.labels else categories,
        device=options.device,
        chunk=chunk,
        is_own=True,
        answers=options.answers,
    )


def published_sources(who: str, options: NetworkOptions) -> Sources:
    """Who says what of a network of a package; that weights of the user are like the published ones is a guess.

    Args:
        who: Where the package has it.
        options: Of the network.
    """
    if not options.weights:
        return Sources(*(f"from {who}" for _ in fields(Sources)))
    guess = f"{ASSUMED} to be as {who} has it, as the file of weights says nothing"
    return Sources(f"{guess}; else --size", f"{guess}; {GIVE_NUMBERS}")


def _download(url: str, target: Path) -> None:
    """Fetch a file, whole or not at all; its name may tell how its SHA-256 starts."""
    from rich.progress import wrap_file  # only where something is fetched

    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
        total = int(response.headers.get("Content-Length") or 0)
        with wrap_file(response, total, description=target.name, transient=True) as stream:
            data = stream.read()
    if total and len(data) != total:
        raise ValueError(f"the connection ended after {len(data)} of {total} bytes")
    wanted = re.search(r"-([0-9a-f]{8,64})\.[a-z]+$", target.name)
    if wanted and not hashlib.sha256(data).hexdigest().startswith(wanted.group(1)):
        raise ValueError("what came is another file than its name says (SHA-256)")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, data)


def _torch_file(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about TorchScript files, which are told below
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a broken file makes torch raise
        with path.open("rb") as stream:
            is_pickle = stream.read(1) in (b"P", b"\x80")  # in a zip, or plain
        if is_pickle and isinstance(error, pickle.UnpicklingError):
            told = (
                "holds more than tensors, which could run code when loaded, so it is not read; save the state dict "
                "alone: torch.save(model.state_dict(), FILE)"
            )
        elif "TorchScript" in str(error):
            network = "scene:file/CLASS/SHAPE?weights=FILE"
            told = f"is a whole TorchScript model, no state dict; name it as network file: {network}"
        else:
            told = "is no file of weights, or is cut off; fetch or save it again"
        raise RefusedFileError(f"{path}: {told}") from error


def refuse_size(path: Path) -> None:
    """Refuse a file that is too large, or a zip that unpacks to far more than it holds: torch packs nothing.

    Raises:
        RefusedFileError: See above.
    """
    if path.stat().st_size > MOST_BYTES:
        raise RefusedFileError(f"{path}: has {path.stat().st_size} bytes; at most {MOST_BYTES} are read")
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except Exception:  # no zip, which older files are not, or a broken one: told by who reads it
        return
    if unpacked > max(SMALL_BYTES, MOST_RATIO * path.stat().st_size):
        raise RefusedFileError(
            f"{path}: unpacks to {unpacked} bytes, {MOST_RATIO} times its size or more; save it again"
        )


def _safetensors(path: Path) -> StateDict:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingExtraError(f"{path}: needs safetensors; pip install safetensors") from error
    try:
        return load_file(path)
    except Exception as error:  # safetensors has an error type of its own
        raise RefusedFileError(f"{path}: is no safetensors file, or is cut off; fetch or save it again") from error


@final
class _Misfit:
    """What keeps weights from fitting a module: names missing, unknown or of another shape, and why that may be."""

    def __init__(self, module: torch.nn.Module, weights: StateDict) -> None:
        own = module.state_dict()
        # Counters of batches, which old files lack, say nothing about an architecture.
        missing = [name for name in own if name not in weights and not name.endswith("num_batches_tracked")]
        unknown = [name for name in weights if name not in own]
        shapes = {name: (tuple(weights[name].shape), tuple(own[name].shape)) for name in own if name in weights}
        reshaped = {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}
        # Only a last layer differs, and only in its number of classes: then that number is theirs.
        counts = {(given[:1], wanted[:1]) for given, wanted in reshaped.values()}
        same = all(given and wanted and given[1:] == wanted[1:] for given, wanted in reshaped.values())
        is_head = same and len(counts) == 1 and not missing and not unknown
        self.classes = next(iter(counts))[0][0] if is_head else 0
        # All in one module more, as Lightning and other wrappers save them.
        first = next(iter(weights), "").partition(".")[0] + "."
        bare = {name.removeprefix(first) for name in weights}
        is_wrapped = bool(unknown) and all(name.startswith(first) for name in weights) and bare >= {*missing}
        self.prefix = first if is_wrapped and not any(name.startswith(first) for name in own) else ""
        parts = []
        if missing:
            parts.append(f"{len(missing)} names missing (first {missing[0]})")
        if unknown:
            parts.append(f"{len(unknown)} unknown (first {unknown[0]})")
        for name, (given, wanted) in list(reshaped.items())[:1]:
            parts.append(f"{len(reshaped)} of another shape (first {name}: {given}, must be {wanted})")
        self.text = ", ".join(parts)
