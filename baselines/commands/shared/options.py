"""Options that several commands share, each spelt and explained once: groups as dataclasses, single ones as types.

Modules of options have no `from __future__ import annotations`: cyclopts reads inherited fields by their types.
"""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

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
    Reals,
    Texts,
    by,
    count,
    seed,
)
from optimizers.registry import OPTIMIZERS
from semrob_env.errors import InvalidParameterError
from semrob_env.metrics.certificates import CERTIFICATE_POINTS, CONFIDENCE
from semrob_env.parameters import NAMED_SPACES, SemanticSpace, paper_starts
from semrob_env.questions import GOAL_EXAMPLES, Goal, MeanGoal
from semrob_env.scene.classifiers.options import NetworkOptions, trust_factory, trust_model_file
from semrob_env.scene.classifiers.registry import NETWORKS
from semrob_env.store import BUDGET
from semrob_env.types import FloatArray

if TYPE_CHECKING:
    from baselines.commands.shared.terminal import Console
    from baselines.experiments.pool import Workers
    from semrob_env.scene.classifiers.base import Classifier
    from semrob_env.scene.classifiers.network_spec import NetworkSpec
    from semrob_env.scene.image_function import ImageId
    from semrob_env.scene.shading import Shading
    from semrob_env.scene.sources import ShapeInfo

SHAPES, NETWORK, SPACE = Group("Shapes", sort_key=1), Group("Networks", sort_key=2), Group("Views", sort_key=3)
METHOD, QUESTION, RUN = Group("Methods", sort_key=4), Group("Question", sort_key=5), Group("Run", sort_key=6)

DEFAULT_GOAL: Goal = MeanGoal()
THREE_GOALS: tuple[Goal, ...] = tuple(MeanGoal(1 - least) for least in (0.2, 0.4, 0.6))

PAPER, LOWEST, HIGHEST = "paper", "lowest", "highest"
"""Words of --starts: the paper's start points, and those where the score is lowest or highest."""

PAPER_STEPS = 600
"""Steps of a run of the paper's authors, which had no budget."""


def _option(group: Group, text: str, *flags: str, **others: Any) -> Parameter:
    return Parameter(group=group, help=text, name=flags or None, **others)


REGION_METHODS = [name for name, method in OPTIMIZERS.items() if method.recommends == "regions"]

Sources = Annotated[tuple[str, ...], Parameter(parse=False)]
"""Words without an option."""

ClassName = Annotated[str, _option(SHAPES, "score every mesh for this class, whatever its name tells", "--class")]
Colors = Annotated[
    Literal["white", "material", "texture"],
    _option(SHAPES, "white; each face in one color of its material; with textures"),
]
ShapeNames = Annotated[Names, _option(SHAPES, "only these shapes, by name or title")]
Maps = Annotated[str, Parameter(group=SHAPES, help="file of recorded maps", name="--maps")]
Params = Annotated[
    str, _option(SPACE, f"parameters, comma separated, {', '.join(NAMED_SPACES)}, or part of a range, azimuth[90:180]")
]
Starts = Annotated[
    str,
    _option(
        SPACE,
        f"start points by name, ; between them; {PAPER}: its own four (default); {LOWEST}: of evenly spread points, "
        f"those of lowest score (default with --adversarial); {HIGHEST}: those of highest",
    ),
]
Adversarial = Annotated[bool, _option(QUESTION, "regions in which the network is wrong: low + high - f meets the goal")]
GoalOption = Annotated[GoalValue, _option(QUESTION, f"what makes a region good: {GOAL_EXAMPLES}")]
JudgePoints = Annotated[int, _option(QUESTION, "held-out points a region, counted apart")]
CertificatePoints = Annotated[
    int, _option(QUESTION, "independent points a region that certify it, counted apart; more certify more")
]
Certify = Annotated[
    Literal["judge", "budget"],
    _option(QUESTION, "who pays the certificate; budget: the run's, of which the method gets the rest"),
]
Confidence = Annotated[float, _option(QUESTION, "of each region's certificate")]
Together = Annotated[
    bool, _option(QUESTION, "--confidence is that of all regions at once, so each needs more", negative="")
]
Levels = Annotated[
    Reals,
    _option(QUESTION, "levels of a robustness profile, comma separated, rising: 0.2,0.5,0.8; none: no profile"),
]
Goals = Annotated[GoalValues, _option(QUESTION, f"a goal of the questions, may be repeated: {GOAL_EXAMPLES}", "--goal")]
_METHODS = _option(METHOD, f"comma separated; known: {', '.join(REGION_METHODS)}")
Methods = Annotated[Names, _METHODS]
MethodsOrNone = Annotated[NamesOrNone, _METHODS]
Budget = Annotated[int, by(count, "N"), _option(QUESTION, "most queries a run, forward + gradient")]
OptionalBudget = Annotated[
    int | None,
    by(count, "N"),
    _option(QUESTION, "most queries a run, forward + gradient; none: 150 (a table: 100), in the paper's form no cap"),
]
Form = Annotated[Literal["normalized", "paper"], _option(METHOD, "form of the updates of the paper's methods")]
MaxSteps = Annotated[
    OptionalCount, _option(METHOD, "most steps a start point; none: the budget ends it, in the paper's form 600")
]
Imports = Annotated[
    tuple[str, ...], _option(METHOD, "module that registers methods, networks, ... (may be repeated)", "--import")
]
GradientCost = Annotated[float, _option(QUESTION, "weight of a gradient query in every bill")]
ObjectNumbers = Annotated[Numbers, _option(SHAPES, "objects of procedural shapes", "--numbers", "--shapes")]


