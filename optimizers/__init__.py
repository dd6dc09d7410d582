"""Region optimizers by counted queries: ask, tell, recommend, batched over trajectories.

Importing the package fills the registry; a new method is one file and one line here.
"""

from optimizers.box_quadrature import BoxQuadrature as BoxQuadrature
from optimizers.naive import Naive as Naive
from optimizers.oir_b import OirB as OirB
from optimizers.oir_w import OirW as OirW
from optimizers.trapezoidal import Trapezoidal as Trapezoidal
from optimizers.unregularized import Unregularized as Unregularized
