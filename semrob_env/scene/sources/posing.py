"""Puts shapes of files up: one pose for all, or one for those whose names fit a pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from semrob_env.errors import InvalidParameterError
from semrob_env.scene.pose import Pose
from semrob_env.scene.sources.base import ShapeInfo

MOST_LISTED = 6
"""Names that a message lists."""


def posed(
    shapes: Sequence[ShapeInfo],
    *,
    up: str | Sequence[str] = (),
    front: str | Sequence[str] = (),
    rotate: Sequence[str] = (),
    scale: str | Sequence[str] = (),
    node: Sequence[str] = (),
) -> tuple[ShapeInfo, ...]:
    """Shapes of files put up as asked; built-in ones stand as they are.

    Each choice is VALUE, for all that no pattern fits, or PATTERN=VALUE, for shapes whose name fits by the rules of
    `fnmatch`: the path below the folder that was given, or the name of a file given by itself. Of several that fit the
    last one counts.

    Args:
        shapes: The shapes.
        up: Of `Pose`, as the others; a text may hold several with commas between them, as in `y,*.stl=z`.
        front: As `up`.
        rotate: A text each: `x=90,z=-30` or `*.stl=x=90,z=-30`.
        scale: As `up`.
        node: A text each; a name that holds `=` is written `*=NAME`.

    Raises:
        InvalidParameterError: A pattern that fits nothing, a pose that is not well formed, or only built-in shapes.
    """
    is_file = [not shape.source.startswith("procedural:") for shape in shapes]
    names = [shape.name for shape, file in zip(shapes, is_file, strict=True) if file]
    asked = {
        "up": _rules(_parts(up)),
        "front": _rules(_parts(front)),
        "rotate": _rules(rotate, plain=("x", "y", "z")),
        "scale": _rules(_parts(scale)),
        "node": _rules(node),
    }
    if any(asked.values()) and not names:
        raise InvalidParameterError("--up, --front, --rotate, --scale and --node are for meshes of files; give one")
    for option, rules in asked.items():
        for pattern, _ in rules:
            if pattern and not any(fnmatchcase(name, pattern) for name in names):
                more = f" and {len(names) - MOST_LISTED} more" * (len(names) > MOST_LISTED)
                raise InvalidParameterError(
                    f"--{option} {pattern}: fits the name of no shape; there are {', '.join(names[:MOST_LISTED])}{more}"
                )
    return tuple(
        replace(shape, pose=_pose(shape.name, asked)) if file else shape
        for shape, file in zip(shapes, is_file, strict=True)
    )


def _parts(given: str | Sequence[str]) -> list[str]:
    """Choices that stand in texts with commas between them."""
    texts = [given] if isinstance(given, str) else given
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _rules(texts: Sequence[str], *, plain: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Pattern and value of each choice, the pattern empty where it is for all; `plain`: what is no pattern."""
    rules = []
    for text in texts:
        pattern, equals, value = text.partition("=")
        rules.append((pattern, value) if equals and pattern.strip() not in plain else ("", text))
    return rules


def _pose(name: str, asked: dict[str, list[tuple[str, str]]]) -> Pose:
    chosen = {}
    for option, rules in asked.items():
        fitting = [value for pattern, value in rules if pattern and fnmatchcase(name, pattern)]
        if fitting := fitting or [value for pattern, value in rules if not pattern]:
            chosen[option] = fitting[-1]
    return Pose(**chosen)
