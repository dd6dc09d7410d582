"""What commands have in common: readers of values, groups of options, terminal output and files."""
