"""The command semantic_map: `semrob semantic_map` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
