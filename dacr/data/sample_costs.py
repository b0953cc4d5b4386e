"""Costs of the sample: tokens times real prices, brought to the published means by one factor per model.

    cost_im = f_dm (in_i price_in_m + out_im price_out_m)

On mbpp the mean number of output tokens is what the published cost per query implies and f = 1. Elsewhere
f_m is the one number per model that makes the mean over all domains, at published sizes, the published one.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from dacr.data import sample_facts as facts
from dacr.types import Floats

# Mean characters of the generated prompts per domain, preface included, over 20,000 of each; to be
# measured again whenever words or templates change (a test compares).
MEAN_PROMPT_CHARS = {
    "Chinese_character_riddles": 42.0,
    "abstract2title": 432.2,
    "arc-challenge": 343.0,
    "bias_detection": 411.8,
    "chinese_ancient_poetry": 31.0,
    "chinese_homonym": 29.0,
    "chinese_zodiac": 217.0,
    "consensus_summary": 367.9,
    "grade-school-math": 1016.0,
    "hellaswag": 817.1,
    "mbpp": 117.2,
    "mmlu-college-computer-science": 454.3,
    "mmlu-college-mathematics": 456.0,
    "mmlu-college-medicine": 445.6,
    "mmlu-high-school-biology": 445.7,
    "mmlu-high-school-macroeconomics": 470.7,
    "mmlu-high-school-psychology": 454.6,
    "mmlu-marketing": 450.0,
    "mmlu-moral-scenarios": 447.4,
    "mmlu-nutrition": 467.9,
    "mmlu-philosophy": 462.9,
    "mmlu-professional-law": 662.0,
    "mmlu-world-religions": 433.7,
    "mtbench": 192.4,
    "sports_statements": 145.9,
    "winogrande": 209.6,
}
_CHOICE_TOKENS = 2.0


@cache
def mean_output_tokens() -> Floats:
    """Return mean output tokens, shape ``(n_domain, n_model)``."""
    rows = []
    for name, (_, family) in facts.DOMAINS.items():
        if family == "mbpp":
            tokens_in = MEAN_PROMPT_CHARS[name] / 4.0
            rows.append((facts.MBPP_COST - tokens_in * facts.PRICE_IN) / facts.PRICE_OUT)
        else:
            rows.append(np.array(facts.OUTPUT_TOKENS.get(family, [_CHOICE_TOKENS] * len(facts.MODELS))))
    return np.array(rows, dtype=float)


@cache
def cost_factor() -> Floats:
    """Return ``f``, shape ``(n_domain, n_model)``."""
    size = np.array([size for size, _ in facts.DOMAINS.values()], dtype=float)
    tokens_in = np.array([MEAN_PROMPT_CHARS[name] for name in facts.DOMAINS]) / 4.0
    plain = tokens_in[:, None] * facts.PRICE_IN + mean_output_tokens() * facts.PRICE_OUT
    fixed = np.array([family == "mbpp" for _, family in facts.DOMAINS.values()])
    wanted = facts.MEAN_COST * size.sum() - size[fixed] @ plain[fixed]
    factor = wanted / (size[~fixed] @ plain[~fixed])
    return np.where(fixed[:, None], 1.0, factor[None, :])