def _networks(how_many: str) -> Parameter:
    return _option(
        NETWORK,
        f"{how_many}: [LABEL=]NETWORK[@WEIGHTS] or [LABEL=]file:MODEL; networks: {', '.join(NETWORKS)}, the paper's "
        "four, torchvision/NAME, timm/NAME; reports, tables and pictures call one by its label",
    )


NetworkNames = Annotated[Names, _networks("one or more, comma separated")]
OneNetwork = Annotated[Names, _networks("one network, this command takes no more")]
TwoNetworks = Annotated[Names, _networks("two or more, comma separated")]
Out = Annotated[str, _option(RUN, "output folder")]
Seed = Annotated[int, by(seed, "N"), _option(RUN, "seed of all that is drawn")]
Resume = Annotated[bool, _option(RUN, "go on with what is in --out", negative="--no-resume")]
DryRun = Annotated[bool, _option(RUN, "tell what would run and what it costs; at most a short trial")]


@dataclass(frozen=True, kw_only=True)
class PoseOptions:
    """How the meshes of files are put up (`semrob_env.scene.pose` says what the axes of each format mean)."""

    up: Annotated[
        Texts,
        _option(
            SHAPES,
            "axis of the files that points up (default: y; z: of most STL), or PATTERN=AXIS for some: *.stl=z",
            allow_leading_hyphen=True,
        ),
    ] = ()
    front: Annotated[
        Texts,
        _option(
            SHAPES,
            "axis of the files that faces the camera of azimuth 0 (default: -z; z: of glTF), or PATTERN=AXIS",
            allow_leading_hyphen=True,
        ),
    ] = ()
    rotate: Annotated[
        Texts,
        _option(SHAPES, "turns in degrees about axes of the files, before all else: x=90,z=-30, or PATTERN=TURNS"),
    ] = ()
    scale: Annotated[
        Texts,
        _option(
            SHAPES,
            "unit: meshes fill [-1, 1] (default); keep: their units are those of the scene; or PATTERN=SCALE",
        ),
    ] = ()
    node: Annotated[
        Texts,
        _option(SHAPES, "only this named node of a glTF file, or object or group of an OBJ file, or PATTERN=NAME"),
    ] = ()

    def file_shapes(self) -> "tuple[ShapeInfo, ...]":
        """The shapes of files that are asked for."""
        return ()

    def tell_meshes(self, console: "Console") -> None:
        """Say what is worth knowing of the meshes of files, before the work: other objects, and poses seen far better.

        Raises:
            SemrobError: A shape or network cannot be loaded.
        """
        shapes = [shape for shape in self.file_shapes() if not shape.source.startswith("procedural:")]
        if shapes:
            from baselines.commands.shared.meshes import mesh_notes

            network = self.trial_network() if all(own.class_name for own in shapes) else None
            named = "" if network is None else self.specs()[0].label  # type: ignore[attr-defined]
            for note in mesh_notes(shapes, network, self.places(), named):
                console.note(note)

    def places(self) -> tuple[str, ...]:
        """Where shapes were looked for, as they were given."""
        return ()

    def trial_network(self) -> "Classifier | None":
        """The network that is to see meshes in several poses before the work; None: there is none."""
        specs = getattr(self, "specs", None)
        if specs is None or not getattr(self, "network_texts", tuple)() or getattr(self, "dry_run", False):
            return None
        from semrob_env.scene.classifiers.registry import takes_option

        (first, *_), own = specs(), self
        if not takes_option(first.network, "score") and hasattr(self, "score"):
            (first, *_) = replace(own, score="softmax").specs()  # type: ignore[call-arg, attr-defined]
        loaded: Classifier = first.load(unnormalized=getattr(self, "unnormalized", False))
        return loaded

    def posed(self, shapes: "tuple[ShapeInfo, ...]") -> "tuple[ShapeInfo, ...]":
        """Shapes that are put up as asked; built-in ones stand as they are.

        Raises:
            InvalidParameterError: A pose that is not well formed, or only built-in shapes.
        """
        from semrob_env.scene.sources import posed  # loads meshes

        chosen = {"up": self.up, "front": self.front, "rotate": self.rotate, "scale": self.scale, "node": self.node}
        return posed(shapes, **chosen)


