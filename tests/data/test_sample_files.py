"""The sample in RouterBench's file schemas, and the way back through the converter."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from completing import complete

from dacr.core.errors import UserError
from dacr.data import pickles, table
from dacr.data.loaders import routerbench
from dacr.data.sample.generate import Sample, generate
from dacr.data.sample.prompts import five_shots
from dacr.data.sample.schemas import raw, wide, write_files, write_long

TEXTS = ("qid", "prompt", "domain", "model", "response")


@pytest.fixture(scope="module")
def sample() -> Sample:
    return generate(900, seed=2)


def _assert_same(frame: pd.DataFrame, sample: Sample, but: tuple[str, ...] = ()) -> None:
    for name in TEXTS:
        if name not in but:
            assert frame[name].tolist() == sample.long[name].tolist(), name
    for name in ("quality", "cost"):
        if name not in but:
            np.testing.assert_array_equal(frame[name], sample.long[name])


@pytest.mark.parametrize("shots", [0, 5])
def test_wide_columns_are_those_of_the_real_file(sample: Sample, shots: int, shared_data: Path) -> None:
    real = pickles.load(next(iter(shared_data.glob(f"routerbench_{shots}shot_*.pkl"))))
    frame = wide(sample, shots)
    assert list(frame.columns) == list(real.columns)
    assert frame.dtypes.tolist() == real.dtypes.tolist()


def test_the_oracle_is_the_cheapest_of_the_best(sample: Sample) -> None:
    frame = wide(sample)
    for row in frame.head(200).to_dict("records"):
        best = max(row[model] for model in sample.model)
        cheapest = min((row[f"{m}|total_cost"], m) for m in sample.model if row[m] == best)[1]
        assert row["oracle_model_to_route_to"] == (cheapest if best else "no_model_correct")


def test_few_shot_prefaces_are_list_elements_of_their_own(sample: Sample) -> None:
    frame = wide(sample).set_index("sample_id")
    parts = ast.literal_eval(frame["prompt"][frame["eval_name"] == "grade-school-math"].iloc[0])
    assert len(parts) == 2
    assert parts[0].startswith("TASK: ")
    assert len(ast.literal_eval(frame["prompt"][frame["eval_name"] == "mbpp"].iloc[0])) == 1


def test_zero_shot_round_trip(sample: Sample, tmp_path: Path) -> None:
    wide(sample).to_pickle(tmp_path / "0.pkl", protocol=4)
    long = routerbench.from_wide(pickles.load(tmp_path / "0.pkl"))
    _assert_same(complete(long, "0.pkl").frame, sample)


def test_raw_round_trip(sample: Sample, tmp_path: Path) -> None:
    raw(sample).to_pickle(tmp_path / "raw.pkl", protocol=4)
    long = routerbench.from_raw(pickles.load(tmp_path / "raw.pkl"))
    _assert_same(complete(long, "raw.pkl").frame, sample)


def test_five_shot_round_trip_merges_the_split_rows(sample: Sample, tmp_path: Path) -> None:
    wide(sample, 5).to_pickle(tmp_path / "5.pkl", protocol=4)
    frame = pickles.load(tmp_path / "5.pkl")
    twice = frame["sample_id"].duplicated(keep=False)
    assert twice.sum() >= 2
    assert set(frame["eval_name"][twice]) == {"arc-challenge"}
    assert frame[list(sample.model)][twice].isna().any(axis=1).all()
    done = complete(routerbench.from_wide(frame), "5.pkl")
    assert done.n_merged == twice.sum() // 2
    assert done.n_dropped == 0
    _assert_same(done.frame, sample, but=("prompt", "cost"))
    assert (done.frame["cost"].to_numpy() >= sample.long["cost"].to_numpy()).all()
    arc = np.flatnonzero(done.frame["domain"] == "arc-challenge")[0]
    assert done.frame["prompt"].iloc[arc] == five_shots("arc-challenge") + sample.long["prompt"].iloc[arc]


def test_the_published_size_splits_fourteen_queries() -> None:
    frame = wide(generate(36_497), 5)
    assert len(frame) == 36_511


def test_long_file_loads_as_a_table(sample: Sample, tmp_path: Path) -> None:
    assert write_long(tmp_path / "long.parquet", 900, seed=2) == 9_900
    loaded = table.load(tmp_path / "long.parquet")
    assert loaded.model == sample.model
    assert loaded.qid.tolist() == sample.qid.tolist()
    np.testing.assert_array_equal(loaded.quality.ravel(), sample.long["quality"])
    assert loaded.response.to_pylist() == sample.long["response"].tolist()


def test_shots_other_than_0_and_5_are_an_error(sample: Sample) -> None:
    with pytest.raises(UserError, match="shots must be 0 or 5, got 3"):
        wide(sample, 3)


def test_script_writes_all_files(tmp_path: Path, stage: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = stage("make_sample.py", "--out_dir", tmp_path / "out", "--sample", 500)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "long.parquet",
        "routerbench_0shot.pkl",
        "routerbench_5shot.pkl",
        "routerbench_raw.pkl",
    ]
    assert "5,500 rows" in done.stdout


def test_too_small_a_sample_leaves_nothing(
    tmp_path: Path, stage: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = stage("make_sample.py", "--out_dir", tmp_path / "out", "--sample", 12, "--kind", "long")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "try --sample 2000" in done.stderr
    assert not list((tmp_path / "out").glob("*"))


def test_one_kind_alone(tmp_path: Path) -> None:
    write_files(out_dir=str(tmp_path), sample=500, kind="raw")
    assert [path.name for path in tmp_path.iterdir()] == ["routerbench_raw.pkl"]
