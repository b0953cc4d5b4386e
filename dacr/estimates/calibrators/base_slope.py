"""The default: the base rate, and a slope that has to be earned within domains."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from dacr.core.registry import calibrators
from dacr.estimates.calibrators.base import Calibrator, Features, Names, codes_of, logits, smoothed_rate
from dacr.estimates.calibrators.newton import SlopeAndOffsets, slope_and_offsets
from dacr.types import Floats


@calibrators.register("base_slope")
class BaseSlope(Calibrator):
    r"""z = a (logit p - centre_d) + b, plus for a seen domain its own shrunken offset; p -> sigma(z).

    * b is the logit of the training base rate: where nothing is known, the base rate is returned.
    * a >= 0 is fitted *within* domains, with an offset for each in the fit. A slope that is fitted freely
      over several domains mostly tells domains apart; under shift it comes out negative.
    * For a domain that training has none of the slope is ``a_unseen_``: fitted in the same way on
      leave-one-domain-out predictions, and at most a. What a predictor says about queries of a domain it
      has not seen is worth far less; measured on real data, next to nothing. Where ``fit`` is not given
      such predictions it is a. Rows without a label use a.
    * centre_d is the mean logit of the domain's predictions. A domain that training has none of is centred
      by the running, label-free mean of its own rows, :math:`(k c + \sum_{j \le i} l_j) / (k + i)`, where c
      is the training mean and k = ``pseudo_count``. So **the order of rows matters for unseen domains**, as
      it does on a stream; rows of seen domains do not depend on it. Each call to ``transform`` starts afresh.

    Parameters
    ----------
    slope_sd : float
        Sd of the prior a ~ N(0, slope_sd^2), a >= 0.
    offset_sd : float
        Sd of the prior of domain offsets, on the logit scale. Weak on purpose: training has few domains.
    pseudo_count : float
        Weight of the training centre in the running mean, in rows.

    Attributes
    ----------
    a_, a_unseen_, b_ : float
    free_slope_, free_slope_unseen_ : float
        Slopes without the constraint; negative where p ranks a domain's queries the wrong way round.
    centre_ : dict of str to float
        Mean logit of each training domain.
    typical_centre_ : float
        Mean logit over training.
    offset_, offset_sd_ : dict of str to float
        Posterior mean and sd of each training domain's offset from b.
    prior_offset_sd_ : float
        Prior sd of the offset of a domain that training has none of.
    """

    monotone: ClassVar[bool] = True
    order_matters: ClassVar[bool] = True
    uses_unseen: ClassVar[bool] = True

    def __init__(self, *, slope_sd: float = 1.0, offset_sd: float = 1.0, pseudo_count: float = 5.0) -> None:
        self.slope_sd = slope_sd
        self.offset_sd = offset_sd
        self.pseudo_count = pseudo_count

    def _fit(self, p: Floats, y: Floats, domain: Names, x: Features | None) -> None:
        z = logits(p)
        self.typical_centre_ = float(z.mean())
        self.b_ = float(logits(np.array([smoothed_rate(y)]))[0])
        names, centre, found = self._within(z, y, domain)
        self.a_, self.free_slope_ = found.slope, found.free_slope
        self.a_unseen_, self.free_slope_unseen_ = self.a_, self.free_slope_
        self.prior_offset_sd_ = self.offset_sd
        # Rows without a label belong to no domain: they teach the slope, but no offset.
        known = [i for i, name in enumerate(names) if name]
        self.centre_ = {names[i]: float(centre[i]) for i in known}
        self.offset_ = {names[i]: float(found.offset[i]) for i in known}
        self.offset_sd_ = {names[i]: float(found.sd[i]) for i in known}

    def _fit_unseen(self, p: Floats, y: Floats, domain: Names) -> None:
        found = self._within(logits(p), y, domain)[2]
        self.a_unseen_, self.free_slope_unseen_ = min(found.slope, self.a_), found.free_slope

    def _within(self, z: Floats, y: Floats, domain: Names) -> tuple[list[str], Floats, SlopeAndOffsets]:
        """Fit a slope within domains; return the domains, their mean logits, and the fit."""
        names, code = codes_of(domain)
        centre = np.bincount(code, weights=z) / np.bincount(code)
        found = slope_and_offsets(z - centre[code], y, code, len(names), self.b_, self.slope_sd, self.offset_sd)
        return names, centre, found

    def _transform(self, p: Floats, domain: Names, x: Features | None) -> Floats:
        names, code = codes_of(domain)
        seen = np.array([name in self.centre_ for name in names])
        own = np.array([self.centre_.get(name, self.typical_centre_) for name in names])
        offset = np.array([self.offset_.get(name, 0.0) for name in names])
        slope = np.array([self.a_ if name in self.centre_ or not name else self.a_unseen_ for name in names])
        z = logits(p)
        centre = own[code]
        new = np.flatnonzero(~seen[code])
        if len(new):
            centre[new] = running_mean(z[new], code[new], self.typical_centre_, self.pseudo_count)
        return expit(slope[code] * (z - centre) + self.b_ + offset[code])


def running_mean(values: Floats, group: NDArray[np.int64], start: float, pseudo_count: float) -> Floats:
    """Return each row's mean over the rows of its group up to and with it, and ``pseudo_count`` rows at ``start``.

    Examples
    --------
    >>> running_mean(np.array([1.0, 5.0, 3.0]), np.array([0, 1, 0]), start=0.0, pseudo_count=1.0)
    array([0.5       , 2.5       , 1.33333333])
    """
    order = np.argsort(group, kind="stable")
    sorted_group = group[order]
    first = np.concatenate([[True], sorted_group[1:] != sorted_group[:-1]])
    begins = np.flatnonzero(first)
    length = np.diff(np.append(begins, len(group)))
    # About `start`, so that a long cumulative sum loses no digits to a large mean.
    total = np.cumsum(values[order] - start)
    before = np.repeat(total[begins] - (values[order] - start)[begins], length)
    rank = np.arange(len(group)) - np.repeat(begins, length) + 1
    out = np.empty(len(values))
    out[order] = start + (total - before) / (pseudo_count + rank)
    return out
