"""Every protocol as --protocol names it: what it does shows in the decisions, and nothing else does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import cli
from dacr.core.registry import protocols
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings

FLAGS = ("--ood_holdout", "mmlu", "--lambdas", "0", "--seeds", "1", "--orders", "3", "--n_jobs", "1")
MODEL = "gpt-4-1106-preview"
N = 226
"""Queries of mmlu in the sample of 600."""


def run(data: Path, folder: Path, protocol: str, *flags: object, routers: str = "strongest,dacr") -> pd.DataFrame:
    """Return the decisions, in order."""
    words = ["--data", data, "--results_dir", folder, *FLAGS, "--routers", routers, "--protocol", protocol, *flags]
    assert cli.run(run_experiment, [str(word) for word in words], settings_class=ExperimentSettings) == 0
    return pd.read_parquet(folder / "decisions.parquet").sort_values(["policy", "seed", "t"], ignore_index=True)


@pytest.fixture(scope="module")
def plain(sample_long: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Decisions without a protocol."""
    return run(sample_long, tmp_path_factory.mktemp("plain"), "")


def of(decisions: pd.DataFrame, policy: str) -> pd.DataFrame:
    """Return a router's decisions: a learner's of all runs, those of others in the recorded order alone."""
    own = decisions["policy"] == policy
    return decisions[own if policy == "dacr" else own & (decisions["seed"] == 1)].reset_index(drop=True)


def streams(decisions: pd.DataFrame, policy: str, column: str) -> np.ndarray:
    """Return a column by run: (n_run, n)."""
    own = of(decisions, policy)
    return own[column].astype(object).to_numpy().reshape(own["seed"].nunique(), -1)


def test_every_protocol_has_a_test_here() -> None:
    tested = {"sorted", "blocky", "adversarial", "drift", "degrade", "price_change", "late_joiner"}
    assert tested | {"sparse", "delayed", "poisoned"} == set(protocols.names())


def blocks(domain: np.ndarray) -> int:
    return 1 + int((domain[1:] != domain[:-1]).sum())


@pytest.mark.parametrize("protocol", ["sorted", "blocky:size=5", "adversarial", "drift:sharpness=4"])
def test_orders_hold_for_every_run_and_every_router(
    protocol: str, plain: pd.DataFrame, sample_long: Path, tmp_path: Path
) -> None:
    made = run(sample_long, tmp_path, protocol, "--orders", "4")
    for policy, n_run in (("strongest", 1), ("dacr", 4)):
        qid, domain = streams(made, policy, "qid"), streams(made, policy, "domain")
        assert qid.shape == (n_run, N) and all(sorted(row) == sorted(qid[0]) for row in qid)
        counts = [blocks(row) for row in domain]
        if protocol == "sorted":
            assert set(counts) == {len(set(domain[0]))}
        if protocol.startswith("blocky"):
            first = [row[:5] for row in domain]
            assert max(counts) < 0.4 * N and all(len(set(five)) <= 2 for five in first)
        if protocol.startswith("drift"):
            half = N // 2
            turned = [set(row[:20]) == set(row[-20:]) for row in domain]
            assert not any(turned) and blocks(domain[0][:half]) > 5
    orders = streams(made, "dacr", "qid")
    same = [(orders[0] == other).mean() for other in orders[1:]]
    assert max(same) < 0.5, "each order is another"
    assert (streams(made, "strongest", "qid")[0] == orders[0]).all(), "all routers meet the first order"
    assert (streams(plain, "strongest", "qid")[0] != orders[0]).any()


