r"""What it means that two models of the embedded benchmark give the same answer: the truth that tests compare with.

Outcomes are independent given the query. Let :math:`a_i` be the chance that model i shows the right answer and
:math:`w_i` that it shows a wrong one that can be read. Then

.. math:: P(\text{agree}) = a_i a_j + w_i w_j s, \qquad P(\text{right} \mid \text{agree}) = a_i a_j / P(\text{agree}),

where :math:`s` is the chance that two wrong answers are the same. Of k distractors the tempting one is given with
probability :math:`T = t + (1 - t) / k`, any other with :math:`(1 - T) / (k - 1)`, so that
:math:`s = T^2 + (1 - T)^2 / (k - 1)`.
"""

from __future__ import annotations

import numpy as np

from dacr.data.sample import answers
from dacr.data.sample.facts import DOMAINS
from dacr.data.sample.generate import Part
from dacr.data.sample.truth import grades_of
from dacr.types import Floats


def same_if_wrong(domain: str) -> float:
    """Return ``s``, the chance that two wrong answers are the same; 0 where no answer can be read."""
    k, t = DOMAINS[domain].get("distractors", 0), DOMAINS[domain].get("tempted", 0.0)
    if k < 2:
        return float(k)
    tempting = t + (1.0 - t) / k
    return float(tempting**2 + (1.0 - tempting) ** 2 / (k - 1))


def agreement(part: Part, i: int, j: int) -> tuple[Floats, Floats]:
    """Return P(agree) and P(right | agree) of models ``i`` and ``j`` on each query, (n_query,) each.

    The second is NaN where answers cannot be read. The few refusals of worked solutions (one answer in a thousand that
    is worth nothing) are left out.
    """
    share, right = np.zeros(len(part.qid)), np.zeros(len(part.qid))
    for domain in (name for name, told in DOMAINS.items() if told.get("distractors")):
        rows = np.flatnonzero(part.domain == domain)
        shown, wrong = _shown(domain, part.truth[rows][:, [i, j]], [i, j])
        both = shown.prod(axis=1)
        share[rows] = both + wrong.prod(axis=1) * same_if_wrong(domain)
        right[rows] = both
    return share, np.divide(right, share, out=np.full(len(share), np.nan), where=share > 0)


def _shown(domain: str, expected: Floats, models: list[int]) -> tuple[Floats, Floats]:
    """Return the chances of a right answer, and of a wrong one that can be read, each (n, n_model)."""
    unsolved, solved = grades_of(domain)
    low, high = (sum(grade * share for grade, share in grades) for grades in (unsolved, solved))
    chance = (expected - low) / (high - low)
    lucky, sure = (sum(share for grade, share in grades if grade >= answers.RIGHT) for grades in (unsolved, solved))
    right = lucky + (sure - lucky) * chance
    lapse = answers.lapse_share(domain)[models] if answers.labels_of(domain) else np.zeros(len(models))
    return right, (1.0 - right) * (1.0 - lapse)
