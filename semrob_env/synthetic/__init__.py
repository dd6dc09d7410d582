"""Synthetic score functions with a known answer, in 1 to 20 parameters: `synthetic:plateau?n=4&seed=0`."""

from semrob_env.synthetic.function import FAMILIES, Optimum, SyntheticFunction, make_synthetic

__all__ = ["FAMILIES", "Optimum", "SyntheticFunction", "make_synthetic"]
