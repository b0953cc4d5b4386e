from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dacr.core.errors import UserError
from dacr.live.telemetry import CHANNEL, JsonlSink, RedisSink, Sinks

redis = pytest.importorskip("redis", reason="the redis client is not installed (requirements-live.txt)")


# How long anything may take on a busy machine: nothing here waits for so long unless it hangs.
PATIENCE_S = 60


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def is_its_own(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until ``server`` answers at ``port``; False if another took the port first."""
    until = time.monotonic() + PATIENCE_S
    with redis.Redis(port=port, socket_timeout=5) as client:
        while server.poll() is None:
            assert time.monotonic() < until, "redis-server does not answer"
            try:
                return client.info("server")["process_id"] == server.pid
            except redis.RedisError:
                time.sleep(0.02)
    return False


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A real server of our own on loopback, without persistence."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
    for _ in range(20):  # between finding a free port and listening there, another process may have taken it
        port = free_port()
        words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
        server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        try:
            if is_its_own(server, port):
                yield f"redis://127.0.0.1:{port}/0"
                return
        finally:
            server.terminate()
            server.wait(PATIENCE_S)
    pytest.fail("no free port for redis-server")


def test_events_reach_a_real_subscriber(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    listener = client.pubsub()
    listener.subscribe(CHANNEL)
    assert listener.get_message(timeout=PATIENCE_S)["type"] == "subscribe"
    sink = RedisSink(redis_url, timeout_s=PATIENCE_S)
    events = [{"model_used": "a", "n": n, "text": "żółw"} for n in range(20)]
    for event in events:
        sink.publish(event)
    sink.close()
    got = []
    while len(got) < 20:
        message = listener.get_message(timeout=PATIENCE_S)
        assert message is not None
        got.append(json.loads(message["data"]))
    assert got == events and sink.dropped == 0
    listener.close()
    client.close()


def test_a_server_that_is_away_or_hangs_costs_no_time() -> None:
    with socket.socket() as away, socket.socket() as hanging:
        for one in (away, hanging):
            one.bind(("127.0.0.1", 0))
        hanging.listen()
        for one in (away, hanging):
            sink = RedisSink(f"redis://127.0.0.1:{one.getsockname()[1]}/0", most_waiting=50, timeout_s=0.5)
            before = time.perf_counter()
            for n in range(200):
                sink.publish({"n": n})
            assert time.perf_counter() - before < 20, "waiting for what hangs would take 100 s at the least"
            assert sink.dropped >= 149, "all but 50 in the queue and one in hand are dropped and counted"


def test_a_bad_address_is_refused_without_repeating_it() -> None:
    with pytest.raises(UserError, match="should look like") as caught:
        RedisSink("http://:hunter2@x")
    assert "hunter2" not in str(caught.value)


def test_lines_of_a_file_and_one_failing_sink_among_two(tmp_path: Path) -> None:
    class Broken:
        def publish(self, event: object) -> None:
            raise OSError

        def close(self) -> None:
            raise OSError

    path = tmp_path / "new" / "events.jsonl"
    both = Sinks([Broken(), JsonlSink(path)])
    for n in range(100):
        both.publish({"n": n})
    both.close()
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == list(range(100))
    assert both.failures == 101


def test_without_the_client_the_flag_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(UserError, match="requirements-live"):
        RedisSink("redis://127.0.0.1")
