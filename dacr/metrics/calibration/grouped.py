r"""Intervals of ECE and Brier score in closed form: by query, and over stream orders.

The debiased ECE of a sample is a sum over bins. Its noise is that of :math:`\sum_i h_{k(i)} (q_i - p_i) / n`, with
h the expected slope of bin k's term (:func:`~dacr.metrics.calibration.measures.slopes`), and a rest of second order.
The first is a mean over queries, so its variance is that of the queries' totals: all pairs of one query move together.
Of a learner, whose runs meet the same queries in other orders, each query's share is averaged over runs first, and the
variance between runs, divided by their number, is added (one run has no interval). The bootstrap by query, crossed
with orders, gives nearly the same and costs hundreds of times more.

No debiased ECE is right where calibration is perfect, since it can't be negative. So the lower end is 0 unless the ECE
is larger than 97.5 % of those that perfect calibration would score.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from dacr.metrics.calibration.bins import N_BINS, Groups, bin_sums, bins_of
from dacr.metrics.calibration.measures import from_sums, slopes
from dacr.types import Floats, Ints

_CELLS = 2**21
"""Pairs that are looked at in one go."""

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
        :data:`dacr.metrics.calibration.measures.FROM_SUMS`, means over runs, and :data:`INTERVALS` at 95 %. The
        last column pools the models.
    """
    truth = np.broadcast_to(q, p.shape)
    found = _measured(p, truth, groups)
    out = {name: _mean(values) for name, values in found.measures.items()}
    ece_variance, brier_variance = _by_query(p, truth, found, groups)
    ece_variance += found.rest.mean(axis=0)
    for name, centre, variance in (("ece", "ece_debiased", ece_variance), ("brier", "brier", brier_variance)):
        width = ndtri(0.975) * np.sqrt(variance + _between(found.measures[centre], learner))
        out[f"{name}_low"] = np.maximum(out[centre] - width, 0.0)
        out[f"{name}_high"] = out[centre] + width
    # Of a learner's only run nothing is known: NaN stays.
    noise = out["ece_null"] + ndtri(0.975) * found.null_sd.mean(axis=0)
    out["ece_low"] = np.where(out["ece"] <= noise, 0.0 * out["ece_low"], out["ece_low"])
    return out


@dataclass(frozen=True)
class _Runs:
    """All runs, arrays (n_run, n_group, n_model + 1).

    Measures; pairs, at least 1; by pair what a residual moves debiased ECE (slopes, by bin), what residuals do in the
    mean, and the Brier score; second-order noise.
    """

    measures: dict[str, Floats]
    size: Floats
    slope: Floats
    linear: Floats
    brier: Floats
    rest: Floats
    null_sd: Floats


def _measured(p: Floats, q: Floats, groups: Groups) -> _Runs:
    n_run, n, n_model = p.shape
    n_domain = groups.members.shape[1]
    fine = np.zeros((5, n_run, n_domain, n_model, N_BINS))
    for some in _chunks(n_run * n, n_model):
        a, b = p[:, :, some], q[:, :, some]
        scored, width = np.isfinite(a) & np.isfinite(b), a.shape[2]
        domain = np.arange(n_run)[:, None] * n_domain + groups.domain
        code = domain[:, :, None] * width + np.arange(width)
        sums = bin_sums(a[scored], b[scored], code[scored], n_run * n_domain * width)
        fine[:, :, :, some] = sums.reshape(5, n_run, n_domain, width, N_BINS)
    sums = np.einsum("gd,srdmb->srgmb", groups.members, fine, optimize=True)
    sums = np.concatenate([sums, sums.sum(axis=3, keepdims=True)], axis=3)
    h, rest, null = slopes(sums)
    size = sums[0].sum(axis=-1)
    weight = np.square(sums[0] / np.where(size > 0, size, 1.0)[..., None])
    found, pairs = from_sums(sums), np.maximum(size, 1.0)
    linear, brier = (h * sums[2]).sum(axis=-1) / np.square(pairs), np.nan_to_num(found["brier"]) / pairs
    noise = (weight * rest).sum(axis=-1), np.sqrt((weight * null).sum(axis=-1))
    return _Runs(found, pairs, h / pairs[..., None], linear, brier, *noise)


