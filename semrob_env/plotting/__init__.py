"""Pictures of results: maps with regions, bounds over queries, SRVR bars, contact sheets; colour-blind safe."""

from semrob_env.plotting.canvas import PALETTE as PALETTE
from semrob_env.plotting.canvas import save_figure as save_figure
from semrob_env.plotting.gallery import Cell as Cell
from semrob_env.plotting.gallery import gallery_figure as gallery_figure
from semrob_env.plotting.maps import Grown as Grown
from semrob_env.plotting.maps import Page as Page
from semrob_env.plotting.maps import curves_figure as curves_figure
from semrob_env.plotting.maps import map_pages as map_pages
from semrob_env.plotting.maps import maps_figure as maps_figure
from semrob_env.plotting.parameters import rates_figure as rates_figure
from semrob_env.plotting.parameters import reach_figure as reach_figure
from semrob_env.plotting.regions import BoundsHistory as BoundsHistory
from semrob_env.plotting.regions import bounds_columns as bounds_columns
from semrob_env.plotting.regions import bounds_figure as bounds_figure
from semrob_env.plotting.regions import point_label as point_label
from semrob_env.plotting.regions import projections_figure as projections_figure
from semrob_env.plotting.regions import read_points as read_points
from semrob_env.plotting.regions import region_figure as region_figure
from semrob_env.plotting.regions import sides_figure as sides_figure
from semrob_env.plotting.srvr import srvr_figure as srvr_figure
from semrob_env.plotting.views import View as View
from semrob_env.plotting.views import example_views as example_views
from semrob_env.plotting.views import side_views as side_views
