from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dacr.data.table import RoutingTable
from dacr.errors import UserError
from dacr.metrics import intervals, statistics
from dacr.metrics.frontier import lambda_frontier_area


@pytest.fixture
def table() -> RoutingTable:
    rng = np.random.default_rng(0)
    n = 200
    quality = (rng.random((n, 3)) < [0.4, 0.6, 0.8]).astype(float)
    cost = rng.random((n, 3)) * [1e-5, 1e-4, 1e-3]
    names = np.array([f"q{i:03d}" for i in range(n)], dtype=object)
    domain = np.array([f"d{i % 2}" for i in range(n)], dtype=object)
    latency = rng.lognormal(size=(n, 3))
    return RoutingTable(names, names, domain, ("a", "b", "c"), quality, cost, latency, pa.array([""] * n * 3))


@pytest.fixture
def decisions(table: RoutingTable) -> pd.DataFrame:
    rows = []
    rng = np.random.default_rng(1)
    for policy, setting, share in (("cheap", 0, 0.0), ("mix", 0, 0.3), ("mix", 1, 0.7), ("learner", 0, 0.5)):
        for seed in range(3):
            draw = rng if policy == "learner" else np.random.default_rng(2)
            model = np.where(draw.random(table.n_query) < share, 2, 0)
            at = (np.arange(table.n_query), model)
            frame = pd.DataFrame({"qid": table.qid, "domain": table.domain, "quality": table.quality[at]})
            frame = frame.assign(cost=table.cost_usd[at], latency_s=table.latency_s[at])
            frame["slo_violation"] = frame["latency_s"] > 2
            rows.append(frame.assign(policy=policy, lambda_cost=np.nan, setting=setting, seed=seed))
    return pd.concat(rows, ignore_index=True)


def test_one_call_gives_every_table(decisions: pd.DataFrame, table: RoutingTable) -> None:
    compared = {"cheap": 0, "mix": 1, "learner": 0}
    made = statistics.compute(
        decisions, dependent=["learner"], reference="learner", table=table, compared=compared, n_resample=500
    )
    per = made.per_setting.set_index(["policy", "setting", "metric"])
    assert len(per) == 4 * 6
    row = per.loc[("mix", 1, "mean_quality")]
    want = decisions[(decisions["policy"] == "mix") & (decisions["setting"] == 1)]["quality"].mean()
    assert row["estimate"] == pytest.approx(want)
    assert row["low"] < row["estimate"] < row["high"]
    assert per.loc[("learner", 0, "p99_latency_s"), "method"] == intervals.CROSSED
    points = decisions[decisions["policy"] == "mix"].groupby("setting")[["cost", "quality"]].mean()
    area = made.areas.set_index("policy").loc["mix"]
    single = table.cost_usd.mean(axis=0), table.quality.mean(axis=0)
    assert area["estimate"] == pytest.approx(lambda_frontier_area(points["cost"], points["quality"], *single))
    assert area["low"] < area["estimate"] < area["high"]
    verdicts = made.differences.set_index("name")["verdict"]
    assert verdicts["cheap"] == "loss"
    assert made.win_tie_loss.loc["mix", "cheap"] == "2-0-0"


def test_shed_requests_and_single_runs_get_reasons(decisions: pd.DataFrame, table: RoutingTable) -> None:
    one = decisions[decisions["seed"] == 0].copy()
    one.loc[one["policy"].eq("cheap") & one["qid"].eq("q000"), "latency_s"] = np.nan
    per = statistics.compute(one, dependent=["learner"], reference="cheap", n_resample=50).per_setting
    per = per.set_index(["policy", "setting", "metric"])
    assert per.loc[("cheap", 0, "mean_latency_s"), "method"] == statistics.GAPS
    assert np.isfinite(per.loc[("cheap", 0, "p95_latency_s"), "low"])
    assert per.loc[("learner", 0, "mean_quality"), "method"] == intervals.ONE_RUN
    assert np.isnan(per.loc[("learner", 0, "mean_quality"), "low"])
    with pytest.raises(UserError, match="no policy here"):
        statistics.compute(one, dependent=[], reference="nobody")
    with pytest.raises(UserError, match="not in the table"):
        statistics.compute(one, dependent=[], reference="cheap", table=table.take(np.arange(10)))
