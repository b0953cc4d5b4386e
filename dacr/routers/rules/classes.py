"""Complexity classes of a task by keyword: critical, complex, simple, else moderate or simple."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from dacr.types import Ints

CLASSES = ("simple", "moderate", "complex", "critical")

_LEGACY = {
    "critical": {"deploy", "production", "delete", "admin", "payment", "credential", "secret"},
    "complex": {"research", "analyze", "compare", "design", "architect", "security", "audit"},
    "simple": {"summarize", "translate", "hello", "what is", "define", "explain"},
}
_LONG = 100

_VERB = r"(?:s|ed|ing)?"
# A secret is critical where it is a credential, not in "the secret to a happy life".
_SECRET = (
    r"(?:api|client|shared|signing|webhook|app|kubernetes|k8s|vault)[\s_-]secrets?"
    r"|secrets?[\s_-](?:keys?|tokens?|values?|managers?|stores?|files?|rotation)"
    r"|(?:rotat|leak|expos|stor|read|commit|print|revok|encrypt|decrypt|reveal|steal|shar|delet|show|creat|updat|log)"
    r"(?:e|es|ed|ing|s)?(?:\s+\w+){0,2}\s+secrets?(?!\s+(?:to|of|for|behind)\b)"
)
_FIXED = {
    "critical": rf"deploy(?:{_VERB}|ments?|ers?)|productions?|delet(?:e|es|ed|ing|ions?)"
    rf"|admin(?:s|istrators?|istrative)?|payments?|credentials?|{_SECRET}",
    "complex": rf"research(?:es|ed|ing|ers?)?|analy[sz](?:e|es|ed|ing|is|ers?)|compar(?:e|es|ed|ing|isons?)"
    rf"|design(?:{_VERB}|ers?)|architect(?:s|ed|ing|ures?|ural)?|security|audit(?:{_VERB}|ors?)",
    "simple": rf"summari[sz](?:e|es|ed|ing)|summary|translat(?:e|es|ed|ing|ions?)|hello|what\s+is|what's"
    rf"|defin(?:e|es|ed|ing|itions?)|explain{_VERB}",
}
_PATTERNS = {name: re.compile(rf"\b(?:{words})\b") for name, words in _FIXED.items()}
_CODE = re.compile(r"\b(?:cod(?:e|es|ed|ing)|functions?)\b")


def classify(task: str, legacy: bool = False) -> str:
    """Return the class of a task.

    Keywords are tried in the order critical, complex, simple; then a task is moderate if it is longer
    than 100 characters or speaks of code or a function, else simple.

    Parameters
    ----------
    legacy : bool
        Match whole words between spaces only, as the original does: punctuation and inflection hide a
        keyword, "what is" can never match, "encode" counts as code, any secret is critical.

    Examples
    --------
    >>> classify("Deploy!"), classify("Deploy!", legacy=True)
    ('critical', 'simple')
    >>> classify("Write a fibonacci function")
    'moderate'
    """
    text = task.lower()
    if legacy:
        words = set(text.split())
        for name in ("critical", "complex", "simple"):
            if words & _LEGACY[name]:
                return name
        return "moderate" if len(task) > _LONG or "code" in text or "function" in text else "simple"
    text = text.replace("’", "'")
    for name in ("critical", "complex", "simple"):
        if _PATTERNS[name].search(text):
            return name
    return "moderate" if len(task) > _LONG or _CODE.search(text) else "simple"


def class_codes(tasks: Iterable[str], legacy: bool = False) -> Ints:
    """Return the index into :data:`CLASSES` of each task, shape ``(n,)``."""
    return np.array([CLASSES.index(classify(task, legacy)) for task in tasks], dtype=np.int64)
