"""The command compare_networks: `semrob compare_networks` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
