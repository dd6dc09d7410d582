"""A package of a stranger that brings one of each thing that plugs in, and a module that breaks."""
