"""Baselines behind the same ask / tell / recommend as `optimizers`: one library or idea per file."""
