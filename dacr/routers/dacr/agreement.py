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
own shift, learnt from its ratings.

Shared errors of language models: Kim, Garg, Peng and Garg 2025, arXiv 2506.07962.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logit

from dacr.routers.dacr.posterior import DomainShift
from dacr.routers.dacr.probes import right_though_other, share_of
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
    differs : (n_plan, 2, 2) float
        P(a probe is right, though it gave another answer than was shipped), where that was wrong, and was right.
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
    differs: Floats

    @classmethod
    def none(cls, n_slot: int, n_model: int) -> AgreementPrior:
        """Return what there is to know of no plans."""
        nothing, no_models, slots = np.zeros(0), np.zeros((0, n_model)), np.zeros((n_slot, 0))
        arms, pairs = np.zeros(0, dtype=np.int64), np.zeros((0, 2), dtype=np.int64)
        own = nothing, nothing, nothing, nothing, nothing, np.zeros((0, 2, 2))
        return cls(slots, np.ones(n_slot), slots, no_models, no_models, arms, pairs, *own)

    @classmethod
    def of(cls, train: Training, family: Ints) -> AgreementPrior | None:
        """Read it off the training part; None where there are no plans."""
        paths, n_slot = train.outcomes.paths, len(train.requests.domains) + 1
        if paths is None:
            return None
        n_plan = len(paths.member)
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
        pair = np.ascontiguousarray(paths.member[:, :2])  # as where there are no plans: kernels are compiled once
        quality = train.outcomes.quality
        _, at, size = np.unique(family, return_inverse=True, return_counts=True)
        one, other, fallback, shipped = (quality[:, m] for m in (pair[:, 0], pair[:, 1], last, slice(n_model, None)))
        # Where answers never agree nothing is to be learnt of how they do: families count by how often they settle it.
        often = np.stack([np.bincount(at, own) / size for own in settled.T], axis=1)[at]
        rates = (
            share_of(settled, often * (1 - one) * (1 - other), SAME_ERROR),
            share_of(fallback, settled * shipped, KEEPS),
            share_of(fallback, settled * (1 - shipped), RESCUES),
        )
        differs = right_though_other(quality, pair, ~paths.same[:, :, :2], often, shipped)
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
            differs,
        )


def beyond_fallback(s: Any, one: Any, other: Any, same_error: Any, keeps: Any, rescues: Any) -> Any:
    """Return q - q_c of plans whose probes have qualities ``one`` and ``other`` and agree in a share ``s``.

    Examples
    --------
    Where nobody errs in the same way, and the fallback keeps what is right, plans lose nothing.

    >>> none, all_ = np.zeros(1), np.ones(1)
    >>> beyond_fallback(np.array([0.5]), np.array([0.7]), np.array([0.8]), none, all_, none).round(3).tolist()
    [0.0]
    """
    s = np.maximum(s, 1e-12)  # a plan that never settles in its first round
    right = (s - same_error * (1 - one - other)) / ((1 + same_error) * s)
    right = np.minimum(np.maximum(right, AGREED_RANGE[0]), AGREED_RANGE[1])
    return s * (right * (1 - keeps) - (1 - right) * rescues)


class Agreement:
    """What ``n_run`` parallel runs have learnt of plans."""

    def __init__(self, n_run: int, prior: AgreementPrior) -> None:
        self.prior = prior
        self.n_model = prior.first.shape[1]
        self._shift = DomainShift(n_run, prior.prior_u, prior.prior_v)
        # Plans of each domain that have ended, and that their first round settled.
        self._ended = np.zeros((n_run, len(prior.prior_u), 2))

    @property
    def state(self) -> tuple[Any, ...]:
        """All of it, as kernels take it: what training says, the state of the shift, and plans that have ended."""
        prior = self.prior
        formula = prior.pair, prior.agrees, prior.same_error, prior.keeps, prior.rescues, prior.gap, prior.differs
        return (prior.z, prior.first, prior.rest, prior.falls_back, *formula), self._shift.state, self._ended

    def update_all(self, run: Ints, domain: Ints, settled: Floats) -> None:
        """Learn from every plan at once (full information): (n, n_plan)."""
        self._ended[run, domain, 0] += 1.0
        self._shift.update_all(run, domain, self.prior.z[domain], settled)
