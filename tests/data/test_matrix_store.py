"""A table as memory-mapped matrices: the same numbers as the long table, from any file, in chunks."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dacr.core import cli, manifest
from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.errors import UserError
from dacr.data import matrix_store, table
from dacr.data.loaders import frames
from dacr.data.prepare import prepare_routerbench
from dacr.data.sample import schemas
from dacr.data.sample.generate import generate
from dacr.data.sources import members
from dacr.data.tokens import output_tokens
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings


def convert(source: Path, out: Path, *flags: object) -> int:
    return cli.run(prepare_routerbench, ["--pkl", str(source), "--out", str(out), *map(str, flags)])


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "VALUES_PER_CHUNK", 40)


def same(a: table.RoutingTable, b: table.RoutingTable) -> None:
    assert list(a.qid) == list(b.qid) and list(a.prompt) == list(b.prompt) and list(a.domain) == list(b.domain)
    assert a.model == b.model
    np.testing.assert_array_equal(a.quality, b.quality)
    # Before pandas 3 a number of a CSV file is read to the last digit but one.
    np.testing.assert_allclose(a.cost_usd, b.cost_usd, rtol=4e-16, atol=0)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_rows_in_any_order_and_chunks_give_the_long_tables_numbers(
    kind: str, tiny_long: pd.DataFrame, tmp_path: Path
) -> None:
    shuffled = tiny_long.sample(frac=1, random_state=3)
    write = shuffled.to_parquet if kind == "parquet" else shuffled.to_csv
    write(tmp_path / f"t.{kind}", index=False)
    shuffled.to_parquet(tmp_path / "whole.parquet")
    assert len(list(frames.frames(*members(tmp_path / f"t.{kind}")))) > 2
    assert convert(tmp_path / f"t.{kind}", tmp_path / "t.store") == 0
    long, mapped = table.load(tmp_path / "whole.parquet"), table.load(tmp_path / "t.store")
    same(long, mapped)
    assert isinstance(mapped.quality, np.memmap) and not mapped.quality.flags.writeable
    assert mapped.response is None and long.response is not None
    np.testing.assert_array_equal(mapped.output_tokens, output_tokens(long.response, 3))
    assert np.isnan(mapped.latency_s).all() and mapped.latency_s.shape == (6, 3)
    assert table.count_rows(tmp_path / "t.store") == 18
    some = mapped.take([4, 1])
    assert list(some.qid) == [mapped.qid[4], mapped.qid[1]]
    np.testing.assert_array_equal(some.output_tokens, mapped.output_tokens[[4, 1]])


def test_a_wide_file_with_split_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = generate(520, seed=1)
    wide = schemas.wide(made, 5)
    assert len(wide) > 520
    rest = [name for name in wide.columns if not name.endswith("model_response")]
    wide[rest].to_parquet(tmp_path / "wide.parquet")
    monkeypatch.setattr(frames, "VALUES_PER_CHUNK", 17 * len(rest))
    ends = [set(one["sample_id"].iloc[[0, -1]]) for one in frames.frames(*members(tmp_path / "wide.parquet"))]
    assert any(one & other for one, other in itertools.pairwise(ends)), "rows of a query are in two chunks"
    assert convert(tmp_path / "wide.parquet", tmp_path / "wide.store") == 0
    mapped = table.load(tmp_path / "wide.store")
    assert list(mapped.qid) == list(made.qid)
    np.testing.assert_array_equal(mapped.quality.ravel(), made.long["quality"])
    assert mapped.output_tokens is None


def test_many_models_from_a_wide_file(tmp_path: Path, stage: Callable[..., object]) -> None:
    stage("make_sample.py", "--kind", "many", "--sample", 500, "--models", 30, "--out_dir", tmp_path)
    assert convert(tmp_path / "many.parquet", tmp_path / "many.store") == 0
    frame = pq.read_table(tmp_path / "many.parquet").to_pandas()
    mapped = table.load(tmp_path / "many.store")
    for name in (mapped.model[0], mapped.model[-1]):
        m = mapped.model.index(name)
        np.testing.assert_array_equal(mapped.quality[:, m], frame[name])
        np.testing.assert_array_equal(mapped.cost_usd[:, m], frame[f"{name}|total_cost"])
        np.testing.assert_array_equal(mapped.output_tokens[:, m], frame[f"{name}|output_tokens"])


def test_the_sample_as_a_store(tmp_path: Path) -> None:
    prepare_routerbench(sample=500, out=str(tmp_path / "a.store"))
    prepare_routerbench(sample=500, out=str(tmp_path / "a.parquet"))
    mapped = table.load(tmp_path / "a.store")
    assert mapped.n_query == 500
    same(table.load(tmp_path / "a.parquet"), mapped)


def test_recorded_latency_is_kept(tiny_long: pd.DataFrame, tmp_path: Path) -> None:
    latency = np.linspace(1.0, 9.0, len(tiny_long))
    latency[3] = np.nan
    tiny_long.assign(latency_s=latency, output_tokens=7).to_parquet(tmp_path / "t.parquet")
    assert convert(tmp_path / "t.parquet", tmp_path / "t.store") == 0
    long, mapped = table.load(tmp_path / "t.parquet"), table.load(tmp_path / "t.store")
    np.testing.assert_array_equal(mapped.latency_s, long.latency_s)
    assert np.isnan(mapped.latency_s).sum() == 1 and (mapped.output_tokens == 7).all()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: pd.concat([f, f.iloc[:1]]), "stand twice"),
        (lambda f: f.iloc[1:], "1 of 18 outcomes are missing, in 1 of 6 queries; first (qid 'q0'"),
        (lambda f: f.assign(quality=f["quality"].where(f.index != 2)), "outcomes are missing"),
        (lambda f: f.assign(quality=f["quality"] + 1), "quality must lie in [0, 1]"),
        (lambda f: f.assign(cost=-1.0), "cost must be at least 0"),
        (lambda f: f.assign(domain=""), "column 'domain' is empty"),
        (lambda f: f.assign(latency_s=0.0), "latency_s should be above 0 s"),
        (lambda f: f.assign(output_tokens=-1.0), "output_tokens should be a number of at least 0"),
        (lambda f: f.iloc[:0], "holds no rows"),
    ],
)
def test_what_is_refused_leaves_the_earlier_store(
    spoil: Callable[[pd.DataFrame], pd.DataFrame],
    says: str,
    tiny_long: pd.DataFrame,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny_long.to_parquet(tmp_path / "good.parquet")
    assert convert(tmp_path / "good.parquet", tmp_path / "t.store") == 0
    before = (tmp_path / "t.store" / "manifest.json").read_bytes()
    spoil(tiny_long).to_parquet(tmp_path / "bad.parquet")
    capsys.readouterr()
    assert convert(tmp_path / "bad.parquet", tmp_path / "t.store") == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1, said
    assert (tmp_path / "t.store" / "manifest.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.parquet", "good.parquet", "t.store"]


@pytest.mark.usefixtures("small_chunks")
def test_an_outcome_twice_in_two_chunks(
    tiny_long: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.concat([tiny_long, tiny_long.iloc[:1]]).to_parquet(tmp_path / "t.parquet")
    assert convert(tmp_path / "t.parquet", tmp_path / "t.store") == 2
    assert "first (qid 'q0', model 'cheap')" in capsys.readouterr().err


def test_dropping_queries(tiny_long: pd.DataFrame, tmp_path: Path) -> None:
    tiny_long.iloc[1:].to_parquet(tmp_path / "t.parquet")
    assert convert(tmp_path / "t.parquet", tmp_path / "t.store", "--missing_outcomes", "drop") == 0
    mapped = table.load(tmp_path / "t.store")
    assert list(mapped.qid) == ["q1", "q2", "q3", "q4", "q5"] and mapped.quality.shape == (5, 3)
    assert np.isfinite(mapped.quality).all() and not list((tmp_path / "t.store").glob("*kept*"))
    assert json.loads((tmp_path / "t.store" / "manifest.json").read_text())["n_dropped"] == 1


def test_a_spoilt_store(tiny_long: pd.DataFrame, tmp_path: Path) -> None:
    tiny_long.to_parquet(tmp_path / "t.parquet")
    assert convert(tmp_path / "t.parquet", tmp_path / "t.store") == 0
    quality = tmp_path / "t.store" / "quality.npy"
    whole = quality.read_bytes()
    quality.write_bytes(whole[:-8])
    with pytest.raises(UserError, match="can't be mapped"):
        table.load(tmp_path / "t.store")
    np.save(quality, np.zeros((2, 3)))
    with pytest.raises(UserError, match=r"expected float64 of shape \(6, 3\)"):
        table.load(tmp_path / "t.store")
    quality.unlink()
    with pytest.raises(UserError, match="can't be mapped"):
        table.load(tmp_path / "t.store")
    (tmp_path / "t.store" / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match="holds no matrix store"):
        table.load(tmp_path / "t.store")


def test_a_folder_of_something_else_is_not_replaced(tiny_long: pd.DataFrame, tmp_path: Path) -> None:
    tiny_long.to_parquet(tmp_path / "t.parquet")
    (tmp_path / "mine.store").mkdir()
    (tmp_path / "mine.store" / "thesis.txt").write_text("years of work")
    assert convert(tmp_path / "t.parquet", tmp_path / "mine.store") == 2
    assert (tmp_path / "mine.store" / "thesis.txt").read_text() == "years of work"


def test_an_experiment_decides_the_same_on_either(tmp_path: Path) -> None:
    assert matrix_store.SUFFIX == ".store"
    decisions = []
    for name in ("a.parquet", "a.store"):
        prepare_routerbench(sample=600, out=str(tmp_path / name))
        settings = ExperimentSettings(
            data=tmp_path / name,
            results_dir=tmp_path / f"results-{name}",
            routers=StrList(["dacr", "static", "random"]),
            lambdas=FloatList([5.0]),
            seeds=IntList([1]),
            orders=2,
            n_jobs=1,
            no_cache=True,
        )
        run_experiment(settings)
        decisions.append(pq.read_table(tmp_path / f"results-{name}" / "decisions.parquet").to_pandas())
        about = json.loads((tmp_path / f"results-{name}" / "manifest.json").read_text())
    pd.testing.assert_frame_equal(*decisions)
    assert about["inputs"]["data"] == {
        **manifest.build("x", {}, {"data": tmp_path / "a.store" / "manifest.json"})["inputs"]["data"],
        "path": str(tmp_path / "a.store"),
    }
