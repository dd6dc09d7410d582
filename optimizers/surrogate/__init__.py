"""A Gaussian process over theta that knows means over boxes in closed form, and what optimizers do with it.

`separable`: a product of profiles as a feature; `process`: kernels, fit and posterior; `boxes`: the largest box within
limits; `plan`: what a trajectory knows, one step of it, and where it asks next.

Points are in unit coordinates (1 is the range of a parameter or one turn); along a periodic parameter they are
relative to the start point. scipy is imported when first used.
"""