@dataclass(frozen=True, kw_only=True)
class ShapeOptions(PoseOptions):
    """Which shapes: words are sources, as `semrob_env.scene.sources.select_shapes` takes them."""

    sources: Sources = ("procedural",)
    names: ShapeNames = ()
    classes: Annotated[Names, _option(SHAPES, "only shapes of these classes")] = ()
    class_name: ClassName = ""
    numbers: ObjectNumbers = tuple(range(10))

    def file_shapes(self) -> "tuple[ShapeInfo, ...]":
        """The shapes of files that are asked for."""
        return self.selected() if any(text != "procedural" for text in self.sources) else ()

    def places(self) -> tuple[str, ...]:
        """The words."""
        return self.sources

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

        return self.posed(
            select_shapes(
                self.sources,
                names=self.names,
                classes=self.classes,
                as_class=self.class_name,
                numbers=self.numbers,
                labels=getattr(self, "class_labels", tuple)(),
            )
        )


@dataclass(frozen=True, kw_only=True)
class LookOptions:
    """What shapes look like; the paper's protocol by default."""

    colors: Colors = "white"
    normals: Annotated[
        Literal["flat", "smooth", "file"], _option(SHAPES, "flat faces, smooth ones, or as the mesh file says")
    ] = "flat"
    crease: Annotated[float, _option(SHAPES, "with --normals smooth: edges that bend by more degrees stay sharp")] = (
        40.0
    )
    specular: Annotated[float, _option(SHAPES, "strength of the highlight of the light, 0 to 1")] = 0.0

    @property
    def shading(self) -> "Shading":
        """Normals and highlight."""
        from semrob_env.scene.shading import Shading  # loads meshes

        return Shading(self.normals, self.crease, self.specular)

    def in_ids(self) -> dict[str, Any]:
        """The fields of a `SceneId` that it sets."""
        return {"colors": self.colors, **self.shading.in_ids()}


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Which networks, and what is said about them beside their names: the one place that reads it."""

    networks: NetworkNames = ("efficientnet_lite0",)
    weights: Annotated[str, _option(NETWORK, "weights of the one network, as NETWORK@WEIGHTS says them")] = ""
    labels: Annotated[str, _option(NETWORK, "file of class names: one a line, or a JSON list")] = ""
    score: Annotated[Literal["softmax", "margin", "top1"], _option(NETWORK, "what a score is")] = "softmax"
    device: Annotated[str, _option(NETWORK, "cpu, or a torch device as cuda: networks then answer by torch")] = "cpu"
    output: Annotated[str, _option(NETWORK, "of a model file with several outputs the one of the classes")] = ""
    trust_model_file: Annotated[
        bool, _option(NETWORK, "load TorchScript and torch.export files of --weights, which can run code")
    ] = False
    unnormalized: Annotated[bool, _option(NETWORK, "feed pictures in [0, 1] as the paper's code did")] = False
    size: Annotated[int | None, by(count, "PIXELS"), _option(NETWORK, "input size; none: the network's own")] = None
    mean: Annotated[
        str,
        _option(
            NETWORK,
            "of red,green,blue, or one number, in units of --range; none: the network's own",
            allow_leading_hyphen=True,
        ),
    ] = ""
    std: Annotated[str, _option(NETWORK, "as --mean")] = ""
    range: Annotated[
        Literal["0-1", "0-255", "-1-1", "bytes"] | None,
        _option(
            NETWORK, "what black and white become; given alone, there is no mean and std", allow_leading_hyphen=True
        ),
    ] = None
    bgr: Annotated[bool | None, _option(NETWORK, "order of the channels", "--bgr", negative="--rgb")] = None
    layout: Annotated[Literal["nchw", "nhwc"] | None, _option(NETWORK, "channels first or last")] = None
    answers: Annotated[
        Literal["logits", "probabilities"] | None, _option(NETWORK, "what it answers; none: as their sums tell")
    ] = None
    factory: Annotated[
        str, _option(NETWORK, "MODULE:FUNCTION of yours, makes the torch module for a state dict, file:WEIGHTS")
    ] = ""
    scene: Annotated[
        tuple[str, ...],
        _option(
            SHAPES,
            "an option of the ids of scenes or photos, NAME=VALUE (may be repeated): background=file:room.jpg, "
            "ground=shadow, occluder=rectangle, beyond=reflect, ...",
        ),
    ] = ()

    @property
    def feed(self) -> str:
        """As ids have it."""
        return "unnormalized" if self.unnormalized else "normalized"

    def network_texts(self) -> tuple[str, ...]:
        """What names the networks."""
        return self.networks

    def class_labels(self) -> tuple[str, ...]:
        """Classes that files of labels name, which folders of shapes may be called by."""
        from semrob_env.scene.classifiers.labels import read_labels

        specs = self.specs() if self.network_texts() else ()
        paths = dict.fromkeys(spec.options.labels for spec in specs if spec.options.labels)
        return tuple(name for path in paths for name in read_labels(path))

    def said(self) -> NetworkOptions:
        """What is said about all networks."""
        channels = {None: "", True: "bgr", False: "rgb"}[self.bgr]
        return NetworkOptions(
            self.weights,
            self.labels,
            self.score,
            self.device,
            self.output,
            self.size or 0,
            self.mean,
            self.std,
            self.range or "",
            channels,
            self.layout or "",
            self.answers or "",
            self.factory,
        )

    def specs(self) -> "tuple[NetworkSpec, ...]":
        """The networks in the order given; with --trust-model-file their files are trusted, and so is --factory.

        Raises:
            InvalidParameterError: --weights beside several networks; or what `network_specs` raises.
        """
        from semrob_env.scene.classifiers.network_spec import network_specs

        chosen = network_specs(self.network_texts(), self.said())
        if self.weights and len(chosen) > 1:
            raise InvalidParameterError(f"--weights {self.weights}: {len(chosen)} networks; write NETWORK@WEIGHTS")
        for spec in chosen if self.trust_model_file else ():
            if spec.options.weights:
                trust_model_file(spec.options.weights)
        for name in filter(None, {self.factory, *(spec.options.factory for spec in chosen)}):
            trust_factory(name)
        return chosen

    def changed(self) -> list[str]:
        """Options, beside --networks, that have a value other than the default."""
        own = [field for field in fields(Networks) if field.name != "networks"]
        return [field.name.replace("_", "-") for field in own if getattr(self, field.name) != field.default]

    def load(self, class_name: str = "") -> None:
        """Load every network: a broken or misspelt one ends here, and so does a class that it does not know."""
        for spec in self.specs():
            classifier = spec.load(unnormalized=self.unnormalized)
            if class_name:
                classifier.classes.index(class_name)

    def scenes(
        self, shapes: tuple["ShapeInfo", ...], params: str, look: LookOptions = LookOptions()
    ) -> "list[ImageId]":
        """Every network with every shape or photo.

        Raises:
            InvalidParameterError: A shape whose class nobody tells, or an option of --scene that ids do not have.
        """
        from semrob_env.scene.image_ids import image_id_of

        text, more = SemanticSpace.of(params).spec, "".join(f"&{option}" for option in self.scene)
        ids = [
            image_id_of(shape, spec, params=text, feed=self.feed, **look.in_ids())
            for spec in self.specs()
            for shape in shapes
        ]
        return [type(own).parse(f"{own}{more}") for own in ids]


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """Which parameters, and from which start points."""

    params: Params = "azimuth,elevation"
    starts: Starts = ""

    def space(self) -> SemanticSpace:
        """The space of the parameters."""
        return SemanticSpace.of(self.params)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked of which methods, and how it is judged."""

    methods: Methods = ("oir_b",)
    form: Form = "normalized"
    corners: Annotated[
        int | None, _option(METHOD, "corners that a step of a corner method asks, an even number; none: all 2^n")
    ] = None
    goal: GoalOption = DEFAULT_GOAL
    budget: OptionalBudget = None
    max_steps: MaxSteps = None
    adversarial: Adversarial = False
    judge_points: JudgePoints = 64
    certificate_points: CertificatePoints = CERTIFICATE_POINTS
    certify: Certify = "judge"
    confidence: Confidence = CONFIDENCE
    together: Together = False
    levels: Levels = ()
    imports: Imports = ()
    seed: Seed = 0
    usual_budget: ClassVar[int] = 150

    def limits(self) -> tuple[int | None, int | None]:
        """Budget and most steps of a run; None: none."""
        if self.form != "paper":
            return self.budget or self.usual_budget, self.max_steps
        return self.budget, self.max_steps or PAPER_STEPS

    def method_budget(self) -> int | None:
        """Most that a method may spend, without the certificate that the budget pays; None: no cap."""
        budget = self.limits()[0]
        return budget if budget is None or self.certify != BUDGET else budget - self.certificate_points

    def confidence_of(self, regions: int) -> float:
        """Confidence of each of so many certificates."""
        return 1 - (1 - self.confidence) / regions if self.together else self.confidence

    def certified_text(self, regions: int) -> str:
        """What certified means in a table of so many regions."""
        whose = f"for all {regions} regions together" if self.together else "for each region"
        paid = "paid by its budget" if self.certify == BUDGET else "counted apart, none where the truth is known"
        return (
            f"certified: meets the goal with {100 * self.confidence:g} % confidence {whose}, by "
            f"{self.certificate_points} independent points a region, {paid}"
        )


