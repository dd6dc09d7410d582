"""The command shape_gallery: `semrob shape_gallery` is the same."""

from baselines.commands.start import script

if __name__ == "__main__":
    script(__file__)
