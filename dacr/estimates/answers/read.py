r"""Read the answer of every response, by the response's own shape.

========  ================================================  ============================
kind      a response has it if it                           two are the same if
========  ================================================  ============================
field     has a JSON field ``answer``, or ``\boxed{...}``   the values are, as below
letter    is, begins with or ends in the letter of a choice the letters are
program   has Python that defines something                 the normalised trees are
number    has a number in its last line                     the numbers are: 42 = 42.0
text      is one line of a few words                        the words are, letter case aside
========  ================================================  ============================

Nothing else is read: a refusal, an error, an empty response and longer prose have no answer, and what has no answer
agrees with nothing. The domain plays no part, unless its kind is declared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.estimates.answers.loose import Loose, codes_of
from dacr.estimates.answers.program import program_of
from dacr.estimates.features.refusals import refusals
from dacr.types import Bools, Ints

KINDS = ("field", "letter", "program", "number", "text")

UNREAD = -1
"""The code of a response whose answer could not be read."""

TAIL_CHARS, TEXT_CHARS, TEXT_WORDS = 400, 60, 6

_FIELD = r'(?s).*"answer"\s*:\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s"][^,}\n]*))'
_BOXED = r"(?s).*\\boxed\s*\{(?P<boxed>(?:[^{}]|\{[^{}]*\})*)\}"
# Alone on the first line, before its option, or as the answer that a sentence names.
_LETTER_FIRST = r"^\s*[(\[*\"']*(?P<letter>[A-J])[)\].:*\"']*(?:[ \t]*(?:\r?\n|$)|[).:][*]*\s)"
_LETTER_NAMED = r"(?s).*(?i:answer|option|choice)(?:\s+is)?\s*:?\s*[(\[*\"']*(?P<letter>[A-J])(?:[)\].:,*\"']|\s*$|\n)"
_DEFINES = r"(?m)(?:^|\n)\s*(?:def|class)\s+\w+"
_NUMBER = r"(?P<number>(?:[^\w.,]|^)[-−]?[$€£]?[0-9][0-9,]*(?:\.[0-9]+)?)(?:[^0-9\n]*)$"
_PLAIN_NUMBER = r"^[-−]?[$€£]?\s*[0-9][0-9,]*(?:\.[0-9]+)?\s*(?:%|\\%|[a-zA-Z]{0,12})\.?$"
_NO_WORDS = ("", "answer", "answer is", "answer:", "solution")
"""What models write in place of an answer."""
_IS_NUMBER = re.compile(_PLAIN_NUMBER)
_ERROR = r"(?i)^\s*(?:error|exception|timeout|traceback|http\s*[45][0-9]{2}|rate limit)\b"


def read_answers(
    response: pa.Array, n_model: int, kind: Sequence[str] | None = None, loose: Loose | None = None
) -> Ints:
    """Return a code of each answer; two responses give the same answer where their codes are equal and not UNREAD.

    Parameters
    ----------
    response : pyarrow string array of n_query * n_model, query-major
        The code of a cell depends on that cell's response alone, but for its number.
    kind : (n_query,) str, optional
        A declared kind for each query, '' where it has none: then no other kind is read there.
    loose : Loose, optional
        Programs, and texts without an answer of any kind, get codes below UNREAD, by which two are the same where the
        texts are alike (:mod:`dacr.estimates.answers.loose`).

    Returns
    -------
    (n_query, n_model) int64
    """
    distinct = pc.utf8_trim_whitespace(pc.fill_null(response.cast(pa.large_string()), "")).dictionary_encode()
    text, wanted = distinct.indices.to_numpy(zero_copy_only=False), np.zeros(len(response), dtype=np.int64)
    if kind is not None:
        unknown = sorted(set(kind) - {"", *KINDS})
        if unknown:
            raise UserError(f"{unknown[0]!r} is no kind of answer; known: {', '.join(KINDS)}")
        wanted = np.repeat([("", *KINDS).index(one) for one in kind], n_model)
    # Most responses of a few letters stand many times: each is read once.
    answer = np.full((1 + len(KINDS), len(distinct.dictionary)), None, dtype=object)
    for declared in np.unique(wanted):
        some = np.unique(text[wanted == declared])
        kinds = KINDS if declared == 0 else KINDS[declared - 1 : declared]
        answer[declared, some] = _read(distinct.dictionary.take(pa.array(some)), kinds)
    number = {one: k for k, one in enumerate(sorted({one for one in answer.flat if one is not None}))}
    code = np.array([UNREAD if one is None else number[one] for one in answer.flat]).reshape(answer.shape)[wanted, text]
    if loose is not None:
        open_end = [one is None or one.startswith("program ") for one in answer.flat]
        free = np.array(open_end).reshape(answer.shape)[wanted, text]
        own = np.unique(text[free])
        own = own[_says_something(distinct.dictionary.take(pa.array(own)))]
        known = np.isin(own, text.reshape(-1, n_model)[loose.train])
        made = codes_of(distinct.dictionary.take(pa.array(own)).to_pylist(), known, loose.cosine)
        place = np.minimum(np.searchsorted(own, text), max(len(own) - 1, 0))
        free &= own[place] == text if len(own) else False
        code[free] = made[place[free]]
    return code.reshape(-1, n_model)


def _says_something(texts: pa.Array) -> Bools:
    """Say which texts are neither empty, nor an error, nor a refusal."""
    left = pc.greater(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False)
    left &= ~pc.match_substring_regex(texts, _ERROR).to_numpy(zero_copy_only=False)
    left &= ~refusals(texts, asked=left)
    return left


def _read(texts: pa.Array, kinds: Sequence[str]) -> NDArray[np.object_]:
    """Return the answer in each text by the first of ``kinds`` that it has, or None."""
    answer = np.full(len(texts), None, dtype=object)
    left = _says_something(texts)
    for name in kinds:
        rows = np.flatnonzero(left)
        found = _READERS[name](texts.take(pa.array(rows)))
        has = np.array([one is not None for one in found], dtype=bool)
        answer[rows[has]] = found[has]
        left[rows[has]] = False
    return answer


def normal(text: str) -> str:
    r"""Return a short answer in the form in which two are compared.

    Examples
    --------
    >>> [normal(text) for text in ("$1,200.00", "1200", "(B)", "The  Cat.", "[1,2]", "'aB'", "50%")]
    ['#1200', '#1200', '=B', 'cat', '[1, 2]', "'aB'", '#50']
    """
    text = " ".join(text.replace('\\"', '"').replace("\\n", " ").split()).strip()
    number = _as_number(text)
    if number is not None:
        return number
    bare = text.strip("()[]*.: ")
    if len(bare) == 1 and bare.isalpha() and bare.isupper():
        return f"={bare}"
    if text[:1] in "'\"[{(\\":
        return text.replace('"', "'").replace(", ", ",").replace(",", ", ").replace("\\dfrac", "\\frac").rstrip(".")
    text = text.rstrip(" .!?,;:").casefold()
    for article in ("the ", "a ", "an "):
        text = text.removeprefix(article)
    return text


def _as_number(text: str) -> str | None:
    if not _IS_NUMBER.match(text):
        return None
    digits = "".join(sign for sign in text.replace("−", "-") if sign in "-.0123456789").rstrip(".")
    return f"#{float(digits):.12g}"


def _fields(texts: pa.Array) -> NDArray[np.object_]:
    found = np.full(len(texts), None, dtype=object)
    for pattern, has in ((_FIELD, '"answer"'), (_BOXED, "boxed")):
        rows = np.flatnonzero(pc.match_substring(texts, has).to_numpy(zero_copy_only=False))
        for values in _extracted(texts, rows, pattern).values():
            for row, value in zip(rows.tolist(), values, strict=True):
                if found[row] is None and value and value.strip(' "'):
                    found[row] = normal(value.strip().removeprefix("$").removesuffix("$"))
    return found


def _letters(texts: pa.Array) -> NDArray[np.object_]:
    found = np.full(len(texts), None, dtype=object)
    every = np.arange(len(texts))
    for pattern, part in ((_LETTER_FIRST, _head(texts)), (_LETTER_NAMED, _tail(texts))):
        rows = every[np.array([one is None for one in found], dtype=bool)]
        for row, letter in zip(rows.tolist(), _extracted(part, rows, pattern)["letter"], strict=True):
            if letter:
                found[row] = f"={letter}"
    return found


def _programs(texts: pa.Array) -> NDArray[np.object_]:
    found = np.full(len(texts), None, dtype=object)
    rows = np.flatnonzero(pc.match_substring_regex(texts, _DEFINES).to_numpy(zero_copy_only=False))
    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
        digest = program_of(text)
        # A program that does not parse is no number either.
        found[row] = None if digest is None else f"program {digest}"
    return found


def _numbers(texts: pa.Array) -> NDArray[np.object_]:
    found = np.full(len(texts), None, dtype=object)
    code = pc.match_substring_regex(texts, _DEFINES + "|```").to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(~code)
    for row, value in zip(rows.tolist(), _extracted(_tail(texts), rows, _NUMBER)["number"], strict=True):
        if value:
            found[row] = _as_number(value.lstrip(" =:(*~≈'\"\\[{").strip())
    return found


def _words(texts: pa.Array) -> NDArray[np.object_]:
    found = np.full(len(texts), None, dtype=object)
    short = pc.less_equal(pc.utf8_length(texts), TEXT_CHARS)
    one_line = pc.invert(pc.match_substring(texts, "\n"))
    few = pc.less_equal(pc.count_substring_regex(texts, r"\S+"), TEXT_WORDS)
    rows = np.flatnonzero(pc.and_(pc.and_(short, one_line), few).to_numpy(zero_copy_only=False))
    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
        answer = normal(text)
        found[row] = answer if answer not in _NO_WORDS else None
    return found


def _head(texts: pa.Array) -> pa.Array:
    return pc.utf8_slice_codeunits(texts, 0, TAIL_CHARS)


def _tail(texts: pa.Array) -> pa.Array:
    return pc.utf8_slice_codeunits(texts, -TAIL_CHARS, None)


def _extracted(texts: pa.Array, rows: Ints, pattern: str) -> dict[str, list[str | None]]:
    """Return the named groups of a pattern in some rows, '' or None where it does not match."""
    groups = pc.extract_regex(texts.take(pa.array(rows)), pattern)
    return {groups.type.field(k).name: pc.struct_field(groups, k).to_pylist() for k in range(groups.type.num_fields)}


def readable(code: Ints) -> Bools:
    """Say which answers could be read."""
    return code != UNREAD


_READERS = {"field": _fields, "letter": _letters, "program": _programs, "number": _numbers, "text": _words}
