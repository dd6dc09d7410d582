"""Pictures of results: maps with regions, bounds over queries, SRVR bars. Colour-blind safe, readable in print."""

from semrob_env.plotting.canvas import PALETTE as PALETTE
from semrob_env.plotting.canvas import save_figure as save_figure
from semrob_env.plotting.regions import bounds_figure as bounds_figure
from semrob_env.plotting.regions import region_figure as region_figure
from semrob_env.plotting.srvr import srvr_figure as srvr_figure
from semrob_env.plotting.views import MapGrid as MapGrid
from semrob_env.plotting.views import View as View
from semrob_env.plotting.views import example_views as example_views
from semrob_env.plotting.views import map_grid as map_grid
