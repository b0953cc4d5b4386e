"""The off-policy stage on a small folder of results whose truth is known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.experiment.off_policy.of_folder import price_of_floor
from dacr.experiment.off_policy.stage import evaluate_policies
from dacr.report.folder import REQUIRED

MODELS = ("cheap", "mid", "strong")
N = 400


@pytest.fixture
def folder(tmp_path):
    """One learner with a floor of .3 in four runs, one static router, one table."""
    rng = generator("off-policy folder")
    quality = (rng.uniform(size=(N, 3)) < [0.3, 0.5, 0.7]).astype(float)
    qid = np.array([f"q{i}" for i in range(N)])
    domain = np.where(np.arange(N) % 2, "mbpp", "mmlu-law")
    table = pd.DataFrame(
        {
            "qid": np.repeat(qid, 3),
            "prompt": "Question?",
            "domain": np.repeat(domain, 3),
            "model": np.tile(MODELS, N),
            "response": "A",
            "quality": quality.ravel(),
            "cost": np.tile([1e-5, 1e-4, 1e-3], N),
        }
    )
    table.to_parquet(tmp_path / "table.parquet")
    frames = []
    for policy, setting, seed in [("dacr", "lambda_cost=5", s) for s in range(4)] + [("strongest", "", 1)]:
        order = rng.permutation(N)
        chance = np.full((N, 3), 0.1)
        chance[np.arange(N), rng.integers(0, 3, N)] += 0.7
        if policy == "strongest":
            order, chance = np.arange(N), np.tile([0.0, 0.0, 1.0], (N, 1))
        model = (rng.uniform(size=(N, 1)) > np.cumsum(chance, axis=1)).sum(axis=1).clip(0, 2)
        frames.append(
            pd.DataFrame(
                {
                    "policy": policy,
                    "lambda_cost": 5.0,
                    "setting": setting,
                    "seed": seed,
                    "t": np.arange(N),
                    "qid": qid[order],
                    "domain": domain[order],
                    "model": np.array(MODELS)[model],
                    "quality": quality[order, model],
                    "attempts": 1,
                    "propensity": chance[np.arange(N), model],
                }
            )
        )
    pd.concat(frames).to_parquet(tmp_path / "decisions.parquet")
    write_metrics(tmp_path)
    write_config(tmp_path, dacr_p_miss=0.3)
    return tmp_path


def write_metrics(folder, budgeted=False, enforced=False):
    """What the experiment says of its settings; dacr's may keep a budget of the operator's or of the arena's."""
    rows = {"policy": ["dacr", "strongest"], "setting": ["lambda_cost=5", ""], "param_floor": [0.3, np.nan]}
    flags = {"enforced": [enforced, False], "budgeted": [budgeted, False]}
    others = {name: [0.0, 0.0] for name in REQUIRED["metrics.csv"] if name not in rows | flags}
    pd.DataFrame(rows | flags | others).to_csv(folder / "metrics.csv", index=False)


def write_config(folder, **more):
    config = {"data": str(folder / "table.parquet"), **more}
    (folder / "manifest.json").write_text(json.dumps({"config": config}))


@pytest.mark.parametrize("depends", ["none", "quality", "quality_reversed"])
def test_estimates_find_the_truth(folder, capsys, depends):
    write_config(folder, dacr_p_miss=0.3, miss_depends_on=depends)
    evaluate_policies(results_dir=folder)
    made = pd.read_csv(folder / "ope.csv")
    assert list(made.columns[:3]) == ["setting", "run", "target"]
    assert set(made["estimator"]) == {"IPS", "SNIPS", "DR"}
    assert set(made["target"]) == {"uniform", "always cheap", "always mid", "always strong", "strongest"}
    assert made["run"].nunique() == 4
    table = pd.read_parquet(folder / "table.parquet")
    mean = table.groupby("model")["quality"].mean()
    for name in MODELS:
        own = made[made["target"] == f"always {name}"]
        np.testing.assert_allclose(own["true"], mean[name])
    assert made["error"].abs().max() < 0.35 and abs(made["error"].mean()) < 0.05
    assert made["covered"].mean() > 0.85
    same = made.set_index(["run", "estimator"])
    pd.testing.assert_series_equal(
        same.loc[same["target"] == "strongest", "estimate"], same.loc[same["target"] == "always strong", "estimate"]
    )
    text = capsys.readouterr().out
    assert "exploration floor 0.3" in text and "coverage" in text and "the floor's price" in text


