"""A plug-in that breaks when it is imported."""

raise RuntimeError("made for another version")
