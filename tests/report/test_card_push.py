"""--push sends the card, and nothing else, to a Hub (here one on this machine); without the flag nothing is sent."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Card = Callable[..., subprocess.CompletedProcess[str]]


class Hub(BaseHTTPRequestHandler):
    """What the client asks of the Hub when it makes a data set and commits one file to it."""

    asked: list[tuple[str, str, bytes]]
    token = "Bearer hf_made_for_this_test"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, self.headers.get("Authorization", ""), body))
        if self.headers.get("Authorization") != self.token:
            self.answer(403, {"error": "this token may not write"})
        elif self.path == "/api/repos/create":
            self.answer(200, {"url": self.base + "/datasets/me/results"})
        elif self.path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif self.path == "/api/datasets/me/results/preupload/main":
            named = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in named]
            self.answer(200, {"files": modes})
        elif self.path == "/api/datasets/me/results/commit/main":
            where = f"{self.base}/datasets/me/results/commit/{'0' * 40}"
            self.answer(200, {"commitUrl": where, "commitOid": "0" * 40, "hookOutput": ""})
        else:
            self.answer(404, {"error": "no such thing"})

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization", ""), b""))
        self.answer(404, {"error": "no such thing"})

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, code: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """Address of a Hub, and what it was asked: path, token, content."""
    asked: list[tuple[str, str, bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Hub,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def card(hub: tuple[str, object], results_folder: Path, tmp_path: Path, script: Card) -> Card:
    """Make the card of a results folder, ``tmp_path/r``, with further flags and environment."""
    shutil.copytree(results_folder, tmp_path / "r")
    (tmp_path / "r" / "decisions.parquet").unlink()  # without them no routers are compared, which takes half a second
    where = {"HF_ENDPOINT": hub[0], "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_made_for_this_test"}

    def run(*flags: str, **env: str) -> subprocess.CompletedProcess[str]:
        return script(
            "make_card.py", "--results_dir", tmp_path / "r", *flags, **{**where, "HF_HUB_OFFLINE": "0", **env}
        )

    return run


def test_the_card_and_nothing_else_is_sent(card: Card, hub: tuple[str, list[Any]], tmp_path: Path) -> None:
    done = card("--push", "me/results")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(f"sent it to {hub[0]}/datasets/me/results/commit/{'0' * 40}")
    made = json.loads(next(body for path, _, body in hub[1] if path == "/api/repos/create"))
    assert made["type"] == "dataset"
    assert made.get("private") is True or made.get("visibility") == "private"  # newer clients say it so
    commit = next(body for path, _, body in hub[1] if "/commit/" in path)
    sent = [json.loads(line) for line in commit.splitlines() if line]
    files = [one["value"] for one in sent if one["key"] != "header"]
    assert [file["path"] for file in files] == ["README.md"]
    assert base64.b64decode(files[0]["content"]) == (tmp_path / "r" / "README.md").read_bytes()


def test_without_the_flag_nothing_is_sent(card: Card, hub: tuple[str, list[Any]]) -> None:
    done = card()
    assert done.returncode == 0 and done.stdout.strip().endswith("nothing was sent anywhere")
    assert hub[1] == []


@pytest.mark.parametrize(
    ("repo", "env", "told"),
    [
        ("me/results", {"HF_TOKEN": ""}, "--push needs a token of the Hub that may write: set HF_TOKEN"),
        ("me/results", {"HF_TOKEN": "hf_another"}, "did not take the card of 'me/results' ("),
        ("me/results", {"HF_ENDPOINT": "http://127.0.0.1:9"}, "the Hub at http://127.0.0.1:9 did not take the card"),
        ("me/re sults", {}, "got 'me/re sults', expected OWNER/NAME of a data set"),
    ],
)
def test_a_refusal_is_one_line_and_the_card_is_there(
    repo: str, env: dict[str, str], told: str, card: Card, tmp_path: Path
) -> None:
    done = card("--push", repo, **env)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert told in line and "hf_another" not in line
    assert (tmp_path / "r" / "README.md").read_text().startswith("---\n")
