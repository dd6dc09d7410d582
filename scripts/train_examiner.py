"""The command train_examiner: `semrob train_examiner` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
