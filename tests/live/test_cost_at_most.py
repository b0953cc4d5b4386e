"""What is said to be spent at most is never less than the bill, also of answers that come without token counts."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fault_server import FaultServer

from dacr.core import cli
from dacr.data.prices import Price
from dacr.live.caller import CollectSettings
from dacr.live.collect import collect_latency
from dacr.live.schedule import most_usd

CATALOGUE = """
providers: {here: {api_key_env: MY_KEY}}
models:
  large: {provider: here, price_per_million_input: 10.0, price_per_million_output: 30.0}
"""
PROMPT = "Question 1?"
LIMIT = 100


@pytest.mark.parametrize("usage", [True, False])
def test_an_answer_without_token_counts_is_booked_at_the_most_it_can_have_cost(
    usage: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sesame-open-0123456789abcdef")
    (tmp_path / "models.yaml").write_text(CATALOGUE)
    row = {"qid": "q1", "prompt": PROMPT, "domain": "d", "arrival_s": 0.0, "ts": 1e9, "lat_mult": 1}
    (tmp_path / "stream.jsonl").write_text(json.dumps(row) + "\n")
    words = ["--stream", "stream.jsonl", "--config", "models.yaml", "--out", "log.jsonl", "--models", "large"]
    monkeypatch.chdir(tmp_path)
    with FaultServer(lambda *_: {"usage": usage}).running() as server:
        words += ["--base_url", server.url, "--no_pacing", "--max_output_tokens", str(LIMIT)]
        assert cli.run(collect_latency, words, config_flag=None, settings_class=CollectSettings) == 0
    [logged] = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert logged["ok"] and logged["tokens_estimated"] is not usage
    most = most_usd(Price(10.0, 30.0, 10.0), PROMPT, LIMIT)
    known = (2 * 10 + 4 * 30) / 1e6
    booked = known if usage else most
    assert most > 10 * known and logged["cost_at_most_usd"] == pytest.approx(booked, rel=1e-6)
    said = re.search(r"at most ([0-9.]+) USD", capsys.readouterr().out)
    assert said is not None and float(said[1]) == pytest.approx(booked, abs=1e-6)
