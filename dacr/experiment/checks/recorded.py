"""A check of incomplete recordings: whether means of single models are of like queries."""

from __future__ import annotations

import numpy as np

from dacr.experiment.checks.context import Context
from dacr.experiment.checks.registered import Found, check, some
from dacr.types import Floats

FEW = 10
"""Queries of each kind below which nothing is said of a model."""

APART, SIGMA = 0.02, 3.0
"""Queries are unlike where others' quality differs by so much, and by so many standard errors."""


@check("DACR018", "single models are recorded on like queries", "quality", "models")
def _unlike(c: Context) -> Found:
    assert c.quality is not None
    off = [f"{model} ({gap:+.3f})" for model, gap in zip(c.models, gaps(c.quality), strict=True) if gap]
    if off:
        yield (
            "warning",
            "the queries that a model was recorded on are easier (+) or harder (-) than those that it lacks, by what "
            f"the other models make of them: {some(off)}",
            "single models, their hull and areas rest on these means: compare routers with each other, or prepare with "
            "--missing_outcomes drop",
        )


def gaps(quality: Floats) -> Floats:
    """Return by how much the queries that a model was recorded on are easier than the others; 0 for no more than luck.

    How easy a query is: the mean of what the other models have there, each less its own mean.

    Parameters
    ----------
    quality : (n, n_model) float; NaN where not recorded
    """
    known = np.isfinite(quality)
    centred = np.where(known, quality, 0.0)
    centred = np.where(known, centred - centred.sum(axis=0) / np.maximum(known.sum(axis=0), 1), 0.0)
    out = np.zeros(quality.shape[1])
    for m in range(len(out)):
        others = np.delete(known, m, axis=1).sum(axis=1)
        told = others > 0
        easy = (centred.sum(axis=1) - centred[:, m])[told] / others[told]
        had, lacks = easy[known[told, m]], easy[~known[told, m]]
        if min(len(had), len(lacks)) < FEW:
            continue
        gap = float(had.mean() - lacks.mean())
        error = float(np.sqrt(had.var(ddof=1) / len(had) + lacks.var(ddof=1) / len(lacks)))
        out[m] = gap if abs(gap) > max(APART, SIGMA * error) else 0.0
    return out
