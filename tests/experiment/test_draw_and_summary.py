"""An experiment draws its own figures, of the routers asked for, and sums itself up in a row per router."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pytest

from dacr.core import cli
from dacr.core.errors import UserError
from dacr.experiment import writer
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.report import tables
from dacr.report.folder import Results

FLAGS = ("--ood_holdout", "mbpp", "--orders", "2", "--lambdas", "0,100", "--predictor", "base_rate", "--n_jobs", "1")


@pytest.fixture(scope="module")
def drawn(
    sample_long: Path, tmp_path_factory: pytest.TempPathFactory, script: Callable[..., CompletedProcess[str]]
) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "results"
    flags = (*FLAGS, "--routers", "static,dacr,zero,oracle", "--budget_grid", "2", "--draw", "true")
    done = script(
        "run_experiment.py", "--data", sample_long, "--results_dir", folder, *flags, "--draw_routers", "dacr,zero"
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_figures_tables_and_report_are_there_without_a_second_command(drawn: Path) -> None:
    assert (drawn / "report.html").stat().st_size > 10_000
    assert (drawn / "figures" / "quality_cost.png").stat().st_size > 5000
    assert set(pd.read_csv(drawn / "figures" / "quality_cost.csv")["policy"].dropna()) <= {"dacr", "zero"}
    assert set(pd.read_csv(drawn / "metrics.csv")["policy"]) == {"static", "dacr", "zero", "oracle"}


def test_the_summary_answers_in_a_few_lines(drawn: Path) -> None:
    summary = pd.read_csv(drawn / "summary.csv")
    frontier = pd.read_csv(drawn / "frontier.csv").query("seed == 'mean'").set_index("policy")
    assert summary["policy"].tolist()[0] == "dacr" and len(summary) == 4 and summary.shape[1] <= 13
    assert summary["net_area"].iloc[1:].is_monotonic_decreasing
    assert summary.set_index("policy")["kind"].to_dict() == {
        "dacr": "learner", "static": "router", "zero": "router", "oracle": "reference",
    }  # fmt: skip
    for column in ("area", "net_area", "net_area_low", "net_area_difference"):
        pd.testing.assert_series_equal(
            summary.set_index("policy")[column], frontier[column].loc[summary["policy"]], check_names=False
        )
    metrics = pd.read_csv(drawn / "metrics.csv").query("~enforced")
    best = metrics.groupby("policy")["mean_quality"].max()
    assert summary.set_index("policy")["best_quality"].to_dict() == best.to_dict()
    budgets = pd.read_csv(drawn / "budgets.csv").groupby("policy")["mean_quality"].mean()
    assert summary.set_index("policy").loc["dacr", "budget_quality"] == pytest.approx(budgets["dacr"])


def test_who_is_drawn_must_be_there(drawn: Path, sample_long: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no router 'dcar' in .*; did you mean 'dacr'"):
        Results.open(drawn, ("dcar",))
    words = ["--data", str(sample_long), "--results_dir", str(tmp_path / "r"), "--routers", "dacr,zero"]
    assert cli.run(run_experiment, [*words, "--draw_routers", "static"], settings_class=ExperimentSettings) == 2
    assert not (tmp_path / "r").exists(), "told before anything is computed"


def test_every_table_of_the_report_goes_with_the_results_that_it_shows() -> None:
    assert set(writer.TABLES) == set(tables.TABLES)