def _by_query(p: Floats, q: Floats, found: _Runs, groups: Groups) -> tuple[Floats, Floats]:
    """Return the variances over queries of debiased ECE and Brier score: (n_group, n_model + 1) each.

    Each query's shares are averaged over runs before they are squared. A share in a ratio of sums is (value - mean x
    pairs) / pairs of the group.
    """
    n_run, n, n_model = p.shape
    n_group = len(groups.names)
    out = np.zeros((2, n_group, n_model + 1))
    pooled = np.zeros((len(groups.levels), 2, n, 1))
    for some in _chunks(n, n_model):
        single = np.zeros((len(groups.levels), 2, n, some.stop - some.start))
        for run, (a, b) in enumerate(zip(p[:, :, some], q[:, :, some], strict=True)):
            scored = np.isfinite(a) & np.isfinite(b)
            residual = np.where(scored, b - a, 0.0)
            bins, square, pairs = bins_of(np.where(scored, a, 0.0)), np.square(residual), scored.sum(axis=1)
            cell = np.arange(some.start, some.stop) * N_BINS + bins  # of a group's slopes
            for level, alone, together in zip(groups.levels, single, pooled, strict=True):
                own = np.maximum(level, 0)
                first = own[:, None] * found.slope[run, 0].size
                linear, brier, size = (one[run].take(own, axis=0) for one in (found.linear, found.brier, found.size))
                alone[0] += found.slope[run].take(first + cell) * residual - scored * linear[:, some]
                alone[1] += square / size[:, some] - scored * brier[:, some]
                if n_model == 1:
                    continue
                moved = (found.slope[run].take(first + n_model * N_BINS + bins) * residual).sum(axis=1)
                together[0, :, 0] += moved - pairs * linear[:, -1]
                together[1, :, 0] += square.sum(axis=1) / size[:, -1] - pairs * brier[:, -1]
        _add_squares(out[:, :, some], single / n_run, groups)
    _add_squares(out[:, :, n_model:], (single if n_model == 1 else pooled) / n_run, groups)
    return out[0], out[1]


def _add_squares(out: Floats, shares: Floats, groups: Groups) -> None:
    """Add what shares, (n_level, 2, n, width), make of the variance in each group to ``out``: (2, n_group, width)."""
    n_group, width = out.shape[1:]
    for level, own in zip(groups.levels, shares, strict=True):
        inside = level >= 0
        group: Ints = level[inside]
        count = np.bincount(group, minlength=n_group)
        cell = (group[:, None] * width + np.arange(width)).ravel()
        for which in range(2):
            values = np.square(own[which][inside]).ravel()
            total = np.bincount(cell, weights=values, minlength=n_group * width).reshape(n_group, width)
            out[which] += total * (count / np.maximum(count - 1, 1))[:, None]


def _chunks(n: int, n_model: int) -> list[slice]:
    """Return slices of models, few enough for memory whatever their number."""
    step = max(1, _CELLS // max(n, 1))
    return [slice(start, min(start + step, n_model)) for start in range(0, n_model, step)]


def _mean(values: Floats) -> Floats:
    """Return the mean over runs of what is known; NaN where a group is empty in every run."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    return np.where(known, values, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)


def _between(runs: Floats, learner: bool) -> Floats:
    """Return the variance of a mean over runs, stretched for being estimated from few; NaN for a learner's only one."""
    if not learner:
        return np.zeros_like(runs[0])
    n_run = len(runs)
    if n_run == 1:
        return np.full_like(runs[0], np.nan)
    stretch = stdtrit(n_run - 1, 0.975) / ndtri(0.975)
    return np.var(runs, axis=0, ddof=1) / n_run * stretch**2
