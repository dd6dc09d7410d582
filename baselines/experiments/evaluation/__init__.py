"""Evaluations: one network on some shapes, from the first view to a report that a person reads and a gate that CI asks.

`evaluate` asks; `Evaluation` is what it found; `document` writes that as JSON and rows, `page` as one HTML file.
"""

from __future__ import annotations

from baselines.experiments.evaluation.asking import Settings as Settings
from baselines.experiments.evaluation.asking import evaluate as evaluate
from baselines.experiments.evaluation.values import Evaluation as Evaluation
