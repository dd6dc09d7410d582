"""The command method_table: `semrob method_table` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
