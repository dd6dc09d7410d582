"""The table of commands: which there are, and the question that each answers."""

from __future__ import annotations

COMMANDS = {
    "How robust is a network?": {
        "evaluate": "how robust is it on my meshes, where does it fail, and is that good enough for a merge?",
        "srvr_table": "in how much of the viewpoint space around each start point is it right, for every method?",
        "compare_networks": "is the new checkpoint better, where is it worse, and which views flipped?",
        "natural_accuracy": "do networks that see more viewpoints also see more of ImageNet-A, -R, -V2 and their kin?",
        "grow_regions": "which region does a method find on my shape, and what does it look like inside and outside?",
        "failures": "which views fail, what is answered there instead, and in which regions do most views fail?",
        "semantic_map": "what is the score over all viewpoints, where are traps, and what does it say of the data?",
        "store_table": "what do all the runs of a run store say, without running anything again?",
        "accept_shapes": "which shapes does it recognize at all?",
        "shape_gallery": "what do the shapes look like, and how does it score them?",
    },
    "How do I make it more robust?": {
        "dataset": "pictures to train on: views of shapes, uniform or failing, as an ImageFolder with their parameters",
        "robust_training": "does training on failing regions buy more than training on random views?",
    },
    "Which method finds that out with the fewest queries?": {
        "compare_methods": "how good is the region that each recommends, after how many queries?",
        "method_table": "what does each method ask a step and in all, and which hyperparameters has it?",
        "sensitivity": "how much do the paper's methods depend on eta, lambda, alpha and beta?",
        "gradient_study": "which gradient foretells the score over which distance, and grows better regions?",
        "train_agent": "what do agents find on networks and shapes that they never met?",
    },
    "What do the paper's own records say?": {
        "import_recorded": "make one file of maps and one of traces from the release of the paper's authors",
        "recorded_report": "do replays on the recorded maps agree with the regions that the authors recorded?",
    },
    "How fast and how exact is it?": {
        "benchmark_speed": "how long does each stage of the score function take, and a step of each method?",
        "benchmark_networks": "OpenVINO beside torch, answers alone beside answers in a batch: how fast, how equal?",
        "benchmark_envs": "how many steps a second do the environments make?",
        "benchmark_recorded": "how fast are replays on maps, beside a plain loop?",
        "check_rasterizer": "how fast and how exact are pictures and their derivatives?",
    },
}
"""Name and question of every command, by what a person wants to know."""

NAMES = tuple(name for commands in COMMANDS.values() for name in commands)
"""All commands in the order of the table."""
