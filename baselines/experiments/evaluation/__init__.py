"""Evaluations: one network on some shapes, from the first view to a report that a person reads and a gate that CI asks.

`evaluate` asks (`asking`); an `Evaluation` is what it found (`values`), as JSON and rows (`document`), and as one HTML
file (`page`).
"""

from __future__ import annotations

from baselines.experiments.evaluation.asking import EvaluationSettings as EvaluationSettings
from baselines.experiments.evaluation.asking import evaluate as evaluate
from baselines.experiments.evaluation.evaluation import Evaluation as Evaluation
