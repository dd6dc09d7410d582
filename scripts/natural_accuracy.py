"""Accuracy on natural photographs beside SRVR; `python scripts/natural_accuracy.py --help`, `semrob ...` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
