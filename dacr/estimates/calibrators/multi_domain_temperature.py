"""Multi-domain temperature: a temperature that is predicted from the features of the question."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.special import expit

from dacr.core.registry import calibrators
from dacr.estimates.calibrators.base import Calibrator, Features, Names, codes_of, logits
from dacr.estimates.calibrators.newton import logistic
from dacr.types import Floats


@calibrators.register("multi_domain_temperature")
class MultiDomainTemperature(Calibrator):
    """p -> sigma(logit(p) / T(x)), log T(x) = c + w . x (Yu et al. 2022, arXiv 2206.02757).

    Each training domain gets a temperature of its own; a ridge regression of its logarithm on the
    features of the domain's rows then reaches domains that training has none of. Predictions stay within
    the range of the training temperatures. Without features a seen domain keeps its own temperature and
    another gets that of all rows together.

    Parameters
    ----------
    ridge : float
        Penalty on w, in rows: features of unit length are shrunken as by that many rows.
    prior_sd : float
        Sd of the prior 1 / T ~ N(1, prior_sd^2) of each domain.
    """

    uses_x: ClassVar[bool] = True
    monotone: ClassVar[bool] = True  # for one x

    def __init__(self, *, ridge: float = 10.0, prior_sd: float = 1.0) -> None:
        self.ridge = ridge
        self.prior_sd = prior_sd

    def _fit(self, p: Floats, y: Floats, domain: Names, x: Features | None) -> None:
        z = logits(p)
        names, code = codes_of(domain)
        order = np.argsort(code, kind="stable")
        ends = np.cumsum(np.bincount(code))
        log_t = np.array([self._log_temperature(z[rows], y[rows]) for rows in np.split(order, ends[:-1])])
        self.domain_ = {name: float(value) for name, value in zip(names, log_t, strict=True) if name}
        self.overall_ = self._log_temperature(z, y)
        self.range_ = (float(log_t.min()), float(log_t.max()))
        self.weights_: Floats | None = None
        if x is not None:
            x64 = np.asarray(x, dtype=np.float64)
            target = log_t[code]
            self.centre_, self.intercept_ = x64.mean(axis=0), float(target.mean())
            inside = x64 - self.centre_
            gram = inside.T @ inside + self.ridge * np.eye(x64.shape[1])
            self.weights_ = np.linalg.solve(gram, inside.T @ (target - self.intercept_))

    def _transform(self, p: Floats, domain: Names, x: Features | None) -> Floats:
        if x is not None and self.weights_ is not None:
            log_t = self.intercept_ + (np.asarray(x, dtype=np.float64) - self.centre_) @ self.weights_
        else:
            names, code = codes_of(domain)
            log_t = np.array([self.domain_.get(name, self.overall_) for name in names])[code]
        return expit(logits(p) * np.exp(-np.clip(log_t, *self.range_)))

    def _log_temperature(self, z: Floats, y: Floats) -> float:
        slope = logistic(z[:, None], y, np.ones(1), np.full(1, self.prior_sd))[0]
        # A predictor that ranks a domain the wrong way round is flattened, not inverted.
        return -float(np.log(max(slope, 0.05)))
