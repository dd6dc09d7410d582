"""Region optimizers by counted queries: ask, tell, recommend, batched over trajectories.

Importing the package fills the registry; a new method is one file and one line here.
"""

from optimizers import naive as naive
from optimizers import oir_b as oir_b
from optimizers import oir_w as oir_w
from optimizers import trapezoidal as trapezoidal
from optimizers import unregularized as unregularized
