"""semrob: how robust is a network to a change of viewpoint, light or distance, by counted queries.

Where Gymnasium is imported already, importing this package registers the environments, so that
`gymnasium.make("semrob_env:semrob/RegionGrow-v0", ...)` finds them; `"semrob_env.envs:..."` does so in any order.
"""

import importlib
import sys

if "gymnasium" in sys.modules:  # else it would be loaded for people who want no environment
    from semrob_env.environments import register_plugged_in

    importlib.import_module("semrob_env.envs")
    register_plugged_in()
