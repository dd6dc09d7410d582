"""Semantic maps: the score of a network over all viewpoints, live or recorded, with traps and regions on top.

Examples:
  semrob semantic_map cup:3                               one live map, drawn and kept as a file
  semrob semantic_map cup:3 --methods naive,oir_b --traps   ... regions, example renders, traps
  semrob semantic_map cup:3 chair:0 --networks efficientnet_lite0,resnet50 --dry-run
  semrob semantic_map cup:3 --networks torchvision/resnet18 --weights mine.pth --score margin
  semrob semantic_map --maps results/recorded/maps.npz --dsm --one-dimensional --traps
  semrob semantic_map --maps results/recorded/maps.npz --select "ResNet50/chair/1" --methods oir_b
  semrob semantic_map --function "synthetic:trap?n=2&seed=0" --methods naive

NSM: the map of a network, mean over shapes. DSM: mean over networks and shapes; its holes speak of the data. Trap: a
part of low score that a part of high score encloses (exact words: semrob_env/maps/traps.py). Written to --out:
maps*.png; nsm.png where a class has several shapes; with --dsm also dsm.png, bias.md and bias.csv; with
--one-dimensional nsm_1d.png; with --traps traps.md and traps.csv; with --methods regions.csv, METHOD_maps*.png and, for
at most 4 maps, pictures of each: regions with example renders (where a shape is at hand), bounds over the queries.

Live scores go to live_maps.npz in --out: `recorded:NETWORK/CLASS/SHAPE?file=PATH` names such a map as a function. No
score is asked twice: the same command goes on where an interrupted one stopped. Regions are grown on the interpolated
map, so they cost no query of the network; the scores under example renders do. A SOURCE beside --maps is what example
renders show. Margins are drawn and searched as unit scores, 1/(1+exp(-margin)). With --adversarial, a region is one in
which the network is wrong, around start points of lowest score on each map.
"""

from dataclasses import dataclass
from typing import Annotated, final

from cyclopts import Parameter

from baselines.commands.program import Command
from baselines.commands.shared import options as shared
from semrob_env.maps import bias as bias_defaults
from semrob_env.maps import traps as trap_defaults


@final
@dataclass(frozen=True, kw_only=True)
class SemanticMapOptions(shared.ShapeOptions, shared.LookOptions, shared.Networks, shared.ViewOptions, shared.Asked):
    sources: shared.Sources = ()
    functions: Annotated[tuple[str, ...], Parameter(name="--function", help="a function id; may be repeated")] = ()
    maps: shared.Maps = ""
    select: tuple[str, ...] = ()
    """maps of --maps by name, * fits all: "ResNet50/chair/*"; may be repeated"""
    map_step: float = 3.0
    """grid of live maps in native units"""
    dsm: bool = False
    """also the DSM and what it says of the data"""
    bias_low: float = bias_defaults.LOW
    """a mean score below this is a failure"""
    bias_high: float = bias_defaults.HIGH
    """a mean score from this on holds"""
    one_dimensional: bool = False
    """also the NSM over the first parameter"""
    traps: bool = False
    """find, list and outline semantic traps"""
    trap_low: float = trap_defaults.LOW
    """a trap reaches below this score"""
    trap_high: float = trap_defaults.HIGH
    """and is enclosed by this score"""
    methods: shared.MethodsOrNone = ()
    out: shared.Out = "results/maps"
    dry_run: shared.DryRun = False


main = Command(SemanticMapOptions, after_interrupt="scores are kept in --out; the same command goes on from there")
