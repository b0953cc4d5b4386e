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

from dataclasses import dataclass
from typing import Any

import numpy as np

from dacr.core.compiled import formula, kernel
from dacr.routers.dacr.special import sigmoid
from dacr.types import Floats, Ints


@dataclass(frozen=True)
class ShiftPosterior:
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
        n_domain, n_arm = prior_v.shape
        # The posterior as it stands: it is read more often than feedback moves it.
        self._now = np.empty((n_run, n_domain, 4, n_arm))
        for code in range(n_domain):
            work_out(0, code, self.state)
        self._now[1:] = self._now[0]

    @property
    def state(self) -> tuple[np.ndarray, ...]:
        """All of it, as kernels take it; the last is mean, sd, through_u and own_sd, (n_run, n_domain, 4, n_arm)."""
        return self.tau, self.eta, self._u_precision, self._v_precision, self._parent, self._now

    def posterior(self, run: Ints, domain: Ints) -> ShiftPosterior:
        """Return the posterior of w for some (run, domain) pairs, each ``(n,)``."""
        now = self._now[run, domain]
        return ShiftPosterior(now[:, 0], now[:, 1], now[:, 2], now[:, 3])

    def update(self, run: Ints, domain: Ints, model: Ints, z: Floats, y: Floats) -> None:
        """Add one site for each piece of feedback: all ``(n,)``; ``z`` is the logit before the shift, NaN no site."""
        add_sites(run, domain, model, z, y, self.state)

    def update_all(self, run: Ints, domain: Ints, z: Floats, y: Floats) -> None:
        """Add a site for every model at once (full information), a run at most once: ``z``, ``y`` are (n, n_model)."""
        _add_all_sites(run, domain, z, y, self.state)


@formula
def squash(logit_mean: float, sd: float) -> float:
    """Return E sigma(w) for w ~ N(logit_mean, sd^2), approximately: sigma(mean / sqrt(1 + pi sd^2 / 8))."""
    return sigmoid(logit_mean / np.sqrt(1.0 + (np.pi / 8.0) * (sd * sd)))


@kernel
def squash_shifted(
    run: Ints, row: Ints, domain: Ints, z: Floats, at: Ints, now: Floats, first: int, end: int, out: Floats
) -> None:
    """Write the probabilities of logits ``z`` (rows ``at``) with the shifts ``now``, of arms ``first`` to ``end``."""
    for i in range(len(run)):
        r, d, q = run[i], domain[row[i]], at[i]
        for m in range(first, end):
            out[i, m] = squash(z[q, m] + now[r, d, 0, m], now[r, d, 1, m])


@kernel
def work_out(run: int, code: int, state: Any) -> None:
    """Work out the posterior of one (run, domain) pair."""
    tau, eta, u_precision, v_precision, parent, now = state
    out = now[run, code]
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
def add_sites(run: Ints, domain: Ints, model: Ints, z: Floats, y: Floats, state: Any) -> None:
    """Add one site for each piece of feedback; all of them are weighed by what was believed before the first."""
    n, tau, eta, now = len(run), state[0], state[1], state[5]
    site = np.empty((2, n))
    for i in range(n):
        if np.isnan(y[i]):
            continue
        mean, sd = now[run[i], domain[i], 0, model[i]], now[run[i], domain[i], 1, model[i]]
        p = squash(z[i] + mean, sd)
        site[0, i] = p * (1.0 - p)
        site[1, i] = p * (1.0 - p) * mean + (y[i] - p)
    for i in range(n):
        if not np.isnan(y[i]):
            tau[run[i], domain[i], model[i]] += site[0, i]
            eta[run[i], domain[i], model[i]] += site[1, i]
    done_run, done_domain = -1, -1  # several sites of one posterior stand together: it is worked out once
    for i in range(n - 1, -1, -1):
        if not np.isnan(y[i]) and (run[i] != done_run or domain[i] != done_domain):
            done_run, done_domain = run[i], domain[i]
            work_out(run[i], domain[i], state)


@kernel
def _add_all_sites(run: Ints, domain: Ints, z: Floats, y: Floats, state: Any) -> None:
    tau, eta, now = state[0], state[1], state[5]
    for i in range(len(run)):
        r, d = run[i], domain[i]
        shift = now[r, d]
        for m in range(y.shape[1]):
            if not np.isnan(y[i, m]):
                p = squash(z[i, m] + shift[0, m], shift[1, m])
                tau[r, d, m] += p * (1.0 - p)
                eta[r, d, m] += p * (1.0 - p) * shift[0, m] + (y[i, m] - p)
        work_out(r, d, state)
