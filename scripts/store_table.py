"""The command store_table: `semrob store_table` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
