"""Whatever the server does and whenever the client is stopped: each call is recorded once, and as it was."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
import zlib
from pathlib import Path

import pytest
from collecting import CATALOGUE, KEY, all_output, attempts_of, collect, command, most_at_a_time, rows_of, write_stream
from fault_server import ERROR_OF, FAULTS, FaultServer

from dacr.live.call import RETRYABLE

TIMEOUT_S = 1.5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models.yaml").write_text(CATALOGUE)
    return tmp_path


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
            f"--concurrency={concurrency}", f"--timeout_s={TIMEOUT_S}", "--retries=1",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = rows_of(folder)
    pairs = [(row["qid"], row["model"]) for row in rows]
    assert len(pairs) == len(set(pairs)) == 2 * n_event
    check_attempts(attempts_of(rows), server)
    assert {row["error"] for row in rows if not row["ok"]} <= RETRYABLE
    met = {attempt["error"] for row in rows for attempt in row["attempts"]}
    assert met == {"rate_limit", "server_error", "connection", "truncated", "timeout"}
    assert all(row["ok"] == (row["error"] is None) for row in rows)
    # A drip never ends by itself: that it ends at all is the client's doing, how soon after the timeout the machine's.
    assert max(row["latency_s"] for row in rows) < 20 * TIMEOUT_S
    assert most_at_a_time(attempts_of(rows)) <= concurrency
    assert server.most_in_flight <= concurrency
    assert KEY not in all_output(folder, done)
    assert all(head["authorization"] == f"Bearer {KEY}" for head in server.headers)


def check_attempts(attempts: list[dict], server: FaultServer) -> None:
    """The log and the server tell the same of each attempt, by its id."""
    met = dict(zip((head["x-client-request-id"] for head in server.headers), server.dealt, strict=True))
    logged = {one["request_id"]: one for one in attempts}
    assert len(met) == len(server.requests) and len(logged) == len(attempts), "an attempt is one request"
    assert met.keys() <= logged.keys(), "a request without a record"
    for request_id, one in logged.items():
        if one["error"] == "timeout":
            # On a busy machine that may be before the request has arrived, or while its answer is under way.
            assert one["latency_s"] >= TIMEOUT_S
        else:
            assert one["error"] == ERROR_OF[met[request_id]]


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


def test_ctrl_c_ends_cleanly_and_the_same_command_goes_on(folder: Path) -> None:
    write_stream(folder, 300)
    sent = threading.Event()
    plan = lambda *_: {"hold": lambda: sent.is_set() or len(server.requests) < 20}  # noqa: E731
    with FaultServer(plan).running() as server:
        words = command(folder, server.url, "--models=small", "--no_pacing", "--concurrency=4")
        process = subprocess.Popen(
            words, env={**os.environ, "MY_KEY": KEY}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        while len(server.requests) < 20 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        sent.set()
        _out, err = process.communicate(timeout=120)
        assert process.returncode == 130, err
        assert "Traceback" not in err and "run the same command to go on" in err
        assert len(rows_of(folder)) == len(server.requests), "what was running was waited for"
        assert collect(folder, server.url, "--models=small", "--no_pacing").returncode == 0
    assert len(rows_of(folder)) == 300 == len(server.requests)
