from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from dacr.core.errors import UserError
from dacr.core.registry import metrics
from dacr.core.rng import generator
from dacr.metrics.metric import SETTING, measure, measure_by_domain, metric, over_seeds, registered


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
                        "p_hat": math.nan if shed else 0.9 - 0.2 * t,
                    }
                )
    return pd.DataFrame(rows).sample(frac=1, random_state=3).sort_values("policy", kind="stable")


def by_group(decisions: pd.DataFrame, *by: str) -> pd.DataFrame:
    rows = []
    for key, own in decisions.groupby(list(by), sort=False, dropna=False):
        run = {name: own[name].to_numpy() for name in own}
        rows.append(dict(zip(by, key, strict=True)) | measure(run, registered()))
    return pd.DataFrame(rows)


def by_seed(decisions: pd.DataFrame) -> pd.DataFrame:
    return by_group(decisions, *SETTING, "seed")


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
    table = over_seeds(by_seed(decisions))
    assert table["policy"].tolist() == ["fixed", "learner"]
    assert table["n"].tolist() == [3, 3]
    assert table["n_seed"].tolist() == [2, 2]
    assert table["mean_cost"].iloc[0] == pytest.approx((2 + 4) / 2)


def test_domains_are_groups_too(decisions: pd.DataFrame) -> None:
    by = [*SETTING, "domain"]
    table = over_seeds(by_group(decisions, *by, "seed"), by)
    fixed = table[table["policy"] == "fixed"].set_index("domain")
    assert fixed["n"].to_dict() == {"mmlu-law": 2, "mbpp": 1}
    assert fixed["mean_quality"].to_dict() == {"mmlu-law": 0.75, "mbpp": 0.25}
    shed_only = table[(table["policy"] == "learner") & (table["domain"] == "mbpp")].iloc[0]
    assert math.isnan(shed_only["p99_latency_s"])


def test_runs_abreast_are_measured_as_runs_alone() -> None:
    rng = np.random.default_rng(0)
    runs = {name: rng.uniform(size=(3, 40)).round(1) for one in registered() for name in one.columns}
    runs["attempts"] = np.ones((3, 40), dtype=np.int64)
    for gap in (False, True):
        if gap:  # one run has requests that were shed, one latencies that are not known
            runs["attempts"][1, ::4] = 0
            runs["latency_s"][2, :5] = runs["p_hat"][2, :5] = np.nan
        together = measure(runs, registered())
        for r in range(3):
            alone = measure({name: values[r] for name, values in runs.items()}, registered())
            assert {name: values[r] for name, values in together.items()} == pytest.approx(alone, abs=0, nan_ok=True)


def test_row_order_does_not_matter(decisions: pd.DataFrame) -> None:
    a = over_seeds(by_seed(decisions))
    b = over_seeds(by_seed(decisions.iloc[::-1]))
    pd.testing.assert_frame_equal(a, b.sort_values("policy").reset_index(drop=True))


def test_built_in_columns_come_first_and_others_by_name(decisions: pd.DataFrame) -> None:
    names = [one.name for one in registered()]
    assert names[:3] == ["n", "mean_quality", "mean_cost"] and names[10] == "shed_rate"
    assert names[11:] == sorted(names[11:]) and set(names) == set(metrics.names())


def test_a_metric_of_unknown_columns_and_a_name_that_is_taken() -> None:
    with pytest.raises(UserError, match=r"latency_ms.*decisions have quality, cost"):
        metric("mine", "latency_ms")
    with pytest.raises(UserError, match="no column"):
        metric("mine")
    with pytest.raises(UserError, match=r"mean_cost.*registered twice"):
        metric("mean_cost", "cost")(lambda cost: 0.0)


@pytest.mark.parametrize("alike", [True, False])
def test_metrics_by_domain_are_those_of_each_run_and_domain_alone(alike: bool) -> None:
    rng = generator("by domain", alike)
    n_run, n, n_domain = 3, 40, 4
    code = np.stack([rng.permutation(np.arange(n) % 3) for _ in range(n_run)])  # no decision in the last domain
    if not alike:
        code[1] = 2
    by = registered()
    runs = {name: rng.integers(0, 5, (n_run, n)) / 4 for one in by for name in one.columns}
    found = measure_by_domain(runs, code.astype(np.uint8), n_domain, [one.name for one in by])
    assert list(found) == [one.name for one in by]
    for r in range(n_run):
        parts = [np.ones(n, dtype=bool), *(code[r] == d for d in range(n_domain))]
        for place, part in enumerate(parts):
            if part.any():
                alone = measure({name: values[r, part] for name, values in runs.items()}, by)
                for name, value in alone.items():
                    np.testing.assert_allclose(found[name][r, place], value, rtol=1e-12, err_msg=name)
