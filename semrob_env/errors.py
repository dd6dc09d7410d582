"""Every error semrob raises on purpose: one class per reason, each also a builtin error.

A message says what was given, what is allowed and what to do. Scripts catch `SemrobError`, print its message as
one line and end with exit code 2; with 1 after a `GateError`.
"""

from __future__ import annotations


class SemrobError(Exception):
    """Base of all errors that semrob raises on purpose."""


class GateError(SemrobError, RuntimeError):
    """What was asked for as a condition of success does not hold: a command ends with exit code 1, not 2."""


class InvalidParameterError(SemrobError, ValueError):
    """A parameter, space, hyperparameter or point is not well formed."""


class InvalidRegionError(SemrobError, ValueError):
    """Bounds of a region have the wrong shape, are upside down or not finite."""


class OutOfSpaceError(SemrobError, ValueError):
    """A theta lies outside the semantic space."""


class ShapeMismatchError(SemrobError, ValueError):
    """An array does not have the shape that was promised."""


class UnknownNameError(SemrobError, KeyError):
    """A name (class, network, method, parameter, function, shape) is not known."""

    __str__ = Exception.__str__  # KeyError's puts the message between quotes


class NameClashError(SemrobError, ValueError):
    """A name is registered twice."""


class InvalidMapsError(SemrobError, ValueError):
    """Maps of scores, or a file of them, are not well formed."""


class MissingFileError(SemrobError, FileNotFoundError):
    """A file or folder that is needed is not there."""


class RefusedFileError(SemrobError, ValueError):
    """A file from elsewhere holds what is not read: code, unknown types, or more than is allowed."""


class InvalidMeshError(SemrobError, ValueError):
    """A mesh file or mesh cannot be used."""


class InvalidPictureError(SemrobError, ValueError):
    """A picture file cannot be used."""


class ClassifierError(SemrobError, RuntimeError):
    """A classifier answered something that is not a score."""


class ScoreRangeError(SemrobError, ValueError):
    """A score lies outside the range that its function declares."""


class NoGradientError(SemrobError, TypeError):
    """A gradient was asked of a function that has none."""


class UnsupportedGoalError(SemrobError, TypeError):
    """A method is asked for the answer to another goal than that of its question, and has none."""


class NoGroundTruthError(SemrobError, TypeError):
    """The exact answer for a function is not known."""


class BudgetExhausted(SemrobError, RuntimeError):
    """A direct call would spend more than the budget; nothing was charged."""


class InvalidBudgetError(SemrobError, ValueError):
    """A budget or another count is zero, negative or not a number."""


class ProtocolError(SemrobError, RuntimeError):
    """ask, tell and recommend were called in an order that makes no sense."""


class OtherProcessError(SemrobError, RuntimeError):
    """A meter, a network or a renderer was carried into a process where it cannot work."""


class StoreError(SemrobError, RuntimeError):
    """A run store cannot be opened, read or written."""


class InvalidRowError(StoreError):
    """A row holds what a run store cannot keep: a number or text that is too large, a value of another type."""


class WorkerError(SemrobError, RuntimeError):
    """Workers of an engine cannot be reached, die before they finish anything, or lack what others have."""


class OutputError(SemrobError, OSError):
    """A folder or file cannot be written."""


class MissingExtraError(SemrobError, ImportError):
    """An optional library is needed and not installed."""


class PluginError(SemrobError, ImportError):
    """A plug-in that was asked for by name cannot be imported, or brings something else."""


class PluginWarning(UserWarning):
    """A plug-in is left out because it cannot be imported, or its name is taken."""


class CacheWarning(UserWarning):
    """What was compiled cannot be kept on disk."""


class LookWarning(UserWarning):
    """A mesh file says something about its looks that is not drawn."""


class ContractError(SemrobError, AssertionError):
    """A checker found that an optimizer or environment breaks a promise."""


class LibraryError(SemrobError, ValueError):
    """A folder or library of shapes cannot be read, or holds none."""


class AmbiguousNameError(SemrobError, LookupError):
    """A name fits several things."""


class InvalidActionError(SemrobError, ValueError):
    """An action of an environment has the wrong shape or is no number."""


class ResetNeededError(SemrobError, RuntimeError):
    """A step was taken before the first reset or after the end of an episode."""
