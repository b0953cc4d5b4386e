"""The download, against a real HTTP server on this machine that speaks the Hub's protocol."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dacr.data import hub, pickles

ROOT = Path(hub.__file__).resolve().parents[2]
PICKLE = Path(__file__).parent / "pickles" / "pandas_1_5_3_wide_p4.pkl"
CONTENT = PICKLE.read_bytes()
SUM = hashlib.sha256(CONTENT).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """Serves one file; ``fault`` says what goes wrong, ``log`` what was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fault = ""
        self.content = CONTENT
        self.log: list[tuple[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        asked = self.headers.get("Range", "")
        self.server.log.append((self.command, asked))
        if self.server.fault == "500":
            return self.fail(500, "")
        if not self.path.startswith("/datasets/made/bench/resolve/") or not self.path.endswith("/wide.pkl"):
            return self.fail(404, "EntryNotFound")
        content = self.server.content
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not body:
            return
        cut = self.server.fault == "always cut" or (self.server.fault == "cut once" and not start)
        self.wfile.write(content[start : start + len(content) * 2 // 3] if cut else content[start:])
        self.close_connection = cut

    def fail(self, status: int, code: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Hub]:
    hub_server = Hub()
    thread = threading.Thread(target=hub_server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield hub_server
    hub_server.shutdown()
    hub_server.server_close()
    thread.join()


def prepare(folder: Path, url: str, *flags: str, **env: str) -> subprocess.CompletedProcess[str]:
    base = ("--hf_repo", "made/bench", "--hf_file", "wide.pkl", "--hf_revision", COMMIT)
    clean = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "prepare_routerbench.py"), *base, "--out", "long.parquet", *flags],
        cwd=folder,
        env={**clean, "HF_ENDPOINT": url, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_TELEMETRY": "1", **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


def refused(done: subprocess.CompletedProcess[str], folder: Path) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    assert not list(folder.glob("*.parquet")) and not list(folder.glob(".*part"))
    return done.stderr


def test_download_then_offline_cache(server: Hub, tmp_path: Path) -> None:
    done = prepare(tmp_path, server.url, "--hf_sha256", SUM)
    assert done.returncode == 0, done.stderr
    assert "3 queries x 2 models" in done.stdout and done.stderr == ""
    asked = len(server.log)
    assert {command for command, _ in server.log} == {"HEAD", "GET"}
    again = prepare(tmp_path, server.url)
    assert again.returncode == 0 and len(server.log) == asked
    assert prepare(tmp_path, "http://127.0.0.1:9").returncode == 0, "the cache works without a network"


def test_a_cut_transfer_is_resumed_with_a_range(server: Hub, tmp_path: Path) -> None:
    frame = pickles.load(PICKLE)
    frame.loc[0, "small|model_response"] = "x" * 24_000_000  # the Hub's client keeps pieces of 10 MiB
    frame.to_pickle(tmp_path / "large.pkl")
    server.content = (tmp_path / "large.pkl").read_bytes()
    server.fault = "cut once"
    done = prepare(tmp_path, server.url, "--hf_sha256", hashlib.sha256(server.content).hexdigest())
    assert done.returncode == 0 and done.stderr == ""
    assert ("GET", f"bytes={10 * 2**20}-") in server.log


def test_another_sum_says_both_and_how_to_go_on(server: Hub, tmp_path: Path) -> None:
    said = refused(prepare(tmp_path, server.url, "--hf_sha256", "0" * 64), tmp_path)
    assert SUM in said and "0" * 64 in said and "--hf_sha256 any" in said
    assert prepare(tmp_path, server.url, "--hf_sha256", "any").returncode == 0


def test_an_unknown_file_and_a_cold_offline_cache(server: Hub, tmp_path: Path) -> None:
    said = refused(prepare(tmp_path, server.url, "--hf_file", "wde.pkl"), tmp_path)
    assert "--hf_file" in said and "--pkl FILE" in said
    said = refused(prepare(tmp_path, server.url, HF_HUB_OFFLINE="1"), tmp_path)
    assert "--pkl FILE" in said and "--sample" in said


@pytest.mark.slow  # the Hub's client tries again for half a minute
@pytest.mark.parametrize("fault", ["500", "always cut", "refused"])
def test_a_hub_that_fails_is_one_line(fault: str, server: Hub, tmp_path: Path) -> None:
    server.fault = fault
    url = "http://127.0.0.1:9" if fault == "refused" else server.url
    said = refused(prepare(tmp_path, url), tmp_path)
    assert "--pkl FILE" in said and "--sample" in said and url in said


def test_sums_on_record_are_for_the_pinned_revision() -> None:
    assert all(len(value) == 64 for value in hub.SHA256.values()) and len(hub.REVISION) == 40
    code = "import sys, dacr.data.prepare; sys.exit('huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0, "imported only when needed"
