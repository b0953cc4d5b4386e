"""No key, token or address of a recording is in anything that is written."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core import cli
from dacr.data import table
from dacr.data.loaders.base import prompt_id, prompt_ids
from dacr.data.loaders.texts import MASK, masked, masked_column
from dacr.data.prepare import prepare_routerbench

LONG = "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6"
HEX = "0123456789abcdef0123456789abcdef"
# Put together here, so that no scanner of repositories takes them for real ones.
SECRETS = [
    *(head + LONG for head in (
        "sk-", "sk-proj-", "sk-ant-api03-", "sk-or-v1-", "sk_live_", "rk_test_", "AIza", "ya29.", "ghp_", "gho_",
        "ghs_", "github_pat_", "glpat-", "hf_", "gsk_", "xai-", "r8_", "pplx-", "nvapi-", "xoxb-", "xapp-", "npm_",
        "pypi-", "pk-lf-", "lsv2_pt_", "wandb_", "EAA" + "x",
    )),
    "AKIA" + "ABCDEFGH12345678",
    "https://hooks.slack.com" + "/services/T00/B00/XXXX",
    "dop_v1_" + HEX,
    "SG." + LONG[:22] + "." + LONG,
    "SK" + HEX,
    "ey" + "J" + LONG + "." + LONG + "." + LONG,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE" + LONG + "\n-----END RSA PRIVATE KEY-----",
    "Bearer " + LONG,
    "Authorization: Basic " + LONG,
    "postgres://user:" + "hunter22@db.example.org/x",
    "api_key = '" + LONG + "'",
    '"password": "' + LONG + '"',
    "ann.b+c@mail.example.org",
]  # fmt: skip


def core(secret: str) -> str:
    """The part that must not be seen again."""
    for part in (LONG, HEX, "ABCDEFGH12345678", "T00/B00", "hunter22", "ann.b+c"):
        if part in secret:
            return part
    raise AssertionError(secret)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_among_other_words(secret: str) -> None:
    clean = masked(f"Please use {secret} for this, thanks.")
    assert MASK in clean and core(secret) not in clean and clean.startswith("Please use ") and "thanks." in clean
    assert masked_column(pd.Series([f"x {secret} y"]))[0] == masked(f"x {secret} y"), "the search finds it too"


@pytest.mark.parametrize(
    "text",
    ["@dataclass", "an e-mail about tokens", "skip the sk- prefix", "def bearer(x): return x", "secret = 3",
     "basic auth", "a @ b", "SKILL", "risk-averse investors", "http://example.org:80/a@b"],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize("keep", ["true", "false"])
@pytest.mark.parametrize("out", ["o.parquet", "o.store"])
def test_none_is_in_any_output(keep: str, out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(SECRETS) >= 30
    rows = [
        {
            "request_id": f"r{i}{m}", "spend": 1e-4, "prompt_tokens": 9, "completion_tokens": 3, "model": m,
            "startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T00:00:01Z", "model_group": "log",
            "messages": [{"role": "user", "content": f"Number {i}: {secret}"}], "status": "success",
            "response": {"choices": [{"message": {"content": f"You said {secret}"}}]}, "score": 1.0,
        }
        for i, secret in enumerate(SECRETS) for m in ("a", "b")
    ]  # fmt: skip
    (tmp_path / "spend.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["--input", str(tmp_path / "spend.jsonl"), "--out", str(tmp_path / out), "--keep_texts", keep]
    assert cli.run(prepare_routerbench, command) == 0
    got = table.load(tmp_path / out)
    kept = [*got.prompt, *(got.response.to_pylist() if got.response is not None else []), *got.qid]
    (tmp_path / "spend.jsonl").unlink()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()).decode("latin1")
    for secret in SECRETS:
        assert not any(core(secret) in text for text in (*kept, written, capsys.readouterr().out))
    assert got.n_query == len(SECRETS) and bool("".join(got.prompt)) is (keep == "true")


def test_no_id_is_a_hash_of_a_secret() -> None:
    """An id of a text that holds a secret is that of the masked text: who guesses the secret can't confirm it."""
    for secret in SECRETS:
        assert prompt_id(f"use {secret} now") == prompt_id(masked(f"use {secret} now"))
    assert prompt_ids(["", " a ", "a"]) == ["", prompt_id("a"), prompt_id("a")]


PIECES = (
    *(
        "bearer",
        "Basic",
        "API-key",
        "secret",
        "SECRET_KEY",
        "access_token",
        "auth-token",
        "password",
        "passwd",
        "token",
    ),
    *(" ", "\n", "\u00a0", "\u2003", "=", ":", '"', "'", "-", ".", "/", LONG, LONG[:12], LONG[:11]),
)


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), max_size=20))
@settings(deadline=None, max_examples=200)
def test_a_column_is_masked_as_its_texts_are(texts: list[str]) -> None:
    """The quick search that comes first overlooks nothing, whatever space stands between a name and its secret."""
    column = pd.Series(texts, dtype=object)
    for one in (column, column.astype("category")):
        assert masked_column(one).tolist() == [masked(text) for text in texts]
