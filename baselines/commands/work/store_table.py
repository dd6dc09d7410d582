"""Reads run stores by columns, and writes what they say."""

from __future__ import annotations

from baselines.commands.shared.terminal import Bundle, Console, progress_bar
from baselines.commands.store_table import StoreTableOptions
from semrob_env.errors import InvalidParameterError
from semrob_env.files import markdown_table
from semrob_env.store import RunStore
from semrob_env.tables.stores import StoreTable


def run(options: StoreTableOptions, console: Console) -> None:
    if not options.sources:
        raise InvalidParameterError("no run store; give one, for example results/srvr/runs.sqlite")
    bundle = Bundle(options.out, console)
    parts, rows = ["# Runs of stores"], []
    with progress_bar(console, "stores") as progress:
        for path in progress.track(options.sources, description="read"):
            store = RunStore(path, read_only=True)
            table, stale = StoreTable(store.summaries(), options.seed), store.stale()
            told = [f"{count:,} {status}" for status, count in table.statuses.items()]
            told += [f"{count:,} of older versions of {name}, left out" for name, count in stale.items()]
            parts += [
                f"## {path}",
                f"Runs: {', '.join(told)}. Shares in % of the space; intervals speak of other shapes.",
                markdown_table([line.shown() for line in table.lines]),
            ]
            rows += [{"store": path, **line.exact()} for line in table.lines]
    bundle.text("store.md", "\n\n".join(parts))
    bundle.rows("store.csv", rows)
    console.say("\n\n".join(parts))
    bundle.close()
