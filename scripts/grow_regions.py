"""The command grow_regions: `semrob grow_regions` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
