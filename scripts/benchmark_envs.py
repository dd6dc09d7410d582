"""The command benchmark_envs: `semrob benchmark_envs` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
