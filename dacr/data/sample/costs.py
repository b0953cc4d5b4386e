"""Costs of the sample: tokens times real prices, brought to the published means by one factor per model.

    cost_im = f_dm (in_i price_in_m + out_im price_out_m)

On mbpp the mean number of output tokens is what the published cost per query implies and f = 1. Elsewhere
f_m is the one number per model that makes the mean over all domains, at published sizes, the published one.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from dacr.data.sample import facts as facts
from dacr.data.sample.responses import CHARS_PER_TOKEN, labels_of
from dacr.types import Floats, Ints

# Mean characters of the generated prompts per domain, preface included, over 20,000 of each; to be
# measured again whenever words or templates change (a test compares).
MEAN_PROMPT_CHARS = {
    "Chinese_character_riddles": 42.0,
    "abstract2title": 436.2,
    "arc-challenge": 343.6,
    "bias_detection": 415.8,
    "chinese_ancient_poetry": 31.0,
    "chinese_homonym": 29.0,
    "chinese_zodiac": 217.0,
    "consensus_summary": 371.9,
    "grade-school-math": 1044.9,
    "hellaswag": 817.1,
    "mbpp": 119.2,
    "mmlu-college-computer-science": 493.6,
    "mmlu-college-mathematics": 495.4,
    "mmlu-college-medicine": 483.8,
    "mmlu-high-school-biology": 484.9,
    "mmlu-high-school-macroeconomics": 512.1,
    "mmlu-high-school-psychology": 493.7,
    "mmlu-marketing": 488.7,
    "mmlu-moral-scenarios": 485.6,
    "mmlu-nutrition": 509.5,
    "mmlu-philosophy": 504.2,
    "mmlu-professional-law": 662.0,
    "mmlu-world-religions": 470.0,
    "mtbench": 192.4,
    "sports_statements": 145.9,
    "winogrande": 209.6,
}
_LABEL_TOKENS = 2.0


@cache
def mean_output_tokens() -> Floats:
    """Return mean output tokens, shape ``(n_domain, n_model)``."""
    rows = []
    for name, (_, family) in facts.DOMAINS.items():
        if family == "mbpp":
            tokens_in = MEAN_PROMPT_CHARS[name] / CHARS_PER_TOKEN
            rows.append((facts.MBPP_COST - tokens_in * facts.PRICE_IN) / facts.PRICE_OUT)
        elif labels_of(name):
            rows.append(np.full(len(facts.MODELS), _LABEL_TOKENS))
        else:
            rows.append(np.array(facts.OUTPUT_TOKENS[family], dtype=float))
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
    cost: Floats = cost_factor()[domain] * (tokens_in * facts.PRICE_IN + tokens_out * facts.PRICE_OUT)
    return cost


@cache
def cost_factor() -> Floats:
    """Return ``f``, shape ``(n_domain, n_model)``."""
    size = np.array([size for size, _ in facts.DOMAINS.values()], dtype=float)
    tokens_in = np.array([MEAN_PROMPT_CHARS[name] for name in facts.DOMAINS]) / CHARS_PER_TOKEN
    plain = tokens_in[:, None] * facts.PRICE_IN + mean_output_tokens() * facts.PRICE_OUT
    fixed = np.array([family == "mbpp" for _, family in facts.DOMAINS.values()])
    # Sums, not matrix products: a linear algebra library rounds differently on another processor.
    total = size[:, None] * plain
    factor = (facts.MEAN_COST * size.sum() - total[fixed].sum(axis=0)) / total[~fixed].sum(axis=0)
    return np.where(fixed[:, None], 1.0, factor[None, :])
