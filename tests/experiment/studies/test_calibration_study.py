"""The whole study on the embedded benchmark, small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.errors import UserError
from dacr.data.sample.schemas import write_long
from dacr.experiment.studies.calibration import IN_DISTRIBUTION, calibration_study, chosen_calibrators

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
        lambdas=FloatList((0.0, 100.0, 1000.0)),
        seeds=IntList((1, 2, 3)),
        n_resample=40,
        no_cache=True,
        n_jobs=1,
    )
    return folder


@pytest.mark.slow
def test_table_has_every_stage_group_and_measure(results: Path) -> None:
    table = pd.read_csv(results / "calibration_ece.csv")
    stages = table.groupby("stage")["calibrator"].unique().map(set).to_dict()
    assert stages["raw"] == {"identity"}
    assert stages["offline"] == {"base_rate", "base_slope", "platt", "by_domain"}
    for stage in ("online", "online_counterfactual", "online_end"):
        assert stages[stage] == {"dacr", "dacr_full"}
    inside = table[(table["holdout"] == IN_DISTRIBUTION) & (table["stage"] == "offline")]
    assert {"all", "family:mmlu", "mbpp"} <= set(inside["domain"])
    assert {"all", "gpt-4-1106-preview"} <= set(inside["model"])
    for name in ("ece", "ece_null", "ece_debiased", "brier"):
        assert table[name].between(0, 3).all(), name


@pytest.mark.slow
def test_in_distribution_the_default_path_is_no_worse_than_raw(results: Path) -> None:
    verdicts = pd.read_csv(results / "brier_differences.csv")
    own = verdicts[(verdicts["holdout"] == IN_DISTRIBUTION) & (verdicts["calibrator"] == "base_slope")]
    assert set(own["reference"]) == {"identity", "base_rate"}
    assert (own.loc[own["reference"] == "identity", "verdict"] != "worse").all()
    table = pd.read_csv(results / "calibration_ece.csv")
    raw = table[(table["holdout"] == IN_DISTRIBUTION) & (table["domain"] == "all") & (table["stage"] == "raw")]
    mean = raw[raw["model"] != "all"]["brier"].mean()
    slope = table[(table["holdout"] == IN_DISTRIBUTION) & (table["domain"] == "all") & (table["stage"] == "offline")]
    slope = slope[(slope["calibrator"] == "base_slope") & (slope["model"] != "all")]["brier"].mean()
    mine = own.set_index("reference").loc["identity", "difference"]
    assert mine == pytest.approx(slope - mean, abs=1e-8), "the paired difference is that of the means over models"


@pytest.mark.slow
def test_every_table_text_and_figure_is_there(results: Path) -> None:
    for name in ("routing.csv", "reliability.csv", "summary.csv", "summary.md", "summary.tex", "manifest.json"):
        assert (results / name).stat().st_size > 50, name
    for name in ("study_reliability", "study_routing", "study_routing_ece"):
        assert (results / "figures" / f"{name}.png").stat().st_size > 5000
        assert (results / "figures" / f"{name}.csv").stat().st_size > 50
    assert r"\toprule" in (results / "summary.tex").read_text(encoding="utf-8")
    routing = pd.read_csv(results / "routing.csv")
    own = routing[routing["calibrator"] == "platt"]
    raw = routing[routing["calibrator"] == "identity"].set_index("holdout")["area"]
    np.testing.assert_allclose(own["area"] - own["holdout"].map(raw), own["difference_to_identity"], atol=1e-8)


def test_one_stream_order_gives_no_online_interval(sample: Path, tmp_path: Path) -> None:
    calibration_study(
        data=sample,
        results_dir=tmp_path / "one",
        calibrators=StrList(("base_slope",)),
        holdouts=StrList(("grade-school-math",)),
        in_distribution=False,
        predictor="base_rate",
        lambdas=FloatList((0.0, 100.0)),
        seeds=IntList((1,)),
        n_resample=20,
        n_jobs=1,
    )
    table = pd.read_csv(tmp_path / "one" / "calibration_ece.csv")
    online = table["stage"].str.startswith("online")
    assert table.loc[online, "ece_low"].isna().all() and table.loc[~online, "ece_low"].notna().any()


def test_errors_that_a_user_can_mend(sample: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'platt'"):
        chosen_calibrators(["plat"], print)
    with pytest.raises(UserError, match="one seed"):
        calibration_study(data=sample, results_dir=tmp_path / "none", seeds=IntList(()))
    with pytest.raises(UserError, match="--holdouts 'mbpq' matches no domain"):
        calibration_study(data=sample, results_dir=tmp_path / "none", holdouts=StrList(("mbpq",)))
    with pytest.raises(UserError, match="1000000 queries \\(--min_queries\\)"):
        calibration_study(data=sample, results_dir=tmp_path / "none", min_queries=10**6)
    assert not (tmp_path / "none").exists()


def test_all_leaves_out_what_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from dacr.estimates.calibrators.venn_abers import VennAbersCalibrator

    monkeypatch.setattr(VennAbersCalibrator, "unavailable", classmethod(lambda cls: "type: pip install venn-abers"))
    said: list[str] = []
    assert "venn_abers" not in chosen_calibrators(["all"], said.append)
    assert said == ["left out: type: pip install venn-abers"]
    with pytest.raises(UserError, match="pip install"):
        chosen_calibrators(["venn_abers"], said.append)
