r"""What DACR believes of plans: how often the first round settles it, what that makes a plan cost, and how good it is.

A plan that a domain's first round settles with chance s costs, with c_m the models' costs,

    c = sum_first c_m + (1 - s) sum_rest c_m,

and s is learnt without any rating: whether models agreed is seen as soon as their calls have ended. The logit of s
has a shift that all plans of a domain share (where questions are hard all pairs agree less) and one for each plan.

How good a plan is follows from how good its models are and from s. Probes a and b agree where both are right, and where
both are wrong in the same way, which training saw in a share e of the cases where both are wrong. So

.. math:: s = P(both right) + e P(both wrong), \qquad A = P(right | agree) = \frac{s - e (1 - q_a - q_b)}{(1 + e) s}.

The fallback c would have been right on a share t of the shared right answers and r of the shared wrong ones, so

.. math:: q = q_c + s [A (1 - t) - (1 - A) r].

Rates such as e, t and r move less between domains than qualities do: a hard domain shows in s, without a rating. They
do move, so half of what the formula says of the change from training is believed (``TRUST``); the rest is the plan's
own shift, learnt from its ratings. Shared errors of language models: Kim, Garg, Peng and Garg 2025, arXiv 2506.07962.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from dacr.routers.dacr.posterior import DomainShift, squash
from dacr.routers.dacr.shift_prior import shift_prior
from dacr.routers.plans.worth import luck_of_plans
from dacr.types import Floats, Ints, Training

WEAK_U, WEAK_V = 1.0, 0.5
"""Prior sds of an unseen domain's shared and own shifts of the logit of s, where training has too few families."""

SEEN_SD = 0.15
"""The same of a domain that training had."""

SAME_ERROR, KEEPS, RESCUES = (0.5, 5.0), (0.98, 20.0), (0.4, 5.0)
"""e, t and r before any data, and how many rows of training that counts for."""

TRUST = 0.5
"""How much of the formula's change from training is believed. On held-out families of the embedded benchmark and of 783
0-shot rows of RouterBench the error of q - q_c was .052 without it, .044 with a half and .048 with all of it."""

CLIP = 1e-3
"""Qualities are kept away from 0 and 1 by this much where logits are taken."""

AGREED_RANGE = 0.05, 0.999
"""P(right | agree) is kept within these: beliefs of the models may contradict the share that agrees."""


@dataclass(frozen=True)
class AgreementPrior:
    """What training says of plans.

    Attributes
    ----------
    z : (n_domain + 1, n_plan) float
        Logit of the share that the first round settles; the last row is for requests without a label.
    prior_u, prior_v : (n_domain + 1,), (n_domain + 1, n_plan) float
        Prior sds of its shifts.
    first, rest : (n_plan, n_model) float
        Models that are asked at once, 0 or 1; and how often each is asked later where it goes on.
    falls_back : (n_plan,) int
        The model that each plan ends on.
    pair : (n_plan, 2) int
        The two models whose agreement settles it.
    agrees : (n_plan,) float, 0 or 1
        Whether agreement does: of a plan that first asks one model alone, the formula says nothing.
    same_error, keeps, rescues : (n_plan,) float
        e, t and r.
    gap : (n_plan,) float
        What a plan's quality was beyond that of its fallback in training, less what the formula makes of it.
    """

    z: Floats
    prior_u: Floats
    prior_v: Floats
    first: Floats
    rest: Floats
    falls_back: Ints
    pair: Ints
    agrees: Floats
    same_error: Floats
    keeps: Floats
    rescues: Floats
    gap: Floats

    @classmethod
    def of(cls, train: Training, family: Ints) -> AgreementPrior | None:
        """Read it off the training part; None where there are no plans."""
        paths = train.outcomes.paths
        if paths is None:
            return None
        n_plan, n_slot = len(paths.member), len(train.requests.domains) + 1
        n_model = len(train.requests.models) - n_plan
        first, rest = np.zeros((2, n_plan, n_model))
        plan, place = np.nonzero(paths.member >= 0)
        starts = (paths.round == 1).all(axis=0)[plan, place]
        goes_on = (~paths.settled).sum(axis=0)[:, None]
        often_later = np.where(goes_on > 0, (paths.round > 1).sum(axis=0) / np.maximum(goes_on, 1), 1.0)
        first[plan, paths.member[plan, place]] = starts
        rest[plan, paths.member[plan, place]] = np.where(starts, 0.0, often_later[plan, place])
        agrees = (first.sum(axis=1) > 1).astype(np.float64)
        settled, code = paths.settled.astype(np.float64), train.requests.domain
        mean = settled.mean(axis=0)
        count = np.bincount(code[code >= 0], minlength=n_slot).astype(np.float64)
        total = np.stack([np.bincount(code[code >= 0], one[code >= 0], n_slot) for one in settled.T], axis=1)
        share = (total + mean * 10 + 0.5) / (count[:, None] + 11)
        sd_u, sd_v = shift_prior(settled, family, WEAK_U, WEAK_V)
        seen = count > 0
        last = np.array([own[own >= 0][-1] for own in paths.member])
        # A plan of more than two probes is taken for one of its first two.
        pair = paths.member[:, :2]
        quality = train.outcomes.quality
        _, at, size = np.unique(family, return_inverse=True, return_counts=True)
        one, other, fallback, shipped = (quality[:, m] for m in (pair[:, 0], pair[:, 1], last, slice(n_model, None)))
        # Where answers never agree nothing is to be learnt of how they do: families count by how often they settle it.
        often = np.stack([np.bincount(at, own) / size for own in settled.T], axis=1)[at]
        rates = (
            _share(settled, often * (1 - one) * (1 - other), SAME_ERROR),
            _share(fallback, settled * shipped, KEEPS),
            _share(fallback, settled * (1 - shipped), RESCUES),
        )
        formula = agrees * beyond_fallback(mean, one.mean(axis=0), other.mean(axis=0), *rates)
        gap = shipped.mean(axis=0) - fallback.mean(axis=0) - TRUST * formula - luck_of_plans(train.outcomes, len(size))
        return cls(
            logit(share),
            np.where(seen, SEEN_SD, sd_u),
            np.tile(np.where(seen, SEEN_SD, sd_v)[:, None], n_plan),
            first,
            rest,
            last,
            pair,
            agrees,
            *rates,
            gap,
        )


