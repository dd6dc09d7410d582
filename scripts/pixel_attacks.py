"""The command pixel_attacks: `semrob pixel_attacks` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
