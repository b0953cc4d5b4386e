from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core.cache import Cache
from dacr.core.cli import StrList
from dacr.data.prepare import prepare_routerbench
from dacr.data.table import load
from dacr.estimates.estimator import Estimator
from dacr.experiment import checks
from dacr.experiment.checks.from_experiment import context_of
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.writer import singles_table
from dacr.replay.testbed import assemble


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> checks.Context:
    """A made-up outcome on a real testbed: dacr overspends its budget, one calibrator was fitted in-sample."""
    path = tmp_path_factory.mktemp("checks") / "long.parquet"
    prepare_routerbench(sample=600, out=str(path))
    settings = ExperimentSettings(data=Path(path), ood_holdout=StrList(["mbpp"]), dacr_budget_cost=1e-4)
    bed = assemble(settings, load(path))
    estimator = Estimator(bed.table, bed.train, bed.test, bed.arrival_s, settings.tau_seconds, Cache(None))
    estimator.training("logistic", "platt_insample")
    metrics = pd.DataFrame({"policy": ["dacr", "oracle"], "lambda_cost": [5.0, 5.0], "setting": "s", "n_seed": 3})
    metrics = metrics.assign(
        mean_quality=0.9, mean_cost=2e-4, slo_violation_rate=0.1, enforced=False, budget_cost=[1e-4, np.nan]
    )
    enforced = metrics.assign(enforced=True, budget_cost=1e-3, setting="budget_cost=0.001")
    runs = pd.concat([metrics, enforced], ignore_index=True).assign(seed=1, n=len(bed.test))
    return context_of(
        settings, bed, estimator, runs.drop(columns="seed"), runs, singles_table(bed, 10.0), same_order=True
    )


def test_the_context_of_an_experiment_is_whole(context: checks.Context) -> None:
    results = checks.run(context)
    absent = results.loc[results["status"] == "not applicable", "code"].tolist()
    assert absent == ["DACR014", "DACR015", "DACR016", "DACR017"], "this table has no prices and no tokens"
    found = set(checks.findings(results)["code"])
    assert {"DACR004", "DACR006", "DACR007", "DACR008", "DACR013"} <= found
    assert not {"DACR001", "DACR005", "DACR012"} & found


def test_budgets_are_those_that_were_enforced_and_the_operators_own(context: checks.Context) -> None:
    assert context.budgets is not None and context.metrics is not None
    assert context.budgets["policy"].tolist() == ["dacr", "dacr", "oracle"]
    assert context.budgets["allowed"].tolist() == [1e-4, 1e-3, 1e-3]
    assert context.metrics["policy"].tolist() == ["dacr", "oracle"], "a frontier that keeps a budget is a frontier"
    assert context.clairvoyant == ("oracle",) and context.learners == ("dacr",)
