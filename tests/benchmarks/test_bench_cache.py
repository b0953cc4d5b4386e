"""What is cached is not done again: an experiment that ran before takes a fraction of its processor time."""

from __future__ import annotations

from pathlib import Path

import pytest

from dacr.core import cli
from dacr.data.prepare import prepare_routerbench
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from tests.benchmarks.clock import processor_seconds

pytestmark = pytest.mark.slow

LIMIT = 0.5


def test_a_warm_run_costs_a_fraction_of_a_cold_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DACR_CACHE_DIR", str(tmp_path / "cache"))
    data = tmp_path / "long.parquet"
    prepare_routerbench(sample=3000, out=str(data))

    def run() -> None:
        words = ["--data", data, "--results_dir", tmp_path / "results", "--ood_holdout", "grade-school-math,mbpp"]
        words += ["--routers", "cheapest,knn,predict_optimize,dacr", "--orders", "5", "--n_jobs", "1"]
        assert cli.run(run_experiment, [str(word) for word in words], settings_class=ExperimentSettings) == 0

    cold, warm = processor_seconds(run), min(processor_seconds(run) for _ in range(2))
    print(f"\ncold {cold:.2f} s, warm {warm:.2f} s: x {warm / cold:.2f}")
    assert warm < LIMIT * cold
