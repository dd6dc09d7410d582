"""Options that several commands share, each spelt and explained once: groups as dataclasses, single ones as types.

Modules of options have no `from __future__ import annotations`: cyclopts reads inherited fields by their types.
"""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from cyclopts import Group, Parameter

import baselines  # noqa: F401  (fills the registry)
import optimizers  # noqa: F401  (fills the registry)
from baselines.commands.shared.reading import (
    GoalValue,
    GoalValues,
    Names,
    NamesOrNone,
    Numbers,
    OptionalCount,
    by,
    count,
)
from optimizers.registry import OPTIMIZERS
from semrob_env.errors import InvalidParameterError
from semrob_env.parameters import NAMED_SPACES, SemanticSpace, paper_starts
from semrob_env.questions import GOAL_EXAMPLES, Goal, MeanGoal
from semrob_env.scene.classifiers.options import NetworkOptions, changed_options, network_options
from semrob_env.scene.classifiers.registry import NETWORKS, canonical_network
from semrob_env.types import FloatArray

if TYPE_CHECKING:
    from semrob_env.scene.function import SceneId
    from semrob_env.scene.sources import ShapeInfo

SHAPES, NETWORK, SPACE = Group("Shapes", sort_key=1), Group("Networks", sort_key=2), Group("Views", sort_key=3)
METHOD, QUESTION, RUN = Group("Methods", sort_key=4), Group("Question", sort_key=5), Group("Run", sort_key=6)

DEFAULT_GOAL: Goal = MeanGoal()
THREE_GOALS: tuple[Goal, ...] = tuple(MeanGoal(1 - least) for least in (0.2, 0.4, 0.6))

PAPER = "paper"
"""The paper's start points, as --starts has them."""


def _option(group: Group, text: str, *flags: str, **others: Any) -> Parameter:
    return Parameter(group=group, help=text, name=flags or None, **others)


REGION_METHODS = [name for name, method in OPTIMIZERS.items() if method.recommends == "regions"]

Sources = Annotated[tuple[str, ...], Parameter(parse=False)]
"""Words without an option."""

ClassName = Annotated[str, _option(SHAPES, "score every mesh for this class, whatever its name tells", "--class")]
Colors = Annotated[Literal["white", "material"], _option(SHAPES, "white, or each face as its material")]
Maps = Annotated[str, Parameter(group=SHAPES, help="file of recorded maps", name="--maps")]
Params = Annotated[
    str,
    _option(SPACE, f"parameters, comma separated, {', '.join(NAMED_SPACES)}, or part of a range, azimuth[90:180]"),
]
Starts = Annotated[str, _option(SPACE, f"start points by name, ; between them; {PAPER}: its own four")]
Adversarial = Annotated[bool, _option(QUESTION, "regions of low score: f is low + high - f")]
GoalOption = Annotated[GoalValue, _option(QUESTION, f"what makes a region good: {GOAL_EXAMPLES}")]
JudgePoints = Annotated[int, _option(QUESTION, "held-out points a region, counted apart")]
Goals = Annotated[GoalValues, _option(QUESTION, f"a goal of the questions, may be repeated: {GOAL_EXAMPLES}", "--goal")]
_METHODS = _option(METHOD, f"comma separated; known: {', '.join(REGION_METHODS)}")
Methods = Annotated[Names, _METHODS]
MethodsOrNone = Annotated[NamesOrNone, _METHODS]
Budget = Annotated[int, by(count, "N"), _option(QUESTION, "most queries a run, forward + gradient")]
OptionalBudget = Annotated[int | None, by(count, "N"), _option(QUESTION, "most queries a run, forward + gradient")]
Form = Annotated[Literal["normalized", "paper"], _option(METHOD, "form of the updates of the paper's methods")]
MaxSteps = Annotated[OptionalCount, _option(METHOD, "most steps a start point; none: the budget ends it")]
Imports = Annotated[
    tuple[str, ...],
    _option(METHOD, "module that registers methods, networks, ... (may be repeated)", "--import"),
]
GradientCost = Annotated[float, _option(QUESTION, "weight of a gradient query in every bill")]
ObjectNumbers = Annotated[Numbers, _option(SHAPES, "objects of procedural shapes", "--numbers", "--shapes")]
NetworkNames = Annotated[
    Names,
    _option(
        NETWORK,
        f"by name, comma separated: {', '.join(NETWORKS)}, the paper's four, torchvision/NAME, timm/NAME, or file (a "
        "model in --weights)",
    ),
]
Out = Annotated[str, _option(RUN, "output folder")]
Seed = Annotated[int, _option(RUN, "seed of all that is drawn")]
Workers = Annotated[int, _option(RUN, "processes; 0: one a core, on live functions 1")]
Resume = Annotated[bool, _option(RUN, "go on with what is in --out", negative="--no-resume")]
DryRun = Annotated[bool, _option(RUN, "tell what would run and what it costs; at most a short trial")]


