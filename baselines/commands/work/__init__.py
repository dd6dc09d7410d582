"""What the commands do: `run(options, console)` of the module of the same name."""
