"""The stage as a user runs it: what it writes, and how it refuses bad input."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from dacr.core import cli, files, manifest
from dacr.core.errors import UserError
from dacr.data import table
from dacr.data.gather import Gathered
from dacr.data.prepare import prepare_routerbench
from dacr.data.write import write_long

PICKLES = Path(__file__).parent / "pickles"
Script = Callable[..., subprocess.CompletedProcess[str]]


def refuse(capsys: pytest.CaptureFixture[str], folder: Path, *flags: object) -> str:
    """Run the stage over an earlier output; assert the refusal, return its one line."""
    out = folder / "out" / "long.parquet"
    out.parent.mkdir()
    out.write_bytes(b"earlier")
    assert cli.run(prepare_routerbench, ["--out", str(out), *map(str, flags)]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and said.err.count("\n") == 1, said.err
    assert out.read_bytes() == b"earlier" and [p.name for p in out.parent.iterdir()] == ["long.parquet"]
    return said.err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"quality": np.nan}, "has NaN quality"),
        ({"cost": np.nan}, "has NaN cost"),
        ({"cost": np.inf}, "cost is NaN or infinite"),
        ({"cost": -1e-6}, "cost must be at least 0"),
        ({"quality": 1.5}, "quality must lie in [0, 1]"),
        ({"quality": -0.1}, "quality must lie in [0, 1]"),
        ({"domain": ""}, "column 'domain' is empty"),
        ({"model": None}, "column 'model' is empty"),
    ],
)
def test_unsound_values(
    change: dict[str, object], says: str, tiny_long: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in change.items():
        tiny_long.loc[4, name] = value
    tiny_long.to_parquet(tmp_path / "t.parquet")
    assert says in refuse(capsys, tmp_path, "--pkl", tmp_path / "t.parquet")


def test_duplicates_and_missing_models(
    tiny_long: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.concat([tiny_long, tiny_long.iloc[:1]]).to_pickle(tmp_path / "twice.pkl")
    assert "stand twice" in refuse(capsys, tmp_path, "--pkl", tmp_path / "twice.pkl")
    tiny_long.iloc[1:].to_csv(tmp_path / "short.csv", index=False)
    (tmp_path / "b").mkdir()
    assert "--missing_outcomes drop" in refuse(capsys, tmp_path / "b", "--pkl", tmp_path / "short.csv")
    out = tmp_path / "dropped.parquet"
    flags = ["--pkl", str(tmp_path / "short.csv"), "--missing_outcomes", "drop", "--out", str(out)]
    assert cli.run(prepare_routerbench, flags) == 0
    assert "dropped 1 queries" in capsys.readouterr().out
    assert table.load(out).n_query == 5


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.pkl", None, "no such file"),
        ("empty.pkl", b"", "not a whole pickle"),
        ("cut.parquet", b"PAR1 and then nothing", "can't be read"),
        ("evil.pkl", b"cos\nsystem\n(S'touch executed'\ntR.", "os.system"),
        ("text.csv", b"a,b\n1,2\n", "no loader knows"),
        ("empty.csv", b"", "can't be read"),
    ],
)
def test_bad_files(
    name: str, content: bytes | None, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert says in refuse(capsys, tmp_path, "--pkl", tmp_path / name)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--pkl", "a", "--sample", "500"], "exclude each other"),
        (["--sample", "3"], "500"),
        (["--sample", "x"], "--sample"),
        (["--loader", "routerbench_wde", "--sample", "500"], "did you mean 'routerbench_wide'"),
        (["--missing_outcomes", "skip"], "--missing_outcomes"),
        (["--hf_sha256", "abc"], "64 hexadecimal digits"),
    ],
)
def test_bad_flags(flags: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "o.parquet"
    try:
        code = cli.run(prepare_routerbench, [*flags, "--out", str(out)])
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2 and says in capsys.readouterr().err and not out.exists()


def test_script_twice_gives_the_same_bytes_under_any_hash_seed(
    script: Script, stage: Script, hash_seed: str, tmp_path: Path
) -> None:
    out = tmp_path / "long.parquet"
    sums = []
    for run, env in ((script, {"PYTHONHASHSEED": hash_seed}), (stage, {})):
        flags = ("--pkl", PICKLES / "pandas_2_2_3_raw_p4.pkl", "--out", out)
        done = run("prepare_routerbench.py", *flags, **env)
        assert done.returncode == 0, done.stderr
        assert "3 queries x 2 models, 3 domains" in done.stdout
        sums.append(files.sha256(out))
    assert sums[0] == sums[1]
    schema = pq.read_schema(out)
    assert schema.names == ["qid", "prompt", "domain", "model", "response", "quality", "cost", "family"]
    made_by = manifest.from_metadata(schema.metadata)
    assert made_by["loader"] == "routerbench_raw" and made_by["inputs"]["table"]["bytes"] == 1748
    routing = table.load(out)
    assert routing.model == ("large", "small") and routing.quality.tolist() == [[1, 1], [1, 0.25], [0.5, 0]]
    again = stage("prepare_routerbench.py", "--pkl", out, "--out", tmp_path / "again.parquet")
    assert again.returncode == 0, again.stderr
    assert table.load(tmp_path / "again.parquet").quality.tolist() == routing.quality.tolist()


def test_embedded_benchmark_is_written_in_chunks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "s.parquet"
    assert cli.run(prepare_routerbench, ["--sample", "600", "--seed", "3", "--out", str(out)]) == 0
    assert "600 queries x 11 models" in capsys.readouterr().out
    assert table.load(out).n_query == 600


def test_row_groups_do_not_change_the_table(tiny_long: pd.DataFrame, tmp_path: Path) -> None:
    step = 2 * tiny_long["model"].nunique()
    pieces = [tiny_long.iloc[start : start + step] for start in range(0, len(tiny_long), step)]
    summary = write_long(tmp_path / "a.parquet", pieces, {"stage": "test"})
    write_long(tmp_path / "b.parquet", [tiny_long], {"stage": "test"})
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 3
    a, b = pd.read_parquet(tmp_path / "a.parquet"), pd.read_parquet(tmp_path / "b.parquet")
    assert a.astype(str).equals(b.astype(str))
    assert summary.n_query == 6 and summary.means()["mean_quality"].tolist() == pytest.approx(
        [3.5 / 6, 1.25 / 6, 4 / 6]
    )


def test_chunks_with_other_models_are_refused(tiny_long: pd.DataFrame, tmp_path: Path) -> None:
    other = tiny_long.iloc[:3].assign(model=["cheap", "mid", "weak"])
    with pytest.raises(UserError, match="every query has to have the models"):
        write_long(tmp_path / "o.parquet", [tiny_long, other], {})
    with pytest.raises(UserError, match="no rows"):
        write_long(tmp_path / "o.parquet", [], {})
    assert not list(tmp_path.iterdir())


def test_chunks_of_the_finished_table_hold_few_long_texts(tmp_path: Path) -> None:
    """60 queries of 1 MB each: a chunk takes 16 MB, however many queries there are."""
    with Gathered(tmp_path / "out", "long texts") as gathered:
        for i in range(60):
            said = [f"{i} {model} " + "x" * 500_000 for model in "ab"]
            rows = {"qid": f"q{i}", "prompt": "?", "domain": "d", "model": ["a", "b"], "response": said}
            gathered.add(pd.DataFrame(rows | {"quality": 1.0, "cost": 0.0}))
        size = [len(chunk) // 2 for chunk in gathered.chunks(gathered.layout())]
        qids = [qid for chunk in gathered.chunks(gathered.layout()) for qid in chunk["qid"].unique()]
    assert max(size) <= 17 and sum(size) == 60 and qids == [f"q{i}" for i in range(60)]
