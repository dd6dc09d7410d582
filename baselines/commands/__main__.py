"""`python -m baselines.commands NAME ...` is `semrob NAME ...`."""

import sys

from baselines.commands.start import semrob

sys.exit(semrob())
