"""Semantic maps: drawn live, averaged (NSM, DSM), cut along parameters, their traps and what they say of the data."""

from semrob_env.maps.bias import ClassBias, data_bias
from semrob_env.maps.live import live_maps, map_axes, map_name, map_steps, unfinished_file
from semrob_env.maps.means import data_maps, line_shares, network_maps, overall_means, section
from semrob_env.maps.traps import Trap, semantic_traps

__all__ = [
    "ClassBias",
    "Trap",
    "data_bias",
    "data_maps",
    "line_shares",
    "live_maps",
    "map_axes",
    "map_name",
    "map_steps",
    "network_maps",
    "overall_means",
    "section",
    "semantic_traps",
    "unfinished_file",
]
