"""Environments of other packages: Gymnasium looks for no plug-ins itself, so the house tells it what is installed.

A package names its environments in its pyproject.toml, under the ids that `gymnasium.make` is to know:

    [project.entry-points."semrob.environments"]
    "mine/Search-v0" = "my_package.search:SearchEnv"
"""

from __future__ import annotations

from typing import Any

from semrob_env.registry import Registry

ENVIRONMENTS: Registry[Any] = Registry("environment", "semrob.environments")
"""Environment classes of plug-ins by id."""


def register_plugged_in() -> None:
    """Register the environments of plug-ins with Gymnasium; each is imported when it is made, not before."""
    import gymnasium  # slow to load: who asks for this has it

    for environment_id in ENVIRONMENTS.names():
        if environment_id not in gymnasium.registry:
            gymnasium.register(environment_id, entry_point=ENVIRONMENTS.reference(environment_id))
