"""Registers the environments with Gymnasium under their ids."""

from __future__ import annotations

import gymnasium

IDS = ("semrob/RegionGrow-v0", "semrob/PointSearch-v0")
"""Ids by which `gymnasium.make` and `make_vec` know the environments."""


def register_environments() -> None:
    """Register all environments; once is enough, again changes nothing."""
    for name, module in (("RegionGrow", "region_grow"), ("PointSearch", "point_search")):
        environment_id = f"semrob/{name}-v0"
        if environment_id not in gymnasium.registry:
            gymnasium.register(
                environment_id,
                entry_point=f"semrob_env.envs.{module}:{name}Env",
                vector_entry_point=f"semrob_env.envs.{module}:{name}VectorEnv",
            )
