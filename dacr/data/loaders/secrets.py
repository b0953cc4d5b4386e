"""Keys, tokens and e-mail addresses in recorded texts, masked while reading: before anything hashes or keeps them."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

MASK = "[masked]"

_KEYS = (
    r"\bsk-[A-Za-z0-9_\-]{16,}",  # OpenAI, Anthropic, OpenRouter, LiteLLM
    r"\b(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}",  # Stripe
    r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b",  # AWS
    r"\bAIza[A-Za-z0-9_\-]{30,}",  # Google
    r"\bya29\.[A-Za-z0-9_\-]{20,}",
    r"\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{20,}",  # GitHub
    r"\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"\bglpat-[A-Za-z0-9_\-]{16,}",  # GitLab
    r"\bhf_[A-Za-z0-9]{20,}",  # Hugging Face
    r"\bgsk_[A-Za-z0-9]{20,}",  # Groq
    r"\bxai-[A-Za-z0-9]{20,}",
    r"\br8_[A-Za-z0-9]{20,}",  # Replicate
    r"\bpplx-[A-Za-z0-9]{20,}",
    r"\bnvapi-[A-Za-z0-9_\-]{20,}",
    r"\bxox[abeoprs]-[A-Za-z0-9\-]{10,}",  # Slack
    r"\bxapp-[A-Za-z0-9\-]{10,}",
    r"https://hooks\.slack\.com/services/[A-Za-z0-9/]+",
    r"\bnpm_[A-Za-z0-9]{20,}",
    r"\bpypi-[A-Za-z0-9_\-]{20,}",
    r"\bdop_v1_[a-f0-9]{20,}",  # DigitalOcean
    r"\bSG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}",  # SendGrid
    r"\bSK[a-f0-9]{32}\b",  # Twilio
    r"\blsv2_[a-z]{2}_[A-Za-z0-9_]{20,}",  # LangSmith
    r"\b(?:pk|sk)-lf-[A-Za-z0-9\-]{16,}",  # Langfuse
    r"\bwandb_[A-Za-z0-9]{20,}",
    r"\bEAA[A-Za-z0-9]{30,}",
    r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*",  # JSON web tokens
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"(?i:\bbearer\s+)[A-Za-z0-9._~+/\-]{12,}=*",
    r"(?i:\bbasic\s+)[A-Za-z0-9+/]{16,}=*",
    r"\b[a-z][a-z0-9+.\-]*://[^\s:/@]+:[^\s@/]+@",  # a password in an address
    r"(?i:\b(?:api[_\-]?key|secret(?:[_\-]?key)?|access[_\-]?token|auth[_\-]?token|password|passwd)\b[\"']?\s*[:=]\s*)"
    r"[\"']?[A-Za-z0-9._~+/\-]{12,}",
    r"\b[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,}\b",  # e-mail
)
_ANY = re.compile("|".join(f"(?:{key})" for key in _KEYS))
# What each of them has to hold. Arrow's search is some fifty times as fast as Python's, and most texts hold none.
_HINT = (
    r"@|[Bb]earer|BEARER|[Bb]asic|sk-|pk-|_live_|_test_|AKIA|ASIA|AROA|AIDA|AIza|ya29|gh[pousr]_|github_pat|glpat|hf_|gsk_|xai-"
    r"|r8_|pplx-|nvapi|xox|xapp|hooks\.slack|npm_|pypi-|dop_v1|SG\.|SK[a-f0-9]{32}|lsv2_|wandb_|EAA|eyJ|PRIVATE KEY"
    r"|(?i:api.?key|secret|token|passw)"
)


def masked(text: str) -> str:
    """Return a text without keys, tokens and addresses.

    Examples
    --------
    >>> masked("mail ann@example.org, key sk-abcdefghijklmnop1234")
    'mail [masked], key [masked]'
    """
    return _ANY.sub(MASK, text)


def masked_column(column: pd.Series) -> pd.Series:
    """Return a column of masked texts; a text that stands often is searched once, what is no text stays."""
    code, names = pd.factorize(column.astype(object))
    texts = pa.array([name if isinstance(name, str) else "" for name in names], type=pa.large_string())
    rows = np.flatnonzero(pc.match_substring_regex(texts, _HINT).to_numpy(zero_copy_only=False))
    clean = np.array([*names, None], dtype=object)
    clean[rows] = [masked(name) for name in clean[rows]]
    changed = any(clean[i] != names[i] for i in rows)
    return pd.Series(clean[code], index=column.index) if changed else column
