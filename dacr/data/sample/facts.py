"""What is published about the benchmark that the sample imitates: models, prices, sizes and means.

Models stand in the order of their names everywhere, which is also the column order of the wide files.
Sizes, means over all 0-shot rows and the means on mbpp are published figures. The means per family are
rough figures of our own: they fix who is good at what, and :mod:`dacr.data.sample.truth` moves them
until the published overall means come out exactly.
"""

from __future__ import annotations

import numpy as np

MODELS = (
    "WizardLM/WizardLM-13B-V1.2",
    "claude-instant-v1",
    "claude-v1",
    "claude-v2",
    "gpt-3.5-turbo-1106",
    "gpt-4-1106-preview",
    "meta/code-llama-instruct-34b-chat",
    "meta/llama-2-70b-chat",
    "mistralai/mistral-7b-chat",
    "mistralai/mixtral-8x7b-chat",
    "zero-one-ai/Yi-34B-Chat",
)
# The wide files list the response and cost columns in an order of their own.
WIDE_ORDER = (4, 1, 2, 3, 5, 7, 9, 10, 0, 6, 8)

MEAN_QUALITY = np.array([0.4311, 0.5984, 0.6301, 0.6358, 0.6193, 0.7814, 0.2022, 0.3287, 0.3061, 0.5471, 0.6475])
MEAN_COST = np.array([73, 233, 2145, 2419, 243, 3293, 172, 203, 46, 135, 186]) * 1e-6
MBPP_QUALITY = np.array([0.3700, 0.6042, 0.5972, 0.6417, 0.6534, 0.6862, 0.5176, 0.3302, 0.3443, 0.5410, 0.3864])
MBPP_COST = np.array([80.99, 481.13, 4273.5, 5837.6, 334.76, 9377.1, 156.03, 297.22, 48.46, 174.29, 228.63]) * 1e-6
N_PUBLISHED = 36_497
UNSOLVED_SHARE = 1_308 / N_PUBLISHED

# USD per million tokens in and out, as the providers charged them when the benchmark was recorded.
PRICE_IN = np.array([0.3, 0.8, 8.0, 8.0, 1.0, 10.0, 0.776, 0.9, 0.2, 0.6, 0.8]) * 1e-6
PRICE_OUT = np.array([0.3, 2.4, 24.0, 24.0, 2.0, 30.0, 0.776, 0.9, 0.2, 0.6, 0.8]) * 1e-6

# Domain: (published size, family). The 57 MMLU subjects are gathered into twelve, the nine Chinese tasks
# into four and the rest into four; the sums over a family are the published ones.
DOMAINS: dict[str, tuple[int, str]] = {
    "Chinese_character_riddles": (240, "chinese"),
    "abstract2title": (254, "other"),
    "arc-challenge": (1_470, "arc"),
    "bias_detection": (230, "other"),
    "chinese_ancient_poetry": (190, "chinese"),
    "chinese_homonym": (155, "chinese"),
    "chinese_zodiac": (200, "chinese"),
    "consensus_summary": (240, "other"),
    "grade-school-math": (7_450, "gsm"),
    "hellaswag": (10_042, "hellaswag"),
    "mbpp": (427, "mbpp"),
    "mmlu-college-computer-science": (820, "mmlu"),
    "mmlu-college-mathematics": (880, "mmlu"),
    "mmlu-college-medicine": (1_130, "mmlu"),
    "mmlu-high-school-biology": (1_240, "mmlu"),
    "mmlu-high-school-macroeconomics": (1_190, "mmlu"),
    "mmlu-high-school-psychology": (1_390, "mmlu"),
    "mmlu-marketing": (910, "mmlu"),
    "mmlu-moral-scenarios": (1_410, "mmlu"),
    "mmlu-nutrition": (1_050, "mmlu"),
    "mmlu-philosophy": (1_120, "mmlu"),
    "mmlu-professional-law": (1_922, "mmlu"),
    "mmlu-world-religions": (980, "mmlu"),
    "mtbench": (80, "mtbench"),
    "sports_statements": (210, "other"),
    "winogrande": (1_267, "winogrande"),
}

