"""What outside decisions are compared with: single models, their blind mixture, the oracle, all in hindsight."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from dacr.data.table import RoutingTable
from dacr.experiment.scoring.decisions import Submission
from dacr.metrics import intervals, resample
from dacr.metrics.hull import upper_hull
from dacr.metrics.paired import holm, to_reference, verdicts
from dacr.metrics.panel import panel_of
from dacr.types import Floats, Ints, Played

CLAIRVOYANT = "oracle"


def references(table: RoutingTable) -> list[Submission]:
    """Return the cheapest and the best single model, all that a blind mixture is made of, and the oracle."""
    n, quality, cost = table.n_query, table.quality.mean(axis=0), table.cost_usd.mean(axis=0)
    hull = upper_hull(cost, quality)[0]
    vertices = [int(np.lexsort((-quality, np.abs(cost - x)))[0]) for x in hull]
    cheapest = int(np.lexsort((-quality, cost))[0])
    best = int(np.lexsort((cost, -quality))[0])
    # Of equally good answers the cheapest.
    had = table.quality if table.recorded is None else np.where(table.recorded, table.quality, -np.inf)
    top = had >= had.max(axis=1, keepdims=True) - 1e-12
    oracle = np.where(top, table.cost_usd, np.inf).argmin(axis=1)
    chosen = [("cheapest", "", np.full(n, cheapest)), ("best_single", "", np.full(n, best))]
    chosen += [("zero", table.model[m], np.full(n, m)) for m in vertices]
    return [_of(name, setting, model, table) for name, setting, model in [*chosen, (CLAIRVOYANT, "", oracle)]]


def compared(decided: Sequence[Submission], table: RoutingTable, price: float, tau_s: float) -> pd.DataFrame:
    """Compare every router at every setting with the best single model, the mixture of its cost, and the oracle.

    Returns
    -------
    DataFrame
        policy, setting, reference, difference (policy - reference, in quality less price x late), low, high (95 %),
        p, p_holm (over all rows), verdict, reason. ``zero`` is the blind mixture of single models that costs as much.
    """
    parts = []
    known = {one.router: one for one in references(table) if one.router != "zero"}
    net = table.quality - price * (table.latency_s > tau_s)
    for one in decided:
        n_run = len(one.played.row)
        mixed = _mixture(table, net, float(one.played.cost_usd.mean()))
        runs = [(one.router, one.setting, _net(one.played, price, tau_s))]
        runs += [
            (name, "", _net(_tiled(known[name].played, n_run), price, tau_s)) for name in ("best_single", CLAIRVOYANT)
        ]
        if mixed is not None:
            runs.append(("zero", "", _tiled(_blank(mixed), n_run)))
        panel = panel_of(runs, [one.order_matters, *[False] * (len(runs) - 1)], table.n_query)
        draws = resample.draw(table.n_query, n_run, 1000)
        made = to_reference([name for name, _, _ in runs], intervals.means(panel, "quality", draws), 0)
        flipped = {
            "difference": -made["difference"],
            "low": -made["high"],
            "high": -made["low"],
            "reference": made["name"],
        }
        parts.append(made.assign(**flipped, policy=one.router, setting=one.setting))
    out = pd.concat(parts, ignore_index=True)
    out["p_holm"] = holm(out["p"])
    out["verdict"] = verdicts(out["difference"].to_numpy(), out["p_holm"].to_numpy(), True, 0.05)
    return out[["policy", "setting", "reference", "difference", "low", "high", "p", "p_holm", "verdict", "reason"]]


def _of(name: str, setting: str, model: Ints, table: RoutingTable) -> Submission:
    every = np.arange(table.n_query)
    quality, cost, latency = (x[every, model] for x in (table.quality, table.cost_usd, table.latency_s))
    played = _blank(quality, cost, latency, model)
    return Submission(name, setting, played, (0,), np.full_like(played.cost_usd, np.nan))


def _blank(
    quality: Floats, cost: Floats | None = None, latency: Floats | None = None, model: Ints | None = None
) -> Played:
    n = len(quality)
    unknown = np.full((1, n), np.nan)
    return Played(
        row=np.arange(n)[None],
        model=np.zeros((1, n), dtype=np.int64) if model is None else model[None],
        quality=quality[None],
        cost_usd=np.zeros((1, n)) if cost is None else cost[None],
        latency_s=unknown if latency is None else latency[None],
        attempts=np.ones((1, n), dtype=np.int64),
        propensity=np.ones((1, n)),
        p_hat=unknown,
        cost_hat=unknown,
        p_late=unknown,
    )


def _tiled(one: Played, n_run: int) -> Played:
    return Played(
        **{name: np.repeat(values, n_run, axis=0) for name, values in vars(one).items() if values is not None}
    )


def _net(one: Played, price: float, tau_s: float) -> Played:
    return replace(one, quality=one.quality - price * (one.latency_s > tau_s))


def _mixture(table: RoutingTable, net: Floats, cost: float) -> Floats | None:
    """Return each query's expected value under the best blind mixture of this mean cost; None if all are dearer."""
    x, y = upper_hull(table.cost_usd.mean(axis=0), net.mean(axis=0))
    if cost < x[0]:
        return None
    means = table.cost_usd.mean(axis=0)
    at = [int(np.flatnonzero(np.isclose(means, value) & np.isclose(net.mean(axis=0), height))[0])
          for value, height in zip(x, y, strict=True)]  # fmt: skip
    right = int(np.searchsorted(x, cost, side="right"))
    if right == len(x):
        return np.asarray(net[:, at[-1]])
    share = (cost - x[right - 1]) / (x[right] - x[right - 1])
    return np.asarray((1 - share) * net[:, at[right - 1]] + share * net[:, at[right]])