def test_the_same_twice_and_where_it_is_told(folder, tmp_path):
    evaluate_policies(results_dir=folder, out=tmp_path / "a.csv")
    evaluate_policies(results_dir=folder, out=tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_price_of_floor_by_hand():
    # A floor of .2 and V = .7, U = .3: V' = (.7 - .2 * .3) / .8 = .8.
    assert price_of_floor(np.array([0.7]), np.array([[0.3, 0.3]]), 0.2) == pytest.approx(0.1)


def test_refusals_name_the_mend(folder, tmp_path):
    with pytest.raises(UserError, match="no decisions of 'linucb'; it has dacr, strongest"):
        evaluate_policies(results_dir=folder, policy="linucb")
    with pytest.raises(UserError, match="--dacr_floor"):
        evaluate_policies(results_dir=folder, policy="strongest")
    with pytest.raises(UserError, match="run_experiment"):
        evaluate_policies(results_dir=tmp_path / "nowhere")
    for kept in ({"budgeted": True}, {"enforced": True}):
        write_metrics(folder, **kept)
        with pytest.raises(UserError, match="kept a budget at every setting"):
            evaluate_policies(results_dir=folder)
    pd.read_csv(folder / "metrics.csv").drop(columns="budgeted").to_csv(folder / "metrics.csv", index=False)
    with pytest.raises(UserError, match="lacks the column 'budgeted'"):
        evaluate_policies(results_dir=folder)
    write_metrics(folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="manifest"):
        evaluate_policies(results_dir=folder)
    write_config(folder, dacr_p_miss=0.3)
    other = pd.read_parquet(folder / "table.parquet")
    other[other["qid"] != "q7"].to_parquet(tmp_path / "other.parquet")
    with pytest.raises(UserError, match="--data"):
        evaluate_policies(results_dir=folder, data=tmp_path / "other.parquet")
    (folder / "decisions.parquet").write_bytes((folder / "decisions.parquet").read_bytes()[:100])
    with pytest.raises(UserError, match="not readable"):
        evaluate_policies(results_dir=folder)


@pytest.mark.parametrize(
    ("protocol", "says"),
    [
        ("degrade:model=strong,at=0.2", "how good answers were"),
        ("late_joiner:model=mid", "which models could be called"),
        ("drift,poisoned:share=0.2", "what ratings told"),
    ],
)
def test_a_protocol_after_which_the_table_is_not_the_truth_is_refused(folder, protocol, says):
    write_config(folder, dacr_p_miss=0.3, protocol=protocol, seeds=[1])
    with pytest.raises(UserError, match=says) as caught:
        evaluate_policies(results_dir=folder)
    assert protocol in str(caught.value) and "\n" not in str(caught.value)
    assert not (folder / "ope.csv").exists()


def test_other_protocols_are_evaluated_and_lost_ratings_counted(folder):
    write_config(folder, dacr_p_miss=0.3)
    evaluate_policies(results_dir=folder)
    plain = pd.read_csv(folder / "ope.csv")
    write_config(folder, dacr_p_miss=0.3, protocol="price_change:model=strong,blocky,delayed:by=3", seeds=[1])
    evaluate_policies(results_dir=folder)
    pd.testing.assert_frame_equal(pd.read_csv(folder / "ope.csv"), plain)
    write_config(folder, dacr_p_miss=0.3, protocol="sparse:share=0.4", seeds=[1])
    evaluate_policies(results_dir=folder)
    sparse = pd.read_csv(folder / "ope.csv")
    assert (sparse["effective_n"] < plain["effective_n"]).mean() > 0.9
    assert abs(sparse["error"].mean()) < 0.05 and sparse["covered"].mean() > 0.85


def test_the_script_ends_in_one_line_on_bad_input(stage, tmp_path):
    done = stage("evaluate_policies.py", "--results_dir", tmp_path / "nowhere")
    assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
