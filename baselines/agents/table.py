"""The table of trained agents beside methods that do not learn, all on the same questions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from baselines.agents.evaluation import Outcome, mean_interval, ratio_interval
from semrob_env.files import interval_text


def table_rows(outcomes: Mapping[str, Outcome], base: str) -> list[dict[str, Any]]:
    """One row a method: feasible volume, its ratio to that of the method `base`, and intervals of 95 %."""
    rows = []
    for label, outcome in outcomes.items():
        rng, volume, other = np.random.default_rng(0), outcome.volume, outcomes[base].volume
        low, high = mean_interval(volume, rng)
        by_seeds = ratio_interval(volume, other, rng, with_members=False)
        by_members = ratio_interval(volume, other, rng, with_members=True)
        mean, below = float(volume.mean()), float(other.mean())
        rows.append({
            "method": label,
            "seeds": len(volume),
            "feasible_volume": mean,
            "low": low,
            "high": high,
            "ratio": mean / below if below > 0 else math.nan,
            "ratio_low": by_seeds[0],
            "ratio_high": by_seeds[1],
            "ratio_low_with_members": by_members[0],
            "ratio_high_with_members": by_members[1],
            "feasible_runs": float(outcome.feasible.mean()),
            "volume": float(outcome.share.mean()),
            "queries": float(outcome.queries.mean()),
        })
    return rows


def shown(row: Mapping[str, Any]) -> dict[str, str]:
    """A row as text; volumes in % of the space."""

    def ends(low: float, high: float) -> str:
        return f"{low:.2f} to {high:.2f}" if math.isfinite(low) else "-"

    return {
        "method": row["method"],
        "seeds": str(row["seeds"]),
        "feasible volume": f"{100 * row['feasible_volume']:.2f}",
        "95 %": interval_text(row["low"], row["high"]),
        "x random": f"{row['ratio']:.2f}" if math.isfinite(row["ratio"]) else "-",
        "95 % seeds": ends(row["ratio_low"], row["ratio_high"]),
        "seeds and members": ends(row["ratio_low_with_members"], row["ratio_high_with_members"]),
        "feasible runs": f"{100 * row['feasible_runs']:.0f} %",
        "queries": f"{row['queries']:.0f}",
    }
