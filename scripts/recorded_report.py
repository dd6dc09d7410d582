"""The command recorded_report: `semrob recorded_report` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
