"""The command sensitivity: `semrob sensitivity` is the same."""

import sys

from baselines.commands.program import script

if __name__ == "__main__":
    sys.exit(script(__file__))
