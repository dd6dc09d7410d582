"""Maps of scores on a grid, recorded or computed live, as score functions whose truth is known exactly."""

from semrob_env.recorded.file import load_maps, save_maps
from semrob_env.recorded.function import RecordedMaps, make_recorded
from semrob_env.recorded.maps import HeldOutError, ScoreMaps, held_out_error

__all__ = ["HeldOutError", "RecordedMaps", "ScoreMaps", "held_out_error", "load_maps", "make_recorded", "save_maps"]
