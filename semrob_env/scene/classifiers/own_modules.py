"""A torch module of the user: made by a function of theirs, with the weights of a file in it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import torch

from semrob_env.errors import ClassifierError, MissingExtraError, RefusedFileError
from semrob_env.scene.classifiers.base import Preprocessing
from semrob_env.scene.classifiers.options import is_trusted_factory
from semrob_env.scene.classifiers.premises import Sources
from semrob_env.scene.classifiers.weights import load_weights, read_state_dict


def made_by(factory: str, path: Path) -> torch.nn.Module:
    """The module that `module:function` makes, called without arguments, with the weights of a file.

    Names and shapes must be those of the module; the prefixes of wrappers are taken off with a warning.

    Raises:
        RefusedFileError: Nobody trusts the factory, or the weights are of another architecture.
        MissingExtraError: There is no such module.
        ClassifierError: It has no such function, or that raises, or makes something else.
        MissingFileError: There is no such file.
    """
    if not is_trusted_factory(factory):
        raise RefusedFileError(
            f"factory {factory}: making a network runs the code of that module; give --factory {factory} (in Python "
            "trust_factory) if it is yours"
        )
    weights = read_state_dict(path)  # before any code runs
    module, _, name = factory.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        make: Any = reduce(getattr, name.split("."), importlib.import_module(module))
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"factory {factory}: {error}; give the name of an importable module") from error
    except AttributeError as error:
        raise ClassifierError(f"factory {factory}: {_line(error)}; name a function of {module}") from error
    except Exception as error:  # whatever a stranger's module raises
        raise ClassifierError(f"factory {factory}: {module} cannot be imported ({_line(error)}); mend it") from error

    def made(classes: int | None) -> torch.nn.Module:
        del classes  # its number is the function's to know
        try:
            network = make()
        except Exception as error:  # as above
            raise ClassifierError(f"factory {factory} raised {_line(error)}; it is called without arguments") from error
        if not isinstance(network, torch.nn.Module):
            raise ClassifierError(f"factory {factory} made a {type(network).__name__}; must make a torch.nn.Module")
        return network

    return load_weights(made, weights, factory)


def told_by(module: torch.nn.Module) -> Preprocessing | None:
    """What a module says of its images: by an attribute `preprocessing`, or as timm's modules do; None: nothing."""
    own = getattr(module, "preprocessing", None)
    if isinstance(own, Preprocessing):
        return own
    told = getattr(module, "pretrained_cfg", None)
    if not isinstance(told, Mapping) or not {"input_size", "mean", "std"} <= told.keys():
        return None
    source = "from the module's pretrained_cfg"
    return Preprocessing(
        int(told["input_size"][-1]), tuple(told["mean"]), tuple(told["std"]), sources=Sources(source, source)
    )


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