FAMILY_QUALITY = {
    "arc": [0.64, 0.78, 0.82, 0.80, 0.80, 0.93, 0.45, 0.68, 0.60, 0.78, 0.86],
    "chinese": [0.12, 0.20, 0.28, 0.30, 0.30, 0.45, 0.08, 0.07, 0.13, 0.20, 0.42],
    "gsm": [0.51, 0.64, 0.64, 0.66, 0.61, 0.67, 0.44, 0.50, 0.43, 0.49, 0.55],
    "hellaswag": [0.34, 0.57, 0.62, 0.66, 0.61, 0.86, 0.24, 0.46, 0.24, 0.43, 0.72],
    "mmlu": [0.48, 0.66, 0.68, 0.65, 0.66, 0.82, 0.03, 0.06, 0.22, 0.68, 0.74],
    "mtbench": [0.62, 0.74, 0.75, 0.77, 0.78, 0.86, 0.45, 0.68, 0.60, 0.75, 0.72],
    "other": [0.50, 0.57, 0.56, 0.54, 0.57, 0.59, 0.45, 0.51, 0.48, 0.55, 0.54],
    "winogrande": [0.48, 0.57, 0.56, 0.55, 0.60, 0.78, 0.54, 0.45, 0.55, 0.62, 0.67],
}
# Logits by which a domain is easier than its family, for all models alike ...
DOMAIN_SHIFT = {
    "Chinese_character_riddles": -0.9,
    "abstract2title": 2.6,
    "bias_detection": -2.2,
    "chinese_ancient_poetry": -0.5,
    "chinese_homonym": 0.5,
    "chinese_zodiac": 0.6,
    "consensus_summary": 0.0,
    "mmlu-college-computer-science": -0.5,
    "mmlu-college-mathematics": -1.2,
    "mmlu-college-medicine": 0.0,
    "mmlu-high-school-biology": 0.6,
    "mmlu-high-school-macroeconomics": 0.1,
    "mmlu-high-school-psychology": 0.9,
    "mmlu-marketing": 1.1,
    "mmlu-moral-scenarios": -1.1,
    "mmlu-nutrition": 0.4,
    "mmlu-philosophy": 0.2,
    "mmlu-professional-law": -0.8,
    "mmlu-world-religions": 0.8,
    "sports_statements": -0.1,
}
# ... and by which single models differ there: the order of the models changes from domain to domain.
MODEL_SHIFT = {
    "chinese_zodiac": {5: 0.8, 4: 0.5, 10: -2.0},
    "bias_detection": {3: 0.7, 4: 0.7, 5: -0.6},
    "mmlu-college-mathematics": {5: 0.5, 9: 0.3, 1: -0.4, 3: -0.2},
    "mmlu-college-computer-science": {9: 0.4, 6: 0.5, 2: -0.2},
    "mmlu-college-medicine": {2: 0.3, 3: 0.3, 0: -0.3},
    "mmlu-moral-scenarios": {5: 0.9, 10: -0.4, 8: -0.6},
    "mmlu-marketing": {1: 0.4, 0: 0.4, 5: -0.3},
    "mmlu-professional-law": {9: 0.4, 5: 0.4, 4: -0.4},
    "mmlu-world-religions": {10: 0.4, 5: -0.5, 3: -0.3},
    "mmlu-high-school-psychology": {1: 0.3, 4: 0.3, 9: 0.2},
    "mmlu-philosophy": {2: 0.3, 10: 0.2, 5: -0.2},
}
# Mean output tokens where answers are long; single choices take one to four.
OUTPUT_TOKENS = {
    "gsm": [225, 125, 80, 130, 93, 165, 125, 118, 124, 135, 190],
    "mtbench": [330, 290, 280, 330, 270, 430, 300, 380, 270, 340, 340],
    "chinese": [60, 25, 40, 55, 18, 150, 80, 110, 40, 70, 60],
    "other": [80, 60, 60, 90, 45, 95, 75, 140, 80, 85, 90],
}
