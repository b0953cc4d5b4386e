"""Responses of the sample: single letters, worked solutions, code and chat, as long as models make them.

What a response shows agrees with its quality as in real records: a right letter where quality is 1, a
wrong one elsewhere; some models echo "Answer" instead of choosing, Claude declines now and then.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from dacr.core.rng import keyed_uniform, seed_for
from dacr.data.sample import words as w
from dacr.data.sample.facts import DOMAINS
from dacr.data.sample.slots import Texts
from dacr.types import Floats, Ints

CHARS_PER_TOKEN = 4.0
# What can be answered by a label, by domain or else by family.
LABELS: dict[str, tuple[str, ...]] = {
    "mmlu": ("A", "B", "C", "D"),
    "arc": ("A", "B", "C", "D"),
    "hellaswag": ("A", "B", "C", "D"),
    "winogrande": ("A", "B"),
    "sports_statements": ("yes", "no"),
    "chinese_homonym": ("是", "否"),
    "chinese_zodiac": tuple(str(year) for year in range(1850, 2060)),
}
# How each model writes a label after MMLU's prompt, and after that of the other tasks.
_STYLES = ("{}", "{})", "\n{}")
_MMLU_STYLE = (2, 0, 0, 0, 0, 0, 2, 2, 2, 1, 0)
_PLAIN_STYLE = (1, 0, 0, 0, 1, 0, 1, 0, 1, 1, 0)
_BARE_STYLE = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2)
# Share of wrong answers that are no label at all, and what stands there instead.
_MMLU_LAPSE = np.array([0.0, 0.02, 0.04, 0.08, 0.0, 0.0, 0.96, 0.92, 0.1, 0.0, 0.0])
_PLAIN_LAPSE = np.array([0.0, 0.02, 0.03, 0.06, 0.0, 0.0, 0.12, 0.05, 0.0, 0.0, 0.0])
_LAPSE = ("", "I am", "I cannot", "I do not", "", "", "\nAnswer", "\nAnswer", "\nComment", "", "")
_REFUSAL = "I apologize, but I do not feel comfortable giving an answer without more context."
_OPENINGS = np.array(
    [
        "First, we look at what is given. ",
        "Here is what I found:\n",
        "Here is an answer.\n",
        "Okay, let me think about this step by step:\n",
        "Let's go through it step by step.\n\n",
        "Certainly! Let us break the task down:\n\n",
        " \n",
        " Sure! I'd be happy to help.\n\n",
        "The answer is below. ",
        "Sure, here is how this works.\n\n",
        "\nTo answer this, we proceed as follows.\n\n",
    ],
    dtype=object,
)


def labels_of(domain: str) -> tuple[str, ...]:
    """Return the labels among which a response of this domain chooses; none where it is an essay."""
    return LABELS.get(domain, LABELS.get(DOMAINS[domain][1], ()))


def choices(domain: str, answer: Ints, right: NDArray[np.bool_], uniform: Floats) -> Texts:
    """Return responses that are one label, shape ``(n, n_model)``.

    Parameters
    ----------
    answer : (n,) int
        Index of the right label; the year itself in ``chinese_zodiac``.
    right : (n, n_model) bool
    uniform : (n, 2 n_model + 1) float
    """
    n_model = right.shape[1]
    labels = labels_of(domain)
    if domain == "chinese_zodiac":
        answer = answer - int(labels[0])
    # One distractor is the tempting one: wrong models often agree.
    step = 1 + (uniform * min(len(labels) - 1, 3)).astype(np.int64)
    if domain == "chinese_zodiac":
        step *= 12
    step = np.where(uniform[:, :n_model] < 0.5, step[:, -1:], step[:, n_model:-1])
    letter = np.where(right, answer[:, None], (answer[:, None] + step) % len(labels))
    style, lapse = _manner(domain)
    lapsed = ~right & (uniform[:, n_model:-1] < lapse[None, :])
    table = np.array(
        [[_STYLES[style[m]].format(label) for label in labels] + [_LAPSE[m]] for m in range(n_model)], dtype=object
    )
    chosen: Texts = table[np.arange(n_model)[None, :], np.where(lapsed, len(labels), letter)]
    return chosen


def _manner(domain: str) -> tuple[tuple[int, ...], Floats]:
    if DOMAINS[domain][1] == "mmlu":
        return _MMLU_STYLE, _MMLU_LAPSE
    return (_PLAIN_STYLE if labels_of(domain)[0] == "A" else _BARE_STYLE), _PLAIN_LAPSE


def output_tokens(mean: Floats, uniform: Floats) -> Floats:
    """Return how many tokens each model writes: triangular within 35 to 165 % of the mean.

    Parameters
    ----------
    mean : (n_model,) float
    uniform : (n, 2 n_model) float

    Returns
    -------
    (n, n_model) float
    """
    tokens: Floats = mean[None, :] * (0.35 + 0.65 * (uniform[:, : len(mean)] + uniform[:, len(mean) :]))
    return tokens


def essays(domain: str, answer: Ints, quality: Floats, tokens: Floats, uniform: Floats) -> Texts:
    """Return long responses of about ``4 * tokens`` characters, shape ``(n, n_model)``.

    A response is an opening of the model's own, a stretch of a long text of the family, and an end.

    Parameters
    ----------
    answer : (n,) int
        The number to be found in grade-school-math; ignored elsewhere.
    quality, tokens : (n, n_model) float
    uniform : (n, n_model + 1) float
    """
    family = DOMAINS[domain][1]
    body, breaks = _corpus(family)
    n, n_model = tokens.shape
    opening = _OPENINGS if family in ("gsm", "mtbench", "mbpp") else np.full(n_model, "", dtype=object)
    if family == "mbpp":
        opening = opening + "```python\n"
    if family == "gsm":
        off = answer[:, None] + np.where(quality >= 0.5, 0, 1 + (uniform[:, :n_model] * 23).astype(np.int64))
        ends = [f"\nThe answer is {number}." for number in off.ravel().tolist()]
    else:
        ends = ["```" if family == "mbpp" else ""] * (n * n_model)
    said = np.array([len(text) for text in opening]) + np.array([len(text) for text in ends]).reshape(n, n_model)
    room = np.maximum(tokens * CHARS_PER_TOKEN - said, 1.0)
    first = (uniform[:, :n_model] * (len(breaks) // 2)).astype(np.int64)
    last = np.searchsorted(breaks, breaks[first] + room)
    too_far = breaks[last] + breaks[last - 1] > 2 * (breaks[first] + room)
    last = np.maximum(last - too_far, first + 1)
    texts = np.empty(n * n_model, dtype=object)
    texts[:] = [
        o + body[a:b] + e
        for o, a, b, e in zip(
            np.tile(opening, n).tolist(),
            breaks[first].ravel().tolist(),
            breaks[last].ravel().tolist(),
            ends,
            strict=True,
        )
    ]
    texts = texts.reshape(n, n_model)
    texts[(uniform[:, -1:] < 0.08) & (quality == 0) & (np.abs(np.arange(n_model) - 2) <= 1)[None, :]] = _REFUSAL
    return texts


@cache
def _corpus(family: str) -> tuple[str, Ints]:
    """Return a long text of a family's sentences and the offsets at which one may start or stop."""
    u = keyed_uniform(np.arange(4_000, dtype=np.uint64), 4, seed_for("sample corpus", family))

    def pick(options: Texts, column: int) -> Texts:
        chosen: Texts = options[(u[:, column] * len(options)).astype(int)]
        return chosen

    x, y = (2 + (u[:, 0] * 30).astype(int)).tolist(), (2 + (u[:, 1] * 12).astype(int)).tolist()
    if family == "gsm":
        sums = zip(x, y, pick(w.THINGS, 2), strict=True)
        pieces = [f"* {a} x {b} = {a * b} {t}\n" if a % 2 else f"Now {a} + {b} = {a + b} {t}. " for a, b, t in sums]
    elif family == "mbpp":
        pieces = [str(piece).replace("#", str(a)) for a, piece in zip(x, pick(w.CODE_PIECES, 2), strict=True)]
    elif family == "chinese":
        signs = zip(pick(w.HANZI, 2), pick(w.HANZI, 3), x, strict=True)
        pieces = [f"{a}{b}，" if k % 2 else f"这个字像{a}。" for a, b, k in signs]
    else:
        claims = zip(pick(w.EASY, 2), pick(w.RESEARCH, 3), pick(w.EASY_VERB, 1), pick(w.EASY_TAIL, 0), strict=True)
        pieces = [f"The {a} part of {b} {v} the rest {t}. " for a, b, v, t in claims]
    offsets: Ints = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64)
    return "".join(pieces), offsets
