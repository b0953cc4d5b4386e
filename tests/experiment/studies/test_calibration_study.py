"""The whole study on the embedded benchmark, small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core.cache import Cache
from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.errors import UserError
from dacr.data.sample.schemas import write_long
from dacr.data.table import load
from dacr.experiment.studies.calibration_bench import IN_DISTRIBUTION, chosen_calibrators, holdout
from dacr.experiment.studies.calibration_online import FEEDBACK, play_online, told
from dacr.experiment.studies.calibration_study import calibration_study, hold_outs
from dacr.experiment.studies.calibration_truth import true_quality
from dacr.replay.feedback import FeedbackPlan

N = 600


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "long.parquet"
    write_long(path, N)
    return path


@pytest.fixture(scope="module")
def results(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study") / "results"
    calibration_study(
        data=sample,
        results_dir=folder,
        calibrators=StrList(("base_slope", "platt", "by_domain")),
        holdouts=StrList(("grade-school-math",)),
        online_lambdas=FloatList((0.0, 100.0)),
        lambdas=FloatList((0.0, 100.0, 1000.0)),
        seeds=IntList((1, 2, 3)),
        n_resample=40,
        truth_sample=N,
        no_cache=True,
    )
    return folder


@pytest.mark.slow
def test_table_has_every_stage_group_and_measure(results: Path) -> None:
    table = pd.read_csv(results / "calibration_ece.csv")
    stages = table.groupby("stage")["calibrator"].unique().map(set).to_dict()
    assert stages["raw"] == {"identity"}
    assert stages["offline"] == {"base_rate", "base_slope", "platt", "by_domain"}
    for stage in ("online", "online_last_quarter", "online_counterfactual"):
        assert stages[stage] == {"dacr", "dacr_full", "online_platt"}
    assert stages["online_end"] == {"dacr", "dacr_full"}
    inside = table[(table["holdout"] == IN_DISTRIBUTION) & (table["stage"] == "offline")]
    assert {"all", "family:mmlu", "mbpp"} <= set(inside["domain"])
    assert {"all", "mean", "gpt-4-1106-preview"} <= set(inside["model"])
    for name in ("ece", "ece_null", "ece_debiased", "smooth_ece", "brier", "brier_refinement"):
        assert table[name].between(0, 3).all(), name
    whole = table[table["domain"] == "all"]
    assert (whole["brier_low"] <= whole["brier"] + 0.02).all() and (whole["ece_low"] <= whole["ece_high"]).all()


@pytest.mark.slow
def test_pooled_rows_are_weighted_means_of_their_parts(results: Path) -> None:
    table = pd.read_csv(results / "calibration_ece.csv")
    part = table[(table["holdout"] == IN_DISTRIBUTION) & (table["calibrator"] == "platt")].set_index(
        ["domain", "model"]
    )
    domains = [d for d, _ in part.index.unique() if d != "all" and not d.startswith("family:")]
    single = part.loc[[(d, "gpt-4-1106-preview") for d in sorted(set(domains))]]
    expected = np.average(single["brier"], weights=single["n"])
    assert part.loc[("all", "gpt-4-1106-preview"), "brier"] == pytest.approx(expected, rel=1e-6)
    models = part.loc["all"].drop(index=["all", "mean"])
    assert part.loc[("all", "mean"), "ece"] == pytest.approx(models["ece"].mean(), rel=1e-6)
    assert part.loc[("all", "all"), "brier"] == pytest.approx(models["brier"].mean(), rel=1e-6)


@pytest.mark.slow
def test_debiased_ece_is_near_the_ece_without_label_noise(results: Path) -> None:
    truth = pd.read_csv(results / "truth.csv")
    gap = (truth["ece_debiased"] - truth["ece_to_truth"]).abs()
    assert gap.mean() < (truth["ece"] - truth["ece_to_truth"]).abs().mean() + 0.01
    assert (truth["rmse_to_truth"] < 0.5).all()
    of = truth.set_index(["holdout", "calibrator", "stage"])["rmse_to_truth"]
    unseen = of["grade-school-math"]
    # Feedback brings beliefs nearer to the truth, and everything that is told more so.
    assert unseen["dacr_full", "online_end"] < unseen["identity", "raw"]
    assert unseen["dacr_full", "online_end"] < unseen["dacr", "online_end"]


@pytest.mark.slow
def test_in_distribution_the_default_path_is_no_worse_than_raw(results: Path) -> None:
    verdicts = pd.read_csv(results / "brier_differences.csv")
    own = verdicts[(verdicts["holdout"] == IN_DISTRIBUTION) & (verdicts["calibrator"] == "base_slope")]
    own = own[(own["domain"] == "all") & (own["reference"] == "identity") & own["model"].isin(["all", "mean"])]
    assert len(own) == 2 and (own["verdict"] != "worse").all()
    table = pd.read_csv(results / "calibration_ece.csv")
    whole = table[(table["holdout"] == IN_DISTRIBUTION) & (table["domain"] == "all") & (table["model"] == "mean")]
    raw = whole[whole["stage"] == "raw"].iloc[0]
    online = whole[(whole["calibrator"] == "dacr") & (whole["stage"] == "online_counterfactual")]
    assert len(online) == 2 and (online["brier"] <= raw["brier_high"]).all()


@pytest.mark.slow
def test_every_table_text_and_figure_is_there(results: Path) -> None:
    for name in (
        "brier_differences.csv", "routing.csv", "stream.csv", "feedback.csv", "call_share.csv", "reliability.csv",
        "summary.csv", "summary.md", "summary.tex", "manifest.json",
    ):  # fmt: skip
        assert (results / name).stat().st_size > 50, name
    for name in ("study_reliability", "study_stream", "study_feedback", "study_routing", "study_routing_ece"):
        assert (results / "figures" / f"{name}.png").stat().st_size > 5000
        assert (results / "figures" / f"{name}.csv").stat().st_size > 50
    assert r"\toprule" in (results / "summary.tex").read_text(encoding="utf-8")


@pytest.mark.slow
def test_feedback_starts_at_none(results: Path) -> None:
    table = pd.read_csv(results / "feedback.csv")
    assert (table.groupby(["holdout", "lambda_cost"])["feedback"].first() == 0).all()
    assert set(table["feedback"]) <= set(FEEDBACK) and table["ece_by_model"].between(0, 1).all()


def test_online_forecasts_are_made_before_their_outcome(sample: Path) -> None:
    table = load(sample)
    seeds, plan = (1, 2), FeedbackPlan(3, 0.4)
    one = holdout(table, sample, "grade-school-math", ("grade-school-math",), "base_rate", seeds, Cache(None), 1)
    online = {o.name: o for o in play_online(one, plan, (50.0,))}
    n, n_model = one.quality.shape
    assert {o.p.shape for o in online.values()} == {(2, n, n_model)}
    dacr = online["dacr"]
    assert dacr.router is not None
    known = told(dacr.router, dacr, 0)
    assert (known.sum(axis=2) <= 1).all() and 0.4 < known.any(axis=2).mean() < 0.8
    # Nothing is known before position 4: all runs forecast the same, whatever their order.
    first = np.sort(dacr.p[:, 0], axis=0)
    np.testing.assert_allclose(first[0], first[1], atol=1e-9)
    ks = [snapshot.k for snapshot in dacr.router.snapshots if snapshot.run == 0]
    assert ks == [k for k in FEEDBACK if k <= max(ks)]
    rated = np.concatenate([[0], np.cumsum(known[0].any(axis=1))])
    for snapshot in dacr.router.snapshots:
        if (
            snapshot.run == 0 and snapshot.t < n
        ):  # just before decision t, ratings of decisions up to t - 1 - delay are in
            assert rated[max(snapshot.t - plan.delay, 0)] == snapshot.k
    assert np.isfinite(online["online_platt"].p).all()


def test_one_stream_order_gives_no_online_interval(sample: Path, tmp_path: Path) -> None:
    calibration_study(
        data=sample,
        results_dir=tmp_path / "one",
        calibrators=StrList(("base_slope",)),
        holdouts=StrList(("grade-school-math",)),
        in_distribution=False,
        predictor="base_rate",
        online_lambdas=FloatList((0.0,)),
        lambdas=FloatList((0.0, 100.0)),
        seeds=IntList((1,)),
        n_resample=20,
    )
    table = pd.read_csv(tmp_path / "one" / "calibration_ece.csv")
    online = table["stage"].str.startswith("online")
    assert table.loc[online, "ece_low"].isna().all() and table.loc[~online, "ece_low"].notna().all()


def test_errors_that_a_user_can_mend(sample: Path, tmp_path: Path) -> None:
    table = load(sample)
    with pytest.raises(UserError, match="1000000 queries \\(--min_queries\\)"):
        hold_outs(table, (), 10**6)
    with pytest.raises(UserError, match="--holdouts 'mbpq' matches no domain"):
        hold_outs(table, ("mbpq",), 1)
    assert next(iter(hold_outs(table, (), 100))) in ("mmlu", "hellaswag")
    with pytest.raises(UserError, match="did you mean 'platt'"):
        chosen_calibrators(["plat"], print)
    with pytest.raises(UserError, match="make_sample"):
        true_quality(table, 500, 7)
    with pytest.raises(UserError, match="one seed"):
        calibration_study(data=sample, results_dir=tmp_path / "none", seeds=IntList(()))
    assert not (tmp_path / "none").exists()


def test_all_leaves_out_what_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from dacr.estimates.calibrators.venn_abers import VennAbersCalibrator

    monkeypatch.setattr(VennAbersCalibrator, "unavailable", classmethod(lambda cls: "type: pip install venn-abers"))
    said: list[str] = []
    assert "venn_abers" not in chosen_calibrators(["all"], said.append)
    assert said == ["left out: type: pip install venn-abers"]
    with pytest.raises(UserError, match="pip install"):
        chosen_calibrators(["venn_abers"], said.append)
