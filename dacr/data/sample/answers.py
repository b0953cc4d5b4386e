"""Responses and costs of the embedded benchmark: single letters, worked solutions, code and chat.

What a response shows agrees with its quality as in real records: a right letter where quality is 1, a wrong one
elsewhere; some models echo "Answer" instead of choosing, Claude declines now and then. Responses are as long as models
make them, and costs are tokens times real prices, brought to the published means by one factor per model:

    cost_im = f_dm (in_i price_in_m + out_im price_out_m)

On mbpp the mean number of output tokens is what the published cost per query implies and f = 1. Elsewhere f_m is the
one number per model that makes the mean over all domains, at published sizes, the published one.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from dacr.core.rng import keyed_uniform, seed_for
from dacr.data.sample import facts
from dacr.data.sample.facts import DOMAINS, MANNERS, WORDS, Texts
from dacr.types import Floats, Ints

CHARS_PER_TOKEN = 4.0
_LABEL_TOKENS = 2.0
_STYLES = ("{}", "{})", "\n{}")
_REFUSES, _REFUSAL_SHARE = 2, 0.08
"""The model that refuses, with its two neighbours, and how often among its worthless answers."""
_ZODIAC = "chinese_zodiac"
RIGHT = 0.5
"""Quality from which a worked solution ends in the right number."""


def labels_of(domain: str) -> tuple[str, ...]:
    """Return the labels among which a response of this domain chooses; none where it is an essay."""
    if domain == _ZODIAC:
        return tuple(str(year) for year in range(1850, 2060))
    labels = DOMAINS[domain].get("labels")
    return tuple(facts.words(labels)) if labels else ()


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
    lapse = lapse_share(domain)
    lapsed = ~right & (uniform[:, n_model:-1] < lapse)
    own = np.maximum(uniform[:, n_model:-1] - lapse, 0.0) / (1.0 - lapse)
    step = _distractor(domain, uniform[:, :n_model], own, uniform[:, -1:])
    if domain == _ZODIAC:
        answer, step = answer - int(labels[0]), step * 12
    letter = np.where(right, answer[:, None], (answer[:, None] + step) % len(labels))
    styles = MANNERS["style"][_manner(domain) if labels[0] == "A" else "bare"]
    spelt = [[_STYLES[style].format(label) for label in labels] for style in styles]
    table = np.array([[*row, lapse] for row, lapse in zip(spelt, MANNERS["lapse"], strict=True)], dtype=object)
    return table[np.arange(n_model)[None, :], np.where(lapsed, len(labels), letter)]


def lapse_share(domain: str) -> Floats:
    """Return the share of a model's wrong labels that are no label at all, (n_model,)."""
    return np.array(MANNERS["lapse_share"][_manner(domain)])


def _manner(domain: str) -> str:
    return "mmlu" if DOMAINS[domain]["family"] == "mmlu" else "plain"


def _distractor(domain: str, tempted: Floats, own: Floats, of_query: Floats) -> Ints:
    """Return which wrong answer each model gives, from 1: the query's tempting one, or one of its own choice."""
    n = DOMAINS[domain]["distractors"]
    return np.where(tempted < DOMAINS[domain]["tempted"], 1 + (of_query * n).astype(int), 1 + (own * n).astype(int))


