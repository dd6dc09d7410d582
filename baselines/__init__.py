"""Baselines behind the same ask / tell / recommend as `optimizers`: one library or idea per file.

Importing the package fills the registry of `optimizers` with them; libraries are loaded where they are used.
"""

import os

# Before NumPy is imported, and this is the first package that a command imports. The matrices of the methods are small:
# threads of BLAS cost five times the CPU. torch, OpenVINO and numba have pools of their own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from baselines.bayesian import Bayesian as Bayesian
from baselines.bayesian_attack import BayesianAttack as BayesianAttack
from baselines.cma_es import CmaEs as CmaEs
from baselines.fgsm import Fgsm as Fgsm
from baselines.grid import Grid as Grid
from baselines.nevergrad import Nevergrad as Nevergrad
from baselines.pgd import Pgd as Pgd
from baselines.random_attack import RandomAttack as RandomAttack
from baselines.random_search import RandomSearch as RandomSearch
from baselines.reinforcement import Reinforcement as Reinforcement
from baselines.scipy_search import ScipySearch as ScipySearch
