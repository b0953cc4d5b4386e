"""DACR: domain-adaptive calibrated routing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from dacr.core.registry import routers
from dacr.core.rng import keyed_uniform
from dacr.data.schema import family_of
from dacr.estimates.calibrators.base import logits
from dacr.routers.base import Learner, twin_of
from dacr.routers.dacr.agreement import Agreement, AgreementPrior
from dacr.routers.dacr.arm_costs import ArmCosts
from dacr.routers.dacr.centres import Centres, LogitPrior
from dacr.routers.dacr.knowledge_gradient import worth_of_trying
from dacr.routers.dacr.posterior import DomainShift, squash
from dacr.routers.dacr.shift_prior import plan_prior, shift_prior
from dacr.routers.dacr.spending import CostPrior, CostShift
from dacr.routers.dacr.thompson import normal_draws, sample
from dacr.routers.dacr.under_way import UnderWay
from dacr.routers.terms import Choice, Terms
from dacr.types import Estimates, Feedback, Floats, Ints, Keys, Training

SEEN_U = 0.1
"""Prior sd of the shared shift of a domain that training had, in logits: its level is known but for small drifts."""

LEAST_V = 0.02
"""No offset is known better than so, in logits: feedback must be able to move every one of them."""

LATE_SD = 1.0
"""Prior sd of a domain's shift of the lateness, shared and own, in logits."""

UNTEMPERED = 1.0
"""Temper of a model that nobody has tried."""

LEAST_LEFT = 50
"""A stream of unknown length is expected to last at least so many requests longer."""


