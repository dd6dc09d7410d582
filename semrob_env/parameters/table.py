"""The parameters of a scene: one row each, the spaces of the paper's code by name, and their spelling in text.

Defaults are the paper's protocol (method section 1), so a space changes what it names and nothing else. What the
ranges are for: distances keep the camera outside every normalised mesh (whose corners are at most sqrt(3) away); at the
ends of the field of view and of the shifts a mesh fills or leaves part of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from semrob_env.errors import InvalidParameterError, UnknownNameError
from semrob_env.parameters.parameter import Parameter

_LENGTH = "half sides"
_COLOURS = {"r": "red", "g": "green", "b": "blue"}

AZIMUTH = Parameter(
    "azimuth",
    "deg",
    0.0,
    360.0,
    360.0,
    0.0,
    "0: camera at -z, the object's front; grows towards the camera at +x",
)
ELEVATION = Parameter(
    "elevation",
    "deg",
    -10.0,
    90.0,
    None,
    0.0,
    "0: camera at the height of the centre; grows upwards, 90: from above",
)

_ROWS = (
    AZIMUTH,
    ELEVATION,
    Parameter(
        "distance",
        _LENGTH,
        1.8,
        6.0,
        None,
        2.732,
        "0: camera in the centre; grows away from it, and the object gets smaller; a mesh fills [-1, 1]",
    ),
    Parameter(
        "roll",
        "deg",
        -180.0,
        180.0,
        360.0,
        0.0,
        "0: upright; grows as the picture turns clockwise, 90: the object's top on the right",
    ),
    Parameter(
        "field_of_view",
        "deg",
        30.0,
        90.0,
        None,
        60.0,
        "full opening angle of the picture; grows wider, and the object gets smaller",
    ),
    Parameter(
        "shift_x",
        _LENGTH,
        -0.5,
        0.5,
        None,
        0.0,
        "0: object's centre in the middle; grows as it moves to the right in the picture, whatever the view",
    ),
    Parameter(
        "shift_y",
        _LENGTH,
        -0.5,
        0.5,
        None,
        0.0,
        "0: object's centre in the middle; grows as it moves up in the picture, whatever the view",
    ),
    Parameter(
        "light_azimuth",
        "deg",
        0.0,
        360.0,
        360.0,
        0.0,
        "0: light from -z, the object's front; grows towards light from +x; no effect at light_elevation 90",
    ),
    Parameter(
        "light_elevation",
        "deg",
        0.0,
        90.0,
        None,
        90.0,
        "0: light from the side; grows upwards, 90: from straight above",
    ),
    Parameter(
        "directional",
        "",
        0.0,
        1.0,
        None,
        0.5,
        "0: none; grows brighter on faces turned to the light; a colour above 1 shows as 1",
    ),
    Parameter(
        "ambient",
        "",
        0.0,
        1.0,
        None,
        0.5,
        "0: none; grows brighter on all faces; a colour above 1 shows as 1",
    ),
    *(
        Parameter(
            f"albedo_{key}",
            "",
            0.0,
            1.0,
            None,
            1.0,
            f"0: the surface reflects no {name}; grows to the mesh's own colour (white unless it has one)",
        )
        for key, name in _COLOURS.items()
    ),
    *(
        Parameter(f"background_{key}", "", 0.0, 1.0, None, 0.0, f"0: no {name} behind the object; grows brighter")
        for key, name in _COLOURS.items()
    ),
)

PARAMETERS: Mapping[str, Parameter] = {parameter.name: parameter for parameter in _ROWS}
"""The scene parameters that semrob knows by name."""

_PAPER_6 = ("azimuth", "elevation", "distance", "light_azimuth", "light_elevation", "ambient")

NAMED_SPACES: Mapping[str, tuple[str, ...]] = {
    "paper1": _PAPER_6[:1],
    "paper2": _PAPER_6[:2],
    "paper3": _PAPER_6[:3],
    "paper6": _PAPER_6,
    "paper10": (*_PAPER_6, "directional", *(f"albedo_{key}" for key in _COLOURS)),
}
"""The spaces of Hamdi & Ghanem's released code: azimuth, + elevation, + distance, + light direction, + light intensity
and albedo. Its light direction is a vector (x, y, z) whose length has no effect; ours has two angles, and the number
that becomes free is the ambient light.
"""

PAPER_STARTS = (
    "azimuth=130,elevation=30",
    "azimuth=50,elevation=20",
    "azimuth=200,elevation=15",
    "azimuth=310,elevation=50",
)
"""The four start points of Hamdi & Ghanem 2020 by name; any other parameter is at its default."""


def read_parameters(names: str | Iterable[str]) -> tuple[Parameter, ...]:
    """Parameters by name in the order given: `azimuth,roll`, a named space, or a part of a range, `azimuth[90:180]`.

    A part of a turn is not periodic, and may cross the seam (`azimuth[-30:30]`); one whole turn is, wherever it
    begins (`azimuth[-180:180]`). A default outside the part moves to its nearest end.

    Raises:
        UnknownNameError: A name is neither in `PARAMETERS` nor in `NAMED_SPACES`.
        InvalidParameterError: A range that cannot be read, is upside down, or leaves that of the parameter.
    """
    given = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    written = [name for text in given for name in NAMED_SPACES.get(text, (text,))]
    return tuple(_read(text) for text in written)


def format_parameter(parameter: Parameter) -> str:
    """Text that `read_parameters` reads back: the name, with the range where it is a part of the known one."""
    if PARAMETERS.get(parameter.name, parameter) == parameter:
        return parameter.name
    return f"{parameter.name}[{parameter.low!r}:{parameter.high!r}]".replace(".0:", ":").replace(".0]", "]")


def _read(text: str) -> Parameter:
    name, bracket, rest = text.partition("[")
    if name not in PARAMETERS:
        raise UnknownNameError(
            f"unknown parameter {name!r}; known are {', '.join(PARAMETERS)}, and the spaces {', '.join(NAMED_SPACES)}"
        )
    known = PARAMETERS[name]
    if not bracket:
        return known
    ends, closing, after = rest.partition("]")
    low_text, colon, high_text = ends.partition(":")
    try:
        low, high = float(low_text), float(high_text)
    except ValueError:
        low = high = math.nan
    if not (closing and colon and not after and math.isfinite(low) and math.isfinite(high)):
        raise InvalidParameterError(
            f"cannot read {text!r}; write a part of a range as {name}[{known.low:g}:{known.high:g}]"
        )
    turn = known.period
    slack = 0.0 if turn is None else turn
    if low >= high:
        raise InvalidParameterError(f"{text}: low {low:g} must be below high {high:g}")
    if low < known.low - slack or high > known.high + slack or (turn is not None and high - low > turn):
        most = "one turn at most" if turn is not None else "a part of it"
        raise InvalidParameterError(f"{text} leaves the range {known.interval} of {name}; give {most}")
    period = turn if turn == high - low else None
    inside = [known.default + (turn or 0.0) * k for k in (0, -1, 1)]
    last = high if period is None else math.nextafter(high, -math.inf)
    default = next((value for value in inside if low <= value <= last), min(max(known.default, low), last))
    return replace(known, low=low, high=high, period=period, default=default)


def markdown_of_parameters() -> str:
    """`PARAMETERS` as a Markdown table."""
    head = ("parameter", "unit", "low", "high", "turns", "default", "sense")
    rows = [
        (p.name, p.unit, f"{p.low:g}", f"{p.high:g}", "no" if p.period is None else "yes", f"{p.default:g}", p.sense)
        for p in PARAMETERS.values()
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))
