"""The claims of docs/methods/calibration.md about the default calibrator, on real rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pytest

from dacr.core.cli import FloatList, IntList, StrList
from dacr.experiment.studies.calibration import IN_DISTRIBUTION, calibration_study

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
    calibration_study(
        data=path,
        results_dir=tmp_path / "results",
        calibrators=StrList(("base_slope", "platt_insample")),
        holdouts=StrList(FILES[name]),
        online=False,
        lambdas=FloatList((0.0,)),
        seeds=IntList((1,)),
        n_resample=300,
    )
    found = pd.read_csv(tmp_path / "results" / "brier_differences.csv")
    verdicts = found.set_index(["holdout", "calibrator", "reference"])["verdict"]
    for split in (*FILES[name], IN_DISTRIBUTION):
        assert verdicts[split, "base_slope", "identity"] != "worse", split
        assert verdicts[split, "base_slope", "base_rate"] != "worse", split
        assert verdicts[split, "platt_insample", "identity"] != "better", split
    assert verdicts[IN_DISTRIBUTION, "base_slope", "base_rate"] == "better"
