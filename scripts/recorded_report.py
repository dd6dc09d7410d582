"""The command recorded_report: `semrob recorded_report` is the same."""

import sys

from baselines.commands.program import script

if __name__ == "__main__":
    sys.exit(script(__file__))
