"""Measure networks: OpenVINO against torch, answers alone against answers in a batch, gradients against values.

Examples:
  semrob benchmark_networks
  semrob benchmark_networks --networks AlexNet,ResNet-50 --random-weights
  semrob benchmark_networks --networks torchvision/resnet50 --weights resnet50-0676ba61.pth --repeats 9

On renders of a cup and a chair, for each network: the largest difference between a score (any class) by OpenVINO and
by torch eager, and the share of pictures with the same top answer; whether an answer is the same alone and in any
batch (moved: the largest difference; 0 means the same bytes) with what is in use, with torch in padded chunks, and with
plain torch, whose kernels depend on the size of a batch; milliseconds a picture and ratios of speed; the cost of a
value with its gradient as a multiple of a value, for the classifier and for f at n = 2 and n = 6, and what part of it
the classifier and the derivative pictures take.
Times vary between machines and runs, ratios much less: medians over repeats in which all sides are timed in turn.

--random-weights gives torchvision's networks seeded random weights, with batch norms that fit the renders and the last
layer scaled so that logits spread as those of a trained network do: to measure speed and agreement without weights.
"""

from dataclasses import dataclass
from typing import final

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count, Repeats
from semrob_env.scene.classifiers.registry import NETWORKS


@final
@dataclass(frozen=True, kw_only=True)
class BenchmarkNetworksOptions(shared.Networks):
    networks: shared.NetworkNames = tuple(NETWORKS)
    random_weights: bool = False
    """for torchvision's networks without --weights"""
    batch: Count = 16
    """pictures a call"""
    repeats: Repeats = 5
    """repeats that medians are taken over"""
    imports: shared.Imports = ()
    seed: shared.Seed = 0
    out: shared.Out = "results/networks"


main = Command(BenchmarkNetworksOptions)
