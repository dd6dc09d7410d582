"""Synthetic score functions in 1 to 20 parameters with known answers.

Products, `synthetic:plateau?n=4&seed=0`, and what is no product, `tangled:turned?n=4&seed=0`.
"""

from semrob_env.synthetic.function import FAMILIES, Optimum, SyntheticFunction, make_synthetic
from semrob_env.synthetic.tangled import TANGLED, TangledFunction, make_tangled

__all__ = [
    "FAMILIES",
    "TANGLED",
    "Optimum",
    "SyntheticFunction",
    "TangledFunction",
    "make_synthetic",
    "make_tangled",
]
