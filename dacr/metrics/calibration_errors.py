r"""Intervals of ECE and Brier score in closed form: by query, and over stream orders.

The debiased ECE of a sample is a sum over bins. Its noise is that of :math:`\sum_i h_{k(i)} (q_i - p_i) / n`, with
h the expected slope of bin k's term (:func:`dacr.metrics.calibration_sums.slopes`), and a rest that is second order.
The first is a mean over queries, so its variance is that of the queries' totals: all pairs of one query move together.
Of a learner, whose runs meet the same queries in other orders, each query's share is averaged over runs first, and the
variance between runs, divided by their number, is added (one run has no interval). The bootstrap by query, crossed
with orders, gives nearly the same and costs hundreds of times more.

No debiased ECE is right where calibration is perfect, since it can't be negative. So the lower end is 0 unless the ECE
is larger than 97.5 % of those that perfect calibration would score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from dacr.calibration_groups import Groups
from dacr.metrics.calibration import N_BINS
from dacr.metrics.calibration_sums import bin_sums, from_sums, slopes
from dacr.types import Bools, Floats, Ints

INTERVALS = ("ece_low", "ece_high", "brier_low", "brier_high")


def grouped_calibration(p: Floats, q: Floats, groups: Groups, learner: bool) -> dict[str, Floats]:
    """Measure pairs (query, model) in every group of queries, by model and pooled over models.

    Parameters
    ----------
    p : (n_run, n, n_model) float in [0, 1]
        Predictions, rows in table order; NaN where a pair is not scored. One run where nothing learns.
    q : (n, n_model) or (n_run, n, n_model) float in [0, 1]
    learner : bool
        The runs are a learner's: intervals include the variance between runs.

    Returns
    -------
    dict of (n_group, n_model + 1) float
        :data:`dacr.metrics.calibration_sums.FROM_SUMS`, means over runs, and :data:`INTERVALS` at 95 %. The
        last column pools the models.
    """
    n_run, _, n_model = p.shape
    truth = np.broadcast_to(q, p.shape)
    found = [_one_run(p[r], truth[r], groups) for r in range(n_run)]
    out = {name: _mean([one.measures[name] for one in found]) for name in found[0].measures}
    ece_variance = _by_query([one.ece_shares for one in found], groups, n_model)
    ece_variance += np.mean([one.rest for one in found], axis=0)
    brier_variance = _by_query([one.brier_shares for one in found], groups, n_model)
    for name, centre, variance in (("ece", "ece_debiased", ece_variance), ("brier", "brier", brier_variance)):
        width = ndtri(0.975) * np.sqrt(variance + _between([one.measures[centre] for one in found], learner))
        out[f"{name}_low"] = np.maximum(out[centre] - width, 0.0)
        out[f"{name}_high"] = out[centre] + width
    # Of a learner's only run nothing is known: NaN stays.
    noise = out["ece_null"] + ndtri(0.975) * np.mean([one.null_sd for one in found], axis=0)
    out["ece_low"] = np.where(out["ece"] <= noise, 0.0 * out["ece_low"], out["ece_low"])
    return out


@dataclass(frozen=True)
class _Run:
    """One run: measures (n_group, n_model + 1), and each query's share in them at each level of groups.

    Shares are lists over levels of pairs: by model (n, n_model), and pooled (n,).
    """

    measures: dict[str, Floats]
    ece_shares: list[tuple[Floats, Floats]]
    brier_shares: list[tuple[Floats, Floats]]
    rest: Floats
    null_sd: Floats


def _one_run(p: Floats, q: Floats, groups: Groups) -> _Run:
    n_model = p.shape[1]
    scored = np.isfinite(p) & np.isfinite(q)
    code = groups.domain[:, None] * n_model + np.arange(n_model)
    fine, kept = bin_sums(p[scored], q[scored], code[scored], groups.members.shape[1] * n_model)
    bins = np.zeros(p.shape, dtype=np.int64)
    bins[scored] = kept
    by_domain = fine.reshape(5, -1, n_model, N_BINS)
    sums = np.einsum("gd,sdmb->sgmb", groups.members, by_domain, optimize=True)
    sums = np.concatenate([sums, sums.sum(axis=2, keepdims=True)], axis=2)
    measures = from_sums(sums)
    h, rest, null = slopes(sums)
    size = sums[0].sum(axis=2)
    share = sums[0] / np.where(size > 0, size, 1.0)[:, :, None]
    residual = np.where(scored, q - p, 0.0)
    square = np.square(residual)
    linear = (h * sums[2]).sum(axis=2) / np.where(size > 0, size, np.nan)
    ece, brier = [], []
    for level in groups.levels:
        own = np.maximum(level, 0)
        signed = h[own[:, None], np.arange(n_model), bins] * residual
        pooled = (h[own[:, None], n_model, bins] * residual).sum(axis=1)
        ece.append(_shares(signed, pooled, scored, linear[own], size[own]))
        brier.append(_shares(square, square.sum(axis=1), scored, measures["brier"][own], size[own]))
    weight = np.square(share)
    return _Run(measures, ece, brier, (weight * rest).sum(axis=2), np.sqrt((weight * null).sum(axis=2)))


def _shares(single: Floats, pooled: Floats, scored: Bools, mean: Floats, size: Floats) -> tuple[Floats, Floats]:
    """Return what each query moves a ratio of sums by: (value - mean x pairs) / pairs of the group."""
    some = np.where(size > 0, size, 1.0)
    known = np.nan_to_num(mean)
    return (
        (single - scored * known[:, :-1]) / some[:, :-1],
        (pooled - scored.sum(axis=1) * known[:, -1]) / some[:, -1],
    )


def _by_query(shares: list[list[tuple[Floats, Floats]]], groups: Groups, n_model: int) -> Floats:
    """Return the variance over queries of the shares' averages over runs: (n_group, n_model + 1)."""
    n_group = len(groups.names)
    out = np.zeros((n_group, n_model + 1))
    for k, level in enumerate(groups.levels):
        rows = np.flatnonzero(level >= 0)
        single = np.square(np.mean([run[k][0] for run in shares], axis=0))[rows]
        pooled = np.square(np.mean([run[k][1] for run in shares], axis=0))[rows]
        group: Ints = level[rows]
        count = np.bincount(group, minlength=n_group)
        factor = count / np.maximum(count - 1, 1)
        columns = np.arange(n_model + 1)
        cell = (group[:, None] * (n_model + 1) + columns).ravel()
        values = np.column_stack([single, pooled]).ravel()
        out += np.bincount(cell, weights=values, minlength=out.size).reshape(out.shape) * factor[:, None]
    return out


def _mean(runs: list[Floats]) -> Floats:
    """Return the mean over runs of what is known; NaN where a group is empty in every run."""
    values = np.array(runs)
    known = np.isfinite(values)
    count = known.sum(axis=0)
    out: Floats = np.where(known, values, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
    return out


def _between(runs: list[Floats], learner: bool) -> Floats:
    """Return the variance of a mean over runs, stretched for being estimated from few; NaN for a learner's only one."""
    if not learner:
        return np.zeros_like(runs[0])
    n_run = len(runs)
    if n_run == 1:
        return np.full_like(runs[0], np.nan)
    stretch = stdtrit(n_run - 1, 0.975) / ndtri(0.975)
    out: Floats = np.var(runs, axis=0, ddof=1) / n_run * stretch**2
    return out
