"""The command benchmark_recorded: `semrob benchmark_recorded` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
