"""semrob: how robust is a classifier to a change of viewpoint, light or distance, by counted queries.

f(theta) is the score that a classifier gives to a 3-D shape rendered at semantic parameters theta. Somebody asks a
question: around this start point, for this goal and budget, how large a region is there in which f is good? Whoever
answers pays for every query on one meter, and a judge says how good the answer is, on points that nobody asked.

A function has an id, and its unit scores lie in [0, 1]. `scene:efficientnet_lite0/cup/procedural:3` renders a cup,
`photo:efficientnet_lite0/tabby/file:cat.jpg` turns and tilts a photograph; formulas with known answers need no
renderer:

    >>> from semrob_env import QueryOracle, make_function
    >>> hill = make_function("synthetic:hill?n=2&seed=0")
    >>> start = hill.space.point("azimuth=180,elevation=40")
    >>> oracle = QueryOracle(hill, budget=10)
    >>> round(oracle.value(start), 3), oracle.forward_queries.tolist()
    (0.888, [1])

A goal says what makes a region good; the best region is known here, and a judge agrees:

    >>> from semrob_env import Judge, judge_regions, optimum, read_goal
    >>> goal = read_goal("reliability=0.95,level=0.5")
    >>> best = optimum(hill, start, goal)
    >>> goal.words, round(best.share, 3)
    ('score at least 0.5 in 95 % of the views', 0.103)
    >>> judge_regions(hill, best.region, judge=Judge(goal)).feasible.tolist()
    [True]

`certify` says which regions surely meet it, and `shrink` offers parts of the others that do.

Your own function of N points theta (N, n):

    >>> from semrob_env import CallableFunction, SemanticSpace
    >>> space = SemanticSpace.of("azimuth,elevation")
    >>> mine = CallableFunction(space, lambda theta: theta[:, 1] / 90 > 0.5, name="mine")
    >>> mine.values([[space.point("azimuth=130,elevation=60")]]).tolist()
    [[1.0]]

A picture alone, without any network:

    >>> from semrob_env import picture, render
    >>> picture(render("cup:3", "azimuth=200,elevation=10", size=64)).size
    (64, 64)

Who answers: `help(optimizers)`, `help(baselines)`. Where Gymnasium is imported already, importing this package
registers the environments, so that `gymnasium.make("semrob_env:semrob/RegionGrow-v0", ...)` finds them;
`"semrob_env.envs:..."` does so in any order.
"""

import sys
from importlib import import_module

TYPE_CHECKING = False  # as type checkers know it; `typing` is slow to load
if TYPE_CHECKING:
    from semrob_env.functions import CallableFunction as CallableFunction
    from semrob_env.functions import ScoreFunction as ScoreFunction
    from semrob_env.functions import make_function as make_function
    from semrob_env.ground_truth import exact_moments as exact_moments
    from semrob_env.ground_truth import optimum as optimum
    from semrob_env.metrics import Judge as Judge
    from semrob_env.metrics import certify as certify
    from semrob_env.metrics import judge_regions as judge_regions
    from semrob_env.metrics import shrink as shrink
    from semrob_env.oracle import FiniteDifferences as FiniteDifferences
    from semrob_env.oracle import QueryOracle as QueryOracle
    from semrob_env.parameters import SemanticSpace as SemanticSpace
    from semrob_env.questions import MeanGoal as MeanGoal
    from semrob_env.questions import Question as Question
    from semrob_env.questions import Questions as Questions
    from semrob_env.questions import ReliabilityGoal as ReliabilityGoal
    from semrob_env.questions import read_goal as read_goal
    from semrob_env.regions import Regions as Regions
    from semrob_env.scene.images import picture as picture
    from semrob_env.scene.images import render as render

    __version__: str
else:
    from semrob_env.lazy import front_door

    __getattr__, __dir__, __all__ = front_door(
        __name__,
        {
            "semrob_env.functions": "CallableFunction ScoreFunction make_function",
            "semrob_env.ground_truth": "exact_moments optimum",
            "semrob_env.metrics": "Judge certify judge_regions shrink",
            "semrob_env.oracle": "FiniteDifferences QueryOracle",
            "semrob_env.parameters": "SemanticSpace",
            "semrob_env.questions": "MeanGoal Question Questions ReliabilityGoal read_goal",
            "semrob_env.regions": "Regions",
            "semrob_env.scene.images": "picture render",
        },
    )

if "gymnasium" in sys.modules:  # else it would be loaded for people who want no environment
    import_module("semrob_env.envs")