@routers.register("dacr")
class DacrRouter(Learner):
    """argmax_m p~_m - lambda_cost c^_m - lambda_late v^_m, on estimates that feedback keeps calibrating.

    Offline, z_m(x) = a_m (logit p_m(x) - centre_d) + b_m with a_m >= 0: the slope is fitted within
    training domains on out-of-fold predictions (for an unseen domain on leave-one-domain-out ones), b_m
    comes from the base rate (for a domain seen in training, from its own shrunken offset), and the logit
    of an unseen domain is centred by its running, label-free mean. Online, a shift per domain and model
    is learnt from delayed feedback (:class:`DomainShift`); likewise cost factors (:class:`CostShift`) and
    a shift of the lateness.

    Exploration: a call is also worth what it may teach over the requests that are left, weighed by
    ``explore``; and Thompson sampling with draws tempered by ``temper``: over a fixed set of joint draws
    (mapped to probabilities to first order) the winners are counted, the choice is sampled from
    (1 - floor) * counts + floor / n_model, and that probability is the propensity. ``temper=0`` is greedy.

    Parameters
    ----------
    lambda_cost : float, quality per USD
    lambda_late : float, quality per late answer
    temper : float
        Scale of the exploration draws (the reported posterior is not scaled).
    explore : float
        Weight of what a call may teach (:func:`worth_of_trying`), beside its own answer; 0 ignores it.
    floor : float
        Share of choices made uniformly, so that every propensity is positive.
    weak_u, weak_v : float
        Prior sds of an unseen domain's shared and own shifts, on the logit scale, where training has too few
        families of domains to tell them (:func:`shift_prior`).
    """

    calibrator = "base_slope"
    stackable = ("lambda_cost", "lambda_late")
    tunable: ClassVar[Mapping[str, Sequence[float]]] = {
        "explore": (0.0, 0.3, 1.0),
        "temper": (0.1, 0.25),
        "weak_v": (0.5, 0.8, 1.2),
    }

    def __init__(
        self,
        *,
        lambda_cost: float = 0.0,
        lambda_late: float = 0.0,
        temper: float = 0.1,
        explore: float = 0.3,
        floor: float = 0.0,
        weak_u: float = 1.2,
        weak_v: float = 0.8,
        n_draw: int = 32,
    ) -> None:
        self.lambda_cost = lambda_cost
        self.lambda_late = lambda_late
        self.temper = temper
        self.explore = explore
        self.floor = floor
        self.weak_u = weak_u
        self.weak_v = weak_v
        self.n_draw = n_draw

    def fit(self, train: Training) -> DacrRouter:
        """Fit slope, base and the offsets of seen domains for each model, out-of-fold."""
        requests, quality = train.requests, train.outcomes.quality
        n_model = len(requests.models)
        families = np.array([family_of(name) for name in requests.domains] + [""])
        _, family = np.unique(families[requests.domain], return_inverse=True)
        self.logits_ = LogitPrior.of(train)
        self.agreement_ = AgreementPrior.of(train, family)
        falls_back = np.zeros(0, dtype=np.int64) if self.agreement_ is None else self.agreement_.falls_back
        n_single = n_model - len(falls_back)
        known = quality[:, :n_single] if train.cold is None else quality[:, :n_single][:, ~train.cold]
        self.unseen_u_, self.unseen_v_ = shift_prior(known, family, self.weak_u, self.weak_v)
        self.prior_v_: Floats = np.full(self.logits_.offset.shape, self.unseen_v_)
        self.prior_v_[:, n_single:] = plan_prior(quality[:, falls_back], quality[:, n_single:], family)
        self.prior_u_ = np.where(self.logits_.seen, SEEN_U, self.unseen_u_)
        known_sd = np.where(np.isfinite(self.logits_.offset_sd), self.logits_.offset_sd, self.prior_v_)
        self.prior_v_ = np.where(self.logits_.seen[:, None], np.maximum(known_sd, LEAST_V), self.prior_v_)
        self.temper_ = np.full(n_model, self.temper)
        if train.cold is not None:
            # Nobody has tried these: doubt about them is all that leads there, and is not tempered.
            cold = np.flatnonzero(train.cold)
            self.prior_v_[:, cold] = max(self.unseen_v_, self.weak_v)
            self.temper_[cold] = max(self.temper, UNTEMPERED)
        costs = CostPrior.of(train)
        self.cost_prior_ = replace(costs, call_sd=costs.call_sd[:n_single])
        return self

    def start(self, n_run: int, n_domain: int, seeds: Keys) -> None:
        """Forget all feedback."""
        slots, n_model = self.logits_.offset.shape
        self.seed = seeds
        self._draws = normal_draws(self.n_draw, n_model)
        plans = self.agreement_
        self._agreement = None if plans is None else Agreement(n_run, plans)
        self._quality = DomainShift(n_run, self.prior_u_, self.prior_v_, None if plans is None else plans.falls_back)
        self._late = DomainShift(n_run, np.full(slots, LATE_SD), np.full((slots, n_model), LATE_SD))
        self._cost = ArmCosts(CostShift(n_run, self.cost_prior_), self._agreement)
        self._centres = Centres(n_run, self.logits_)
        self._decided = 0
        self._under_way = UnderWay(n_run, (slots, n_model))

    def _z(self, run: Ints, requests: Estimates) -> Floats:
        """Return the logit of each arm before its shift; a plan's is made of what is believed of its models now."""
        z = self._centres.z(run, requests)
        if self._agreement is None:
            return z
        z = z[:, : self._agreement.n_model]
        shift = self._quality.posterior(run, requests.domain)
        p = squash(z + shift.mean[:, : z.shape[1]], shift.sd[:, : z.shape[1]])
        return np.concatenate([z, self._agreement.logits(run, requests.domain, z, p)], axis=1)

    def beliefs(self, requests: Estimates) -> Estimates:
        """Return p~, learnt mean costs and lateness: one request per run."""
        run = np.arange(len(requests))
        code = requests.domain
        self._shift = self._quality.posterior(run, code)
        late = self._late.posterior(run, code)
        return requests.with_(
            p=squash(self._z(run, requests) + self._shift.mean, self._shift.sd),
            **self._cost.correct(run, requests),
            p_late=squash(logits(requests.p_late) + late.mean, late.sd),
        )

    def believed(self, run: Ints, requests: Estimates) -> Floats:
        """Return the quality that ``run[i]`` expects now of every model on request i: (n, n_model)."""
        shift = self._quality.posterior(run, requests.domain)
        return squash(self._z(run, requests) + shift.mean, shift.sd)

    def scores(self, requests: Estimates) -> Floats:
        """Return the greedy value of each model."""
        return self._value(self.beliefs(requests))

    def _value(self, beliefs: Estimates) -> Floats:
        return beliefs.p - self.lambda_cost * beliefs.cost_hat - self.lambda_late * beliefs.p_late

    def decide(self, requests: Estimates, terms: Terms | None = None) -> Choice:
        """Sample a model from the tempered posterior's winners, and say with which probability."""
        self._centres.see(requests)
        self._decided += 1
        beliefs = self.beliefs(requests)
        value = self._value(beliefs)
        if terms is not None:
            value = terms.apply(value, beliefs)
        damping = np.sqrt(1 + np.pi / 8 * np.square(self._shift.sd))
        if self.explore and not self.full_information:
            value = value + self.explore * self._worth(beliefs, value, requests.domain, damping)
        # To first order, a draw of the logit moves the probability by its slope: no sigmoid per draw.
        slope = self.temper_ * beliefs.p * (1 - beliefs.p) / damping
        shared, own = slope * self._shift.through_u, slope * self._shift.own_sd
        uniform = keyed_uniform(requests.key, 1, self.seed)[:, 0]
        model, propensity = sample(value, shared, own, self._draws, self.floor, uniform)
        self._under_way.start(np.arange(len(model)), requests.domain, model)
        return Choice(model, propensity, beliefs)

    def withdraw(self, run: Ints, requests: Estimates, model: Ints) -> None:
        """Forget calls that were not made: no rating of them is under way."""
        self._under_way.withdraw(run, requests.domain, model)

    def _worth(self, beliefs: Estimates, value: Floats, code: Ints, damping: Floats) -> Floats:
        """Return what a call of each model is worth for what it teaches: (n, n_model)."""
        rated = self._under_way.share_rated(self._decided)
        own = self._under_way.narrowed(code, self._shift.own_sd, beliefs.p, rated)
        # Where nobody knows how long the stream is, as much is expected as has been seen.
        left = (self.horizon or 2 * self._decided + LEAST_LEFT) - self._decided
        here = max(left, 0) * self._centres.count(np.arange(len(value)), code) / self._decided
        return worth_of_trying(value, beliefs.p, own, damping, here, rated)

    def observe(self, feedback: Feedback) -> None:
        """Move the posterior by feedback that is due, and cost and lateness by calls that have ended."""
        requests, run, model = feedback.requests, feedback.run, feedback.model
        code = requests.domain
        if feedback.all_outcomes is not None:
            self._observe_all(feedback)
            return
        rated = np.flatnonzero(np.isfinite(feedback.quality))
        if len(rated):
            z = self._z(run[rated], requests.take(rated))[np.arange(len(rated)), model[rated]]
            self._quality.update(run[rated], code[rated], model[rated], z, feedback.quality[rated])
            lag = self._decided - 1 - feedback.t[rated]
            self._under_way.end(run[rated], code[rated], model[rated], lag)
        ended = np.flatnonzero(np.isfinite(feedback.late))
        if len(ended):
            own = (ended, model[ended])
            z = logits(requests.p_late[own])
            self._late.update(run[ended], code[ended], model[ended], z, feedback.late[ended])
            self._cost.observe(feedback, ended)

    def _observe_all(self, feedback: Feedback) -> None:
        truth, requests, run = feedback.all_outcomes, feedback.requests, feedback.run
        assert truth is not None
        code = requests.domain
        self._quality.update_all(run, code, self._z(run, requests), truth.quality)
        self._late.update_all(run, code, logits(requests.p_late), truth.late.astype(float))
        self._cost.observe_all(run, requests, truth)


DacrRouterFull = routers.register("dacr_full")(twin_of(DacrRouter, tunable={"weak_v": DacrRouter.tunable["weak_v"]}))
