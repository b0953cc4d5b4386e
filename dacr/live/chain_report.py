"""What the fallback chain does on recorded answers: which of its rejections helped, which harmed, what they cost."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.live.recorded import Recorded
from dacr.routers.rules.answers import INVALID, REFUSAL
from dacr.routers.rules.chain import ChainRouter
from dacr.types import SHED, Bools

RIGHT = 0.5
"""An answer of at least this quality is right."""


def chain_calls(world: Recorded, router: ChainRouter) -> pd.DataFrame:
    """Play the chain and say of each request what came of its calls: one row each.

    A *useful* fallback ends in a better answer than the one first rejected, a *harmful* one rejected an answer
    that was right and ended in a worse one. A *false refusal* is an answer that was taken for a refusal and was right.
    *Wasted* money was paid for rejected answers that were wrong, and for all that was paid after a right answer had
    been rejected. Every call is paid, and takes its whole recorded latency, as in every replay.

    Raises
    ------
    UserError
        The table has no responses.
    """
    played = world.play(router)
    verdict = router.verdicts(world.requests)
    if verdict is None:
        raise UserError("the table has no responses, which the chain's verdicts are read off; give one with them")
    chain = router.chain_
    place = np.arange(len(chain))
    quality, cost = world.truth.quality[:, chain], world.truth.cost_usd[:, chain]
    # (n, n_chain): which models were called, and whose answers were rejected, for what.
    tried = place < played.attempts[0][:, None]
    rejected = tried & (chain != played.model[0][:, None])
    late = world.truth.latency_s[:, chain] > np.where(place == 0, router.first_timeout_s, router.timeout_s)
    right = quality >= RIGHT
    refused = rejected & ~late & (verdict == REFUSAL)
    lost = rejected & right
    after_lost = np.cumsum(lost, axis=1) > lost
    wasted = (rejected & ~right) | (tried & after_lost)
    fell, last, first = rejected.any(axis=1), played.quality[0], quality[:, 0]
    return pd.DataFrame(
        {
            "quality": last,
            "cost": played.cost_usd[0],
            "latency_s": played.latency_s[0],
            "attempts": played.attempts[0],
            "fallbacks": fell,
            "useful_fallbacks": fell & (last > first),
            "harmful_fallbacks": fell & right[:, 0] & (last < first),
            "rejected_right": lost.any(axis=1),
            "unanswered": played.model[0] == SHED,
            "timeouts": (rejected & late).sum(axis=1),
            "refusals": refused.sum(axis=1),
            "invalid": (rejected & ~late & (verdict == INVALID)).sum(axis=1),
            "false_refusals": (refused & right).sum(axis=1),
            "wasted_usd": np.where(wasted, cost, 0.0).sum(axis=1),
        }
    )


def chain_report(calls: pd.DataFrame, rows: Bools | None = None) -> dict[str, object]:
    """Return means and counts of what :func:`chain_calls` gave, of all requests or of ``rows`` (n,)."""
    some = calls if rows is None else calls[rows]
    counts = some.drop(columns=["quality", "cost", "latency_s", "attempts", "wasted_usd"]).sum().astype(int)
    wasted = float(some["wasted_usd"].sum())
    return {
        "n": len(some),
        "mean_quality": float(some["quality"].mean()),
        "mean_cost": float(some["cost"].mean()),
        "mean_latency_s": float(some["latency_s"].mean(skipna=False)),
        "mean_attempts": float(some["attempts"].mean()),
        **{str(name): int(count) for name, count in counts.items()},
        "wasted_usd": wasted,
        "wasted_share": wasted / max(float(some["cost"].sum()), 1e-12),
    }
