"""The command gradient_study: `semrob gradient_study` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
