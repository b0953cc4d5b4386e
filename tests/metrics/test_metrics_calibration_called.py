from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dacr.errors import UserError
from dacr.metrics.calibration import brier, ece
from dacr.metrics.calibration_called import called_table
from dacr.rng import generator


def decisions() -> pd.DataFrame:
    rng = generator("called")
    n = 120
    return pd.DataFrame(
        {
            "policy": np.repeat(["dacr", "zero"], n // 2),
            "lambda_cost": np.repeat([5.0, np.nan], n // 2),
            "setting": "",
            "seed": np.arange(n) % 2,
            "domain": np.where(np.arange(n) % 3 == 0, "a", "b"),
            "p_hat": np.where(np.arange(n) % 10 == 9, np.nan, rng.uniform(size=n)),
            "quality": rng.integers(0, 5, n) / 4,
        }
    )


def test_equals_a_loop_over_runs() -> None:
    frame = decisions()
    table = called_table(frame)
    assert len(table) == 2 * 3 and set(table["stage"]) == {"online"}
    for row in table.itertuples():
        own = frame[(frame["policy"] == row.policy) & frame["p_hat"].notna()]
        own = own if row.domain == "all" else own[own["domain"] == row.domain]
        runs = [part for _, part in own.groupby("seed")]
        assert row.n == np.mean([len(run) for run in runs])
        assert row.ece == pytest.approx(np.mean([ece(run["p_hat"], run["quality"]) for run in runs]))
        assert row.brier == pytest.approx(np.mean([brier(run["p_hat"], run["quality"]) for run in runs]))


def test_whole_only_and_nothing_known() -> None:
    assert set(called_table(decisions(), by_domain=False)["domain"]) == {"all"}
    assert called_table(decisions().assign(p_hat=np.nan)).empty


def test_missing_column() -> None:
    with pytest.raises(UserError, match="p_hat"):
        called_table(decisions().drop(columns="p_hat"))