def beyond_fallback(
    s: Floats, one: Floats, other: Floats, same_error: Floats, keeps: Floats, rescues: Floats
) -> Floats:
    """Return q - q_c of plans whose probes have qualities ``one`` and ``other`` and agree in a share ``s``.

    Examples
    --------
    Where nobody errs in the same way, and the fallback keeps what is right, plans lose nothing.

    >>> none, all_ = np.zeros(1), np.ones(1)
    >>> beyond_fallback(np.array([0.5]), np.array([0.7]), np.array([0.8]), none, all_, none).round(3).tolist()
    [0.0]
    """
    s = np.maximum(s, 1e-12)  # a plan that never settles in its first round
    right = np.clip((s - same_error * (1 - one - other)) / ((1 + same_error) * s), *AGREED_RANGE)
    return s * (right * (1 - keeps) - (1 - right) * rescues)


def _share(values: Floats, weight: Floats, prior: tuple[float, float]) -> Floats:
    """Return weighted means of columns, shrunk towards a prior mean that counts for so much weight."""
    mean, count = prior
    return ((values * weight).sum(axis=0) + mean * count) / (weight.sum(axis=0) + count)


class Agreement:
    """What ``n_run`` parallel runs have learnt of plans."""

    def __init__(self, n_run: int, prior: AgreementPrior) -> None:
        self.prior = prior
        self.n_model = prior.first.shape[1]
        self._shift = DomainShift(n_run, prior.prior_u, prior.prior_v)

    def with_costs(self, run: Ints, domain: Ints, cost_hat: Floats, cost_upper: Floats) -> dict[str, Floats]:
        """Return mean and upper costs of all arms, given those of the models: (n, n_model)."""
        first, rest = self.prior.first.T, self.prior.rest.T
        shift = self._shift.posterior(run, domain)
        goes_on = squash(-(self.prior.z[domain] + shift.mean), shift.sd)
        return {
            "cost_hat": np.concatenate([cost_hat, cost_hat @ first + goes_on * (cost_hat @ rest)], axis=1),
            "cost_upper": np.concatenate([cost_upper, cost_upper @ (first + (rest > 0))], axis=1),
        }

    def logits(self, run: Ints, domain: Ints, z: Floats, p: Floats) -> Floats:
        """Return the logit of each plan's quality beside that of its fallback: (n, n_plan).

        Parameters
        ----------
        z, p : (n, n_model) float
            Logits of the models before their shifts, and what is believed of them with these.
        """
        prior = self.prior
        shift = self._shift.posterior(run, domain)
        s = squash(prior.z[domain] + shift.mean, shift.sd)
        one, other, last = p[:, prior.pair[:, 0]], p[:, prior.pair[:, 1]], p[:, prior.falls_back]
        beyond = beyond_fallback(s, one, other, prior.same_error, prior.keeps, prior.rescues)
        quality = last + prior.gap + TRUST * prior.agrees * beyond
        moved: Floats = logit(np.clip(quality, CLIP, 1 - CLIP)) - logit(np.clip(last, CLIP, 1 - CLIP))
        return z[:, prior.falls_back] + moved

    def asked(self, arm: Ints, agreed: Floats) -> Floats:
        """Say which models were asked in some decisions: (n, n_model), 0 or 1."""
        plan = np.maximum(arm - self.n_model, 0)
        single = np.equal.outer(arm, np.arange(self.n_model))
        of_plan = self.prior.first[plan] + np.where(agreed == 1, 0.0, 1.0)[:, None] * self.prior.rest[plan]
        return np.where((arm >= self.n_model)[:, None], of_plan, single)

    def update(self, run: Ints, domain: Ints, arm: Ints, agreed: Floats) -> None:
        """Learn from plans that have ended: all ``(n,)``; ``agreed`` is NaN for models."""
        rows = np.flatnonzero(np.isfinite(agreed) & (arm >= self.n_model))
        if len(rows):
            plan, domain = arm[rows] - self.n_model, domain[rows]
            self._shift.update(run[rows], domain, plan, self.prior.z[domain, plan], agreed[rows])

    def update_all(self, run: Ints, domain: Ints, settled: Floats) -> None:
        """Learn from every plan at once (full information): (n, n_plan)."""
        self._shift.update_all(run, domain, self.prior.z[domain], settled)
