"""What form an answer must have, and whether a recorded one has it: read off the response alone."""

import ast
import functools
import re
import warnings
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dacr.data.schema import family_of
from dacr.estimates.features.refusals import refusals

GOOD, REFUSAL, INVALID = 0, 1, 2
FORMATS = ("", "letter", "number", "python")

_LETTER_FAMILIES = ("mmlu", "arc", "hellaswag", "winogrande")
_NUMBER_FAMILIES = ("grade-school-math", "gsm")
_PYTHON_FAMILIES = ("mbpp", "humaneval")

# A letter that stands alone; "A" before a word in small letters is the article.
_LETTER = r"(?:^|[^A-Za-z'’])(?:[B-H](?:[^A-Za-z'’]|$)|A(?:[^A-Za-z'’ ]|$| *$| +[^a-z ]))"
_NUMBER = r"[0-9]"
_BLOCKS = (
    re.compile(r"```[ \t]*[\w+-]*[ \t]*\r?\n(.*?)(?:```|\Z)", re.DOTALL),
    re.compile(r"\[PYTHON\](.*?)(?:\[/PYTHON\]|\Z)", re.DOTALL),
    re.compile(r"^((?:def|class|import|from|@)\b.*)\Z", re.DOTALL | re.MULTILINE),
)
_DEFINES = re.compile(r"\b(?:def|class|lambda|import)\b|=")


def expected_format(domain: str) -> int:
    """Return the index into :data:`FORMATS` of what an answer in this domain must give.

    Examples
    --------
    >>> [FORMATS[expected_format(name)] for name in ("mmlu-law", "grade-school-math", "mbpp", "mtbench")]
    ['letter', 'number', 'python', '']
    """
    family = family_of(domain)
    for code, families in enumerate((_LETTER_FAMILIES, _NUMBER_FAMILIES, _PYTHON_FAMILIES), start=1):
        if family.startswith(families):
            return code
    return 0


@functools.lru_cache(maxsize=1 << 14)
def has_python(text: str) -> bool:
    r"""Say whether an answer holds Python that parses: a code block, the whole text, or its end.

    Examples
    --------
    >>> has_python("Sure:\n```python\nx = 1\n```"), has_python("I would add them.")
    (True, False)
    """
    pieces = [match for pattern in _BLOCKS for match in pattern.findall(text)]
    return any(_DEFINES.search(piece) and _parses(piece) for piece in (*pieces, text))


def _parses(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a string is still Python
            ast.parse(code.strip().replace("\r\n", "\n"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def answer_outcomes(response: pa.Array, domain: Sequence[str], n_model: int) -> NDArray[np.int8]:
    """Judge every response as the chain would: ``GOOD``, ``REFUSAL`` or ``INVALID``.

    Parameters
    ----------
    response : pyarrow string array of n_query * n_model, query-major
    domain : (n_query,) str

    Returns
    -------
    (n_query, n_model) int8
    """
    names, code = np.unique(np.asarray(domain, dtype=str), return_inverse=True)
    wanted = np.repeat(np.array([expected_format(name) for name in names])[code], n_model)
    head = pc.utf8_slice_codeunits(response, 0, 400)
    invalid = np.zeros(len(wanted), dtype=bool)
    letter = _matches(head, _LETTER)
    number = _matches(response, _NUMBER)
    invalid[(wanted == 1) & ~letter] = True
    invalid[(wanted == 2) & ~number] = True
    for row in np.flatnonzero(wanted == 3):
        invalid[row] = not has_python(response[int(row)].as_py() or "")
    out = np.where(invalid, INVALID, GOOD).astype(np.int8)
    # Validity first: an answer in the wanted form is no refusal, whatever its words.
    out[refusals(response, invalid | (wanted == 0))] = REFUSAL
    return out.reshape(-1, n_model)


def _matches(texts: pa.Array, pattern: str) -> NDArray[np.bool_]:
    return pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False).astype(bool)
