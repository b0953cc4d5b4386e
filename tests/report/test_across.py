"""What a sweep's grids come to: numbers worked out by hand, and figures for one router or many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.experiment.sweep.gather import summary_of
from dacr.report.across import Across, table_of, write_across
from dacr.report.folder import Absent, Results


def test_areas_budgets_and_what_was_spent_by_hand() -> None:
    runs = pd.DataFrame(
        {
            "policy": "a",
            "setting": ["lambda_cost=0", "budget_cost=0.5", "budget_cost=0.8"] * 2,
            "seed": [1, 1, 1, 2, 2, 2],
            "mean_cost": [1.0, 0.4, 0.8, 1.0, 0.5, 0.84],
            "mean_quality": [0.6, 0.3, 0.5, 0.8, 0.4, 0.6],
            "slo_violation_rate": [0.0, 0.0, 0.0, 0.5, 0.0, 0.0],
            "budget_cost": [np.nan, 0.5, 0.8] * 2,
            "enforced": [False, True, True] * 2,
        }
    )
    # Hulls from (0, .2) to (1, .6) and (1, .8): areas .4 and .5; priced, the second ends at .75.
    frontier = pd.DataFrame(
        {"policy": "a", "seed": ["mean", "1", "2"], "area": [0.45, 0.4, 0.5], "net_area": [0.4375, 0.4, 0.475]}
    )
    (row,) = summary_of(runs, frontier).to_dict("records")
    assert row["n_seed"] == 2
    assert row["area"] == pytest.approx(0.45)
    assert row["area_sd"] == pytest.approx(0.1 / np.sqrt(2))
    assert row["net_area"] == pytest.approx((0.4 + 0.475) / 2)
    assert row["budget_quality"] == pytest.approx((0.4 + 0.5) / 2)
    assert row["worst_used"] == pytest.approx(1.05)
    (free,) = summary_of(runs[runs["setting"] == "lambda_cost=0"], frontier).to_dict("records")
    assert np.isnan(free["budget_quality"])
    assert np.isnan(free["worst_used"])


def across(axes: dict[str, list[str]], policies: list[str]) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([*axes.values(), policies], names=[*(f"axis_{a}" for a in axes), "policy"])
    frame = index.to_frame(index=False)
    value = np.linspace(0.4, 0.9, len(frame))
    more = {"n_seed": 3, "area": value, "area_sd": 0.01, "budget_quality": np.nan, "budget_quality_sd": np.nan}
    label = frame[[f"axis_{a}" for a in axes]].agg("-".join, axis=1)
    return frame.assign(grid="g", experiment=label, **more)


def test_lines_are_routers_or_the_last_axis_where_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "across.csv"
    across({"hold_out": ["x", "y"]}, ["zero", "dacr"]).to_csv(path, index=False)
    frame = Across("g", "area").frame(Results(tmp_path, {}))
    assert frame["panel"].tolist() == ["x", "x", "y", "y"]
    assert frame["line"].tolist() == ["dacr", "zero"] * 2
    across({"hold_out": ["x", "y"], "calibrator": ["p", "q", "r"]}, ["static"]).to_csv(path, index=False)
    frame = Across("g", "area").frame(Results(tmp_path, {}))
    assert frame["panel"].tolist() == ["x"] * 3 + ["y"] * 3
    assert frame["line"].tolist() == ["p", "q", "r"] * 2
    with pytest.raises(Absent, match="has no budget_quality"):
        Across("g", "budget_quality").frame(Results(tmp_path, {}))


def test_tables_mark_the_best_of_each_experiment(tmp_path: Path) -> None:
    for names in (["x", "y"], [f"e{k}" for k in range(8)]):
        across({"hold_out": names}, ["zero", "dacr"]).to_csv(tmp_path / "across.csv", index=False)
        frame = Across("g", "area").frame(Results(tmp_path, {}))
        table = table_of(frame, "across_g_area", "Area")
        assert table.bold is not None and table.bold.sum() == len(names)
        assert len(table.text) == (2 if len(names) == 2 else 8)


def test_a_figure_and_two_tables_for_each_measure_that_there_is(tmp_path: Path) -> None:
    across({"hold_out": ["x", "y"]}, ["zero", "dacr"]).to_csv(tmp_path / "across.csv", index=False)
    assert write_across(tmp_path) == ["across_g_area"]
    for name in (
        "across_g_area.md",
        "across_g_area.tex",
        *(f"figures/across_g_area.{e}" for e in ("png", "pdf", "csv")),
    ):
        assert (tmp_path / name).stat().st_size > 0