@dataclass(frozen=True, kw_only=True)
class WorkersOptions:
    """Who runs the runs."""

    workers: Annotated[int, _option(RUN, "how many at once; 0: one a core, or all of a running cluster; live: 1")] = 0
    backend: Annotated[
        Literal["loky", "threading", "dask", "ray"],
        _option(RUN, "loky: processes of this machine; dask, ray: a cluster, by default one of this machine"),
    ] = "loky"
    scheduler: Annotated[
        str, _option(RUN, "address of a running Dask or Ray cluster, tcp://HOST:8786 or HOST:6379")
    ] = ""


def workers_of(options: WorkersOptions, *, alone: bool) -> "Workers":
    """Who runs the runs; `alone`: this process does where nobody said how many."""
    from baselines.experiments.pool import Workers

    chosen = Workers(options.workers, options.backend, options.scheduler)
    return replace(chosen, count=1) if alone and not options.workers and not chosen.address else chosen


def start_points(space: SemanticSpace, text: str) -> FloatArray:
    """Start points (S, n) of the text of --starts."""
    return paper_starts(space) if text in ("", PAPER) else read_points(space, text)


def read_points(space: SemanticSpace, text: str, option: str = "--starts") -> FloatArray:
    """Points (B, n) by name with ; between them: `azimuth=130,elevation=30;azimuth=50`.

    Raises:
        InvalidParameterError: No point, or one that cannot be read; or what `SemanticSpace.point` raises.
    """
    points = [space.point(part) for part in text.split(";") if part.strip()]
    if not points:
        raise InvalidParameterError(f"{option} names no point; write azimuth=130,elevation=30")
    return np.array(points)
