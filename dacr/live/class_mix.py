"""Which classes the rules see in a benchmark's prompts, with and without what all of its prompts share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from dacr.estimates.features.question import questions_of
from dacr.routers.rules.classes import CLASSES, class_codes


def without_template(prompts: Sequence[str], families: Sequence[str]) -> list[str]:
    """Return prompts without few-shot preface and without the lines that a family's prompts share.

    A line that stands in at least a fifth of a family's prompts (and in two) is its template's.
    """
    questions = questions_of(prompts)
    lines = [[line.strip() for line in text.splitlines() if line.strip()] for text in questions]
    counts: dict[str, Counter[str]] = {}
    sizes = Counter(families)
    for own, family in zip(lines, families, strict=True):
        counts.setdefault(family, Counter()).update(set(own))
    kept = []
    for own, family in zip(lines, families, strict=True):
        least = max(2.0, 0.2 * sizes[family])
        kept.append("\n".join(line for line in own if counts[family][line] < least))
    return kept


def class_mix(prompts: Sequence[str], families: Sequence[str]) -> pd.DataFrame:
    """Return the share of each class with and without the template text, fixed and legacy.

    Columns: text (prompt: as recorded; bare: without preface and template), rules, n, and one per class.
    """
    rows = []
    for text, tasks in (("prompt", list(prompts)), ("bare", without_template(prompts, families))):
        for legacy in (False, True):
            counts = np.bincount(class_codes(tasks, legacy), minlength=len(CLASSES))
            shares = dict(zip(CLASSES, counts / counts.sum(), strict=True))
            rows.append({"text": text, "rules": "legacy" if legacy else "fixed", "n": len(tasks), **shares})
    return pd.DataFrame(rows)
