"""Responses of the sample: single letters, worked solutions, code and chat, as long as models make them.

What a response shows agrees with its quality as in real records: a right letter where quality is 1, a
wrong one elsewhere; some models echo "Answer" instead of choosing, Claude declines now and then.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from dacr.data import sample_facts as facts
from dacr.data import sample_words as w
from dacr.rng import keyed_uniform, seed_for
from dacr.types import Floats

Texts = NDArray[np.object_]
CHOICE_FAMILIES = {"mmlu": 4, "arc": 4, "hellaswag": 4, "winogrande": 2}
CHARS_PER_TOKEN = 4.0

_STYLES = ("{}", "{})", "\n{}")
# How each model writes a letter: after MMLU's prompt, and after that of the other single-choice tasks.
_MMLU_STYLE = np.array([2, 0, 0, 0, 0, 0, 2, 2, 2, 1, 0])
_PLAIN_STYLE = np.array([1, 0, 0, 0, 1, 0, 1, 0, 1, 1, 0])
# Share of wrong answers that are no letter at all, and what stands there instead.
_MMLU_LAPSE = np.array([0.0, 0.02, 0.04, 0.08, 0.0, 0.0, 0.96, 0.92, 0.1, 0.0, 0.0])
_PLAIN_LAPSE = np.array([0.0, 0.02, 0.03, 0.06, 0.0, 0.0, 0.12, 0.05, 0.0, 0.0, 0.0])
_LAPSE = ("", "I am", "I cannot", "I do not", "", "", "\nAnswer", "\nAnswer", "\nComment", "", "")

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
_REFUSAL = "I apologize, but I do not feel comfortable giving an answer without more context."


def choices(family: str, answer: NDArray[np.int64], right: NDArray[np.bool_], uniform: Floats) -> Texts:
    """Return single-choice responses, shape ``(n, n_model)``.

    Parameters
    ----------
    answer : (n,) int
        Index of the right letter.
    right : (n, n_model) bool
    uniform : (n, 2 n_model + 1) float
    """
    n_model = right.shape[1]
    n_option = CHOICE_FAMILIES[family]
    style = _MMLU_STYLE if family == "mmlu" else _PLAIN_STYLE
    lapse = _MMLU_LAPSE if family == "mmlu" else _PLAIN_LAPSE
    if n_option == 2:
        wrong = np.repeat(1 - answer[:, None], n_model, axis=1)
    else:
        # One distractor is the tempting one: wrong models often agree.
        tempting = (answer + 1 + (uniform[:, -1] * 3).astype(np.int64)) % 4
        other = (answer[:, None] + 1 + (uniform[:, n_model:-1] * 3).astype(np.int64)) % 4
        wrong = np.where(uniform[:, :n_model] < 0.5, tempting[:, None], other)
    letter = np.where(right, answer[:, None], wrong)
    lapsed = ~right & (uniform[:, n_model:-1] < lapse[None, :])
    table = np.array(
        [[_STYLES[style[m]].format(x) for x in "ABCD"] + [_LAPSE[m]] for m in range(n_model)], dtype=object
    )
    chosen: Texts = table[np.arange(n_model)[None, :], np.where(lapsed, 4, letter)]
    return chosen


def output_tokens(domain: str, mean: Floats, uniform: Floats) -> Floats:
    """Return how many tokens each model writes, shape ``(n, n_model)``: triangular within 35 to 165 % of the mean."""
    spread = uniform[:, : len(mean)] + uniform[:, len(mean) : 2 * len(mean)]
    tokens: Floats = mean[None, :] * (0.35 + 0.65 * spread)
    return tokens


def essays(family: str, answer: NDArray[np.int64], quality: Floats, tokens: Floats, uniform: Floats) -> Texts:
    """Return long responses of about ``4 * tokens`` characters, shape ``(n, n_model)``.

    Parameters
    ----------
    answer : (n,) int
        The number to be found in ``gsm``; ignored elsewhere.
    quality, tokens : (n, n_model) float
    uniform : (n, n_model + 1) float
    """
    body, breaks = _corpus(family)
    n, n_model = tokens.shape
    openings = _OPENINGS if family in ("gsm", "mtbench", "mbpp") else np.full(n_model, "", dtype=object)
    room = np.maximum(tokens * CHARS_PER_TOKEN - np.vectorize(len)(openings)[None, :] - 14, 8)
    first = (uniform[:, :n_model] * (len(breaks) // 2)).astype(np.int64)
    last = np.searchsorted(breaks, breaks[first] + room)
    near = (breaks[last] - breaks[first] - room > room - (breaks[last - 1] - breaks[first])) & (last - 1 > first)
    last = last - near
    start, stop = breaks[first].ravel().tolist(), breaks[last].ravel().tolist()
    opening = np.tile(openings, n).tolist()
    if family == "gsm":
        off = answer[:, None] + np.where(quality >= 0.5, 0, 1 + (uniform[:, :n_model] * 23).astype(np.int64))
        ends = [f"\nThe answer is {number}." for number in off.ravel().tolist()]
    elif family == "mbpp":
        ends = ["\n```"] * (n * n_model)
        opening = [text + "```python\n" for text in opening]
    else:
        ends = [""] * (n * n_model)
    texts = np.empty(n * n_model, dtype=object)
    texts[:] = [o + body[a:b] + e for o, a, b, e in zip(opening, start, stop, ends, strict=True)]
    texts = texts.reshape(n, n_model)
    declines = (uniform[:, -1:] < 0.08) & (quality == 0) & (np.abs(np.arange(n_model) - 2) <= 1)[None, :]
    if family != "gsm":
        texts[declines] = _REFUSAL
    return texts


@cache
def _corpus(family: str) -> tuple[str, NDArray[np.int64]]:
    """Return a long text of a family's sentences and the offsets at which one may start or stop."""
    u = keyed_uniform(np.arange(4_000, dtype=np.uint64), 5, seed_for("sample corpus", family))

    def pick(options: Texts, column: int) -> Texts:
        chosen: Texts = options[(u[:, column] * len(options)).astype(int)]
        return chosen

    x, y = 2 + (u[:, 0] * 30).astype(int), 2 + (u[:, 1] * 12).astype(int)
    if family == "gsm":
        parts = zip(x.tolist(), y.tolist(), pick(w.THINGS, 2), strict=True)
        pieces = [f"* {a} x {b} = {a * b} {t}\n" if a % 2 else f"Now {a} + {b} = {a + b} {t}. " for a, b, t in parts]
    elif family == "mbpp":
        parts = zip(x.tolist(), pick(_CODE, 2), strict=True)
        pieces = [line.replace("#", str(a)) + "\n" for a, line in parts]
    elif family == "chinese":
        parts = zip(pick(w.HANZI, 2), pick(w.HANZI, 3), x.tolist(), strict=True)
        pieces = [f"{a}{b}，" if k % 2 else f"这个字像{a}。" for a, b, k in parts]
    else:
        parts = zip(pick(w.EASY, 2), pick(w.RESEARCH, 3), pick(w.EASY_VERB, 4), pick(w.EASY_TAIL, 0), strict=True)
        pieces = [f"The {a} part of {b} {v} the rest {t}. " for a, b, v, t in parts]
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])])
    return "".join(pieces), offsets.astype(np.int64)


_CODE = w.words(
    "def solve_#(items): | result = [] | for item in items: | if item % # == 0: | result.append(item)"
    " | return sorted(result) | count = count + # | items = list(map(str, items)) | # keep the order of the input"
    " | while left < right: | return result[:#] | best = max(best, item) | print(solve_#([1, #, 3]))"
)
