"""The default network on real shapes: same bytes after a restart, and maps that agree with the recorded ones."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semrob_env.functions import make_function
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.classes import CLASS_INDEX
from semrob_env.scene.classifiers.registry import load_network
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.mesh import normalize
from semrob_env.scene.mesh_files import load_mesh
from semrob_env.types import FloatArray

SHARED = Path(__file__).resolve().parents[3] / "shared"
SPACE = SemanticSpace.of("azimuth,elevation")
FUNCTION_ID = "scene:efficientnet_lite0/cup/procedural:1?params=azimuth,elevation"

DIGEST_PROGRAM = """
import hashlib, sys
import numpy as np
from semrob_env.functions import make_function

function = make_function(sys.argv[1])
theta = function.space.sample(6, np.random.default_rng(0))[:, None]
parts = [*function.values_and_gradients(theta[::-1]), function.values(theta[::-1])]
print(hashlib.sha256(b"".join(part[::-1].tobytes() for part in parts)).hexdigest())
"""


@pytest.mark.slow
def test_the_default_network_gives_the_same_bytes_in_any_batch_and_after_a_restart() -> None:
    function = make_function(FUNCTION_ID)
    theta = SPACE.sample(64, np.random.default_rng(0))[:, None]
    values = function.values(theta)
    order = np.random.default_rng(1).permutation(64)
    for rows in (np.array([3]), np.arange(7), order):
        assert function.values(theta[rows]).tobytes() == values[rows].tobytes()
    assert function.values(theta.reshape(1, 64, 2)).tobytes() == values.tobytes()

    parts = [*function.values_and_gradients(theta[:6]), values[:6]]
    here = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
    command = [sys.executable, "-c", DIGEST_PROGRAM, FUNCTION_ID]
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert again.stdout.strip() == here


def recorded_map(network: str, class_name: str, number: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Azimuth (A,), elevation (E,) and scores (A, E) of a recorded map, read without running anything in the file."""
    path = SHARED / "recorded" / "checkpoint" / network / str(list(CLASS_INDEX).index(class_name)) / str(number)
    known: list[Any] = [
        (np.zeros(0).__reduce__()[0], "numpy.core.multiarray._reconstruct"),
        np.ndarray,
        np.dtype,
        *(type(np.dtype(kind)) for kind in ("f4", "f8", "i8")),
    ]
    with torch.serialization.safe_globals(known):
        stored = torch.load(path / "map.pt", weights_only=True)
    azimuth, elevation, scores = (np.asarray(stored[name], dtype=np.float64) for name in ("xx", "yy", "z"))
    return azimuth[0] if azimuth.ndim == 2 else azimuth, np.unique(elevation), scores.T


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded maps and ShapeNet shapes are not beside the project")
def test_live_maps_correlate_with_the_recorded_maps_of_the_same_shapes() -> None:
    azimuth_deg, elevation_deg = np.arange(0.0, 360.0, 30.0), np.arange(-10.0, 90.0, 15.0)
    theta = np.stack(np.meshgrid(azimuth_deg, elevation_deg, indexing="ij"), axis=-1)
    classifier = load_network("efficientnet_lite0")
    correlations = {}
    for row in csv.DictReader((SHARED / "shapes" / "index.csv").read_text().splitlines()):
        path = SHARED / "shapes" / row["class"] / row["shape_id"] / "models" / "model_normalized.obj"
        function = SceneFunction(classifier, [normalize(load_mesh(path))], [int(row["imagenet_index"])], SPACE)
        live = function.values(theta)
        azimuth, elevation, scores = recorded_map("ResNet50", row["class"], int(row["object"]))
        chosen = np.ix_(np.searchsorted(azimuth, azimuth_deg), np.searchsorted(elevation, elevation_deg))
        correlations[row["class"], row["object"]] = float(np.corrcoef(live.ravel(), scores[chosen].ravel())[0, 1])
    assert len(correlations) == 20
    assert np.median(list(correlations.values())) >= 0.55, correlations
