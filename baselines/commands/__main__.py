"""`python -m baselines.commands NAME ...` is `semrob NAME ...`."""

import sys

from baselines.commands.program import semrob

sys.exit(semrob())
