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

from dacr.core.compiled import kernel
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
        self._u_precision = 1.0 / np.square(prior_u)
        self._v_precision = 1.0 / np.square(prior_v)
        self.tau = np.zeros((n_run, *prior_v.shape))
        self.eta = np.zeros_like(self.tau)

    def posterior(self, run: Ints, domain: Ints) -> Shift:
        """Return the posterior of w for some (run, domain) pairs, each ``(n,)``."""
        out = np.empty((4, len(run), self.tau.shape[2]))
        _posteriors(run, domain, *self._state, out)
        return Shift(*out)

    def update(self, run: Ints, domain: Ints, model: Ints, z: Floats, y: Floats) -> None:
        """Add one site for each piece of feedback: all ``(n,)``; ``z`` is the logit before the shift."""
        _add_sites(run, domain, model, z, y, *self._state)

    @property
    def _state(self) -> tuple[np.ndarray, ...]:
        return self.tau, self.eta, self._u_precision, self._v_precision, self._parent

    def update_all(self, run: Ints, domain: Ints, z: Floats, y: Floats) -> None:
        """Add a site for every model at once (full information): ``z``, ``y`` are (n, n_model); NaN is no site."""
        shift = self.posterior(run, domain)
        p = squash(z + shift.mean, shift.sd)
        known = np.isfinite(y)
        weight = np.where(known, p * (1 - p), 0.0)
        np.add.at(self.tau, (run, domain), weight)
        np.add.at(self.eta, (run, domain), weight * shift.mean + np.where(known, y - p, 0.0))


@kernel
def _posteriors(
    run: Ints,
    domain: Ints,
    tau: Floats,
    eta: Floats,
    u_precision: Floats,
    v_precision: Floats,
    parent: Ints,
    out: Floats,
) -> None:
    """Write the four parts of each :class:`Shift` into ``out``, (4, n, n_arm)."""
    for i in range(len(run)):
        _posterior(run[i], domain[i], tau, eta, u_precision, v_precision, parent, out[:, i])


@kernel
def _posterior(
    run: int, code: int, tau: Floats, eta: Floats, u_precision: Floats, v_precision: Floats, parent: Ints, out: Floats
) -> None:
    """Write mean, sd, through_u and own_sd of one (run, domain) pair into ``out``, (4, n_arm)."""
    own_tau, own_eta, v = tau[run, code], eta[run, code], v_precision[code]
    mean, sd, through_u, own_sd = out[0], out[1], out[2], out[3]
    n_model = len(v) - len(parent)
    # What ratings of a plan say of the model that it falls back on: weakened by the plan's own shift.
    for m in range(n_model):
        sd[m], mean[m] = own_tau[m], own_eta[m]
    for k in range(len(parent)):
        plan, weaker = n_model + k, v[n_model + k] / (v[n_model + k] + own_tau[n_model + k])
        sd[parent[k]] += weaker * own_tau[plan]
        mean[parent[k]] += weaker * own_eta[plan]
    precision, moment = u_precision[code], 0.0
    for m in range(n_model):
        pull = v[m] / (v[m] + sd[m])
        precision += pull * sd[m]
        moment += pull * mean[m]
    for m in range(n_model):
        total = v[m] + sd[m]
        pull = v[m] / total
        mean[m] = pull * (moment / precision) + mean[m] / total
        through_u[m] = pull / np.sqrt(precision)
        own_sd[m] = np.sqrt(1.0 / total)
        sd[m] = np.sqrt(1.0 / total + through_u[m] * through_u[m])
    for k in range(len(parent)):
        plan, total = n_model + k, v[n_model + k] + own_tau[n_model + k]
        weaker = v[plan] / total
        mean[plan] = weaker * mean[parent[k]] + own_eta[plan] / total
        through_u[plan] = weaker * through_u[parent[k]]
        variance = (weaker * own_sd[parent[k]]) ** 2 + 1.0 / total
        own_sd[plan] = np.sqrt(variance)
        sd[plan] = np.sqrt(variance + through_u[plan] * through_u[plan])


@kernel
def _add_sites(
    run: Ints,
    domain: Ints,
    model: Ints,
    z: Floats,
    y: Floats,
    tau: Floats,
    eta: Floats,
    u_precision: Floats,
    v_precision: Floats,
    parent: Ints,
) -> None:
    """Add one site for each piece of feedback; all of them are weighed by what was believed before the first."""
    n = len(run)
    shift, site = np.empty((4, tau.shape[2])), np.empty((2, n))
    for i in range(n):
        _posterior(run[i], domain[i], tau, eta, u_precision, v_precision, parent, shift)
        mean, sd = shift[0, model[i]], shift[1, model[i]]
        p = 1.0 / (1.0 + np.exp(-(z[i] + mean) / np.sqrt(1.0 + (np.pi / 8.0) * (sd * sd))))
        site[0, i] = p * (1.0 - p)
        site[1, i] = p * (1.0 - p) * mean + (y[i] - p)
    for i in range(n):
        tau[run[i], domain[i], model[i]] += site[0, i]
        eta[run[i], domain[i], model[i]] += site[1, i]


def squash(logit_mean: Floats, sd: Floats) -> Floats:
    """Return E sigma(w) for w ~ N(logit_mean, sd^2), approximately: sigma(mean / sqrt(1 + pi sd^2 / 8))."""
    return expit(logit_mean / np.sqrt(1.0 + (np.pi / 8.0) * (sd * sd)))
