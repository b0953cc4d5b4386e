"""Tables without responses: where token counts, latencies and cues then come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from dacr.core.cli import FloatList, IntList, StrList
from dacr.data.prepare import prepare_routerbench
from dacr.data.table import load
from dacr.data.tokens import output_tokens, tokens_of
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.replay.testbed import assemble


def settings(path: Path, **more: object) -> ExperimentSettings:
    return ExperimentSettings(data=path, test_size=0.5, **more)  # type: ignore[arg-type]


def test_declared_counts_come_before_responses_and_these_before_the_default(
    tiny_long: pd.DataFrame, tmp_path: Path
) -> None:
    tiny_long.to_parquet(tmp_path / "a.parquet")
    tiny_long.drop(columns="response").to_parquet(tmp_path / "b.parquet")
    tiny_long.assign(output_tokens=np.arange(18.0)).to_parquet(tmp_path / "c.parquet")
    counted, default, declared = (tokens_of(load(tmp_path / f"{name}.parquet"), default_tokens=99) for name in "abc")
    assert (counted[1], default[1], declared[1]) == ("counted", "default", "declared")
    np.testing.assert_array_equal(counted[0], output_tokens(load(tmp_path / "a.parquet").response, 3))
    assert default[0].shape == (6, 3) and (default[0] == 99).all()
    assert sorted(declared[0].ravel()) == [1.0, 1.0, *np.arange(2.0, 18.0)]  # the end of the text is a token


def test_the_testbed_says_what_latencies_are_made_of(tiny_long: pd.DataFrame, tmp_path: Path) -> None:
    bare = tiny_long.drop(columns="response")
    latency = np.where(np.arange(18) < 9, 123.0, np.nan)
    for name, frame in {
        "default": bare,
        "declared": bare.assign(output_tokens=50.0),
        "part": bare.assign(latency_s=latency),
        "recorded": bare.assign(latency_s=123.0),
    }.items():
        frame.to_parquet(tmp_path / f"{name}.parquet")

    def made(name: str) -> tuple[np.ndarray, str]:
        bed = assemble(settings(tmp_path / f"{name}.parquet"), load(tmp_path / f"{name}.parquet"))
        return bed.table.latency_s, str(bed.sources["test_latency"])

    default, how = made("default")
    assert how == "simulated from 256 tokens an answer" and np.isfinite(default).all()
    declared, how = made("declared")
    assert how == "simulated from declared tokens" and declared.mean() < default.mean()
    part, how = made("part")
    assert how == "recorded in the table for 50.0%, rest simulated from 256 tokens an answer"
    np.testing.assert_array_equal(part, np.where(part == 123.0, 123.0, default))
    assert (part == 123.0).sum() == 9
    recorded, how = made("recorded")
    assert how == "recorded in the table" and (recorded == 123.0).all()


def test_routers_that_read_responses_play_without_them(tmp_path: Path) -> None:
    prepare_routerbench(sample=500, out=str(tmp_path / "a.store"))
    run_experiment(
        settings(
            tmp_path / "a.store",
            results_dir=tmp_path / "results",
            routers=StrList(["cascade", "chain"]),
            seeds=IntList([1]),
            lambdas=FloatList([1.0]),
            no_cache=True,
            n_jobs=1,
        )
    )
    metrics = pd.read_csv(tmp_path / "results" / "metrics.csv").set_index(["policy", "setting"])
    cascade = metrics.loc["cascade"].sort_values("mean_attempts")
    assert cascade["mean_attempts"].iloc[0] == 1 and cascade["mean_attempts"].iloc[-1] > 1.5
    # Without a text nothing refuses and nothing is empty: an answer in time is kept.
    assert (metrics.loc["chain"]["shed_rate"] < 0.05).all()
