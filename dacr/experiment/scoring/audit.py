"""What a reader has to know of decisions that were made elsewhere, beside their score."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dacr.data.table import RoutingTable
from dacr.experiment.scoring.decisions import Submission

MOSTLY = 0.98
"""Share of requests from which one model is all that a router calls."""

OFF = 0.01
"""Share by which claimed and recorded cost may differ."""


def audit_of(decided: Sequence[Submission], table: RoutingTable) -> list[dict[str, Any]]:
    """Return what is odd in decisions: router, severity, finding, n."""
    out: list[dict[str, Any]] = []
    for one in decided:
        played, at = one.played, f"{one.setting}: " if one.setting else ""

        def say(severity: str, finding: str, n: int, router: str = one.router) -> None:
            out.append({"router": router, "severity": severity, "finding": finding, "n": n})

        told = np.isfinite(one.claimed_cost)
        claimed, recorded = one.claimed_cost[told].sum(), played.cost_usd[told].sum()
        if told.any() and abs(claimed - recorded) > OFF * max(recorded, 1e-12):
            say(
                "warning",
                f"{at}the file claims {claimed / told.sum():.4g} USD per request, the data recorded "
                f"{recorded / told.sum():.4g}; scored is what was recorded",
                int(told.sum()),
            )
        called = np.bincount(played.model[played.model >= 0], minlength=table.n_model)
        if not called.sum():
            say("error", f"{at}no request was served", played.model.size)
            continue
        most = int(called.argmax())
        share = called[most] / played.model.size
        if share >= MOSTLY:
            say("warning", f"{at}{table.model[most]} serves {share:.1%} of the requests", int(called[most]))
        quality, alone = float(played.quality.mean()), float(table.quality[:, most].mean())
        cost, cheap = float(played.cost_usd.mean()), float(table.cost_usd[:, most].mean())
        if share < 1 and quality < alone and cost >= cheap:
            say(
                "warning",
                f"{at}{table.model[most]}, which it mostly calls, alone has quality {alone:.3f} at {cheap:.3g} "
                f"USD, the router {quality:.3f} at {cost:.3g} USD",
                int(called[most]),
            )
    return out