def test_an_adversary_keeps_what_gains_from_money_for_last(sample_long: Path, tmp_path: Path) -> None:
    made = run(sample_long, tmp_path, "adversarial", routers="cheapest,strongest")
    cheap, strong = (of(made, name)["quality"].to_numpy(dtype=float) for name in ("cheapest", "strongest"))
    dearest = pd.read_csv(tmp_path / "singles.csv").sort_values("mean_cost")["model"].iloc[-1]
    if (of(made, "strongest")["model"] == dearest).all():
        assert (np.diff(strong - cheap) >= 0).all()
    assert (strong - cheap)[: N // 3].mean() < (strong - cheap)[-N // 3 :].mean() - 0.3


def test_a_model_gets_worse(plain: pd.DataFrame, sample_long: Path, tmp_path: Path) -> None:
    made = run(sample_long, tmp_path, f"degrade:model={MODEL},at=0.25,factor=0.5")
    one, two = of(plain, "strongest"), of(made, "strongest")
    assert (one["model"] == MODEL).all() and (one["model"] == two["model"]).all()
    factor = np.where(two["t"] >= np.ceil(0.25 * N), 0.5, 1.0)
    np.testing.assert_allclose(two["quality"], one["quality"] * factor)
    np.testing.assert_allclose(two["cost"], one["cost"])
    for policy in ("strongest", "dacr"):
        one, two = of(plain, policy), of(made, policy)
        early = one["t"] < np.ceil(0.25 * N)
        pd.testing.assert_frame_equal(one[early], two[early])


@pytest.mark.parametrize("announced", ["false", "true"])
def test_a_price_changes(announced: str, plain: pd.DataFrame, sample_long: Path, tmp_path: Path) -> None:
    made = run(sample_long, tmp_path, f"price_change:model={MODEL},at=0.5,factor=3,announced={announced}")
    one, two = of(plain, "strongest"), of(made, "strongest")
    factor = np.where(two["t"] >= N // 2, 3.0, 1.0)
    np.testing.assert_allclose(two["cost"], one["cost"] * factor)
    np.testing.assert_allclose(two["quality"], one["quality"])
    believed = factor if announced == "true" else np.ones(N)
    np.testing.assert_allclose(two["cost_hat"], one["cost_hat"] * believed)


def test_a_model_joins_late(sample_long: Path, tmp_path: Path) -> None:
    made = run(sample_long, tmp_path, f"late_joiner:model={MODEL},at=0.5,cold=false")
    there = (of(made, "strongest")["model"] == MODEL).to_numpy()
    assert not there[: N // 2].any() and there[N // 2 :].all()


@pytest.mark.parametrize("protocol", ["sparse:share=0", "delayed:by=226", "poisoned:share=1"])
def test_ratings_change_what_learners_do_and_nobody_else(
    protocol: str, plain: pd.DataFrame, sample_long: Path, tmp_path: Path
) -> None:
    made = run(sample_long, tmp_path, protocol)
    pd.testing.assert_frame_equal(of(plain, "strongest"), of(made, "strongest"))
    one, two = of(plain, "dacr"), of(made, "dacr")
    assert (one["qid"] == two["qid"]).all() and not one["p_hat"].equals(two["p_hat"])
    if protocol.startswith("poisoned"):
        return
    # Without a rating in time only the centres move, which see no rating: the runs' beliefs stay at the prior.
    none = of(run(sample_long, tmp_path / "none", "", "--dacr_p_miss", "1"), "dacr")
    pd.testing.assert_frame_equal(none, two)


def test_poisoned_ratings_mislead(sample_long: Path, tmp_path: Path) -> None:
    """With --dacr_delay 0 and all ratings, told upside down, dacr leaves what is good."""
    flags = ("--dacr_delay", "0", "--dacr_p_miss", "0", "--domain_info", "none")
    honest = of(run(sample_long, tmp_path / "a", "", *flags), "dacr")["quality"].astype(float).mean()
    misled = of(run(sample_long, tmp_path / "b", "poisoned:share=1", *flags), "dacr")["quality"].astype(float).mean()
    assert misled < honest - 0.1


def test_protocols_combine_and_are_named(sample_long: Path, tmp_path: Path) -> None:
    text = (
        f"drift,degrade:model={MODEL},at=0.5,factor=0,price_change:model={MODEL},at=0.5,sparse:share=0.5,delayed:by=5"
    )
    made = run(sample_long, tmp_path, text, "--budget_cost", "2e-3", "--replicas", "3")
    named = json.loads((tmp_path / "manifest.json").read_text())["protocol"]
    assert named.startswith("drift:sharpness=3,degrade:") and "delayed:by=5" in named and "announced=false" in named
    strong = made[(made["policy"] == "strongest") & (made["setting"].astype(str) == "")]
    assert (strong["quality"][strong["t"] >= N // 2].astype(float) == 0).all()
    runs = made.drop_duplicates(["policy", "setting", "seed"]).groupby(["policy", "setting"], observed=True).size()
    assert (runs == 3).all(), "all meet the same streams"
    used = pd.read_csv(tmp_path / "budgets.csv")
    assert set(used["policy"]) == {"strongest", "dacr"} and (used["used"] < 1.1).all()


def test_two_orders_at_once_are_refused(sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", str(sample_long), "--results_dir", str(tmp_path / "r"), "--protocol", "sorted,drift"]
    assert cli.run(run_experiment, words, settings_class=ExperimentSettings) == 2
    said = capsys.readouterr().err
    assert "sorted and drift each want an order" in said and said.count("\n") == 1


def test_cascades_meet_what_happens_to_models(sample_long: Path, tmp_path: Path) -> None:
    """At threshold 1 a cascade climbs to the dearest of its models, unless that is not there."""
    worse = run(sample_long, tmp_path / "a", f"degrade:model={MODEL},at=0.5,factor=0", routers="cascade")
    top = worse[(worse["setting"].astype(str) == "threshold=1") & (worse["model"] == MODEL)]
    assert len(top) > N // 2 and (top["quality"][top["t"] >= N // 2] == 0).all()
    assert top["quality"][top["t"] < N // 2].mean() > 0.5
    made = run(sample_long, tmp_path / "b", f"late_joiner:model={MODEL},at=0.5,cold=false", routers="cascade")
    made = made[made["setting"].astype(str) == "threshold=1"]
    early, later = made[made["t"] < N // 2], made[made["t"] >= N // 2]
    assert (early["model"] != MODEL).all() and early["model"].notna().all(), "the last answer that was had is kept"
    assert (later["model"] == MODEL).mean() > 0.9
    assert early["attempts"].max() == later["attempts"].max() - 1, "no call is paid that was not made"
    assert early["cost"].max() < later["cost"].max() / 2
