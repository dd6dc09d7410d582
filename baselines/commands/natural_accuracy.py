"""Do networks that see more viewpoints see more natural photographs? Accuracy on folders of yours, beside SRVR.

Examples:
  semrob natural_accuracy --srvr results/srvr/srvr.csv      published figures beside SRVR, without any photograph
  semrob natural_accuracy imagenet-a imagenet-r --networks efficientnet_lite0,efficientnet_lite2
  semrob natural_accuracy v2=photos/matched-frequency --networks torchvision/resnet50 --srvr results/srvr/srvr.csv
  semrob natural_accuracy imagenet-o --in-distribution imagenet/val
  semrob natural_accuracy imagenet-a --dry-run              how many photographs, and how long it takes

Words are folders that hold a folder of photographs for each class, named by WordNet id, index or class of ImageNet-1k.
The name of a folder tells its benchmark (imagenet-a, imagenetv2-matched-frequency-format-val, val, ...); others are
written BENCHMARK=FOLDER. What is counted:
  val, v2, v  ImageNet, ImageNetV2, ImageNet-V: right answers, of all 1000 classes
  a, r        ImageNet-A, ImageNet-R: right answers, of the 200 classes that each has (200-way), by timm's lists
  o           ImageNet-O: the area under precision and recall (AUPR) of doubt, 1 less the highest probability; its
              photographs are to be told from those of --in-distribution, of which the classes of its folders count

Photographs are resized and their middle is cut out as the weights ask. 95 % intervals speak of other photographs that
are taken alike: exact ones of accuracies, logit ones of AUPR.

With --srvr, a table or a run store of srvr_table, SRVR stands beside it, and how far the ranks agree: Kendall's tau,
with its exact p where that is possible, and an interval from 10 networks on. Of benchmarks without a folder, figures
that timm publishes stand in (of 26 networks: ImageNet, V2, A, R).

Written to --out: natural.md, natural.csv, natural.png (with --srvr), answers.sqlite. Answers are kept by the digests of
files, so the same command goes on where an interrupted one stopped, and asks only what is new.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, final

from cyclopts import Parameter

from baselines.commands.program import KEPT_TEXT, Command
from baselines.commands.shared import options as shared


@final
@dataclass(frozen=True, kw_only=True)
class NaturalAccuracyOptions(shared.Networks):
    sources: shared.Sources = ()
    networks: shared.NetworkNames = ()
    in_distribution: Annotated[
        str, Parameter(group=shared.QUESTION, help="photographs of known classes, beside which ImageNet-O is strange")
    ] = ""
    srvr: Annotated[
        str, Parameter(group=shared.QUESTION, help="srvr.csv or runs.sqlite of srvr_table, to stand beside it")
    ] = ""
    method: Annotated[
        str,
        Parameter(
            group=shared.QUESTION, help="whose regions of --srvr (default: box_quadrature, else the mean of methods)"
        ),
    ] = ""
    regions: Annotated[
        Literal["every", "feasible", "certified"],
        Parameter(group=shared.QUESTION, help="which regions of --srvr count, others as 0"),
    ] = "feasible"
    imports: shared.Imports = ()
    out: shared.Out = "results/natural"
    dry_run: shared.DryRun = False
    words: ClassVar[str] = "FOLDER"


main = Command(NaturalAccuracyOptions, after_interrupt=KEPT_TEXT)
