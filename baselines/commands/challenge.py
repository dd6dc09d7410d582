"""A challenge of hidden maps: make one of a file of maps, or score regions that somebody submits to it.

Examples:
  semrob challenge --hidden-shapes 2-3 --goal mean=0.5 --out challenge
  semrob challenge --score regions.csv --challenge challenge --out scores

Making one writes two folders to --out. `public` is to be given away: maps.npz and answers.csv (questions on the maps of
all other shapes, with the largest region of each, exact), questions.csv (questions on the hidden maps: no answers, and
the SHA-256 of each map, so that nobody can change it later), and regions.csv, a submission to start from. `hidden` has
the hidden maps: keep it. Questions are the paper's start points at which the score is at least the level of the goal.

A submission is a CSV with a line a question: `question`, and `PARAMETER_lower`, `PARAMETER_upper` of each parameter, in
native units; an upper bound of azimuth may pass 360. Scoring it writes scores.md and scores.csv: for each question
whether the region holds the start point and meets the goal by exact integrals, its share of the space, and that over
the share of the optimum, 0 where it does not. No score, mean or bound of a hidden map is told. Each scoring tells a
little of the hidden maps all the same: allow few submissions.
"""

from dataclasses import dataclass
from typing import final

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Numbers
from semrob_env.recorded.function import DEFAULT_FILE


@final
@dataclass(frozen=True, kw_only=True)
class ChallengeOptions:
    maps: shared.Maps = DEFAULT_FILE
    hidden_shapes: Numbers = (2, 3)
    """object numbers of the maps that are hidden"""
    goals: shared.Goals = shared.THREE_GOALS
    score: str = ""
    """score this submission"""
    challenge: str = "results/challenge"
    """with --score: folder of the challenge"""
    out: shared.Out = "results/challenge"


main = Command(ChallengeOptions)
