"""Region optimizers by counted queries: ask, tell, recommend, batched over trajectories.

A method is told whole questions, asks for points, is told their unit scores and recommends a region at any time:

    >>> from optimizers import BoxQuadrature, run
    >>> from semrob_env import QueryOracle, Questions, make_function, read_goal
    >>> hill = make_function("synthetic:hill?n=2&seed=0")
    >>> start = hill.space.point("azimuth=180,elevation=40")
    >>> asked = Questions(hill.space, start, goal=read_goal("mean=0.5"), budget=60)
    >>> result = run(BoxQuadrature(asked), QueryOracle(hill, budget=60))
    >>> result.regions.share().round(2).tolist(), result.forward_queries.tolist()
    ([0.24], [57])

Any method by its name, those of `baselines` and of plug-ins too; `OPTIMIZERS.names()` lists them:

    >>> from optimizers import get_optimizer
    >>> get_optimizer("grid").title
    'Grid sampling'

A method of your own is a class with `_start`, `_ask` and `_tell`: `help(RegionOptimizer)`. `@register` puts it on the
list; `check_optimizer(Mine)` checks every promise and names the likely cause of what is broken.
"""

# Not by the front door: importing the module of that name would put it in the place of the function.
from optimizers.run import run as run

TYPE_CHECKING = False  # as type checkers know it; `typing` is slow to load
if TYPE_CHECKING:
    from optimizers.base import Optimizer as Optimizer
    from optimizers.base import RegionOptimizer as RegionOptimizer
    from optimizers.base import Settings as Settings
    from optimizers.box_quadrature import BoxQuadrature as BoxQuadrature
    from optimizers.check import check_optimizer as check_optimizer
    from optimizers.naive import Naive as Naive
    from optimizers.oir_b import OirB as OirB
    from optimizers.oir_w import OirW as OirW
    from optimizers.registry import OPTIMIZERS as OPTIMIZERS
    from optimizers.registry import get_optimizer as get_optimizer
    from optimizers.registry import register as register
    from optimizers.shared_quadrature import SharedQuadrature as SharedQuadrature
    from optimizers.trapezoidal import Trapezoidal as Trapezoidal
    from optimizers.unregularized import Unregularized as Unregularized

    __version__: str
else:
    from semrob_env.lazy import front_door

    __getattr__, __dir__, __all__ = front_door(
        __name__,
        {
            "optimizers.base": "Optimizer RegionOptimizer Settings",
            "optimizers.box_quadrature": "BoxQuadrature",
            "optimizers.check": "check_optimizer",
            "optimizers.naive": "Naive",
            "optimizers.oir_b": "OirB",
            "optimizers.oir_w": "OirW",
            "optimizers.registry": "OPTIMIZERS get_optimizer register",
            "optimizers.run": "run",
            "optimizers.shared_quadrature": "SharedQuadrature",
            "optimizers.trapezoidal": "Trapezoidal",
            "optimizers.unregularized": "Unregularized",
        },
    )
