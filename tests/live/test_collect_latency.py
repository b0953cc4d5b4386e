from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from collecting import CATALOGUE, KEY, all_output, collect, collect_here, command, rows_of, write_stream
from fault_server import FaultServer

from dacr.core import cli
from dacr.live import call as calls
from dacr.live.caller import CollectSettings
from dacr.live.collect import collect_latency


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models.yaml").write_text(CATALOGUE)
    return tmp_path


def test_paced_calls_keep_the_stream_clock_and_log_what_they_cost(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_stream(folder, 10, gap_s=1.0)
    begun: list[calls.Answer] = []

    class Watched(calls.Answer):
        def __init__(self, started: float) -> None:
            super().__init__(started)
            begun.append(self)

    monkeypatch.setattr(calls, "Answer", Watched)

    def first_pieces_were_read() -> bool:
        return all(one.ttft_s is not None for one in list(begun))

    step = {"between": 0.05, "hold_between": first_pieces_were_read}
    with FaultServer(lambda *_: step).running() as server:
        before = time.monotonic()
        done = collect_here(folder, server.url, "--models", "large", "--time_warp", "10", "--max_output_tokens", "9")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - before > 0.9
    for row in rows_of(folder):
        assert row["ok"] and row["arrival_s"] == float(row["qid"][1:])
        assert row["started_s"] > row["arrival_s"] / 10 - 0.001
        assert row["late_start_s"] == pytest.approx(row["started_s"] - row["arrival_s"] / 10, abs=0.001)
        assert 0 < row["ttft_s"] <= row["latency_s"] - 0.04
        assert (row["input_tokens"], row["output_tokens"]) == (2, 4)
        assert row["cost_usd"] == pytest.approx((2 * 10 + 4 * 30) / 1e6)
    assert server.requests[0]["model"] == "org/large" and server.requests[0]["max_tokens"] == 9
    manifest = json.loads((folder / "log.jsonl.manifest.json").read_text())
    assert manifest["config"]["models"] == ["large"] and KEY not in json.dumps(manifest)


def test_money_stops_before_the_cap_and_the_rest_follows_later(folder: Path) -> None:
    write_stream(folder, 40)
    cap = 0.0055
    with FaultServer().running() as server:
        first = collect_here(
            folder, server.url, "--models=large", "--no_pacing", f"--max_cost_usd={cap}", "--max_output_tokens=100"
        )
        bound = (len("Question 39?") + 64) * 10e-6 + 100 * 30e-6
        n_first = len(server.requests)
        assert 0 < n_first < 40
        assert first.returncode == 0 and "--max_cost_usd" in first.stdout
        spent = sum(row["cost_usd"] for row in rows_of(folder))
        assert cap - bound < spent <= cap
        again = collect_here(
            folder, server.url, "--models=large", "--no_pacing", f"--max_cost_usd={cap}", "--max_output_tokens=100"
        )
        assert len(server.requests) == n_first, "what an earlier run spent counts"
        assert again.returncode == 0
        collect_here(folder, server.url, "--models=large", "--no_pacing", "--max_output_tokens=100")
        assert len(rows_of(folder)) == 40
        assert f"{n_first} of 40 calls recorded" in again.stdout
        other = collect_here(folder, server.url, "--models=large", "--no_pacing", "--max_output_tokens=7")
        assert other.returncode == 2 and "was measured with --max_output_tokens 100" in other.stderr


def test_a_refused_key_stops_the_run_and_is_not_shown_although_the_server_quotes_it(folder: Path) -> None:
    write_stream(folder, 50)
    with FaultServer(lambda *_: {"fault": "auth", "echo": KEY}).running() as server:
        done = collect(folder, server.url, "--models=small", "--no_pacing")
    assert done.returncode == 2 and "refuses the API key" in done.stderr
    assert "Traceback" not in done.stderr and KEY not in all_output(folder, done)
    assert rows_of(folder) == []


def test_retry_after_is_honoured_outside_the_clock(folder: Path) -> None:
    write_stream(folder, 1)
    plan = lambda model, prompt, nth: "rate_limit" if nth == 1 else "ok"  # noqa: E731
    with FaultServer(plan, retry_after="1").running() as server:
        before = time.monotonic()
        assert collect_here(folder, server.url, "--models=small").returncode == 0
        took_s = time.monotonic() - before
    (row,) = rows_of(folder)
    (first,) = row["attempts"]
    assert row["ok"] and (first["error"], first["retry_after_s"]) == ("rate_limit", 1.0)
    assert row["started_s"] - (first["started_s"] + first["latency_s"]) > 0.999, "the wait is between the two clocks"
    assert first["latency_s"] + 1 + row["latency_s"] < took_s + 0.001


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--base_url", "http://example.org/v1"], "--allow_insecure"),
        (["--base_url", "https://me:hunter2@example.org/v1"], "user name"),
        (["--base_url", "ftp://example.org"], "should look like"),
        (["--base_url", "https://example.org/v1", "--api_key_env", "NO_SUCH"], "NO_SUCH is empty"),
        (["--max_cost_usd", "1", "--models", "smal"], "did you mean 'small'"),
        (["--stream", "nowhere.jsonl"], "no such file"),
        (["--concurrency", "0"], "at least 1"),
        (["--per_event_models", "0"], "at least 1"),
        (["--time_warp", "0"], "above 0"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    write_stream(folder, 2)
    flags = command(folder, "http://127.0.0.1:9/v1", "--models=small", *words)[2:]
    assert cli.run(collect_latency, flags, config_flag=None, settings_class=CollectSettings) == 2
    error = capsys.readouterr().err
    assert expected in error and error.count("\n") == 1
    assert "hunter2" not in error


def test_models_may_stand_in_several_words_or_one(capsys: pytest.CaptureFixture[str]) -> None:
    def stage(*, models: cli.StrList = cli.StrList(()), fast: bool = False) -> None:  # noqa: B008
        """Print the models."""
        print(list(models), fast)

    for words in (["--models", "a", "b", "--fast"], ["--models", "a,b", "--fast"], ["--models=a,b", "--fast"]):
        assert cli.run(stage, words) == 0
        assert capsys.readouterr().out == "['a', 'b'] True\n"
