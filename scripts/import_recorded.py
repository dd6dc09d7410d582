"""The command import_recorded: `semrob import_recorded` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
