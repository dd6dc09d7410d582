"""A service behind HTTP as a classifier: the example of `black_box`, against a server of this test."""

from __future__ import annotations

import json
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pytest

from semrob_env import SemanticSpace
from semrob_env.errors import ClassifierError
from semrob_env.oracle import FiniteDifferences, Queries, QueryOracle
from semrob_env.scene.classifiers import black_box
from semrob_env.scene.function import SceneFunction
from semrob_env.scene.shapes import make_shape


class Service(BaseHTTPRequestHandler):
    """Answers how red, green and blue images are."""

    is_broken = False

    def do_POST(self) -> None:
        images = np.array(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        levels = np.exp(images.mean(axis=(2, 3)) * [5.0, 2.0, -3.0])
        rows = levels / levels.sum(axis=1, keepdims=True)
        self.send_response(503 if type(self).is_broken else 200)
        self.end_headers()
        self.wfile.write(json.dumps(rows.tolist()).encode())

    def log_message(self, *told: object) -> None:
        """Nothing."""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = HTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_example_of_a_service_scores_shapes_and_a_broken_one_charges_nothing(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = textwrap.dedent(str(black_box.__doc__).partition("probabilities:\n\n")[2]).replace(":8000", f":{port}")
    names: dict[str, Any] = {}
    exec(compile(example, "black_box", "exec"), names)
    service = names["service"]
    index = service.classes.index("seat")
    function = SceneFunction(service, [make_shape("cup", 0)], [index], SemanticSpace.of("azimuth,elevation"))
    theta = np.array([[200.0, 10.0]])
    level = function.images(theta).mean(axis=(2, 3))[0] * [5.0, 2.0, -3.0]
    oracle = QueryOracle(function, budget=20, finite_differences=FiniteDifferences((2.0, 2.0)))
    assert oracle.value(theta[0]) == pytest.approx(np.exp(level[1]) / np.exp(level).sum(), abs=1e-6)
    asked = Queries(theta[None], np.zeros(1, dtype=np.int64), np.ones((1, 1), dtype=bool), wants_gradient=True)
    gradients = oracle.query(asked).gradients
    assert gradients is not None
    assert np.isfinite(gradients).all()
    billed = oracle.forward_queries
    assert billed > 2
    monkeypatch.setattr(Service, "is_broken", True)
    with pytest.raises(ClassifierError, match="service-v3 failed on 1 pictures, none is charged: HTTPError"):
        oracle.value(theta[0])
    assert oracle.forward_queries == billed
