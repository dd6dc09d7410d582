"""The command natural_accuracy: `semrob natural_accuracy` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
