"""Writes folders like the release of the paper's authors, with Python's own pickler, so that tests need no real one."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
STARTS = [(130, 30), (50, 20), (200, 15), (310, 50)]
KEYS = ("naive", "OIR_B", "OIR_W")


class NInterval:
    """Stands for scale_robustness.n_interval."""

    def __init__(self, lower: Any, upper: Any) -> None:
        self.n = 2
        self.a, self.b = np.array(lower, dtype=np.float64), np.array(upper, dtype=np.float64)
        ends = zip(self.a.tolist(), self.b.tolist(), strict=True)
        self.region = [Interval((low, high)) for low, high in ends]
        self.mask = np.asfortranarray([[0, 0, 1, 1], [0, 1, 0, 1]])


class Interval(tuple[Any, ...]):
    """Stands for interval.interval of pyinterval."""

    def __new__(cls, *parts: tuple[float, float]) -> Interval:
        return super().__new__(cls, parts)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return tuple(self)


for kind, module, name in ((NInterval, "scale_robustness", "n_interval"), (Interval, "interval", "interval")):
    kind.__module__, kind.__qualname__, kind.__name__ = module, name, name


def pickled(value: object, protocol: int = 2) -> bytes:
    """One pickle of a value that may hold the classes above."""
    robustness, interval = ModuleType("scale_robustness"), ModuleType("interval")
    robustness.__dict__["n_interval"], interval.__dict__["interval"] = NInterval, Interval
    with mock.patch.dict(sys.modules, {"scale_robustness": robustness, "interval": interval}):
        return pickle.dumps(value, protocol=protocol)


def legacy(program: bytes) -> bytes:
    """A legacy torch file around the pickle of its value."""
    return b"".join((pickled(MAGIC), pickled(1001), pickled(SYSTEM), program, pickled([])))


def legacy_file(value: object) -> bytes:
    """A legacy torch file of a value."""
    return legacy(pickled(value))


def map_value(network: str = "ResNet50", class_number: int = 4, number: int = 0) -> dict[str, Any]:
    """What a map.pt holds; the scores tell azimuth, elevation and object apart."""
    azimuth, elevation = np.meshgrid(3 * np.arange(120), 3 * np.arange(34) - 10)
    scores = (azimuth / 720 + (elevation + 10) / 400 + number / 100 + class_number / 1000).astype(np.float32)
    return {
        "xx": azimuth,
        "yy": elevation,
        "z": scores,
        "class_nb": class_number,
        "shape_id": f"shape{class_number}{number}",
        "network_name": network,
    }


def optim_value(network: str = "ResNet50", class_number: int = 4, number: int = 0, steps: int = 3) -> dict[str, Any]:
    """What an optim.pt holds: regions that grow by 1 degree a step, and by another one after the last row."""
    value: dict[str, Any] = {}
    for key in KEYS:
        points = [np.array(start) for start in STARTS]
        value[key] = {
            "optim_trace": [[(point - k - 1e-5, point + k + 1e-5) for k in range(steps)] for point in points],
            "loss_trace": [[np.float64(-k) for k in range(steps)] for _ in points],
            "regions": [NInterval(point - steps, point + steps) for point in points],
        }
    value["initial_point"] = [np.array(start) for start in STARTS]
    identity = map_value(network, class_number, number)
    return value | {key: identity[key] for key in ("class_nb", "shape_id", "network_name")}


def write_object(root: Path, network: str = "ResNet50", class_number: int = 4, number: int = 0) -> Path:
    """The folder of one object with both files."""
    folder = root / "checkpoint" / network / str(class_number) / str(number)
    folder.mkdir(parents=True)
    (folder / "map.pt").write_bytes(legacy_file(map_value(network, class_number, number)))
    (folder / "optim.pt").write_bytes(legacy_file(optim_value(network, class_number, number)))
    return folder
