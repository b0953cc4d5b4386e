from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from fault_server import FaultServer

from dacr.core import cli
from dacr.core.errors import UserError
from dacr.live import catalogue
from dacr.live.caller import CollectSettings
from dacr.live.catalogue import align, align_latency, benchmark_name
from dacr.live.collect import collect_latency

MODELS = ("gpt-4-1106-preview", "mistralai/mistral-7b-chat")
KNOWN = catalogue.load("configs/models.yaml")


@pytest.mark.parametrize(
    ("name", "target", "how"),
    [
        ("gpt-4-1106-preview", "gpt-4-1106-preview", "same name"),
        ("GPT-4-1106-Preview", "gpt-4-1106-preview", "but for case"),
        ("openai/gpt-4-turbo", "gpt-4-1106-preview", "alias"),
        ("mistral:7b-instruct", "mistralai/mistral-7b-chat", "alias"),
        ("mistral:7b-instrukt", None, "nearest known name is 'mistral:7b-instruct'"),
        ("claude-2", None, "it is 'claude-v2' in the catalogue, which the benchmark does not have"),
    ],
)
def test_names_join_or_say_why(name: str, target: str | None, how: str) -> None:
    found, reason = benchmark_name(name, MODELS, KNOWN)
    assert found == target and how in reason


def test_every_alias_of_the_catalogue_means_one_model() -> None:
    names = [n.casefold() for e in KNOWN.models.values() for n in {e.name.casefold(), *map(str.casefold, e.aliases)}]
    assert len(names) == len(set(names))


def test_the_report_counts_what_joins_and_what_does_not() -> None:
    rows = [
        {"qid": "a", "model": "gpt-4", "ok": True},
        {"qid": "b", "model": "gpt-4", "ok": False},
        {"qid": "z", "model": "gpt-4", "ok": True},
        {"qid": "a", "model": "mystery", "ok": True},
    ]
    joined, lines = align(rows, ["a", "b"], MODELS, KNOWN)
    assert [(row["qid"], row["model"], row["endpoint_model"]) for row in joined] == [
        ("a", "gpt-4-1106-preview", "gpt-4"),
        ("b", "gpt-4-1106-preview", "gpt-4"),
    ]
    assert "2 calls join; 1 calls are for queries" in lines[0] and "1 of the joined calls failed" in lines[0]
    assert lines[1].startswith("mystery: 1 calls do not join")
    assert lines[2].startswith("not measured: mistralai/mistral-7b-chat")
    with pytest.raises(UserError, match="query 'a' has both"):
        align([*rows, {"qid": "a", "model": "gpt-4-turbo"}], ["a", "b"], MODELS, KNOWN)


def test_a_model_called_by_an_alias_is_logged_under_its_benchmark_name_and_joins(
    tmp_path: Path, tiny_long: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_long.to_parquet(tmp_path / "long.parquet")
    (tmp_path / "models.yaml").write_text("models: {strong: {aliases: ['big:latest']}, cheap: {}, mid: {}}")
    rows = [{"qid": f"q{i}", "prompt": "p", "domain": "d", "arrival_s": float(i)} for i in range(6)]
    (tmp_path / "stream.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    flags = ["--stream", str(tmp_path / "stream.jsonl"), "--config", str(tmp_path / "models.yaml"), "--no_pacing"]
    with FaultServer().running() as server:
        words = [
            *flags,
            "--models",
            "cheap",
            "BIG:latest",
            "--base_url",
            server.url,
            "--out",
            str(tmp_path / "log.jsonl"),
        ]
        assert cli.run(collect_latency, words, config_flag=None, settings_class=CollectSettings) == 0
        assert {one["model"] for one in server.requests} == {"cheap", "BIG:latest"}
        assert (
            cli.run(
                collect_latency,
                [*words, "--models", "strong,big:latest"],
                config_flag=None,
                settings_class=CollectSettings,
            )
            == 2
        )
    words = ["--latency_log", str(tmp_path / "log.jsonl"), "--data", str(tmp_path / "long.parquet")]
    words += ["--config", str(tmp_path / "models.yaml"), "--out", str(tmp_path / "aligned.jsonl")]
    assert cli.run(align_latency, words, config_flag=None) == 0
    assert "strong -> strong (same name): 6 calls join" in capsys.readouterr().out
    aligned = [json.loads(line) for line in (tmp_path / "aligned.jsonl").read_text().splitlines()]
    assert {(row["model"], row["endpoint_model"]) for row in aligned} == {("cheap", "cheap"), ("strong", "BIG:latest")}
