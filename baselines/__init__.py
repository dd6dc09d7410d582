"""Baselines behind the same ask / tell / recommend as `optimizers`, and the experiments that compare all of them.

One question answered, judged and billed, in one call; the row holds all that tables are made of:

    >>> from baselines import solve
    >>> from semrob_env import Question, read_goal
    >>> question = Question("synthetic:hill?n=2&seed=0", (180.0, 40.0), read_goal("mean=0.5"), budget=60)
    >>> row = solve(question, "grid")
    >>> row.feasible, round(row.share, 3), row.forward_queries
    (True, 0.195, 56)

As a callable that loops of SciPy, Optuna, nevergrad, cma, pymoo and BoTorch minimize: `objective(question)`, with an
example of each in `baselines.loops`. Many questions, kept in a file and resumable: `run_tasks(tasks, store)`. A
comparison by counted queries: `compare`. Each library or idea is one file here (`baselines/grid.py`), and is loaded
where it is used: `pip install semrob[baselines]` brings nevergrad, cma and Optuna, `semrob[agents]` stable-baselines3.
"""

import os

# Before NumPy is imported, and this is the first package that a command imports. The matrices of the methods are small:
# threads of BLAS cost five times the CPU. torch, OpenVINO and numba have pools of their own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

TYPE_CHECKING = False  # as type checkers know it; `typing` is slow to load
if TYPE_CHECKING:
    from baselines.area_search import AreaSearch as AreaSearch
    from baselines.bayesian import Bayesian as Bayesian
    from baselines.bayesian_attack import BayesianAttack as BayesianAttack
    from baselines.cma_es import CmaEs as CmaEs
    from baselines.dataset import make_dataset as make_dataset
    from baselines.experiments.compare import compare as compare
    from baselines.experiments.evaluation import Evaluation as Evaluation
    from baselines.experiments.evaluation import EvaluationSettings as EvaluationSettings
    from baselines.experiments.evaluation import evaluate as evaluate
    from baselines.experiments.failures import find_failures as find_failures
    from baselines.experiments.network_comparison import compare_networks as compare_networks
    from baselines.experiments.runner import execute as execute
    from baselines.experiments.runner import run_tasks as run_tasks
    from baselines.experiments.runner import solve as solve
    from baselines.failure_distribution import FailureDistribution as FailureDistribution
    from baselines.fgsm import Fgsm as Fgsm
    from baselines.fixed_box import FixedBox as FixedBox
    from baselines.gp_box import GpBox as GpBox
    from baselines.grid import Grid as Grid
    from baselines.grid_attack import GridAttack as GridAttack
    from baselines.level_set import LevelSet as LevelSet
    from baselines.lines_product import LinesProduct as LinesProduct
    from baselines.loops import objective as objective
    from baselines.nevergrad import Nevergrad as Nevergrad
    from baselines.nevergrad_attack import NevergradAttack as NevergradAttack
    from baselines.pgd import Pgd as Pgd
    from baselines.prim import Prim as Prim
    from baselines.random_attack import RandomAttack as RandomAttack
    from baselines.random_search import RandomSearch as RandomSearch
    from baselines.reinforcement import Reinforcement as Reinforcement
    from baselines.reinforcement import register_policy as register_policy
    from baselines.scipy_search import ScipySearch as ScipySearch
    from baselines.sobol_box import SobolBox as SobolBox
    from baselines.solution_box import SolutionBox as SolutionBox
    from baselines.surrogate_attack import SurrogateAttack as SurrogateAttack
    from baselines.viewfool import ViewFool as ViewFool
    from semrob_env.store import RunRow as RunRow
    from semrob_env.store import RunStore as RunStore
    from semrob_env.store import RunTask as RunTask

    __version__: str
else:
    from semrob_env.lazy import front_door

    __getattr__, __dir__, __all__ = front_door(
        __name__,
        {
            "baselines.area_search": "AreaSearch",
            "baselines.bayesian": "Bayesian",
            "baselines.bayesian_attack": "BayesianAttack",
            "baselines.cma_es": "CmaEs",
            "baselines.dataset": "make_dataset",
            "baselines.experiments.compare": "compare",
            "baselines.experiments.network_comparison": "compare_networks",
            "baselines.experiments.evaluation": "Evaluation EvaluationSettings evaluate",
            "baselines.experiments.failures": "find_failures",
            "baselines.experiments.runner": "execute run_tasks solve",
            "baselines.failure_distribution": "FailureDistribution",
            "baselines.fgsm": "Fgsm",
            "baselines.fixed_box": "FixedBox",
            "baselines.gp_box": "GpBox",
            "baselines.grid": "Grid",
            "baselines.grid_attack": "GridAttack",
            "baselines.level_set": "LevelSet",
            "baselines.lines_product": "LinesProduct",
            "baselines.loops": "objective",
            "baselines.nevergrad": "Nevergrad",
            "baselines.nevergrad_attack": "NevergradAttack",
            "baselines.pgd": "Pgd",
            "baselines.prim": "Prim",
            "baselines.random_attack": "RandomAttack",
            "baselines.random_search": "RandomSearch",
            "baselines.reinforcement": "Reinforcement register_policy",
            "baselines.scipy_search": "ScipySearch",
            "baselines.sobol_box": "SobolBox",
            "baselines.solution_box": "SolutionBox",
            "baselines.surrogate_attack": "SurrogateAttack",
            "baselines.viewfool": "ViewFool",
            "semrob_env.store": "RunRow RunStore RunTask",
        },
    )
