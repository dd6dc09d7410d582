"""Gymnasium environments over counted queries. Importing this package registers them, and those of plug-ins.

    import gymnasium, semrob_env.envs
    env = gymnasium.make("semrob/RegionGrow-v0", function="synthetic:plateau?n=2&seed=0")
    envs = gymnasium.make_vec("semrob/RegionGrow-v0", num_envs=256, function="recorded:*")

`gymnasium.make("semrob_env.envs:semrob/RegionGrow-v0", ...)` imports it by itself.
"""

from semrob_env.environments import register_plugged_in
from semrob_env.envs.registration import register_environments

register_environments()
register_plugged_in()
