"""Logits before any feedback: the slope within domains, the base rate, and a centre that needs no label."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from dacr.core.compiled import formula, kernel
from dacr.core.registry import calibrators
from dacr.estimates.calibrators.base import logits
from dacr.types import Bools, Floats, Ints, Training

CENTRE_ROWS = 5.0
"""Rows that the training centre counts for in an unseen domain's running mean: as in the calibrator ``base_slope``."""


@dataclass(frozen=True)
class LogitPrior:
    """What training says of each arm's logit; the last of the n_domain + 1 rows is for requests without a label.

    Attributes
    ----------
    slope, centre, offset : (n_domain + 1, n_arm) float
        z = slope (logit p - centre) + base + offset.
    base : (n_arm,) float
    offset_sd : (n_domain + 1, n_arm) float
        How well the offset is known; NaN where training does not tell.
    seen : (n_domain + 1,) bool
        Domains that training has rows of; the centre of the others moves.
    """

    slope: Floats
    centre: Floats
    offset: Floats
    base: Floats
    offset_sd: Floats
    seen: Bools

    @classmethod
    def of(cls, train: Training) -> Self:
        """Fit a ``base_slope`` calibrator for each arm, out-of-fold, or take those that are ready."""
        requests, quality = train.requests, train.outcomes.quality
        names = np.array(requests.domains, dtype=object)[requests.domain]
        n_arm, seen = quality.shape[1], np.isin(np.arange(len(requests.domains) + 1), requests.domain)
        slope, centre, offset, sd = np.zeros((4, len(seen), n_arm))
        base = np.zeros(n_arm)
        sd[:] = np.nan
        make = calibrators.get("base_slope")
        ready = [one for one in train.calibrators if isinstance(one, make)]
        for m in range(n_arm):
            fitted = ready[m] if ready else make().fit(requests.p_raw[:, m], quality[:, m], names)
            slope[:, m] = np.where(seen, fitted.a_, fitted.a_unseen_)
            slope[-1, m] = fitted.a_
            base[m] = fitted.b_
            typical = float(logits(requests.p_raw[:, m]).mean())
            centre[:, m] = typical
            for code in np.flatnonzero(seen[:-1]):
                name = requests.domains[code]
                centre[code, m] = fitted.centre_.get(name, typical)
                offset[code, m] = fitted.offset_.get(name, 0.0)
                sd[code, m] = fitted.offset_sd_.get(name, np.nan)
        return cls(slope, centre, offset, base, sd, seen)


class Centres:
    """The calibrated logits of ``n_run`` parallel runs: each moves the centres of unseen domains by what arrives."""

    def __init__(self, n_run: int, prior: LogitPrior) -> None:
        self._prior = prior
        self._sum = np.zeros((n_run, *prior.centre.shape))
        self._count = np.zeros((n_run, len(prior.seen)))

    @property
    def state(self) -> tuple[Any, ...]:
        """All of it, as kernels take it."""
        known = self._prior
        return self._sum, self._count, known.centre, known.seen, known.slope, known.base, known.offset


@kernel
def move_centres(run: Ints, row: Ints, domain: Ints, logit_p: Floats, state: Any) -> None:
    """Move the centres by the logits of requests that have arrived: a run at most once; ``row`` those of the others."""
    total, count, _, _, _, _, _ = state
    for i in range(len(run)):
        r, q = run[i], row[i]
        d = domain[q]
        count[r, d] += 1.0
        for m in range(total.shape[2]):
            total[r, d, m] += logit_p[q, m]


@kernel
def calibrate(run: Ints, row: Ints, domain: Ints, logit_p: Floats, state: Any, out: Floats) -> None:
    """Write the calibrated logits before feedback, (n, n_arm); an unseen domain's centre is its running mean."""
    total, count, centre, seen, slope, base, offset = state
    for i in range(len(run)):
        r, q = run[i], row[i]
        d = domain[q]
        for m in range(len(base)):
            around = _around(total[r, d, m], count[r, d], centre[d, m], seen[d])
            out[i, m] = _calibrated(logit_p[q, m], around, slope[d, m], base[m], offset[d, m])


@kernel
def calibrate_called(run: Ints, row: Ints, arm: Ints, domain: Ints, logit_p: Floats, state: Any, out: Floats) -> None:
    """Write the calibrated logit of each request's ``arm`` alone, (n,)."""
    total, count, centre, seen, slope, base, offset = state
    for i in range(len(run)):
        r, q, m = run[i], row[i], arm[i]
        d = domain[q]
        around = _around(total[r, d, m], count[r, d], centre[d, m], seen[d])
        out[i] = _calibrated(logit_p[q, m], around, slope[d, m], base[m], offset[d, m])


@formula
def _calibrated(logit_p: float, around: float, slope: float, base: float, offset: float) -> float:
    return slope * (logit_p - around) + base + offset


@formula
def _around(total: float, count: float, centre: float, seen: bool) -> float:
    return centre if seen else (total + CENTRE_ROWS * centre) / (count + CENTRE_ROWS)
