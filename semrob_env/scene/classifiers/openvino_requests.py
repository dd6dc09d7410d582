"""A model of OpenVINO, asked for one image a request, several requests at once; loads no torch."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import numpy.typing as npt

from semrob_env.processes import OPENVINO
from semrob_env.scene.classifiers.quiet_openvino import openvino
from semrob_env.types import Float32Array


@final
class Requests:
    """Runs one request a picture, as many at once as the device likes, and collects the answers in order."""

    def __init__(self, model: openvino.Model) -> None:
        OPENVINO.enter()
        compiled = openvino.Core().compile_model(model, "CPU", _config())
        self._shapes = [tuple(output.shape)[1:] for output in compiled.outputs]
        self._queue = openvino.AsyncInferQueue(compiled)
        self._queue.set_callback(_collect)
        self._lock = threading.Lock()  # functions in several threads may share a network

    def one_each(self, images: Float32Array | npt.NDArray[np.uint8]) -> Float32Array:
        """The first output (N, ...) for images (N, 3, H, W)."""
        return self([{0: image[None]} for image in images])[0]

    def __call__(self, inputs: Sequence[Mapping[int, npt.NDArray[Any]]]) -> list[Float32Array]:
        """Each output (N, ...) for N inputs by position, each of batch size 1."""
        OPENVINO.require()
        answers = [np.empty((len(inputs), *shape), dtype=np.float32) for shape in self._shapes]
        with self._lock:
            try:
                for index, one in enumerate(inputs):
                    self._queue.start_async(one, (answers, index))
            finally:
                self._queue.wait_all()  # after Ctrl-C too: nothing may run on into the next call
        return answers


def _collect(request: Any, place: tuple[list[Float32Array], int]) -> None:
    answers, index = place
    for output, own in enumerate(answers):
        own[index] = request.get_output_tensor(output).data[0]


def _config() -> dict[str, str]:
    """How a graph is compiled; the variables of the environment are those that workers of an engine are given.

    No thread is bound to a core: several processes would bind theirs to the same ones.
    """
    config = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": "NO"}
    for name, variable in (("INFERENCE_NUM_THREADS", "OMP_NUM_THREADS"), ("CACHE_DIR", "SEMROB_OPENVINO_CACHE")):
        if value := os.environ.get(variable):
            config[name] = value
    return config