def output_tokens(domain: int, uniform: Floats) -> Floats:
    """Return how many tokens each model writes: triangular within 35 to 165 % of the mean.

    Parameters
    ----------
    domain : int
        Position in ``facts.DOMAINS``.
    uniform : (n, 2 n_model) float

    Returns
    -------
    (n, n_model) float
    """
    mean = mean_output_tokens()[domain]
    return mean[None, :] * (0.35 + 0.65 * (uniform[:, : len(mean)] + uniform[:, len(mean) :]))


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
    family = DOMAINS[domain]["family"]
    body, breaks = _corpus(family)
    n, n_model = tokens.shape
    opens = family in ("gsm", "mtbench", "mbpp")
    opening = np.array(MANNERS["openings"] if opens else [""] * n_model, dtype=object)
    if family == "mbpp":
        opening = opening + "```python\n"
    if family == "gsm":
        # One number decides who is tempted and, for the others, what they say.
        tempted = DOMAINS[domain]["tempted"]
        own = np.maximum(uniform[:, :n_model] - tempted, 0.0) / (1.0 - tempted)
        off = answer[:, None] + np.where(
            quality >= RIGHT, 0, _distractor(domain, uniform[:, :n_model], own, uniform[:, -1:])
        )
        ends = [f"\nThe answer is {number}." for number in off.ravel().tolist()]
    else:
        ends = ["```" if family == "mbpp" else ""] * (n * n_model)
    said = np.array([len(text) for text in opening]) + np.array([len(text) for text in ends]).reshape(n, n_model)
    room = np.maximum(tokens * CHARS_PER_TOKEN - said, 1.0)
    first = (uniform[:, :n_model] * (len(breaks) // 2)).astype(np.int64)
    last = np.searchsorted(breaks, breaks[first] + room)
    too_far = breaks[last] + breaks[last - 1] > 2 * (breaks[first] + room)
    last = np.maximum(last - too_far, first + 1)
    parts = zip(np.tile(opening, n), breaks[first].ravel().tolist(), breaks[last].ravel().tolist(), ends, strict=True)
    texts = np.array([o + body[a:b] + e for o, a, b, e in parts], dtype=object).reshape(n, n_model)
    declines = (np.abs(np.arange(n_model) - _REFUSES) <= 1)[None, :]
    texts[(uniform[:, -1:] < _REFUSAL_SHARE) & (quality == 0) & declines] = MANNERS["refusal"]
    return texts


@cache
def _corpus(family: str) -> tuple[str, Ints]:
    """Return a long text of a family's sentences and the offsets at which one may start or stop."""
    u = keyed_uniform(np.arange(4_000, dtype=np.uint64), 4, seed_for("sample corpus", family))

    def pick(options: Texts, column: int) -> Texts:
        return options[(u[:, column] * len(options)).astype(int)]

    x, y = (2 + (u[:, 0] * 30).astype(int)).tolist(), (2 + (u[:, 1] * 12).astype(int)).tolist()
    if family == "gsm":
        sums = zip(x, y, pick(WORDS["things"], 2), strict=True)
        pieces = [f"* {a} x {b} = {a * b} {t}\n" if a % 2 else f"Now {a} + {b} = {a + b} {t}. " for a, b, t in sums]
    elif family == "mbpp":
        code = pick(np.array(MANNERS["code_pieces"], dtype=object), 2)
        pieces = [str(piece).replace("#", str(a)) for a, piece in zip(x, code, strict=True)]
    elif family == "chinese":
        hanzi = np.concatenate([WORDS["easy_hanzi"], WORDS["hard_hanzi"]])
        signs = zip(pick(hanzi, 2), pick(hanzi, 3), x, strict=True)
        pieces = [f"{a}{b}，" if k % 2 else f"这个字像{a}。" for a, b, k in signs]
    else:
        names = ("easy_adjective", "research", "easy_verb", "easy_tail")
        claims = zip(*(pick(WORDS[name], at) for name, at in zip(names, (2, 3, 1, 0), strict=True)), strict=True)
        pieces = [f"The {a} part of {b} {v} the rest {t}. " for a, b, v, t in claims]
    offsets: Ints = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64)
    return "".join(pieces), offsets


@cache
def mean_output_tokens() -> Floats:
    """Return mean output tokens, shape ``(n_domain, n_model)``."""
    rows = []
    for name, told in DOMAINS.items():
        if told["family"] == "mbpp":
            tokens_in = told["prompt_chars"] / CHARS_PER_TOKEN
            rows.append((facts.MBPP_COST - tokens_in * facts.PRICE_IN) / facts.PRICE_OUT)
        elif labels_of(name):
            rows.append(np.full(len(facts.MODELS), _LABEL_TOKENS))
        else:
            rows.append(np.array(told["tokens"], dtype=float))
    return np.array(rows)


def cost_of(domain: int, prompt_chars: Ints, tokens_out: Floats) -> Floats:
    """Return USD per call, shape ``(n, n_model)``.

    Parameters
    ----------
    domain : int
        Position in ``facts.DOMAINS``.
    prompt_chars : (n,) int
    tokens_out : (n, n_model) float
    """
    tokens_in = prompt_chars[:, None] / CHARS_PER_TOKEN
    return cost_factor()[domain] * (tokens_in * facts.PRICE_IN + tokens_out * facts.PRICE_OUT)


@cache
def cost_factor() -> Floats:
    """Return ``f``, shape ``(n_domain, n_model)``."""
    tokens_in = np.array([told["prompt_chars"] for told in DOMAINS.values()]) / CHARS_PER_TOKEN
    plain = tokens_in[:, None] * facts.PRICE_IN + mean_output_tokens() * facts.PRICE_OUT
    # Sums, not matrix products: a linear algebra library rounds differently on another processor.
    size, fixed = facts.SIZES.astype(float), facts.IS_MBPP
    total = size[:, None] * plain
    factor = (facts.MEAN_COST * size.sum() - total[fixed].sum(axis=0)) / total[~fixed].sum(axis=0)
    return np.where(fixed[:, None], 1.0, factor[None, :])
