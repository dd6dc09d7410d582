"""Saved agents: a folder with `agent.json`, all that is not a weight, and `policy.pt`, the weights and nothing else.

Both are read without running anything: JSON with known keys, and `torch.load(weights_only=True)` of a file that must
hold the tensors that the JSON announces, and has the hash that it names. A model that stable-baselines3 saved itself, a
zip with pickled code, is refused; load one that you trust yourself and hand it to `baselines.reinforcement.
register_policy`.

`agent.json`: `format`, `version`, `algorithm`, `parameters` (names, in order), `rules` (`RegionRules`, the goal as
text), `sizes` (of observation and layers), `squashes`, `weights` (SHA-256 of policy.pt), `training` (whatever tells how
it was made).
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import pickletools
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from baselines.agents.actor import Actor
from semrob_env.errors import MissingFileError, RefusedFileError, SemrobError
from semrob_env.files import output_folder, write_whole

FORMAT, VERSION = "semrob agent", 1
DESCRIPTION, WEIGHTS = "agent.json", "policy.pt"

MOST_BYTES = 2**26
"""Largest file that is read."""
MOST_NUMBERS = 2**24
"""Most weights in all."""

MOST_REPEATS = 16
"""Most times that a pickle of weights may use one of its containers again; torch.save does so a few times."""

_CONTAINERS = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE", "LIST", "EMPTY_LIST", "DICT", "EMPTY_DICT"}

_KEYS = {
    "format": str,
    "version": int,
    "algorithm": str,
    "parameters": list,
    "rules": dict,
    "sizes": list,
    "squashes": bool,
    "weights": str,
    "training": dict,
}


@final
@dataclass(frozen=True, eq=False)
class SavedAgent:
    """An agent and what it was made for."""

    actor: Actor  # its network
    algorithm: str  # which algorithm trained it
    parameters: tuple[str, ...]  # names of the parameters of the space it plays in
    rules: Mapping[str, Any]  # fields of `semrob_env.envs.game.RegionRules` that it was trained with, the goal as text
    training: Mapping[str, Any] = field(default_factory=dict)  # how it was trained; free, JSON


def save_agent(folder: str | Path, agent: SavedAgent) -> Path:
    """Write an agent; the same agent gives the same bytes.

    Raises:
        OutputError: The folder cannot be written.
    """
    import torch  # here, for it takes seconds to import

    target = output_folder(folder)
    tensors = {
        f"{index}.{part}": torch.from_numpy(array.copy())
        for index, layer in enumerate(agent.actor.layers)
        for part, array in zip(("weight", "bias"), layer, strict=True)
    }
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    text = {
        "format": FORMAT,
        "version": VERSION,
        "algorithm": agent.algorithm,
        "parameters": list(agent.parameters),
        "rules": dict(agent.rules),
        "sizes": list(agent.actor.sizes),
        "squashes": agent.actor.squashes,
        "weights": hashlib.sha256(buffer.getvalue()).hexdigest(),
        "training": dict(agent.training),
    }
    write_whole(target / WEIGHTS, buffer.getvalue())
    write_whole(target / DESCRIPTION, json.dumps(text, indent=1) + "\n")
    return target


def load_agent(folder: str | Path) -> SavedAgent:
    """Read what `save_agent` wrote, and nothing else; no code in a file is run.

    Raises:
        MissingFileError: No such folder, or a file of it is missing.
        RefusedFileError: Not a saved agent, a damaged one, or one that holds anything but weights.
    """
    text = _description(folder)
    data = _bytes(Path(folder), WEIGHTS)
    if hashlib.sha256(data).hexdigest() != text["weights"]:
        raise RefusedFileError(f"{Path(folder) / WEIGHTS} is not the file that {DESCRIPTION} speaks of; save it again")
    layers = _layers(Path(folder) / WEIGHTS, data, text["sizes"])
    try:
        actor = Actor(layers, text["squashes"])
    except SemrobError as error:
        raise RefusedFileError(f"{Path(folder) / WEIGHTS}: {error}") from error
    return SavedAgent(actor, text["algorithm"], tuple(text["parameters"]), text["rules"], text["training"])


def agent_digest(folder: str | Path) -> str:
    """A hash that pins a saved agent: of its description, which names the hash of its weights.

    Raises:
        MissingFileError, RefusedFileError: As `load_agent`.
    """
    _description(folder)
    return hashlib.sha256(_bytes(Path(folder), DESCRIPTION)).hexdigest()[:16]


def _bytes(folder: Path, name: str) -> bytes:
    path = folder / name
    if folder.is_file():
        raise RefusedFileError(
            f"{folder} is a file; give the folder of a saved agent (a zip of stable-baselines3 holds pickled code: "
            "load one that you trust yourself and call register_policy)"
        )
    if not path.is_file():
        raise MissingFileError(f"no saved agent in {folder}: {name} is missing; scripts/train_agent.py makes one")
    if path.stat().st_size > MOST_BYTES:
        raise RefusedFileError(f"{path} has {path.stat().st_size} bytes; an agent has at most {MOST_BYTES}")
    return path.read_bytes()


def _description(folder: str | Path) -> dict[str, Any]:
    """The checked contents of agent.json."""
    path = Path(folder) / DESCRIPTION
    data = _bytes(Path(folder), DESCRIPTION)
    try:
        text = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RefusedFileError(f"{path} is no JSON: {error}") from error
    if not isinstance(text, dict) or text.get("format") != FORMAT or text.get("version") != VERSION:
        raise RefusedFileError(f"{path} is no saved agent of version {VERSION}; train it again")
    wrong = [key for key, kind in _KEYS.items() if type(text.get(key)) is not kind] + sorted(set(text) - set(_KEYS))
    if not wrong:
        sizes, names = text["sizes"], text["parameters"]
        is_sized = len(sizes) > 1 and all(type(size) is int and 0 < size <= 2**16 for size in sizes)
        if not is_sized or sum(one * other for one, other in itertools.pairwise(sizes)) > MOST_NUMBERS:
            wrong = ["sizes"]
        elif not all(isinstance(name, str) for name in names):
            wrong = ["parameters"]
    if wrong:
        raise RefusedFileError(f"{path}: {wrong[0]!r} is missing, unknown or malformed; train the agent again")
    return text


def _layers(path: Path, data: bytes, sizes: list[int]) -> tuple[Any, ...]:
    """The layers of a weights file, which must be float32 tensors of these sizes and nothing else."""
    import torch  # here, for it takes seconds to import

    found = read_tensors(path, data, MOST_BYTES)
    expected: dict[str, tuple[int, ...]] = {}
    for index, (own, out) in enumerate(itertools.pairwise(sizes)):
        expected |= {f"{index}.weight": (out, own), f"{index}.bias": (out,)}
    is_weights = isinstance(found, dict) and found.keys() == expected.keys()
    if not is_weights or not all(
        type(found[name]) is torch.Tensor and found[name].dtype == torch.float32 and tuple(found[name].shape) == shape
        for name, shape in expected.items()
    ):
        raise RefusedFileError(f"{path} does not hold the weights that {DESCRIPTION} announces")
    arrays = [np.array(found[name].detach().numpy()) for name in expected]
    return tuple(zip(arrays[::2], arrays[1::2], strict=True))


def _repeats(pickled: bytes) -> int:
    """How often a pickle uses a tuple, list or dict again: each time may double what it takes to hash or compare it."""
    containers: set[object] = set()
    before, place, count = "", 0, 0
    for code, argument, _ in pickletools.genops(pickled):
        if code.name in {"BINPUT", "LONG_BINPUT", "PUT", "MEMOIZE"}:
            if before in _CONTAINERS:
                containers.add(place if argument is None else argument)
            place += 1
        else:
            count += code.name == "DUP" or (code.name.endswith("GET") and argument in containers)
            before = code.name
    return count


def read_tensors(path: Path, data: bytes, most_bytes: int) -> Any:
    """What `torch.load(weights_only=True)` reads: tensors, numbers and text; no code is run.

    Raises:
        RefusedFileError: Something else, or more than `most_bytes` after unpacking.
    """
    import torch  # here, for it takes seconds to import

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
            names = [name for name in archive.namelist() if name.endswith(".pkl")]
            is_read = unpacked <= 2 * most_bytes
            if is_read and any(_repeats(archive.read(name)) > MOST_REPEATS for name in names):
                raise ValueError("a container is used again and again")
        if is_read:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about files that others wrote
                return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # a file from elsewhere may make it raise anything
        raise RefusedFileError(f"{path} holds something else than weights and is not read") from error
    raise RefusedFileError(f"{path} unpacks to {unpacked} bytes; at most {2 * most_bytes} are read")
