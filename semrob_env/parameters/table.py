"""Semantic parameters: what one is, those of a scene, a photo and any image, the paper's spaces by name, all as text.

Defaults are the paper's protocol (method section 1), so a space changes what it names and nothing else. What the
ranges are for: distances keep the camera outside every normalised mesh (whose corners are at most sqrt(3) away); at the
ends of the field of view and of the shifts a mesh fills or leaves part of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import final

from semrob_env.checks import instance_of, items, shown
from semrob_env.errors import InvalidParameterError, UnknownNameError


@final
@dataclass(frozen=True)
class Parameter:
    """One semantic parameter of a scene.

    Attributes:
        name: Lower-case word by which users name it, e.g. `azimuth`.
        unit: Native unit, e.g. `deg`; empty for a number without one.
        low: Lower bound, in the native unit.
        high: Upper bound; of a periodic parameter it is the same scene as `low` and not itself in the range.
        period: None, or the length of one turn, which must be `high - low`.
        default: Value taken when a point or a space does not name the parameter.
        sense: What zero means and which way growth turns.

    Raises:
        InvalidParameterError: Bounds not finite or upside down, default outside, period not `high - low`.
    """

    name: str
    unit: str
    low: float
    high: float
    period: float | None
    default: float
    sense: str

    def __post_init__(self) -> None:
        if not all(isinstance(text, str) for text in (self.name, self.unit, self.sense)):
            raise InvalidParameterError(f"parameter {shown(self.name)}: name, unit and sense must be text")
        numbers = (self.low, self.high, self.default, 0.0 if self.period is None else self.period)
        if not all(map(_is_real, numbers)):
            raise InvalidParameterError(f"{self.name}: low, high, default and period must be numbers of float64")
        if not self.name.replace("_", "").isalnum() or self.name != self.name.lower():
            raise InvalidParameterError(f"parameter name {self.name!r}: use lower-case letters, digits and _")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InvalidParameterError(f"{self.name}: low {self.low} must be finite and below high {self.high}")
        if self.period is not None and self.period != self.high - self.low:
            raise InvalidParameterError(
                f"{self.name}: period {self.period} must equal high - low = {self.high - self.low}; "
                "for a part of a turn use period=None"
            )
        if not self.contains(self.default):
            raise InvalidParameterError(f"{self.name}: default {self.default} is outside {self.interval}")

    @property
    def interval(self) -> str:
        """Allowed range as text, half open where the parameter is periodic."""
        return f"[{self.low:g}, {self.high:g}{')' if self.period is not None else ']'}"

    def contains(self, value: float) -> bool:
        """Whether a value in native units is allowed (NaN is not)."""
        return self.low <= value < self.high if self.period is not None else self.low <= value <= self.high


def _is_real(value: object) -> bool:
    """Whether a value, of a file maybe, is a number that a float64 holds."""
    if type(value) is bool or not isinstance(value, Real):
        return False
    try:
        float(value)
    except (TypeError, OverflowError):  # of spans of time, which NumPy calls numbers
        return False
    return True


_LENGTH = "half sides"
_COLORS = {"r": "red", "g": "green", "b": "blue"}

_SCENE: tuple[tuple[str, str, float, float, float | None, float], ...] = (
    ("azimuth", "deg", 0.0, 360.0, 360.0, 0.0),
    ("elevation", "deg", -10.0, 90.0, None, 0.0),
    ("distance", _LENGTH, 1.8, 6.0, None, 2.732),
    ("roll", "deg", -180.0, 180.0, 360.0, 0.0),
    ("field_of_view", "deg", 30.0, 90.0, None, 60.0),
    ("shift_x", _LENGTH, -0.5, 0.5, None, 0.0),
    ("shift_y", _LENGTH, -0.5, 0.5, None, 0.0),
    ("light_azimuth", "deg", 0.0, 360.0, 360.0, 0.0),
    ("light_elevation", "deg", 0.0, 90.0, None, 90.0),
    ("directional", "", 0.0, 1.0, None, 0.5),
    ("ambient", "", 0.0, 1.0, None, 0.5),
)
_SENSE = {
    "azimuth": "0: camera at -z, the object's front; grows towards the camera at +x",
    "elevation": "0: camera at the height of the centre; grows upwards, 90: from above",
    "distance": "0: camera in the centre; grows away from it, and the object gets smaller; a mesh fills [-1, 1]",
    "roll": "0: upright; grows as the picture turns clockwise, 90: the object's top on the right",
    "field_of_view": "full opening angle of the picture; grows wider, and the object gets smaller",
    "shift_x": (
        "0: object's centre in the middle; grows as it moves to the right in the picture, whatever the view; of a "
        "photo in half sides of the picture"
    ),
    "shift_y": (
        "0: object's centre in the middle; grows as it moves up in the picture, whatever the view; of a photo in half "
        "sides of the picture"
    ),
    "light_azimuth": (
        "0: light from -z, the object's front; grows towards light from +x; no effect at light_elevation 90"
    ),
    "light_elevation": "0: light from the side; grows upwards, 90: from straight above",
    "directional": "0: none; grows brighter on faces turned to the light; a colour above 1 shows as 1",
    "ambient": "0: none; grows brighter on all faces; a colour above 1 shows as 1",
}
_ALBEDO = "0: the surface reflects no {}; grows to the mesh's own colour (white unless it has one)"
_BACKGROUND = "0: no {} behind the object; grows brighter"

_SURROUNDINGS = (
    Parameter(
        "background_azimuth", "deg", 0.0, 360.0, 360.0, 0.0,
        "0: the middle of the panorama lies behind the object seen from its front; grows as the panorama turns to the "
        "right in the picture; needs background=panorama:FILE",
    ),
    Parameter(
        "background_choice", "", 0.0, 1.0, None, 0.0,
        "picture of a folder of backgrounds, each an equal part of the range, in the order of their names; changes in "
        "steps, so without a derivative; needs background=folder:PATH",
    ),
    Parameter(
        "occluder_x", "half sides", -1.0, 1.0, None, 0.0,
        "0: occluder in the middle of the picture; grows as it moves to the right; needs occluder=",
    ),
    Parameter(
        "occluder_y", "half sides", -1.0, 1.0, None, 0.0,
        "0: occluder in the middle of the picture; grows as it moves up; needs occluder=",
    ),
    Parameter(
        "occluder_size", "sides", 0.0, 1.0, None, 0.25,
        "0: no occluder; side of its square, or of a mesh's box, as a share of the picture's; needs occluder=",
    ),
)  # fmt: skip
_PHOTO = (
    Parameter("rotation", "deg", -180.0, 180.0, 360.0, 0.0, "0: as taken; grows as the photo turns clockwise"),
    Parameter(
        "scale", "", 0.5, 2.0, None, 1.0, "1: as the network's own preprocessing; grows as the photo is enlarged"
    ),
    Parameter("shear", "deg", -45.0, 45.0, None, 0.0, "0: as taken; grows as what is up moves to the right"),
    Parameter("tilt_x", "deg", -45.0, 45.0, None, 0.0, "0: facing us; grows as the photo's right side turns away"),
    Parameter("tilt_y", "deg", -45.0, 45.0, None, 0.0, "0: facing us; grows as the photo's upper side turns away"),
)
_CORRUPTIONS = (
    Parameter("blur", "% of side", 0.0, 5.0, None, 0.0, "0: none; standard deviation of a Gaussian; grows blurrier"),
    Parameter("brightness", "", 0.0, 2.0, None, 1.0, "factor; 0: black, 1: as it is; above white shows as white"),
    Parameter("contrast", "", 0.0, 2.0, None, 1.0, "0: the picture's mean gray, 1: as it is; grows away from it"),
    Parameter("saturation", "", 0.0, 2.0, None, 1.0, "0: gray, 1: as it is; grows more colorful"),
    Parameter("hue", "deg", -180.0, 180.0, 360.0, 0.0, "0: as it is; grows as red turns towards green"),
    Parameter("noise", "", 0.0, 0.5, None, 0.0, "0: none; standard deviation of a fixed pattern; grows noisier"),
    Parameter(
        "jpeg_quality", "", 1.0, 100.0, None, 100.0,
        "100: not compressed; below, rounded to a whole number: JPEG of that quality, so without a derivative",
    ),
)  # fmt: skip

_ROWS = (
    *(Parameter(*row, _SENSE[row[0]]) for row in _SCENE),
    *(Parameter(f"albedo_{key}", "", 0.0, 1.0, None, 1.0, _ALBEDO.format(name)) for key, name in _COLORS.items()),
    *(
        Parameter(f"background_{key}", "", 0.0, 1.0, None, 0.0, _BACKGROUND.format(name))
        for key, name in _COLORS.items()
    ),
    *_SURROUNDINGS,
    *_PHOTO,
    *_CORRUPTIONS,
)
AZIMUTH, ELEVATION = _ROWS[:2]

PARAMETERS: Mapping[str, Parameter] = {parameter.name: parameter for parameter in _ROWS}
"""The parameters that semrob knows by name: those of scenes, of photos, and of any image."""

PHOTO_PARAMETERS: tuple[str, ...] = ("shift_x", "shift_y", *(parameter.name for parameter in _PHOTO))
"""Those that move a photo."""

CORRUPTION_PARAMETERS: tuple[str, ...] = tuple(parameter.name for parameter in _CORRUPTIONS)
"""Those of the image, whatever it shows, in the order in which they are applied."""

STEPPED_PARAMETERS: frozenset[str] = frozenset({"background_choice", "jpeg_quality"})
"""Those that change an image in steps: it has no derivative in them."""

POLES: Mapping[str, str] = {"azimuth": "elevation", "light_azimuth": "light_elevation"}
"""Of the azimuth of a direction, its elevation: where that is 90 degrees, all azimuths are one direction."""

_PAPER_6 = ("azimuth", "elevation", "distance", "light_azimuth", "light_elevation", "ambient")

NAMED_SPACES: Mapping[str, tuple[str, ...]] = {
    "paper1": _PAPER_6[:1],
    "paper2": _PAPER_6[:2],
    "paper3": _PAPER_6[:3],
    "paper6": _PAPER_6,
    "paper10": (*_PAPER_6, "directional", *(f"albedo_{key}" for key in _COLORS)),
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
    given = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(items("names", names))
    for text in given:
        instance_of("a name of a parameter", text, str, UnknownNameError)
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
