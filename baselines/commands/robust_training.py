"""Does training on failing regions buy more than training on random views? The same network, both ways and paired.

Examples:
  semrob robust_training                                      6 trials: some 5 minutes of two cores
  semrob robust_training --quick --out results/try            a tiny study, to see how it goes
  semrob robust_training --classes cup,vase,toilet --shapes 8 --added 20 --seeds 10
  semrob robust_training --ordinary "azimuth[0:360],elevation[0:30]"

A small network learns classes of procedural shapes from ordinary views, a part of the viewpoints. From the same weights
it goes on as many steps: with no other pictures; with random views of all viewpoints; with random views that fail; with
as many views from its failing regions, of the same shapes; and with as many random views as finding these has cost
renders. Every trial draws shapes, views and first weights anew, and its arms share all of them: differences are paired,
intervals (95 %, Student) are over trials. Accuracy is the share of right top answers, on shapes that nobody trained on
unless told; certified SRVR is the mean share of the box around the middle ordinary view in which the mean score is
surely at least 0.8.

Written to --out: robust_training.md, .png and .csv; trials/, one file each, so that the same command goes on.
"""

from dataclasses import dataclass
from typing import Annotated, final

from cyclopts import Parameter

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count, Names


@final
@dataclass(frozen=True, kw_only=True)
class RobustTrainingOptions(shared.WorkersOptions):
    classes: Annotated[Names, Parameter(help="of procedural shapes")] = ("cup", "bottle", "chair", "bench", "piano")
    shapes: Count = 4
    """training shapes of each class"""
    held_out: Count = 2
    """shapes of each class that nobody trains on"""
    ordinary: str = "azimuth[0:90],elevation[0:30]"
    """part of azimuth,elevation that the first pictures come from"""
    views: Count = 40
    """ordinary views of each training shape"""
    added: Count = 40
    """views that are added of each training shape, where so many fail"""
    regions: Count = 2
    """failing regions that are looked for on each training shape"""
    seeds: Count = 6
    """trials"""
    quick: bool = False
    """a tiny study that says nothing: 2 classes, 2 trials, few steps"""
    out: shared.Out = "results/robust_training"


main = Command(RobustTrainingOptions, after_interrupt="finished trials are kept; run the same command to go on")
