"""Is the new checkpoint better? Networks beside the first of them, at the same views and questions of the same shapes.

Examples:
  semrob compare_networks efficientnet_lite0 efficientnet_lite2 --classes cup,chair --shapes 0-3
  semrob compare_networks before=efficientnet_lite0@epoch_1.pth after=efficientnet_lite0@epoch_9.pth
  semrob compare_networks torch=efficientnet_lite0 deployed=file:model.onnx --shapes meshes/ --class cup
  semrob compare_networks meshes/ --class cup --networks torch=efficientnet_lite0,deployed=file:model.onnx
  semrob compare_networks before=... after=... --params azimuth,elevation,distance --views 256 --fail-if-worse

Words are networks, each named as tables are to call it; with --networks they are shapes, as in other commands. All
other networks are compared with the first. Differences are after
minus before: the rate of right views, the mean score, the certified SRVR (mean share of the space of the widest region
around a start point that surely meets the goal), the rate of right views within these, which a mean does not promise,
and the area of the robustness profile; of each shape, each class and in all, where every shape counts the same.

Two intervals are told. That on these shapes: their views are drawn, the same for each network. For the rate it is
exact, from the views that flipped (McNemar's pairs); for the mean score it is a betting bound. That on other shapes of
the same classes: shapes are drawn, too, so it needs at least two and is wide for few. What is said of all and of each
class in words holds together with --confidence.

With --fail-if-worse the exit code is 1, and one line says so, if a network surely has fewer right views than the first,
over all these shapes or on one class of them; by chance that happens in 5 % of comparisons of equal networks at most.

Written to --out: comparison.md, comparison.csv (a line a metric, shape, class and network), views.csv (every common
view and what became of it), comparison.png (views, regions of both, and pictures of views that flipped; one a network),
runs.sqlite and answers.sqlite, with which the same command goes on where an interrupted one stopped.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, final

from cyclopts import Parameter

from baselines.commands.program import KEPT_TEXT, Command
from baselines.commands.shared import options as shared
from baselines.commands.shared.reading import Count, Names, Reals, by, count, numbers
from semrob_env.metrics.certificates import CONFIDENCE

if TYPE_CHECKING:
    from semrob_env.scene.sources import ShapeInfo

CLASSES, NUMBERS = ("cup", "chair", "bottle", "piano"), (0, 3)
"""Of built-in shapes, where nobody said which."""


@final
@dataclass(frozen=True, kw_only=True)
class CompareNetworksOptions(
    shared.PoseOptions, shared.LookOptions, shared.Networks, shared.ViewOptions, shared.WorkersOptions
):
    sources: shared.Sources = ()
    networks: shared.TwoNetworks = ()
    names: shared.ShapeNames = ()
    classes: Annotated[Names, Parameter(group=shared.SHAPES, help="only shapes of these classes")] = ()
    class_name: shared.ClassName = ""
    shapes: Annotated[
        Names,
        Parameter(
            group=shared.SHAPES,
            help="numbers of built-in shapes, 0-4,7, or sources: cup:3, meshes/, mug.obj (default: 0 and 3 of cup, "
            "chair, bottle and piano)",
        ),
    ] = ()
    goal: shared.GoalOption = shared.DEFAULT_GOAL
    levels: Annotated[
        Reals, Parameter(group=shared.QUESTION, help="levels of the robustness profile (default: 0.2 to 0.8)")
    ] = ()
    budget: Annotated[int, by(count, "N"), Parameter(group=shared.QUESTION, help="most queries a run")] = 40
    views: Annotated[Count, Parameter(group=shared.QUESTION, help="common views of each shape")] = 128
    confidence: shared.Confidence = CONFIDENCE
    seed: shared.Seed = 0
    imports: shared.Imports = ()
    fail_if_worse: Annotated[
        bool, Parameter(group=shared.RUN, help="exit code 1 if a network surely is worse than the first")
    ] = False
    out: shared.Out = "results/comparison"
    resume: shared.Resume = True
    dry_run: shared.DryRun = False
    words: ClassVar[str] = "NETWORK"

    def network_texts(self) -> tuple[str, ...]:
        """Those of --networks, else words."""
        return self.networks or self.sources

    def places(self) -> tuple[str, ...]:
        """Where shapes are looked for, but for built-in ones by number."""
        words = self.sources if self.networks else ()
        return (*words, *(part for part in self.shapes if not is_count(part)))

    def file_shapes(self) -> "tuple[ShapeInfo, ...]":
        """The shapes of files that are asked for."""
        return self.chosen_shapes() if self.places() else ()

    def chosen_shapes(self) -> "tuple[ShapeInfo, ...]":
        """The shapes: built-in ones by numbers, and sources.

        Raises:
            SemrobError: As `select_shapes` and `posed`.
        """
        from semrob_env.scene.sources import select_shapes  # loads meshes

        counted = ",".join(filter(is_count, self.shapes))
        sources = self.places() if self.places() and not counted else (*self.places(), "procedural")
        classes = self.classes or (() if self.places() and not counted else CLASSES)
        chosen = numbers(counted) if counted else NUMBERS
        return self.posed(
            select_shapes(
                sources,
                names=self.names,
                classes=classes,
                as_class=self.class_name,
                numbers=chosen,
                labels=self.class_labels(),
            )
        )


def is_count(part: str) -> bool:
    """Whether a part of --shapes is a number, or from one to another."""
    return part.replace("-", "").isdigit()


main = Command(CompareNetworksOptions, after_interrupt=KEPT_TEXT)
