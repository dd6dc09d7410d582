"""Commands: `semrob NAME ...`, which `python scripts/NAME.py ...` is as well.

A command is two files of its name: here, what may be said to it (a frozen dataclass of typed options, and a docstring
that `--help` shows), which is light to import; in `work`, what it does, imported once the options are read. The table
of all commands is in `baselines.commands.table`. From Python, `baselines.commands.NAME.main(["--option", "value"])`
does the same and raises a `SemrobError` on bad input.
"""
