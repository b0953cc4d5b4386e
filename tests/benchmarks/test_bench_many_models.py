"""Hundreds of models: conversion in bounded memory, and an experiment from end to end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dacr.core.cli import FloatList, IntList, StrList
from dacr.data.prepare import prepare_routerbench
from dacr.data.sample.many import iter_many, write_wide
from dacr.data.table import load
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings

pytestmark = pytest.mark.slow

CONVERT = """
import re, sys, threading
from pathlib import Path
from dacr.data.loaders import frames
from dacr.data.prepare import prepare_routerbench
frames.VALUES_PER_CHUNK = 200_000

def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

seen, done = [], threading.Event()

def watch():
    while not done.wait(0.01):
        seen.append(anonymous())

thread = threading.Thread(target=watch)
thread.start()
prepare_routerbench(pkl=sys.argv[1], out=sys.argv[2])
done.set()
thread.join()
print("peak", max(seen))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process from /proc")
def test_conversion_holds_one_chunk_whatever_the_size(tmp_path: Path) -> None:
    """Three times the rows: matrices of 137 MiB instead of 46 pass through, and the process holds half of what is more.

    Both sizes fill every chunk, so that chunks cost the same in both.
    """
    peak = {}
    for n in (10_000, 30_000):
        write_wide(tmp_path / f"{n}.parquet", n, 200)
        files = [tmp_path / f"{n}.parquet", tmp_path / "out.store"]
        done = subprocess.run(
            [sys.executable, "-c", CONVERT, *files],
            cwd=Path(__file__).resolve().parent.parent.parent, capture_output=True, text=True, check=True,
        )  # fmt: skip
        peak[n] = float(done.stdout.split("peak")[1])
    more = 3 * 8 * 200 * 20_000 / 2**20
    print(f"\nconversion holds {peak[10_000]:.0f} MiB at 10,000, {peak[30_000]:.0f} MiB at 30,000 queries x 200 models")
    assert peak[30_000] - peak[10_000] < 0.7 * more


def test_generated_models_have_the_rank_they_are_said_to_have() -> None:
    part = next(iter_many(500, 60, seed=3, chunk=500))
    code = pd.factorize(part.domain)[0]
    graded = np.isin(part.domain, ["grade-school-math", "mtbench", "consensus_summary"])
    truth = np.clip(part.truth[~graded], 1e-9, 1 - 1e-9)
    inner = np.all((truth > 1e-5) & (truth < 1 - 1e-5), axis=1)
    logits = np.log(truth / (1 - truth))[inner]
    values = np.linalg.svd(logits - logits.mean(axis=0), compute_uv=False)
    assert len(logits) > 200 and values[11] < 1e-6 * values[0] < values[5]
    assert len(np.unique(code)) > 20
    first = next(iter_many(500, 12, seed=3, chunk=500))
    np.testing.assert_array_equal(first.truth, part.truth[:, :12], err_msg="a model depends on how many there are")


def test_an_experiment_with_three_hundred_models(tmp_path: Path) -> None:
    write_wide(tmp_path / "many.parquet", 1_500, 300)
    prepare_routerbench(pkl=str(tmp_path / "many.parquet"), out=str(tmp_path / "many.store"))
    settings = ExperimentSettings(
        data=tmp_path / "many.store",
        results_dir=tmp_path / "results",
        predictor="low_rank",
        routers=StrList(["random", "cheapest", "predict_optimize", "dacr", "oracle"]),
        calibrators=StrList(["base_slope"]),
        lambdas=FloatList([0.0, 100.0]),
        seeds=IntList([1]),
        orders=2,
        n_jobs=1,
        no_cache=True,
    )
    run_experiment(settings)
    metrics = pd.read_csv(tmp_path / "results" / "metrics.csv")
    quality = metrics.groupby("policy")["mean_quality"].max()
    assert quality["random"] + 0.1 < quality["dacr"] < quality["oracle"]
    assert quality["random"] + 0.1 < quality["predict_optimize"] < quality["oracle"]
    table = load(tmp_path / "many.store")
    decisions = pq.read_table(tmp_path / "results" / "decisions.parquet").to_pandas()
    assert len(decisions) == len(decisions.drop_duplicates(["policy", "setting", "seed", "qid"]))
    row = {qid: i for i, qid in enumerate(table.qid)}
    column = {name: m for m, name in enumerate(table.model)}
    at = decisions["qid"].astype(str).map(row).to_numpy(), decisions["model"].astype(str).map(column).to_numpy()
    np.testing.assert_array_equal(decisions["quality"], table.quality[at])
    np.testing.assert_array_equal(decisions["cost"], table.cost_usd[at])
    assert decisions[decisions["policy"] == "dacr"]["model"].nunique() > 5