@dataclass(frozen=True, kw_only=True)
class ShapeOptions:
    """Which shapes: words are sources, as `semrob_env.scene.sources.select_shapes` takes them."""

    sources: Sources = ("procedural",)
    names: Annotated[Names, _option(SHAPES, "only these shapes, by name or title")] = ()
    classes: Annotated[Names, _option(SHAPES, "only shapes of these classes")] = ()
    class_name: ClassName = ""
    numbers: ObjectNumbers = tuple(range(10))

    def one_shape(self) -> "ShapeInfo":
        """The one shape of commands that take no more.

        Raises:
            InvalidParameterError: There is none, or there are several.
        """
        shapes = self.selected() if self.sources else ()
        if len(shapes) != 1:
            raise InvalidParameterError(
                f"{len(shapes)} shapes; give one: cup:3, a mesh file with --class, FOLDER#NAME or LIBRARY.sh3f#NAME"
            )
        return shapes[0]

    def selected(self) -> tuple["ShapeInfo", ...]:
        """The shapes, at least one."""
        from semrob_env.scene.sources import select_shapes  # loads meshes

        return select_shapes(
            self.sources, names=self.names, classes=self.classes, as_class=self.class_name, numbers=self.numbers
        )


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Which networks, and what is said about them beside their names: the one place that reads it."""

    networks: NetworkNames = ("efficientnet_lite0",)
    weights: Annotated[
        tuple[str, ...],
        _option(
            NETWORK, "weights FILE of the one network, or NETWORK=FILE (may be repeated); the whole model for file"
        ),
    ] = ()
    labels: Annotated[str, _option(NETWORK, "file of class names: one a line, or a JSON list")] = ""
    score: Annotated[Literal["softmax", "margin", "top1"], _option(NETWORK, "what a score is")] = "softmax"
    device: Annotated[str, _option(NETWORK, "cpu, or a torch device as cuda: networks then answer by torch")] = "cpu"
    trust_model_file: Annotated[
        bool, _option(NETWORK, "load TorchScript and torch.export files of --weights, which can run code")
    ] = False
    unnormalized: Annotated[bool, _option(NETWORK, "feed pictures in [0, 1] as the paper's code did")] = False

    @property
    def feed(self) -> str:
        """As ids have it."""
        return "unnormalized" if self.unnormalized else "normalized"

    def network_options(self) -> Mapping[str, NetworkOptions]:
        """Options of each network, by its canonical name, in the order given."""
        return network_options(self._namespace(), list(dict.fromkeys(map(canonical_network, self.networks))))

    def one_network(self) -> str:
        """The one network of commands that take no more.

        Raises:
            InvalidParameterError: There are several.
        """
        if len(self.networks) != 1:
            raise InvalidParameterError(f"--networks {','.join(self.networks)}: this command takes one network")
        return canonical_network(self.networks[0])

    def changed(self) -> list[str]:
        """Options, beside --networks, that have a value other than the default."""
        return ["unnormalized"] * self.unnormalized + changed_options(self._namespace())

    def load(self) -> None:
        """Load every network: a broken or misspelt one ends here."""
        from semrob_env.scene.classifiers.registry import load_network

        for network, own in self.network_options().items():
            load_network(network, unnormalized=self.unnormalized, options=own)

    def scenes(self, shapes: tuple["ShapeInfo", ...], params: str, colors: str = "white") -> list["SceneId"]:
        """Every network with every shape.

        Raises:
            InvalidParameterError: A shape whose class nobody tells.
        """
        from semrob_env.scene.function import SceneId

        for shape in shapes:
            if shape.class_name is None:
                raise InvalidParameterError(f"{shape.label}: its name tells no class; give --class NAME")
        own, spec = self.network_options(), SemanticSpace.of(params).spec
        return [
            SceneId(network, str(shape.class_name), shape.source, spec, self.feed, colors=colors, **more.in_ids())
            for network, more in own.items()
            for shape in shapes
        ]

    def _namespace(self) -> Namespace:
        return Namespace(**{**vars(self), "weights": list(self.weights)})


@dataclass(frozen=True, kw_only=True)
class Views:
    """Which parameters, and from which start points."""

    params: Params = "azimuth,elevation"
    starts: Starts = PAPER

    def space(self) -> SemanticSpace:
        """The space of the parameters."""
        return SemanticSpace.of(self.params)

    def start_points(self, space: SemanticSpace) -> FloatArray:
        """Start points (S, n) in a space."""
        return start_points(space, self.starts)


def start_points(space: SemanticSpace, text: str) -> FloatArray:
    """Start points (S, n) of the text of --starts."""
    return paper_starts(space) if text == PAPER else read_points(space, text)


def read_points(space: SemanticSpace, text: str, option: str = "--starts") -> FloatArray:
    """Points (B, n) by name with ; between them: `azimuth=130,elevation=30;azimuth=50`.

    Raises:
        InvalidParameterError: No point, or one that cannot be read; or what `SemanticSpace.point` raises.
    """
    points = [space.point(part) for part in text.split(";") if part.strip()]
    if not points:
        raise InvalidParameterError(f"{option} names no point; write azimuth=130,elevation=30")
    return np.array(points)
