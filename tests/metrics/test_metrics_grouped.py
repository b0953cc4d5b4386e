from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from dacr.core.errors import UserError
from dacr.metrics import grouped as g
from dacr.metrics.quality_cost import METRICS


@pytest.fixture
def decisions() -> pd.DataFrame:
    """Two policies, two orders, three requests; the learner sheds one, one latency is not known."""
    rows = []
    for policy, lam in (("fixed", math.nan), ("learner", 0.5)):
        for seed in (0, 1):
            for t, domain in enumerate(["mmlu-law", "mmlu-law", "mbpp"]):
                shed = policy == "learner" and t == 2
                rows.append(
                    {
                        "policy": policy,
                        "lambda_cost": lam,
                        "setting": "s0",
                        "seed": seed,
                        "domain": domain,
                        "quality": 0.0 if shed else [1.0, 0.5, 0.25][t],
                        "cost": 0.0 if shed else (t + 1) * (seed + 1.0),
                        "latency_s": math.nan if shed or (seed == 1 and t == 0) else t + 1.0,
                        "slo_violation": float(t == 1),
                        "attempts": 0 if shed else 1,
                    }
                )
    return pd.DataFrame(rows).sample(frac=1, random_state=3).sort_values("policy", kind="stable")


def by_seed(decisions: pd.DataFrame) -> pd.DataFrame:
    return g.grouped(decisions, [*g.SETTING, "seed"])


def test_by_seed_by_hand(decisions: pd.DataFrame) -> None:
    table = by_seed(decisions).set_index(["policy", "seed"])
    fixed = table.loc[("fixed", 0)]
    assert fixed["n"] == 3
    assert fixed["mean_quality"] == pytest.approx(1.75 / 3)
    assert fixed["mean_cost"] == pytest.approx(2.0)
    assert fixed["p95_latency_s"] == pytest.approx(np.quantile([1, 2, 3], 0.95))
    assert fixed["latency_coverage"] == 1.0
    assert table.loc[("fixed", 1), "latency_coverage"] == pytest.approx(2 / 3)
    assert table.loc[("fixed", 1), "mean_latency_s"] == 2.5  # of the two that are known; never 0 s
    shed = table.loc[("learner", 0)]
    assert shed["shed_rate"] == pytest.approx(1 / 3)
    assert shed["mean_latency_s"] == 1.5  # the shed request has none
    assert shed["latency_coverage"] == 1.0


def test_orders_are_averaged_and_nan_settings_kept(decisions: pd.DataFrame) -> None:
    table = g.over_seeds(by_seed(decisions))
    assert table["policy"].tolist() == ["fixed", "learner"]
    assert table["n"].tolist() == [3, 3]
    assert table["n_seed"].tolist() == [2, 2]
    assert table["mean_cost"].iloc[0] == pytest.approx((2 + 4) / 2)


def test_domains_are_groups_too(decisions: pd.DataFrame) -> None:
    by = [*g.SETTING, "domain"]
    table = g.over_seeds(g.grouped(decisions, [*by, "seed"]), by)
    fixed = table[table["policy"] == "fixed"].set_index("domain")
    assert fixed["n"].to_dict() == {"mmlu-law": 2, "mbpp": 1}
    assert fixed["mean_quality"].to_dict() == {"mmlu-law": 0.75, "mbpp": 0.25}
    shed_only = table[(table["policy"] == "learner") & (table["domain"] == "mbpp")].iloc[0]
    assert math.isnan(shed_only["p99_latency_s"])


def test_row_order_does_not_matter(decisions: pd.DataFrame) -> None:
    a = g.over_seeds(by_seed(decisions))
    b = g.over_seeds(by_seed(decisions.iloc[::-1]))
    pd.testing.assert_frame_equal(a, b.sort_values("policy").reset_index(drop=True))


def test_missing_columns_and_no_rows(decisions: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="cost"):
        by_seed(decisions.drop(columns="cost"))
    assert list(g.grouped(decisions.iloc[:0], ["policy"])) == ["policy", *(m.name for m in METRICS)]
    assert g.grouped(decisions.drop(columns="attempts"), ["policy"])["shed_rate"].tolist() == [0.0, 0.0]
