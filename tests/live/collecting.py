"""Runs ``collect_latency_openai.py`` against a server of one's own, and reads what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from itertools import accumulate
from pathlib import Path

import pytest

from dacr.core import cli
from dacr.live.caller import CollectSettings
from dacr.live.collect import collect_latency

ROOT = Path(__file__).resolve().parents[2]
KEY = "sesame-open-0123456789abcdef"
CATALOGUE = """
providers: {here: {api_key_env: MY_KEY}}
models:
  small: {provider: here, price_per_million_input: 1.0, price_per_million_output: 2.0}
  large: {provider: here, price_per_million_input: 10.0, price_per_million_output: 30.0, api_name: org/large}
"""


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
        code = cli.run(
            collect_latency, command(folder, url, *more)[2:], config_flag=None, settings_class=CollectSettings
        )
    return subprocess.CompletedProcess([], code, out.getvalue(), err.getvalue())


def rows_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def attempts_of(rows: list[dict]) -> list[dict]:
    return [attempt for row in rows for attempt in (*row["attempts"], row)]


def most_at_a_time(attempts: Iterable[dict]) -> int:
    """Return how many calls the client had open at a time at most, by its own log."""
    edges = [(one["started_s"], 1) for one in attempts]
    edges += [(one["started_s"] + one["latency_s"], -1) for one in attempts]
    return max(accumulate(step for _, step in sorted(edges)))


def all_output(folder: Path, done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr + "".join(p.read_text() for p in folder.iterdir() if p.name != "models.yaml")
