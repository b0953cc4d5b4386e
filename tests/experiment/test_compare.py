from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core.errors import UserError
from dacr.experiment.compare import differences, differing, same_order

Script = Callable[..., subprocess.CompletedProcess[str]]


def decisions(
    shift: float, policies: tuple[str, ...] = ("cheapest", "dacr"), n: int = 60, seed: int = 0
) -> pd.DataFrame:
    """A run over n queries in three orders, whose dacr is better by ``shift``."""
    rng = np.random.default_rng(seed)
    base = rng.random(n)
    frames = []
    for policy in policies:
        for order in range(3):
            t = np.random.default_rng(order).permutation(n)
            quality = base + (shift if policy == "dacr" else 0.0)
            frame = pd.DataFrame({"t": t, "qid": [f"q{i}" for i in range(n)], "domain": "d", "quality": quality})
            frames.append(frame.assign(policy=policy, lambda_cost=1.0, setting="s", seed=order))
    return _known(pd.concat(frames, ignore_index=True).assign(cost=1e-4, slo_violation=0.0))


def _known(frame: pd.DataFrame, ordered: tuple[str, ...] = ()) -> pd.DataFrame:
    """Say of each row whether its router learns and whether the order of the stream matters to it."""
    learns = frame["policy"] == "dacr"
    return frame.assign(learns=learns, order_matters=learns | frame["setting"].isin(ordered))


def test_differences_are_paired_by_query() -> None:
    made = differences(decisions(0.0), decisions(0.01), n_resample=200)
    rows = made.per_router[made.per_router["metric"] == "quality"].set_index("name")
    assert rows["difference"].to_dict() == pytest.approx({"cheapest": 0.0, "dacr": 0.01})
    assert rows["verdict"].to_dict() == {"cheapest": "tie", "dacr": "win"}
    assert rows.loc["dacr", "high"] - rows.loc["dacr", "low"] < 1e-6  # the same shift everywhere: nothing varies
    assert "60 queries in common" in made.text


def test_learners_with_fewer_orders_than_others_have_seeds() -> None:
    a, b = (run[(run["policy"] != "dacr") | (run["seed"] < 2)] for run in (decisions(0.0), decisions(0.01)))
    made = differences(a, b, n_resample=200)
    rows = made.per_router[made.per_router["metric"] == "quality"].set_index("name")
    assert rows["difference"].to_dict() == pytest.approx({"cheapest": 0.0, "dacr": 0.01})


def test_what_does_not_match_is_named_and_left_out() -> None:
    a = decisions(0.0, ("cheapest", "dacr", "zero"), n=60)
    b = decisions(0.0, ("cheapest", "dacr"), n=50)
    made = differences(a, b, n_resample=50)
    assert "only in A: zero (s)" in made.text
    assert "A decided on 10 further queries" in made.text
    with pytest.raises(UserError, match="no router"):
        differences(decisions(0.0, ("zero",)), decisions(0.0, ("dacr",)))
    with pytest.raises(UserError, match="no query"):
        differences(a, b.assign(qid="other" + b["qid"]))


def test_other_seeds_and_single_orders_are_said() -> None:
    made = differences(decisions(0.0), decisions(0.0).assign(seed=lambda f: f["seed"] + 7), n_resample=50)
    assert "no seed in common" in made.text
    one = decisions(0.0).assign(t=lambda f: f["qid"].str[1:].astype(int))
    mine = [frame[frame["policy"] == "dacr"] for frame in (one, decisions(0.0))]
    assert same_order(mine[0]) and not same_order(mine[1])
    assert "one order of arrival" in differences(one, one, n_resample=50).text


def experiment(shift: float, *, budget_orders: bool, n: int = 60, order_effect: float = 0.0) -> pd.DataFrame:
    """What an experiment writes: static routers first, three seeds of the recorded order; learners in ten orders.

    Parameters
    ----------
    budget_orders : bool
        Under budgets routers that do not learn play the learners' orders; else the recorded one three times.
    order_effect : float
        By how much an order moves the quality of what depends on it, alike for all queries.
    """
    base = np.random.default_rng(0).random(n)
    frames = []
    for policy, setting in (
        ("cheapest", ""),
        ("static", "lambda_cost=5"),
        ("static", "budget_cost=0.001"),
        ("dacr", "lambda_cost=5"),
        ("dacr", "budget_cost=0.001"),
    ):
        bounded = setting.startswith("budget_")
        ordered = policy == "dacr" or (bounded and budget_orders)
        for seed in range(1, 11 if ordered else 4):
            t = np.arange(n) if seed == 1 or not ordered else np.random.default_rng(seed).permutation(n)
            effect = order_effect * np.random.default_rng([seed, int(1e6 * shift)]).standard_normal() if ordered else 0
            quality = base + shift + effect
            frame = pd.DataFrame({"t": t, "qid": [f"q{i}" for i in range(n)], "domain": "d", "quality": quality})
            frames.append(frame.assign(policy=policy, lambda_cost=5.0, setting=setting, seed=seed))
    made = pd.concat(frames, ignore_index=True).assign(cost=1e-4, slo_violation=0.0)
    return _known(made, ("budget_cost=0.001",))


