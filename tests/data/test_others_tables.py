"""Tables as other programs write them: texts that look like gaps or numbers, prompts as messages, odd names."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import cli
from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data import gather, table
from dacr.data.prepare import prepare_routerbench
from dacr.estimates.features.text import TextFeatures, hashed_counts

WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "parquet": lambda frame, path: frame.to_parquet(path),
    "jsonl": lambda frame, path: frame.to_json(path, orient="records", lines=True),
    "json": lambda frame, path: frame.to_json(path, orient="records"),
    "pkl": lambda frame, path: frame.to_pickle(path),
}


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., table.RoutingTable]:
    def convert(frame: pd.DataFrame, kind: str, *flags: str) -> table.RoutingTable:
        WRITERS[kind](frame, tmp_path / f"t.{kind}")
        command = ["--pkl", str(tmp_path / f"t.{kind}"), "--out", str(tmp_path / "out.parquet"), *flags]
        assert cli.run(prepare_routerbench, command) == 0
        return table.load(tmp_path / "out.parquet")

    return convert


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_file_says_the_same(kind: str, tiny_long: pd.DataFrame, read: Callable[..., object]) -> None:
    got, expected = read(tiny_long, kind), read(tiny_long, "parquet")
    assert list(got.qid) == list(expected.qid) and got.model == expected.model
    np.testing.assert_array_equal(got.quality, expected.quality)
    np.testing.assert_allclose(got.cost_usd, expected.cost_usd, rtol=1e-14)
    assert got.response == expected.response


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "jsonl"])
def test_words_and_digits_stay_texts(kind: str, tiny_long: pd.DataFrame, read: Callable[..., object]) -> None:
    words = ["NA", "null", "None", "nan", "007", "1e5"]
    names = {f"q{i}": word for i, word in enumerate(words)}
    frame = tiny_long.assign(
        qid=tiny_long["qid"].map(names), prompt=tiny_long["qid"].map(names), response=tiny_long["qid"].map(names)
    )
    got = read(frame.assign(domain="NA", model=frame["model"].replace("mid", "null")), kind)
    assert list(got.qid) == words == list(got.prompt) and set(got.domain) == {"NA"} and "null" in got.model
    assert got.response.to_pylist()[::3] == words


@pytest.mark.parametrize("kind", ["csv", "parquet", "pkl", "jsonl"])
def test_whole_numbers_as_ids_domains_and_models(
    kind: str, tiny_long: pd.DataFrame, read: Callable[..., object]
) -> None:
    ids = tiny_long["qid"].str[1:].astype(int)
    got = read(
        tiny_long.assign(
            qid=ids, domain=7, prompt=ids, model=tiny_long["model"].map({"cheap": 1, "mid": 2, "strong": 3})
        ),
        kind,
    )
    assert list(got.qid) == [str(i) for i in range(6)] and got.model == ("1", "2", "3") and set(got.domain) == {"7"}
    assert kind == "csv" or read(tiny_long.assign(qid=ids.astype(float)), kind).qid[3] == "3"


@pytest.mark.parametrize("kind", ["jsonl", "pkl", "parquet"])
def test_prompts_as_lists_of_messages(kind: str, tiny_long: pd.DataFrame, read: Callable[..., object]) -> None:
    messages = [
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Question {qid}?"}]
        for qid in tiny_long["qid"]
    ]
    assert read(tiny_long.assign(prompt=messages), kind).prompt[0] == "Be brief.\nQuestion q0?"


def test_words_in_a_column_of_numbers(
    tiny_long: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = tiny_long.astype({"quality": object, "cost": object})
    spoilt.loc[4, "quality"] = "good"
    spoilt.to_csv(tmp_path / "t.csv", index=False)
    assert cli.run(prepare_routerbench, ["--pkl", str(tmp_path / "t.csv"), "--out", str(tmp_path / "o.parquet")]) == 2
    assert "column 'quality' should be numbers" in capsys.readouterr().err
    spoilt.loc[4, "quality"] = "NA"
    spoilt.to_csv(tmp_path / "t.csv", index=False)
    assert cli.run(prepare_routerbench, ["--pkl", str(tmp_path / "t.csv"), "--out", str(tmp_path / "o.parquet")]) == 2
    assert "has NaN quality" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["csv", "parquet", "pkl"])
@pytest.mark.parametrize("name", ["model", "quality"])
def test_a_column_twice(
    kind: str, name: str, tiny_long: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / f"t.{kind}"
    if kind == "parquet":
        whole = pa.Table.from_pandas(tiny_long, preserve_index=False)
        pq.write_table(whole.append_column(name, whole.column(name)), path)
    else:
        WRITERS[kind](pd.concat([tiny_long, tiny_long[name]], axis=1), path)
    assert cli.run(prepare_routerbench, ["--pkl", str(path), "--out", str(tmp_path / "o.parquet")]) == 2
    said = capsys.readouterr().err
    assert f"column {name!r} stands twice" in said and said.count("\n") == 1


@pytest.mark.parametrize("name", ["domain", "model"])
@pytest.mark.parametrize("out", ["o.parquet", "o.store"])
def test_what_is_called_all_is_refused_where_tables_are_read(
    name: str, out: str, tiny_long: pd.DataFrame, tmp_path: Path
) -> None:
    first = tiny_long[name].iloc[0]
    tiny_long.assign(**{name: tiny_long[name].replace(first, "all")}).to_parquet(tmp_path / "t.parquet")
    prepare_routerbench(pkl=str(tmp_path / "t.parquet"), out=str(tmp_path / out))
    with pytest.raises(UserError, match=f"a {name} is called 'all'.*rename it"):
        table.load(tmp_path / out)


@pytest.mark.parametrize("name", ["qid", "domain", "model"])
@pytest.mark.parametrize("sign", ["\n", "\t", "\u2028", "\x00"])
def test_names_that_break_a_line(name: str, sign: str, tiny_long: pd.DataFrame, tmp_path: Path) -> None:
    # One by one: the oldest pandas cuts a NUL off a text that it adds to a column.
    names = [f"{value}{sign}x" for value in tiny_long[name]]
    tiny_long.assign(**{name: names}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=f"column '{name}' holds .* rename it"):
        prepare_routerbench(pkl=str(tmp_path / "t.parquet"), out=str(tmp_path / "o.parquet"))


def test_names_with_slashes_and_wide_spaces_stay(tiny_long: pd.DataFrame, read: Callable[..., object]) -> None:
    frame = tiny_long.assign(model="org/" + tiny_long["model"] + "\u3000x", domain="a/b " + tiny_long["domain"])
    assert read(frame, "csv").model == ("org/cheap\u3000x", "org/mid\u3000x", "org/strong\u3000x")


@pytest.mark.parametrize("text", ["", "the same question", "!?", "12"])
def test_questions_that_nothing_tells_apart_have_features_of_zero(text: str) -> None:
    counts = hashed_counts([text] * 40)
    made = TextFeatures().fit(counts).transform(counts)
    assert len(made) == 40 and not made.any()


@pytest.mark.parametrize("out", ["o.parquet", "o.store"])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    out: str,
    tiny_long: pd.DataFrame,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    tiny_long.to_parquet(tmp_path / "t.parquet")
    if out.endswith("store"):
        monkeypatch.setattr(os, "posix_fallocate", full)
    else:
        monkeypatch.setattr(gather.Shelf, "add", full)
    assert cli.run(prepare_routerbench, ["--pkl", str(tmp_path / "t.parquet"), "--out", str(tmp_path / out)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: no space left on the disk") and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_a_loader_from_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "barred.py").write_text(
        "import pandas as pd\nfrom dacr.core.registry import loaders\nfrom dacr.data.loaders.base import Loader\n"
        "@loaders.register('barred')\nclass Barred(Loader):\n    'Bars.'\n"
        "    def load(self, path):\n        return pd.read_csv(path, sep='|')\n"
    )
    rows = "q0|Why?|d|a|x|1|0.1\nq0|Why?|d|b|y|0|0.2\nq1|How?|d|a|x|0|0.1\nq1|How?|d|b|y|1|0.2\n"
    (tmp_path / "t.txt").write_text("qid|prompt|domain|model|response|quality|cost\n" + rows)
    try:
        prepare_routerbench(
            plugin=str(tmp_path / "barred.py"),
            loader="barred",
            pkl=str(tmp_path / "t.txt"),
            out=str(tmp_path / "o.parquet"),
        )
    finally:
        loaders._parts.pop("barred", None)
    assert table.load(tmp_path / "o.parquet").quality.tolist() == [[1, 0], [0, 1]]
