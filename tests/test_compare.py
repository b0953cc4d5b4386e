from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.compare import differences, differing, same_order
from dacr.errors import UserError

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
    return pd.concat(frames, ignore_index=True).assign(cost=1e-4, slo_violation=0.0)


def test_differences_are_paired_by_query() -> None:
    made = differences(decisions(0.0), decisions(0.01), n_resample=200)
    rows = made.per_policy[made.per_policy["metric"] == "quality"].set_index("name")
    assert rows["difference"].to_dict() == pytest.approx({"cheapest": 0.0, "dacr": 0.01})
    assert rows["verdict"].to_dict() == {"cheapest": "tie", "dacr": "win"}
    assert rows.loc["dacr", "high"] - rows.loc["dacr", "low"] < 1e-6  # the same shift everywhere: nothing varies
    assert "60 queries in common" in made.text


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
    assert same_order(one) and not same_order(decisions(0.0))
    assert "one order of arrival" in differences(one, one, n_resample=50).text


def test_one_run_of_a_learner_gets_no_verdict() -> None:
    one = decisions(0.0)[lambda f: f["seed"] == 0]
    rows = differences(one, one, n_resample=50).per_policy.set_index(["metric", "name"])
    assert rows.loc[("quality", "dacr"), "verdict"] == "unknown"
    assert "no interval" in rows.loc[("quality", "dacr"), "reason"]
    assert rows.loc[("quality", "cheapest"), "verdict"] == "tie"


def test_manifests_differ_where_it_matters() -> None:
    a = {"config": {"tau": 10, "data": "x", "results_dir": "r"}, "inputs": {"data": {"path": "x", "sha256": "1"}}}
    b = {"config": {"tau": 5, "data": "y", "results_dir": "q"}, "inputs": {"data": {"path": "y", "sha256": "1"}}}
    assert list(differing(a, b)) == [("config.tau", "10", "5")]
    b["inputs"]["data"]["sha256"] = "2"  # type: ignore[index]
    assert [row[0] for row in differing(a, b)] == ["config.data", "config.tau", "inputs.data.sha256"]


def test_script_on_two_folders(script: Script, tmp_path: Path) -> None:
    for name, shift in (("a", 0.0), ("b", 0.05)):
        (tmp_path / name).mkdir()
        decisions(shift).to_parquet(tmp_path / name / "decisions.parquet")
        (tmp_path / name / "manifest.json").write_text(json.dumps({"config": {"dacr_delay": int(shift * 100)}}))
    done = script("compare_runs.py", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "d.csv")
    assert done.returncode == 0, done.stderr
    assert "config.dacr_delay: 0 -> 5" in done.stdout and "win" in done.stdout
    assert len(pd.read_csv(tmp_path / "d.csv")) == 6
    (tmp_path / "b" / "decisions.parquet").write_bytes(b"PAR1")
    done = script("compare_runs.py", tmp_path / "a", tmp_path / "b")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    (tmp_path / "b" / "manifest.json").unlink()
    done = script("compare_runs.py", tmp_path / "a", tmp_path / "b")
    assert done.returncode == 2 and "run_experiment.py" in done.stderr
