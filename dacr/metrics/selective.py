r"""Selective answers: how good the answers are that a router is most confident of, where the others may be withheld.

With answers in the order of falling confidence p^ (what the router believed of the arm whose answer it shipped), the
quality at coverage c is the mean quality of the first c n, and

.. math:: AURC = \frac{1}{n} \sum_{k=1}^{n} \frac{1}{k} \sum_{i \le k} (1 - q_i)

is the area under the risk-coverage curve (lower is better; a confidence that knows nothing gives the mean risk).
Answers of the same confidence are in no order: each counts with the mean of its group. Only requests that were served
count. Geifman and El-Yaniv 2017, arXiv 1705.08500; Geifman, Uziel and El-Yaniv 2019, arXiv 1805.08206.
"""

from typing import Any

import numpy as np

from dacr.types import Floats, Ints


def risk_coverage(confidence: Floats, quality: Floats, weight: Floats | None = None) -> tuple[Floats, Floats]:
    """Return the curve: coverage in (0, 1] and mean 1 - q of the answers so far, each (n_known,).

    Parameters
    ----------
    confidence, quality : (n,) float
        In [0, 1]; a confidence that is NaN is left out.
    weight : (n,) float, optional
        What each answer counts for.

    Examples
    --------
    >>> coverage, risk = risk_coverage(np.array([0.9, 0.2, 0.6, 0.6]), np.array([1.0, 0.0, 1.0, 0.0]))
    >>> coverage.tolist(), risk.round(3).tolist()
    ([0.25, 0.5, 0.75, 1.0], [0.0, 0.25, 0.333, 0.5])
    """
    order = by_confidence(confidence)
    share = np.ones(len(order)) if weight is None else weight[order]
    so_far = np.cumsum(share)
    return so_far / so_far[-1:], risk_so_far(confidence[order], quality[order], share)


def risk_so_far(confidence: Floats, quality: Floats, weight: Floats | None = None) -> Floats:
    """Return the mean 1 - q of the 1, 2, ... answers of the highest confidence: all (..., n), of one run or of many."""
    order = _falling(confidence)
    lost, ranked = 1.0 - np.take_along_axis(quality, order, -1), np.take_along_axis(confidence, order, -1)
    share = np.ones(lost.shape[-1:]) if weight is None else np.take_along_axis(weight, order, -1)
    first = np.ones(ranked.shape, dtype=bool)
    np.not_equal(ranked[..., 1:], ranked[..., :-1], out=first[..., 1:])
    starts = np.flatnonzero(first)
    if len(starts) < ranked.size:
        size = np.diff(starts, append=ranked.size)
        total = size if weight is None else np.add.reduceat(share.ravel(), starts)
        lost = np.repeat(np.add.reduceat((lost * share).ravel(), starts) / total, size).reshape(lost.shape)
    return np.cumsum(lost * share, axis=-1) / np.cumsum(share, axis=-1)


def _falling(confidence: Floats) -> Ints:
    """Return the order of falling confidence along the last axis, ties as they stand."""
    # Roughly first, by 16 bits, which need no comparisons: the exact sort then finds nearly all in order.
    rough = (65535 * (1.0 - np.clip(confidence, 0.0, 1.0))).astype(np.uint16)
    order = np.argsort(rough, axis=-1, kind="stable")
    exactly = np.argsort(-np.take_along_axis(confidence, order, -1), axis=-1, kind="stable")
    return np.take_along_axis(order, exactly, -1)


def by_confidence(confidence: Floats) -> Ints:
    """Return the rows in the order of falling confidence, (n_known,): ties as they stand, what is NaN left out."""
    known = np.flatnonzero(~np.isnan(confidence))
    return known[_falling(confidence[known])]


def area(risk: Floats) -> Any:
    """Return AURC of the risks of a curve, or of many, (..., n); NaN where no confidence was known."""
    return risk.mean(axis=-1) if risk.shape[-1] else np.nan


def quality_at(risk: Floats, coverage: float) -> Any:
    """Return the mean quality of the ``coverage`` n answers of the highest confidence; NaN where none was known.

    Examples
    --------
    >>> float(quality_at(np.array([0.0, 0.25, 0.333, 0.5]), 0.5))
    0.75
    """
    n = risk.shape[-1]
    return 1.0 - risk[..., int(np.ceil(coverage * n - 1e-9)) - 1] if n else np.nan


def accept_threshold(confidence: Floats, quality: Floats, alpha: float) -> float:
    r"""Return the least confidence of answers to accept, so that few wrong ones are: infinity where none may be.

    Conformal risk control (Angelopoulos, Bates, Fisch, Lei and Schuster 2024, arXiv 2208.02814) of the loss
    L_i(t) = (1 - q_i) 1{p^_i >= t}, which falls in t:

    .. math:: t = \inf \{t: \frac{\sum_i L_i(t) + 1}{n + 1} \le \alpha \}, \qquad E[L(t)] \le \alpha

    for an answer that is exchangeable with these n. One from another domain is not: what is realised there has to be
    looked at, and is not promised.

    Parameters
    ----------
    confidence, quality : (n,) float
        In [0, 1].
    alpha : float in (0, 1)
        Wrong answers that are accepted, per request.

    Examples
    --------
    Two wrong answers of nine; with both accepted (2 + 1) / 10 are at stake, with the one of .8 alone 2 / 10.

    >>> confidence = np.array([0.9, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    >>> quality = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0])
    >>> [accept_threshold(confidence, quality, alpha) for alpha in (0.05, 0.1, 0.2, 0.3)]
    [inf, 0.9, 0.5, 0.2]
    """
    order = by_confidence(confidence)
    ranked, lost = confidence[order], np.cumsum(1.0 - quality[order])
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True)) if len(ranked) else np.zeros(0, dtype=np.int64)
    kept = last[(lost[last] + 1.0) / (len(ranked) + 1.0) <= alpha + 1e-12]
    return float(ranked[kept[-1]]) if len(kept) else float("inf")
