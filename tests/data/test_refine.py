"""How outcomes of several files find each other, and what flags make of scores and domains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dacr.core import cli, manifest
from dacr.core.registry import loaders
from dacr.data import table
from dacr.data.loaders.base import prompt_id
from dacr.data.prepare import prepare_routerbench
from dacr.data.table import read_parquet


def arena(folder: Path, **change: object) -> Path:
    """RouterArena's sample; functions of (record, model) change fields."""
    (folder / "in").mkdir()
    source = loaders.get("routerarena").write_sample(folder / "in")
    for path in sorted(source.iterdir()):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        rows = [row | {name: made(row, path.stem) for name, made in change.items()} for row in rows]  # type: ignore[operator]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return source


def test_ids_that_no_two_models_share_give_way_to_the_prompt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = arena(tmp_path, global_index=lambda row, model: f"{model}_{row['global_index']}")
    out = tmp_path / "o.parquet"
    assert cli.run(prepare_routerbench, ["--input", str(source), "--out", str(out)]) == 0
    assert "no id has the outcomes of two models; joined by the prompt" in capsys.readouterr().out
    got = table.load(out)
    assert list(got.qid) == [prompt_id("Question q0?"), prompt_id("Question q1?")]
    assert got.quality.tolist() == [[1.0, 0.25], [0.0, 0.5]]
    assert manifest.from_metadata(read_parquet(out).schema.metadata)["joined_by"] == "prompt"
    assert cli.run(prepare_routerbench, ["--input", str(source), "--out", str(out), "--join", "id"]) == 2
    assert "4 of 8 outcomes are missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "domain"),
    [("evaluation_result.metric", "exact"), ("global_index:_", "AIME"), ("question: ", "Question")],
)
def test_a_domain_from_another_field(flag: str, domain: str, tmp_path: Path) -> None:
    prepare_routerbench(input=str(arena(tmp_path)), domain_from=flag, out=str(tmp_path / "o.parquet"))
    assert set(table.load(tmp_path / "o.parquet").domain) == {domain}


def test_a_domain_from_a_field_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--input", str(arena(tmp_path)), "--domain_from", "topic", "--out", str(tmp_path / "o.parquet")]
    assert cli.run(prepare_routerbench, command) == 2
    assert "--domain_from 'topic'" in capsys.readouterr().err


def test_scores_of_one_to_ten(tmp_path: Path) -> None:
    def ten(row: dict, model: str) -> dict:
        return row["evaluation_result"] | {"score": 1 + 9 * row["evaluation_result"]["score"]}

    source = arena(tmp_path, evaluation_result=ten)
    prepare_routerbench(input=str(source), quality_range="1,10", out=str(tmp_path / "o.parquet"))
    assert table.load(tmp_path / "o.parquet").quality.tolist() == [[1.0, 0.25], [0.0, 0.5]]


def test_scores_of_a_log_from_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = loaders.get("litellm").write_sample(tmp_path / "in")
    (tmp_path / "scores.csv").write_text("request_id,score\nr0,0.1\nr1,0.2\nr2,0.3\nr3,0.4\n")
    prepare_routerbench(input=str(source), scores=str(tmp_path / "scores.csv"), out=str(tmp_path / "o.parquet"))
    got = table.load(tmp_path / "o.parquet")
    assert got.quality.tolist() == [[0.1, 0.2], [0.3, 0.4]] and (got.latency_s == 1.5).all()


def test_epochs_are_averaged_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    source = loaders.get("inspect").write_sample(tmp_path / "in")
    for path in source.iterdir():
        log = json.loads(path.read_text())
        for sample in log["samples"]:
            sample["scores"]["match"]["value"] = "C" if sample["epoch"] == 1 else "I"
        path.write_text(json.dumps(log))
    flags = ["--unpriced", "free", "--out", str(tmp_path / "o.parquet")]
    assert cli.run(prepare_routerbench, ["--input", str(source), *flags]) == 0
    assert "averaged the trials of 4 outcomes" in capsys.readouterr().out
    assert (table.load(tmp_path / "o.parquet").quality == 0.5).all()


def test_one_score_of_several_has_to_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    source = loaders.get("mixinstruct").write_sample(tmp_path / "in")
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    for row in rows:
        for candidate in row["candidates"]:
            candidate["scores"]["bleu"] = 0.5
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["--input", str(source), "--unpriced", "free", "--out", str(tmp_path / "o.parquet")]
    assert cli.run(prepare_routerbench, command) == 2
    assert "scores are several: ['bert', 'bleu']" in capsys.readouterr().err
    assert cli.run(prepare_routerbench, [*command, "--quality_metric", "bleu"]) == 0
    assert (table.load(tmp_path / "o.parquet").quality == 0.5).all()
