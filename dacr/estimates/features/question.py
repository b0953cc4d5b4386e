"""The question of a prompt, without its few-shot preface.

Few-shot prompts of a benchmark begin with the same worked examples. Features of the whole prompt would
make all queries of such a domain look alike, so everything up to the last *answered* example is cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# The first letter stands first, and what must come before it after it: a search skips to such letters.
_ANSWERED = re.compile(
    r"[AaOLS](?:(?<!\w.)(?:(?<=A)(?:nswer|NSWER)|(?<=a)nswer|(?<=O)utput|(?<=L)abel|(?<=S)olution)[ \t]*:[ \t]*\n?"
    r"|(?<=A)(?<![^\n].):)[ \t]*\S[^\n]*\n",
    re.S,
)
_SHORTEST = 12


def question_of(prompt: str) -> str:
    r"""Return what follows the last answered example, or the whole prompt where there is none.

    Examples
    --------
    >>> question_of("Question: 1+1?\nAnswer: 2\n\nQuestion: What is 2+3?\nAnswer:")
    'Question: What is 2+3?\nAnswer:'
    >>> question_of("Name a prime number.")
    'Name a prime number.'
    """
    end = 0
    for example in _ANSWERED.finditer(prompt):
        if len(prompt) - example.end() >= _SHORTEST:
            end = example.end()
    rest = prompt[end:].strip()
    return rest if len(rest) >= _SHORTEST else prompt.strip()


def questions_of(prompts: Iterable[str]) -> list[str]:
    """Apply :func:`question_of` to many prompts."""
    return [question_of(prompt) for prompt in prompts]