def test_an_experiment_whose_learners_had_ten_orders_gets_no_note() -> None:
    made = differences(experiment(0.0, budget_orders=True), experiment(0.01, budget_orders=True), n_resample=100)
    assert "one order of arrival" not in made.text
    assert set(made.per_setting["verdict"]) == {"win", "tie"}


def test_what_a_budget_paces_is_resampled_over_orders() -> None:
    runs = [experiment(shift, budget_orders=True, order_effect=0.1) for shift in (0.0, 0.01)]
    made = differences(*runs, n_resample=400).per_setting
    rows = made[made["metric"] == "quality"].set_index("name")
    width = rows["high"] - rows["low"]
    for bounded in ("static (budget_cost=0.001)", "dacr (budget_cost=0.001)"):
        assert width[bounded] > 0.05 and rows.loc[bounded, "verdict"] == "tie", "ten orders differ by .1"
    assert width["static (lambda_cost=5)"] < 1e-6 and rows.loc["static (lambda_cost=5)", "verdict"] == "win"


def test_one_order_under_a_budget_gets_no_verdict() -> None:
    runs = [experiment(shift, budget_orders=False) for shift in (0.0, 0.01)]
    made = differences(*runs, n_resample=100)
    rows = made.per_setting[made.per_setting["metric"] == "quality"].set_index("name")
    assert rows.loc["static (budget_cost=0.001)", "verdict"] == "unknown"
    assert "no interval" in rows.loc["static (budget_cost=0.001)", "reason"]
    assert set(rows["verdict"].drop("static (budget_cost=0.001)")) == {"win"}
    assert "one order of arrival" not in made.text


def test_one_run_of_a_learner_gets_no_verdict() -> None:
    one = decisions(0.0)[lambda f: f["seed"] == 0]
    rows = differences(one, one, n_resample=50).per_router.set_index(["metric", "name"])
    assert rows.loc[("quality", "dacr"), "verdict"] == "unknown"
    assert "no interval" in rows.loc[("quality", "dacr"), "reason"]
    assert rows.loc[("quality", "cheapest"), "verdict"] == "tie"


def test_manifests_differ_where_it_matters() -> None:
    a = {"config": {"tau": 10, "data": "x", "results_dir": "r"}, "inputs": {"data": {"path": "x", "sha256": "1"}}}
    b = {"config": {"tau": 5, "data": "y", "results_dir": "q"}, "inputs": {"data": {"path": "y", "sha256": "1"}}}
    assert list(differing(a, b)) == [("config.tau", "10", "5")]
    b["inputs"]["data"]["sha256"] = "2"  # type: ignore[index]
    assert [row[0] for row in differing(a, b)] == ["config.data", "config.tau", "inputs.data.sha256"]


def test_script_on_two_folders(script: Script, stage: Script, tmp_path: Path) -> None:
    for name, shift in (("a", 0.0), ("b", 0.05)):
        (tmp_path / name).mkdir()
        made = decisions(shift).astype({"policy": "category", "setting": "category"})  # as in a results folder
        made.drop(columns=["learns", "order_matters"]).to_parquet(tmp_path / name / "decisions.parquet")
        about = made[["policy", "setting", "learns", "order_matters"]].drop_duplicates()
        about.to_csv(tmp_path / name / "metrics.csv", index=False)
        (tmp_path / name / "manifest.json").write_text(json.dumps({"config": {"dacr_delay": int(shift * 100)}}))
    done = script("compare_runs.py", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "d.csv")
    assert done.returncode == 0, done.stderr
    assert "config.dacr_delay: 0 -> 5" in done.stdout and "win" in done.stdout
    assert len(pd.read_csv(tmp_path / "d.csv")) == 6
    about.iloc[:1].to_csv(tmp_path / "b" / "metrics.csv", index=False)
    done = stage("compare_runs.py", tmp_path / "a", tmp_path / "b")
    assert done.returncode == 2 and "not whole" in done.stderr, "a setting that metrics.csv does not know"
    (tmp_path / "b" / "decisions.parquet").write_bytes(b"PAR1")
    done = stage("compare_runs.py", tmp_path / "a", tmp_path / "b")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    (tmp_path / "b" / "manifest.json").unlink()
    done = stage("compare_runs.py", tmp_path / "a", tmp_path / "b")
    assert done.returncode == 2 and "run_experiment.py" in done.stderr
