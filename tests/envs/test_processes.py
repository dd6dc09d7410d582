"""Copies, forks and threads: environments and live functions in a process other than their own, and beside others."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

import semrob_env.envs  # noqa: F401  (registers the environments)
from semrob_env.envs.region_grow import RegionGrowVectorEnv
from semrob_env.errors import OtherProcessError
from semrob_env.functions import Complement, Stack, make_function
from semrob_env.parameters import SemanticSpace
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.registry import NETWORKS, forget_networks, register_network
from semrob_env.scene.classifiers.torch_module import TorchClassifier
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.shapes import make_shape

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")


def made(unnormalized: bool = False, size: int | None = None) -> TorchClassifier:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 5, stride=4), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4, 1000)
    )
    return TorchClassifier(network, Preprocessing(size or 32), name="small")


@pytest.fixture
def live() -> Iterator[str]:
    """The id of a function of a small network."""
    register_network("small", made)
    yield "scene:small/cup/procedural:3?params=azimuth,elevation"
    del NETWORKS["small"]
    forget_networks()


def script(code: str, **variables: str) -> str:
    """What a program of its own prints; the small network is known to it."""
    head = (
        "import tests.envs.test_processes as own; from semrob_env.scene.classifiers.registry import register_network; "
        "register_network('small', own.made); live = 'scene:small/cup/procedural:3?params=azimuth,elevation'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", head + code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def played(env: Any) -> list[Any]:
    """What an environment shows in the middle of an episode, and after another reset."""
    shown = [env.step(np.full(env.action_space.shape, 0.3, dtype=np.float32)) for _ in range(2)]
    shown.append(env.reset(options={"start": "random"}))
    return shown


@pytest.mark.parametrize("image", [False, True])
def test_a_copied_or_pickled_environment_of_a_scene_goes_on_alike(live: str, image: bool) -> None:
    env = gymnasium.make("semrob/PointSearch-v0", function=live, budget=9, image=image, render_mode="rgb_array")
    env.reset(seed=3)
    if not image:
        env.render()
    copies = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    expected = played(env)
    for again in copies:
        np.testing.assert_equal(played(again), expected)
    spent = copies[0].unwrapped.oracle  # bills are apart
    copies[1].step(np.zeros(2, dtype=np.float32))
    assert spent.forward_queries.tolist() == [1]


def test_a_vector_environment_of_a_scene_can_be_pickled(live: str) -> None:
    env = RegionGrowVectorEnv(live, num_envs=2, budget=40)
    env.reset(seed=3)
    again = pickle.loads(pickle.dumps(env))
    actions = np.full((2, 4), 0.3, dtype=np.float32)
    np.testing.assert_equal(again.step(actions), env.step(actions))


def test_live_functions_travel_by_their_id_and_copies_share_the_network(live: str) -> None:
    function = make_function(live)
    for one in (function, Complement(function), Stack([function, function])):
        again = pickle.loads(pickle.dumps(one))
        assert again.id == one.id
        assert again.values([[[10.0, 20.0]]]).tolist() == one.values([[[10.0, 20.0]]]).tolist()
    assert copy.deepcopy(function) is function
    assert len(pickle.dumps(function)) < 500
    by_hand = SceneFunction(made(), [make_shape("cup", 0)], [0], SemanticSpace.of("azimuth"))
    with pytest.raises(OtherProcessError, match=r"the network small cannot leave its process; .* register_network"):
        pickle.dumps(by_hand)


@needs_fork
@pytest.mark.slow
def test_a_forked_worker_is_told_to_be_spawned_instead_of_waiting_for_ever() -> None:
    told = script(
        """
import gymnasium, os
env = gymnasium.vector.AsyncVectorEnv(
    [lambda: gymnasium.make("semrob/PointSearch-v0", function=live, budget=10)] * 2, context="fork"
)
try:
    env.reset(seed=0)
except Exception as error:
    print(type(error).__name__, error, flush=True)
env.close(terminate=True)
function = gymnasium.make("semrob/PointSearch-v0", function=live, budget=10).unwrapped.function
function.values([[[10.0, 20.0]]])
if not os.fork():
    for ask in (
        lambda: function.images([[10.0, 20.0]]), lambda: function.classifier.scores(None, function.class_indices)
    ):
        try:
            ask()
        except Exception as error:
            print(type(error).__name__, error, flush=True)
    os._exit(0)
os.wait()
""",
        NUMBA_THREADING_LAYER="omp",
    )
    lines = told.splitlines()
    assert [line.partition(" was used before")[0] for line in lines] == [
        "OtherProcessError torch",
        "OtherProcessError the renderer (OpenMP)",
        "OtherProcessError torch",
    ]
    assert all('context="spawn"' in line for line in lines)


@needs_fork
@pytest.mark.slow
def test_threads_that_render_wait_their_turn_where_numba_has_only_its_own_threads() -> None:
    told = script(
        """
import threading
import numpy as np
from semrob_env.scene.camera import Scenes
from semrob_env.scene.renderers import Rasterizer
from semrob_env.scene.shapes import make_shape
mesh, pictures = make_shape("cup", 3), {}
def go(k):
    renderer = Rasterizer(64)
    pictures[k] = [renderer.render(mesh, Scenes.from_parameters({"azimuth": np.arange(8.0) + k})) for _ in range(20)]
go(0)
once, threads = pictures[0][0], [threading.Thread(target=go, args=(k,)) for k in range(4)]
[one.start() for one in threads]
[one.join() for one in threads]
print(len(pictures), all((picture == once).all() for picture in pictures[0]))
""",
        NUMBA_THREADING_LAYER="workqueue",
    )
    assert told == "4 True\n"


@needs_fork
def test_an_environment_begins_anew_in_a_forked_worker() -> None:
    code = """
import os
import gymnasium, semrob_env.envs
env = gymnasium.make("semrob/PointSearch-v0", function="synthetic:hill?n=2&seed=0", budget=10)
env.reset(seed=0)
if not os.fork():
    try:
        env.step([0.1, 0.1])
    except Exception as error:
        print(type(error).__name__, flush=True)
    env.reset()
    print(env.step([0.1, 0.1])[4]["forward_queries"], flush=True)
    os._exit(0)
os.wait()
print(env.unwrapped.oracle.forward_queries.tolist())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["OtherProcessError", "2", "[1]"]
