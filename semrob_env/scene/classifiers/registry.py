"""The networks that ids and scripts know by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from semrob_env.errors import NameClashError, UnknownNameError
from semrob_env.scene.classifiers.base import Classifier

ClassifierFactory = Callable[..., Classifier]
"""Called with `unnormalized` (bool) and `size` (pixels, or None for the network's own); gives a classifier."""


def _efficientnet_lite(variant: int, *, unnormalized: bool, size: int | None) -> Classifier:
    # Imported where it is used: names must be known, and misspelt ones told, without loading torch.
    from semrob_env.scene.classifiers.efficientnet_lite import efficientnet_lite

    return efficientnet_lite(variant, unnormalized=unnormalized, size=size)


NETWORKS: dict[str, ClassifierFactory] = {
    f"efficientnet_lite{variant}": partial(_efficientnet_lite, variant) for variant in (0, 1, 2)
}
"""Every known network by name."""


def register_network(name: str, factory: ClassifierFactory) -> None:
    """Let ids name a network of one's own: `register_network("mine", lambda unnormalized, size: my_classifier)`.

    Raises:
        NameClashError: The name is taken.
    """
    if name in NETWORKS:
        raise NameClashError(f"network {name!r} is registered already; choose another name")
    NETWORKS[name] = factory


@lru_cache(maxsize=8)
def load_network(name: str, *, unnormalized: bool = False, size: int | None = None) -> Classifier:
    """The network of that name, made once a process: several functions share its compiled graphs.

    Raises:
        UnknownNameError: No such network.
    """
    if name not in NETWORKS:
        raise UnknownNameError(f"unknown network {name!r}; known are {', '.join(NETWORKS)}")
    return NETWORKS[name](unnormalized=unnormalized, size=size)
