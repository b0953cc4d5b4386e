"""Complexity classes of a task by keyword: critical, complex, simple, else moderate or simple."""

import re
from collections.abc import Iterable

import numpy as np

from dacr.types import Ints

CLASSES = ("simple", "moderate", "complex", "critical")

_LONG = 100

_VERB = r"(?:s|ed|ing)?"
# A secret is critical where it is a credential, not in "the secret to a happy life".
_SECRET = (
    r"(?:api|client|shared|signing|webhook|app|kubernetes|k8s|vault)[\s_-]secrets?"
    r"|secrets?[\s_-](?:keys?|tokens?|values?|managers?|stores?|files?|rotation)"
    r"|(?:rotat|leak|expos|stor|read|commit|print|revok|encrypt|decrypt|reveal|steal|shar|delet|show|creat|updat|log)"
    r"(?:e|es|ed|ing|s)?(?:\s+\w+){0,2}\s+secrets?(?!\s+(?:to|of|for|behind)\b)"
)
_WORDS = {
    "critical": rf"deploy(?:{_VERB}|ments?|ers?)|productions?|delet(?:e|es|ed|ing|ions?)"
    rf"|admin(?:s|istrators?|istrative)?|payments?|credentials?|{_SECRET}",
    "complex": rf"research(?:es|ed|ing|ers?)?|analy[sz](?:e|es|ed|ing|is|ers?)|compar(?:e|es|ed|ing|isons?)"
    rf"|design(?:{_VERB}|ers?)|architect(?:s|ed|ing|ures?|ural)?|security|audit(?:{_VERB}|ors?)",
    "simple": rf"summari[sz](?:e|es|ed|ing)|summary|translat(?:e|es|ed|ing|ions?)|hello|what\s+is|what's"
    rf"|defin(?:e|es|ed|ing|itions?)|explain{_VERB}",
}
_PATTERNS = {name: re.compile(rf"\b(?:{words})\b") for name, words in _WORDS.items()}
_CODE = re.compile(r"\b(?:cod(?:e|es|ed|ing)|functions?)\b")


def classify(task: str) -> str:
    """Return the class of a task.

    Keywords, inflected ones too, are tried in the order critical, complex, simple; then a task is moderate if it is
    longer than 100 characters or speaks of code or a function, else simple.

    Examples
    --------
    >>> classify("Deploy!"), classify("the secret to a happy life"), classify("Write a fibonacci function")
    ('critical', 'simple', 'moderate')
    """
    text = task.lower().replace("’", "'")
    for name in ("critical", "complex", "simple"):
        if _PATTERNS[name].search(text):
            return name
    return "moderate" if len(task) > _LONG or _CODE.search(text) else "simple"


def class_codes(tasks: Iterable[str]) -> Ints:
    """Return the index into :data:`CLASSES` of each task, shape ``(n,)``."""
    return np.array([CLASSES.index(classify(task)) for task in tasks], dtype=np.int64)
