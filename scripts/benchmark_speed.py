"""The command benchmark_speed: `semrob benchmark_speed` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
