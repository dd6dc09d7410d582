"""Gymnasium environments over counted queries. Importing this package registers them, and those of plug-ins.

    import gymnasium, semrob_env.envs
    env = gymnasium.make("semrob/RegionGrow-v0", function="synthetic:plateau?n=2&seed=0")
    envs = gymnasium.make_vec("semrob/RegionGrow-v0", num_envs=256, function="recorded:*")

`gymnasium.make("semrob_env.envs:semrob/RegionGrow-v0", ...)` imports it by itself.
"""

import gymnasium

from semrob_env.environments import register_plugged_in

for _name, _module in (("RegionGrow", "region_grow"), ("PointSearch", "point_search")):
    if f"semrob/{_name}-v0" not in gymnasium.registry:
        gymnasium.register(
            f"semrob/{_name}-v0",
            entry_point=f"semrob_env.envs.{_module}:{_name}Env",
            vector_entry_point=f"semrob_env.envs.{_module}:{_name}VectorEnv",
        )
register_plugged_in()
