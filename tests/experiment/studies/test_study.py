"""The study over hold-outs: references by hand, a small run end to end, the document's sections."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import registry
from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.data.table import load
from dacr.experiment.groups import hold_outs
from dacr.experiment.references import supported_area
from dacr.experiment.studies.holdout_tables import budget_keeping
from dacr.experiment.studies.holdout_text import write_section
from dacr.experiment.studies.holdouts import study_holdouts
from dacr.metrics import intervals, resample
from dacr.metrics.frontier import lambda_frontier_area
from dacr.metrics.panel import panel_of
from dacr.types import Outcomes, Played


def truth_of(quality: list[list[float]], cost: list[list[float]]) -> Outcomes:
    q, c = np.array(quality, dtype=float), np.array(cost, dtype=float)
    return Outcomes(q, c, np.ones_like(q), np.zeros_like(q, dtype=bool))


def played(quality: np.ndarray, cost: np.ndarray, row: np.ndarray, price: float | None = None) -> Played:
    zero, one = np.zeros_like(quality), np.ones(quality.shape, dtype=np.int64)
    return Played(
        row=row,
        model=one * 0,
        quality=quality,
        cost_usd=cost,
        latency_s=zero,
        attempts=one,
        propensity=zero + 1,
        p_hat=zero + 0.5,
        cost_hat=cost,
        p_late=zero,
        price_cost=None if price is None else zero + price,
    )


TWO_DOMAINS = truth_of([[0, 1], [0, 1], [1, 1], [1, 1]], [[1, 3]] * 4)


def test_references_by_hand() -> None:
    # One group: a line from (1, .5) to (3, 1). By domain: money helps the first alone, so (2, 1) is had.
    assert supported_area(TWO_DOMAINS, np.zeros(4, dtype=int)) == pytest.approx(0.75)
    assert supported_area(TWO_DOMAINS, np.array([0, 0, 1, 1])) == pytest.approx((0.75 + 1.0) / 2)
    assert supported_area(TWO_DOMAINS, np.arange(4)) == pytest.approx(0.875)


def test_a_panel_stands_in_the_order_of_queries() -> None:
    row = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])
    quality = np.where(row < 2, 0.25, 1.0)
    panel = panel_of([("a", "x", played(quality, np.full((2, 4), 2.0), row))], [True], 4)
    assert panel.values["quality"][:, :, 0].tolist() == [[0.25, 0.25, 1, 1]] * 2
    expected = lambda_frontier_area([2.0], [0.625], TWO_DOMAINS.cost_usd.mean(0), TWO_DOMAINS.quality.mean(0))
    draws = resample.draw(4, 2, 10)
    cost, quality = (intervals.means(panel, name, draws) for name in ("cost", "quality"))
    single = intervals.of_models(TWO_DOMAINS.cost_usd, draws), intervals.of_models(TWO_DOMAINS.quality, draws)
    names, areas = intervals.frontier_areas(panel, cost, quality, single)
    assert names == ["a"] and areas.estimate == pytest.approx([expected])
    with pytest.raises(UserError, match="no runs"):
        panel_of([], [], 4)


def test_budgets_kept_overspent_and_left_unused() -> None:
    rows = {"policy": ["a"] * 4 + ["b"], "used": [1.0, 1.02, 0.5, 0.5, 0.5], "price_cost_end": [0.0, 0, 3, 3, 0]}
    kept = budget_keeping(pd.DataFrame(rows).assign(enforced=True, mean_quality=0.5))
    assert kept.loc["a", "worst_overspend"] == pytest.approx(0.02)
    assert kept.loc["a", "share_over"] == 0.25 and kept.loc["a", "share_unused"] == 0.5
    assert kept.loc["b", "share_unused"] == 0.0, "at a price of 0 nothing had to be spent"


def test_families_are_chosen_by_size_or_by_name(sample_long: Path) -> None:
    table = load(sample_long)
    sizes = dict(zip(*np.unique(table.family.astype(str), return_counts=True), strict=True))
    by_size = list(hold_outs(table, (), 50))
    assert by_size and all(sizes[name] >= 50 for name in by_size)
    assert [sizes[name] for name in by_size] == sorted((sizes[name] for name in by_size), reverse=True)
    assert list(hold_outs(table, ("mbpp",), 10_000)) == ["mbpp"]
    with pytest.raises(UserError, match="a family needs 10000 queries"):
        hold_outs(table, (), 10_000)
    with pytest.raises(UserError, match="add it"):
        study_holdouts(data=sample_long, routers=StrList(["knn"]))


def test_a_small_study(sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = tmp_path / "doc.md"
    document.write_text("# Kept\n\n## Small\n\nold\n\n## Other\n\nstays\n")
    run = partial(
        study_holdouts,
        data=sample_long,
        hold_outs=StrList(["grade-school-math", "arc-challenge+winogrande"]),
        orders=2,
        budgets=2,
        routers=StrList(["dacr", "base_rate", "predict_optimize"]),
        max_queries=20,
        controls=True,
        price_draws=1,
        out_dir=tmp_path / "out",
        document=document,
        title="Small",
        n_jobs=1,
    )
    run()
    files = {path: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").rglob("*")}
    shutil.rmtree(tmp_path / "out" / "cells" / "grade-school-math_again")
    assert "10 left, about" not in capsys.readouterr().err
    run()
    assert "cells: 9 done, 0 failed, 1 left" in capsys.readouterr().err, "a restart does what is left"
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()} == files
    kept = [path for path in stamps if "again" not in str(path)]
    assert {path: path.stat().st_mtime_ns for path in kept} == {path: stamps[path] for path in kept}
    frame = pd.read_csv(tmp_path / "out" / "holdouts.csv")
    assert len(frame) == 6 and set(frame["n"]) == {20}
    assert (frame["area"] <= frame["oracle"] + 1e-9).all() and (frame["hull"] <= frame["hull_by_domain"] + 1e-9).all()
    assert (
        frame["budget_quality"].between(0, 1).all() and (frame["area_minus_dacr"][frame["router"] == "dacr"] == 0).all()
    )
    # One definition of an area: the column and the paired comparison are of the same mean points.
    area_of_dacr = frame["hold_out"].map(frame[frame["router"] == "dacr"].set_index("hold_out")["area"])
    np.testing.assert_allclose(frame["area"] - area_of_dacr, frame["area_minus_dacr"], atol=1e-9)
    pooled = pd.read_csv(tmp_path / "out" / "holdouts_pooled.csv")
    assert set(pooled["measure"]) == {"area", "budget"} and "dacr" not in set(pooled["name"])
    both = frame[frame["router"] == "base_rate"]["budget_minus_dacr"].mean()
    mine = pooled[(pooled["measure"] == "budget") & (pooled["name"] == "base_rate")]["difference"]
    assert mine.item() == pytest.approx(both)
    budgets = pd.read_csv(tmp_path / "out" / "holdouts_budgets.csv")
    assert len(budgets) == 12 and (budgets["worst_cost"] >= budgets["mean_cost"]).all()
    per_router = budgets.groupby(["hold_out", "router"])["mean_quality"].mean()
    np.testing.assert_allclose(per_router, frame.set_index(["hold_out", "router"]).sort_index()["budget_quality"])
    controls = pd.read_csv(tmp_path / "out" / "controls.csv")
    assert set(controls["control"]) == {"auc", "shuffled", "a_a"}
    # Under one list of other prices the spread is that list's difference, and areas are others than at recorded costs.
    prices = pd.read_csv(tmp_path / "out" / "prices.csv")
    assert (prices["n_draw"] == 1).all() and (prices["least"] == prices["most"]).all()
    both = prices.merge(pooled, on=["measure", "name"])
    assert len(both) == len(pooled) and not np.allclose(both["median"], both["difference"])
    text = document.read_text()
    assert text.count("## Small") == 1 and "\nold\n" not in text and "stays" in text and text.startswith("# Kept")
    assert "python scripts/study_holdouts.py" in text and str(sample_long.parent) not in text


def test_sections_are_added_to_a_new_document(tmp_path: Path) -> None:
    path = tmp_path / "new.md"
    write_section(path, "One", "first\n")
    write_section(path, "Two (2)", "### Deeper\n\nsecond\n")
    write_section(path, "One", "again\n")
    text = path.read_text()
    assert text.index("## One") < text.index("## Two (2)") and "first" not in text and "### Deeper" in text


def test_a_router_of_ones_own_plays_in_a_study(
    sample_long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry.routers, "_parts", dict(registry.routers.items()))  # later tests don't know it
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from dacr.core.registry import routers\n"
        "from dacr.routers.base import Router\n\n"
        '@routers.register("mine")\n'
        "class Mine(Router):\n"
        '    """Highest predicted quality."""\n\n'
        "    def scores(self, requests):\n"
        "        return requests.p\n"
    )
    study_holdouts(
        data=sample_long,
        hold_outs=StrList(["mmlu"]),
        group_by="-",
        orders=2,
        budgets=0,
        routers=StrList(["dacr", "mine"]),
        predictor="base_rate",
        max_queries=20,
        lambda_lat=0.5,
        tau_seconds=1.0,
        plugin=plugin,
        out_dir=tmp_path / "out",
        n_jobs=1,
    )
    frame = pd.read_csv(tmp_path / "out" / "holdouts.csv").set_index("router")
    assert set(frame.index) == {"dacr", "mine"} and "budget_quality" not in frame
    (cell,) = (tmp_path / "out" / "cells").iterdir()
    net = pd.read_csv(cell / "frontier.csv").query("seed == 'mean'").set_index("policy")["net_area"]
    pd.testing.assert_series_equal(frame["area"], net.loc[frame.index], check_names=False, rtol=1e-8)
    text = (tmp_path / "out" / "holdouts.md").read_text()
    assert "--group_by - --lambda_lat 0.5 --tau_seconds 1.0" in text and "No budgets were asked for" in text
