"""A hierarchical Gaussian posterior of how far a domain shifts each model's logit.

The quality of model m on a request of domain d has the logit z_m(x) + w_{m,d}, with

    w_{m,d} = u_d + v_{m,d},   u_d ~ N(0, su_d^2),   v_{m,d} ~ N(0, sv_{m,d}^2).

u_d is what all models share (the domain is harder than it looked). Each piece of feedback y in [0, 1]
about one w is turned into a Gaussian site by one logistic (assumed-density) step:

    p = sigma((z + E w) / sqrt(1 + pi Var w / 8)),   tau += p (1 - p),   eta += p (1 - p) E w + (y - p).

A plan p falls back on a model c, and shares most of its fate: its own shift is around that of c,

    w_{p,d} = w_{c,d} + v_{p,d},   v_{p,d} ~ N(0, sv_{p,d}^2),

so a rating of either says something of both. Sites are independent given u and the shifts of the models,
so the state is two numbers per (run, domain, arm), and the posterior is closed-form (MacKay 1992,
doi:10.1162/neco.1992.4.5.720 for the probit-like scaling; Opper 1998 for assumed-density filtering).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from dacr.types import Floats, Ints


@dataclass(frozen=True)
class Shift:
    """Posterior of w for ``n`` (run, domain) pairs.

    Attributes
    ----------
    mean, sd : (n, n_model) float
        Of w, u included.
    through_u : (n, n_model) float
        How w moves with one sd of u: a joint draw is mean + through_u * xi_0 + own_sd * xi_m.
    own_sd : (n, n_model) float
        Standard deviation of w given u.
    """

    mean: Floats
    sd: Floats
    through_u: Floats
    own_sd: Floats


class DomainShift:
    """Sites and posterior for ``n_run`` parallel runs.

    Parameters
    ----------
    n_run : int
    prior_u : (n_domain,) float
        Prior sd of u.
    prior_v : (n_domain, n_arm) float
        Prior sd of v.
    parent : (n_plan,) int
        The model that each of the last arms, the plans, falls back on.
    """

    def __init__(self, n_run: int, prior_u: Floats, prior_v: Floats, parent: Ints | None = None) -> None:
        self._parent = np.zeros(0, dtype=np.int64) if parent is None else parent
        self._n_model = prior_v.shape[1] - len(self._parent)
        self._children = np.equal.outer(self._parent, np.arange(self._n_model)).astype(np.float64)
        self._u_precision = 1.0 / np.square(prior_u)
        self._v_precision = 1.0 / np.square(prior_v)
        self.tau = np.zeros((n_run, *prior_v.shape))
        self.eta = np.zeros_like(self.tau)

    def posterior(self, run: Ints, domain: Ints) -> Shift:
        """Return the posterior of w for some (run, domain) pairs, each ``(n,)``."""
        tau, eta, v = self.tau[run, domain], self.eta[run, domain], self._v_precision[domain]
        if not len(self._parent):
            return self._of_models(domain, tau, eta, v)
        m, parent = self._n_model, self._parent
        own, own_tau, own_eta = v[:, m:], tau[:, m:], eta[:, m:]
        # What ratings of a plan say of the model that it falls back on: weakened by the plan's own shift.
        weaker = own / (own + own_tau)
        tau, eta = (x[:, :m] + (weaker * y) @ self._children for x, y in ((tau, own_tau), (eta, own_eta)))
        models = self._of_models(domain, tau, eta, v[:, :m])
        mean, through_u = (weaker * x[:, parent] for x in (models.mean, models.through_u))
        variance = np.square(weaker * models.own_sd[:, parent]) + 1.0 / (own + own_tau)
        plans = Shift(
            mean + own_eta / (own + own_tau),
            np.sqrt(variance + np.square(through_u)),
            through_u,
            np.sqrt(variance),
        )
        return Shift(*(np.concatenate(both, axis=1) for both in zip(_values(models), _values(plans), strict=True)))

    def _of_models(self, domain: Ints, tau: Floats, eta: Floats, v: Floats) -> Shift:
        total = v + tau
        pull = v / total
        u_precision = self._u_precision[domain] + (pull * tau).sum(axis=1)
        u_mean = (pull * eta).sum(axis=1) / u_precision
        mean = pull * u_mean[:, None] + eta / total
        through_u = pull / np.sqrt(u_precision)[:, None]
        own = 1.0 / total
        return Shift(mean, np.sqrt(own + np.square(through_u)), through_u, np.sqrt(own))

    def update(self, run: Ints, domain: Ints, model: Ints, z: Floats, y: Floats) -> None:
        """Add one site for each piece of feedback: all ``(n,)``; ``z`` is the logit before the shift."""
        shift = self.posterior(run, domain)
        rows = np.arange(len(run))
        mean, sd = shift.mean[rows, model], shift.sd[rows, model]
        p = squash(z + mean, sd)
        weight = p * (1 - p)
        add(self.tau, (run, domain, model), weight)
        add(self.eta, (run, domain, model), weight * mean + (y - p))

    def update_all(self, run: Ints, domain: Ints, z: Floats, y: Floats) -> None:
        """Add a site for every model at once (full information): ``z``, ``y`` are (n, n_model); NaN is no site."""
        shift = self.posterior(run, domain)
        p = squash(z + shift.mean, shift.sd)
        known = np.isfinite(y)
        weight = np.where(known, p * (1 - p), 0.0)
        np.add.at(self.tau, (run, domain), weight)
        np.add.at(self.eta, (run, domain), weight * shift.mean + np.where(known, y - p, 0.0))


def _values(shift: Shift) -> tuple[Floats, ...]:
    return shift.mean, shift.sd, shift.through_u, shift.own_sd


def add(target: Floats, where: tuple[Ints, ...], values: Floats | float) -> None:
    """Add ``values`` to cells of ``target``; a cell that stands several times gets all of them."""
    # "wrap": code -1, no label, is the last row.
    flat = np.ravel_multi_index(where, target.shape, mode="wrap")
    np.add.at(target.reshape(-1), flat, values)


def squash(logit_mean: Floats, sd: Floats) -> Floats:
    """Return E sigma(w) for w ~ N(logit_mean, sd^2), approximately: sigma(mean / sqrt(1 + pi sd^2 / 8))."""
    return expit(logit_mean / np.sqrt(1.0 + (np.pi / 8.0) * (sd * sd)))
