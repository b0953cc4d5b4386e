"""Curves along the stream stay readable where one of them runs away."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dacr.report.figures.over_time import Duals, Regret

T = np.arange(0, 1000, 10)


def regret(**ends: float) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"policy": name, "t": T, "regret_mean": end * T / T[-1], "lo": np.nan, "hi": np.nan})
        for name, end in ends.items()
    ]
    return pd.concat(parts, ignore_index=True).assign(reference="best fixed model", note="")


@pytest.mark.parametrize(
    ("ends", "linear_up_to"),
    [
        ({"dacr": 30.0, "linucb": 60.0, "port": 1200.0}, 10),
        ({"dacr": 300.0, "linucb": 600.0, "port": 9000.0}, 100),
        ({"dacr": 30.0, "linucb": 60.0, "port": 120.0}, None),
        ({"dacr": -4.0, "port": 0.5}, None),
        ({"dacr": 0.0, "port": 0.0}, None),
    ],
)
def test_one_curve_that_runs_away_leaves_the_others_apart(ends: dict[str, float], linear_up_to: int | None) -> None:
    frame = regret(**ends)
    [ax] = Regret().picture(frame).axes
    assert ax.get_yscale() == ("linear" if linear_up_to is None else "symlog")
    said = Regret().caption(frame)
    assert ("logarithmic" in said) == (linear_up_to is not None)
    if linear_up_to is not None:
        assert f"linear up to {linear_up_to} " in said
        heights = ax.transAxes.inverted().transform(ax.transData.transform([(0.0, y) for y in ends.values()]))[:, 1]
        assert np.diff(np.sort(heights)).min() > 0.07, "curves lie on each other"
        assert heights.min() >= 0 and heights.max() <= 1


def test_prices_of_money_and_of_lateness_have_scales_of_their_own() -> None:
    parts = [
        pd.DataFrame({"policy": name, "t": T, "price_cost": money, "price_late": 0.01 * (1 + k)})
        for k, (name, money) in enumerate([("dacr", 50.0), ("port", 40.0), ("knn", 2e6)])
    ]
    frame = pd.concat(parts, ignore_index=True).assign(budget_per_1000=0.5, note="")
    money, late = Duals().picture(frame).axes
    assert (money.get_yscale(), late.get_yscale()) == ("symlog", "linear")
    assert "linear up to 100 and" in Duals().caption(frame)
