"""Coarse domain labels, which benchmark families they stand for, and how well labels agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dacr.data.schema import family_of

LABELS = (
    "math",
    "code",
    "knowledge_qa",
    "commonsense",
    "dialogue_chat",
    "reasoning",
    "summarization",
    "translation",
    "rag",
    "other",
)

# The beginning of a family's name, and the label that its tasks ask for.
_FAMILIES = (
    (("grade-school-math", "gsm", "math", "aime", "svamp"), "math"),
    (("mbpp", "humaneval", "apps", "livecodebench", "code"), "code"),
    (("mmlu", "arc", "triviaqa", "naturalqa", "nq", "gpqa", "truthfulqa"), "knowledge_qa"),
    (("hellaswag", "winogrande", "piqa", "siqa", "commonsense", "csqa"), "commonsense"),
    (("mtbench", "mt-bench", "mt_bench", "alpaca", "arena", "chat"), "dialogue_chat"),
    (("bbh", "bigbench", "logic", "reclor", "drop"), "reasoning"),
    (("consensus_summary", "abstract2title", "cnn", "xsum", "summar"), "summarization"),
    (("wmt", "flores", "translat"), "translation"),
    (("rag", "hotpot", "crag", "accounting_audit"), "rag"),
)


def label_of_family(domain: str) -> str | None:
    """Return the label that a benchmark's family stands for, None where it is not known.

    Examples
    --------
    >>> label_of_family("mmlu-law"), label_of_family("chinese_zodiac")
    ('knowledge_qa', None)
    """
    family = family_of(domain).lower()
    for beginnings, label in _FAMILIES:
        if family.startswith(beginnings):
            return label
    return None


def agreement(labels: Sequence[str], domains: Sequence[str]) -> list[str]:
    """Compare labels with benchmark families; return lines to print.

    One line per family: how many, the most frequent label and its share, and the share of the label
    that the family stands for. Then the overall share, and the adjusted mutual information of labels and
    families (0 by chance, 1 for the same partition), which needs no mapping.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    families = np.array([family_of(domain) for domain in domains], dtype=object)
    given = np.array(labels, dtype=object)
    lines = [f"{'family':28} {'n':>6}  {'most frequent label':24} expected label"]
    right, known = 0, 0
    for family in sorted(set(families)):
        own = given[families == family]
        names, counts = np.unique(own.astype(str), return_counts=True)
        top = int(counts.argmax())
        expected = label_of_family(family)
        share = ""
        if expected is not None:
            hits = int((own == expected).sum())
            right, known = right + hits, known + len(own)
            share = f"{expected} {hits / len(own):.1%}"
        lines.append(f"{family:28} {len(own):6d}  {f'{names[top]} {counts[top] / len(own):.1%}':24} {share}".rstrip())
    overall = f"{right / known:.1%} of {known}" if known else "no family is known"
    mutual = adjusted_mutual_info_score(families.astype(str), given.astype(str))
    lines.append(f"agreement with known families: {overall}; adjusted mutual information {mutual:.3f}")
    return lines
