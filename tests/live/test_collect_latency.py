from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from fault_server import FAULTS, FaultServer

from dacr import cli
from dacr.live.call import RETRYABLE
from dacr.live.collect import collect_latency

ROOT = Path(__file__).resolve().parents[2]
KEY = "sesame-open-0123456789abcdef"
CATALOGUE = """
providers: {here: {api_key_env: MY_KEY}}
models:
  small: {provider: here, price_per_million_input: 1.0, price_per_million_output: 2.0}
  large: {provider: here, price_per_million_input: 10.0, price_per_million_output: 30.0, api_name: org/large}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models.yaml").write_text(CATALOGUE)
    return tmp_path


def write_stream(folder: Path, n: int, gap_s: float = 0.0) -> Path:
    rows = [
        {
            "qid": f"q{i}",
            "prompt": f"Question {i}?",
            "domain": "d",
            "arrival_s": i * gap_s,
            "ts": 1e9 + i * gap_s,
            "lat_mult": 1,
        }
        for i in range(n)
    ]
    path = folder / "stream.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def command(folder: Path, url: str, *more: str) -> list[str]:
    words = [sys.executable, str(ROOT / "scripts/collect_latency_openai.py"), "--stream", str(folder / "stream.jsonl")]
    words += ["--config", str(folder / "models.yaml"), "--out", str(folder / "log.jsonl"), "--base_url", url]
    return [*words, *more]


def collect(folder: Path, url: str, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, url, *more),
        env={**os.environ, "MY_KEY": KEY, **env},
        capture_output=True,
        text=True,
        timeout=600,
    )


def collect_here(folder: Path, url: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Like :func:`collect`, without the time that a new process takes to start."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("MY_KEY", KEY)
        code = cli.run(collect_latency, command(folder, url, *more)[2:], config_flag=None)
    return subprocess.CompletedProcess([], code, out.getvalue(), err.getvalue())


def rows_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def all_output(folder: Path, done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr + "".join(p.read_text() for p in folder.iterdir() if p.name != "models.yaml")


def mixed_faults(model: str, prompt: str, nth: int) -> str:
    draw = zlib.crc32(f"{model}{prompt}{nth}".encode()) % 100
    if draw < 24:
        return FAULTS[draw // 4] if draw // 4 < 4 or draw % 4 == 0 else "ok"
    return "plain" if draw < 30 else "ok"


def check_faults(folder: Path, n_event: int, concurrency: int) -> None:
    write_stream(folder, n_event)
    with FaultServer(mixed_faults).running() as server:
        done = collect(
            folder, server.url, "--models", "small", "large", "--no_pacing",
            f"--concurrency={concurrency}", "--timeout_s=1.5", "--retries=1",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = rows_of(folder)
    pairs = [(row["qid"], row["model"]) for row in rows]
    assert len(pairs) == len(set(pairs)) == 2 * n_event
    # On a busy machine an attempt may time out before its request has arrived.
    assert sum(1 + len(row["attempts"]) for row in rows) >= len(server.requests)
    assert {row["error"] for row in rows if not row["ok"]} <= RETRYABLE
    met = {attempt["error"] for row in rows for attempt in row["attempts"]}
    assert met == {"rate_limit", "server_error", "connection", "truncated", "timeout"}
    assert all(row["ok"] == (row["error"] is None) for row in rows)
    assert max(row["latency_s"] for row in rows) < 30
    # The server still holds some calls that the client has given up, the more the busier the machine is.
    assert server.most_in_flight <= 1.25 * concurrency
    assert KEY not in all_output(folder, done)
    assert all(head["authorization"] == f"Bearer {KEY}" for head in server.headers)


def test_every_call_is_recorded_once_whatever_the_server_does(folder: Path) -> None:
    check_faults(folder, n_event=300, concurrency=64)


@pytest.mark.slow
def test_ten_thousand_calls_are_recorded_once(folder: Path) -> None:
    check_faults(folder, n_event=5000, concurrency=128)


def check_kills(folder: Path, n_event: int, kills: int) -> None:
    write_stream(folder, n_event)
    draw = random.Random(7)

    def plan(model: str, prompt: str, nth: int) -> dict:
        return {"delay": 0.02 + 0.05 * draw.random()}

    with FaultServer(plan).running() as server:
        words = command(folder, server.url, "--models", "small,large", "--no_pacing", "--concurrency", "8")
        env = {**os.environ, "MY_KEY": KEY}
        for _ in range(kills):
            process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            asked = len(server.requests)
            while len(server.requests) == asked and process.poll() is None:
                time.sleep(0.005)
            time.sleep(0.3 * draw.random())
            process.send_signal(signal.SIGKILL)
            process.wait()
        with open(folder / "log.jsonl", "ab") as log:
            log.write(b'{"qid": "q0", "mod')  # as a power cut would leave it
        done = collect(folder, server.url, "--models", "small,large", "--no_pacing", "--concurrency", "8")
    assert done.returncode == 0, done.stderr
    assert "repaired the last line" in done.stdout
    pairs = [(row["qid"], row["model"]) for row in rows_of(folder)]
    assert len(pairs) == len(set(pairs))
    assert set(pairs) == {(f"q{i}", model) for i in range(n_event) for model in ("small", "large")}


def test_killed_and_started_again_the_log_is_that_of_an_undisturbed_run(folder: Path) -> None:
    check_kills(folder, n_event=100, kills=2)


@pytest.mark.slow
def test_twenty_kills_at_random_moments(folder: Path) -> None:
    check_kills(folder, n_event=1200, kills=20)


def test_paced_calls_keep_the_stream_clock_and_log_what_they_cost(folder: Path) -> None:
    write_stream(folder, 10, gap_s=1.0)
    with FaultServer(lambda *_: {"between": 0.05}).running() as server:
        before = time.monotonic()
        done = collect_here(folder, server.url, "--models", "large", "--time_warp", "10", "--max_output_tokens", "9")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - before > 0.9
    for row in rows_of(folder):
        assert row["ok"] and row["arrival_s"] == float(row["qid"][1:])
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


def test_ctrl_c_ends_cleanly_and_the_same_command_goes_on(folder: Path) -> None:
    write_stream(folder, 300)
    with FaultServer(lambda *_: {"delay": 0.05}).running() as server:
        words = command(folder, server.url, "--models=small", "--no_pacing", "--concurrency=4")
        process = subprocess.Popen(
            words, env={**os.environ, "MY_KEY": KEY}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while len(server.requests) < 20 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=20)
        assert process.returncode == 130, err
        assert "Traceback" not in err and "run the same command to go on" in err
        assert len(rows_of(folder)) == len(server.requests), "what was running was waited for"
        assert collect(folder, server.url, "--models=small", "--no_pacing").returncode == 0
    assert len(rows_of(folder)) == 300 == len(server.requests)


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
        assert time.monotonic() - before > 1.0
    (row,) = rows_of(folder)
    assert row["ok"] and row["latency_s"] < 0.5
    assert [a["error"] for a in row["attempts"]] == ["rate_limit"] and row["attempts"][0]["retry_after_s"] == 1.0


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
    assert cli.run(collect_latency, flags, config_flag=None) == 2
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
