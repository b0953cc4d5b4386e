"""The claims of docs/methods/calibration.md about the default calibrator, on real rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from dacr.core.cache import Cache
from dacr.data.table import load
from dacr.experiment.studies.calibration_bench import IN_DISTRIBUTION, holdout
from dacr.experiment.studies.calibration_offline import brier_differences, offline_table
from dacr.metrics.resample import draw

FILES = {
    "routerbench_5shot_3164.pkl": ["arc-challenge", "winogrande", "mbpp"],
    "paretobandit_k4_long.parquet": ["mmlu", "gsm8k", "bbh", "openbookqa", "hellaswag", "arc_challenge"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_default_is_no_worse_than_raw_and_base_rate(
    name: str, shared_data: Path, tmp_path: Path, script: Callable[..., CompletedProcess[str]]
) -> None:
    path = tmp_path / "long.parquet"
    done = script("prepare_routerbench.py", "--pkl", shared_data / name, "--out", path)
    assert done.returncode == 0, done.stderr
    table = load(path)
    verdicts = {}
    for split, prefixes in [*((one, (one,)) for one in FILES[name]), (IN_DISTRIBUTION, ())]:
        one = holdout(table, path, split, prefixes, "logistic", (1,), Cache(None), 2)
        p = {c: one.p(c) for c in ("identity", "base_rate", "base_slope", "platt_insample")}
        frame, draws = offline_table(one, p, draw(len(one.quality), n_resample=300))
        found = brier_differences(frame, draws)
        mean = found[(found["domain"] == "all") & (found["model"] == "mean")]
        verdicts[split] = mean.set_index(["calibrator", "reference"])["verdict"]
        fitted = one.estimator.calibrators["logistic", "base_slope"]
        assert all(0 <= c.a_unseen_ <= c.a_ for c in fitted)
    for split, verdict in verdicts.items():
        assert verdict["base_slope", "identity"] != "worse", split
        assert verdict["base_slope", "base_rate"] != "worse", split
        assert verdict["platt_insample", "identity"] != "better", split
    assert verdicts[IN_DISTRIBUTION]["base_slope", "base_rate"] == "better"
