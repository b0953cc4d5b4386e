"""What it would be worth to know costs and lateness before the call: the value of perfect information."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from dacr.estimates.fitted import clairvoyant
from dacr.replay.entry import Entry, Point
from dacr.replay.play import play
from dacr.replay.world import World
from dacr.types import Floats, Played


@dataclass
class PerfectInformation:
    """Plays routers once more on true costs and lateness, and keeps what they gain.

    The value of a decision is what its router maximises, q - lambda_cost c - lambda_late late (lambda_cost is 0 under
    an enforced budget). The gain of each query, averaged over runs, is paired; its variance is that over
    queries plus, where the order of the stream matters, that over stream orders:

        var = var_i(mean_r g_ir) / n + var_r(mean_i g_ir) / n_run.

    True costs are those at the prices of the moment. Behind replicas there is no such table: whether a call is late
    depends on the calls before it. Quality stays as it is predicted, so a router that looks at neither cost nor
    lateness gains nothing. References that see the truth anyway are left out.

    Parameters
    ----------
    tau_s : float
    """

    tau_s: float
    _rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, entry: Entry, world: World, played: list[Played]) -> None:
        """Play an entry on the truth, at all its points, and compare with what it did on estimates."""
        router = entry.points[0].router
        if router.clairvoyant or router.full_information:
            return
        if world.effects is not None:  # whoever knows a call's cost knows it at the price of the moment
            world = replace(world, effects=replace(world.effects, known_cost_factor=world.effects.cost_factor))
        world = world.for_arms(len(entry.requests.models))
        known = clairvoyant(entry.requests, world.truth).with_(p=entry.requests.p, p_raw=entry.requests.p_raw)
        again = play(replace(entry, requests=known), world)
        for point, one, other in zip(entry.points, played, again, strict=True):
            self._rows.append(self._compared(entry, point, one, other, world.order_matters(point)))

    def _compared(
        self, entry: Entry, point: Point, one: Played, other: Played, order_matters: bool
    ) -> dict[str, object]:
        before, after = (self._value(point, each) for each in (one, other))
        gain = after - before
        n_run, n = gain.shape
        variance, freedom = float(gain.mean(axis=0).var(ddof=1)) / n if n > 1 else np.nan, n - 1
        if order_matters:
            variance = variance + float(gain.mean(axis=1).var(ddof=1)) / n_run if n_run > 1 else np.nan
            freedom = n_run - 1
        half = float(stdtrit(max(freedom, 1), 0.975) * np.sqrt(variance)) if np.isfinite(variance) else np.nan
        mean = float(gain.mean())
        return {
            "policy": entry.name,
            "lambda_cost": float(point.router.params.get("lambda_cost", np.nan)),
            "setting": point.label,
            "enforced": point.enforced,
            "budget_cost": point.budget_cost if np.isfinite(point.budget_cost) else np.nan,
            "budget_late": point.budget_late if np.isfinite(point.budget_late) else np.nan,
            "n": n,
            "n_run": n_run,
            "value_predicted": float(before.mean()),
            "value_perfect": float(after.mean()),
            "gain": mean,
            "gain_low": mean - half,
            "gain_high": mean + half,
            "quality_gain": float((other.quality - one.quality).mean()),
            "cost_change": float((other.cost_usd - one.cost_usd).mean()),
            "late_change": float(self._late(other).mean() - self._late(one).mean()),
        }

    def _late(self, played: Played) -> Floats:
        return (played.latency_s > self.tau_s).astype(np.float64)

    def _value(self, point: Point, played: Played) -> Floats:
        """Return the value of every decision: (n_run, n), by row of the table."""
        params = point.router.params
        money, time = (float(params.get(f"lambda_{name}", 0.0)) for name in ("cost", "late"))
        value = played.quality - money * played.cost_usd - time * self._late(played)
        by_row = np.empty_like(value)
        np.put_along_axis(by_row, played.row, value, axis=1)
        return by_row

    def frame(self) -> pd.DataFrame:
        """Return one row per router and point."""
        return pd.DataFrame(self._rows)


def said(frame: pd.DataFrame) -> list[str]:
    """Return a line per router for the summary: mean gain over its settings, and over its budgets."""
    lines = ["value of perfect information: gain from true costs and lateness, in quality less prices, CLAIRVOYANT"]
    for router, rows in frame.groupby("policy", sort=False):
        enforced = rows["enforced"].astype(bool)
        kinds = ((rows[~enforced], "settings"), (rows[enforced], "budgets"))
        parts = [f"{part['gain'].mean():+.4f} over {len(part)} {what}" for part, what in kinds if len(part)]
        lines.append(f"  {router}: {'; '.join(parts)}")
    return lines
