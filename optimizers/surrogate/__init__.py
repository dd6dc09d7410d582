"""A Gaussian process over theta that knows means over boxes in closed form, and what optimizers do with it.

`kernels`: one parameter; `separable`: a product of profiles as a feature; `process`: fit and posterior; `boxes`: the
largest box within limits; `design`: where to ask next; `plan`: what a trajectory knows, and one step of it.

Points are in unit coordinates (1 is the range of a parameter or one turn); along a periodic parameter they are
relative to the start point. scipy is imported when first used.
"""
