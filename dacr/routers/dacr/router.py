"""DACR: domain-adaptive calibrated routing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from dacr.core.registry import routers
from dacr.data.schema import family_of
from dacr.estimates.calibrators.base import logits
from dacr.routers.base import Learner, twin_of
from dacr.routers.dacr.agreement import Agreement, AgreementPrior
from dacr.routers.dacr.centres import Centres, LogitPrior, calibrate
from dacr.routers.dacr.posterior import DomainShift
from dacr.routers.dacr.shift_prior import plan_prior, shift_prior
from dacr.routers.dacr.spending import CostPrior, CostShift
from dacr.routers.dacr.step import PARTS, believe, choose, learn
from dacr.routers.dacr.thompson import normal_draws
from dacr.routers.dacr.under_way import UnderWay
from dacr.routers.terms import Choice, Terms
from dacr.types import SHED, Estimates, Feedback, Floats, Ints, Keys, Training

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


NOT_TOLD, NO_PROBES = np.empty(0), np.empty((0, 2))
"""Agreement of calls, and of plans' probes with what was shipped, of which none is known."""


@routers.register("dacr")
@dataclass(kw_only=True, eq=False, repr=False)
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

    lambda_cost: float = 0.0
    lambda_late: float = 0.0
    temper: float = 0.1
    explore: float = 0.3
    floor: float = 0.0
    weak_u: float = 1.2
    weak_v: float = 0.8
    n_draw: int = 32

    def fit(self, train: Training) -> Self:
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
        costs = CostPrior.of(requests, train.outcomes.cost_usd)
        self.cost_prior_ = replace(costs, call_sd=costs.call_sd[:n_single])
        return self

    def start(self, n_run: int, n_domain: int, seeds: Keys) -> None:
        """Forget all feedback."""
        slots, n_model = self.logits_.offset.shape
        self.seed = seeds
        # Not to answer is an arm of which all is known, behind the others.
        n_arm = n_model + self.abstains
        # Its own: kernels are compiled anew for an array that is read-only, and a saved router's is not.
        self._draws = normal_draws(self.n_draw, n_arm).copy()
        self._temper = np.append(self.temper_, self.temper)[:n_arm]
        plans = AgreementPrior.none(slots, n_model) if self.agreement_ is None else self.agreement_
        self._agreement = Agreement(n_run, plans)
        self._quality = DomainShift(n_run, self.prior_u_, self.prior_v_, plans.falls_back)
        self._late = DomainShift(n_run, np.full(slots, LATE_SD), np.full((slots, n_model), LATE_SD))
        self._cost = CostShift(n_run, self.cost_prior_)
        self._centres = Centres(n_run, self.logits_)
        self._decided = 0
        self._under_way = UnderWay(n_run, (slots, n_arm))
        parts = self._centres, self._quality, self._late, self._cost, self._agreement
        self._state: tuple[Any, ...] = tuple(part.state for part in parts)  # feedback moves what is in these arrays
        prices = [np.asarray(value, dtype=np.float64).ravel() for value in (self.lambda_cost, self.lambda_late)]
        self._prices = np.stack([np.broadcast_to(value, n_run) for value in prices])
        self._every = np.arange(n_run)
        self._known: tuple[Any, ...] = ()
        self._known_of: Estimates | None = None

    def _look(self, requests: Estimates) -> tuple[Ints, tuple[Any, ...]]:
        """Return rows, and what is known of the whole stream, its logits taken once."""
        whole, row = requests.place()
        if whole is not self._known_of:
            taken = logits(whole.p_raw), logits(whole.p_late)
            self._known_of, self._known = whole, (whole.domain, *taken, whole.cost_hat, whole.cost_upper)
        return row, self._known

    def _believed(self, run: Ints, requests: Estimates, arrives: bool = False) -> Floats:
        row, known = self._look(requests)
        out = np.empty((len(PARTS), len(row), known[1].shape[1]))
        believe(arrives, run, row, self._prices, known, self._under_way.state[0], self._state, out)
        return out

    def beliefs(self, requests: Estimates) -> Estimates:
        """Return p~, learnt mean costs and lateness: one request per run."""
        return self._with(requests, self._believed(np.arange(len(requests)), requests))

    @staticmethod
    def _with(requests: Estimates, believed: Floats) -> Estimates:
        return requests.with_(p=believed[1], cost_hat=believed[2], cost_upper=believed[3], p_late=believed[4])

    def believed(self, run: Ints, requests: Estimates) -> Floats:
        """Return the quality that ``run[i]`` expects now of every model on request i: (n, n_model)."""
        return self._believed(run, requests)[1]

    def scores(self, requests: Estimates) -> Floats:
        """Return the greedy value of each model."""
        return self._believed(np.arange(len(requests)), requests)[5]

    def decide(self, requests: Estimates, terms: Terms | None = None) -> Choice:
        """Sample a model from the tempered posterior's winners, and say with which probability."""
        self._decided += 1
        believed = self._believed(self._every, requests, arrives=True)
        beliefs, value = self._with(requests, believed), believed[5]
        if terms is not None:
            value = terms.apply(value, beliefs)
        if self.abstains:
            known_arm = np.zeros((*believed.shape[:2], 1))
            known_arm[[1, 5]] = self.fallback
            believed = np.concatenate([believed, known_arm], axis=2)
            value = np.concatenate([value, known_arm[5]], axis=1)
        row, known = self._look(requests)
        whole, state = requests.place()[0], self._state
        # Where nobody knows how long the stream is, as much is expected as has been seen.
        left = float((self.horizon or 2 * self._decided + LEAST_LEFT) - self._decided)
        model, propensity = np.empty(len(row), dtype=np.int64), np.empty(len(row))
        choose(
            value,
            row,
            known[0],
            whole.key,
            self.seed,
            believed,
            state[0][1],
            self._under_way.state,
            state[4],
            self._decided,
            left,
            0.0 if self.full_information else float(self.explore),
            self._temper,
            float(self.floor),
            self._draws,
            model,
            propensity,
        )
        if self.abstains:
            model[model == len(self.temper_)] = SHED
        return Choice(model, propensity, beliefs)

    def withdraw(self, run: Ints, requests: Estimates, model: Ints) -> None:
        """Forget calls that were not made: no rating of them is under way."""
        self._under_way.withdraw(run, requests.domain, model)

    def observe(self, feedback: Feedback) -> None:
        """Move the posterior by feedback that is due, and cost and lateness by calls that have ended."""
        if feedback.all_outcomes is not None:
            self._observe_all(feedback)
            return
        row, known = self._look(feedback.requests)
        agreed = NOT_TOLD if feedback.agreed is None else feedback.agreed
        same = NO_PROBES if feedback.same is None else feedback.same
        told = feedback.quality, feedback.late, feedback.cost_usd, agreed, same
        where = feedback.run, row, feedback.t, feedback.model, self._decided
        learn(*where, *told, known, self._state, self._under_way.state)

    def _observe_all(self, feedback: Feedback) -> None:
        truth, requests, run = feedback.all_outcomes, feedback.requests, feedback.run
        assert truth is not None
        code, n_plan = requests.domain, len(self._agreement.prior.falls_back)
        row, known = self._look(requests)
        if n_plan:
            z = self._believed(run, requests)[0]  # logits of plans depend on what is believed of models
        else:
            z = np.empty((len(row), known[1].shape[1]))
            calibrate(run, row, known[0], known[1], self._centres.state, z)
        self._quality.update_all(run, code, z, truth.quality)
        self._late.update_all(run, code, known[2][row], truth.late.astype(float))
        if truth.paths is not None:
            self._agreement.update_all(run, code, truth.paths.settled.astype(np.float64))
        n = truth.cost_usd.shape[1] - n_plan
        self._cost.update_all(run, code, requests.cost_hat[:, :n], truth.cost_usd[:, :n])


DacrRouterFull = routers.register("dacr_full")(twin_of(DacrRouter, tunable={"weak_v": DacrRouter.tunable["weak_v"]}))
