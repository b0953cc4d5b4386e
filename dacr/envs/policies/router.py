"""Every router of the project as a player of both games.

The router stays as it is: it gets estimates, says which model next, may reject an answer, and learns from
feedback. The policy makes the estimates (:class:`Outlook`), enforces the money that is left, and
turns what a step showed into feedback. Prices of a dollar and of a late answer are not tuned: they are what
the grader, or the reward, pays for them in units of one success.

A router asks for calibrated quality, mean cost and P(late) of every arm. In an environment they come from what an
agent can observe: features of the state, and for some environments a belief that is filtered from past outcomes.
Everything is fitted on training episodes that no result is told for.
"""

import inspect
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dacr.core.registry import calibrators, predictors, routers
from dacr.core.rng import generator, keys_of, seed_for
from dacr.envs.fleet_config import LLMRouterConfig
from dacr.envs.game import Game, Moved, Policy
from dacr.envs.policies.experience import Experience, cues_of, experience_of, features_of
from dacr.envs.scenarios import Scenario
from dacr.estimates.fitted import Fitted
from dacr.estimates.predictors.base import Predictor
from dacr.estimates.predictors.folds import out_of_fold
from dacr.estimates.predictors.logistic import LogisticPredictor
from dacr.routers.base import Cascade, Learner, Router
from dacr.routers.terms import Choice, Terms
from dacr.types import SHED, Attempts, Bools, Estimates, Feedback, Floats, Ints, Training

_PREDICTOR = "logistic"
_FOLDS = 5


class Outlook:
    """Estimates by one predictor and one calibrator, for all routers that name these.

    Parameters
    ----------
    predictor : str or None
        None: the prediction is the filtered belief, or a logistic regression on the features where there is none.
    """

    def __init__(self, experience: Experience, predictor: str | None, calibrator: str) -> None:
        x, y, late = experience.features, experience.outcomes.quality, experience.outcomes.late.astype(float)
        fold = np.arange(len(x)) % _FOLDS
        self._experience = experience
        self._cost = experience.outcomes.cost_usd.mean(axis=0)
        self._predictor: Predictor | None = None
        raw = experience.belief
        if predictor is not None or raw is None:
            make = predictors.get(predictor or _PREDICTOR)
            raw, self._predictor = out_of_fold(make, x, y, fold), make().fit(x, y)
        self._raw, self._p_late = raw, out_of_fold(LogisticPredictor, x, late, fold)
        names, calibrate = np.full(len(x), experience.name, dtype=object), calibrators.get(calibrator)
        ready = tuple(calibrate().fit(raw[:, m], y[:, m], names, x=x) for m in range(len(experience.models)))
        self._lateness = LogisticPredictor().fit(x, late)
        self._fitted = Fitted(experience.models, (experience.name,), ready)

    def training(self) -> Training:
        """Return what ``Router.fit`` gets."""
        e = self._experience
        return Training(self._estimates(e.features, self._raw, self._p_late, "training"), e.outcomes, e.tau_s)

    def now(self, features: NDArray[np.float32], belief: Floats | None, key: str) -> Estimates:
        """Return the estimates for ``n`` decisions: ``features`` (n, n_feature), ``belief`` (n, n_model) or None."""
        raw = belief if self._predictor is None else self._predictor.predict(features)
        assert raw is not None
        return self._estimates(features, raw, self._lateness.predict(features), key)

    def _estimates(self, x: NDArray[np.float32], raw: Floats, p_late: Floats, key: str) -> Estimates:
        keys = keys_of([f"{key}/{i}" for i in range(len(x))])
        names = np.full(len(x), self._experience.name, dtype=object)
        cost = np.tile(self._cost, (len(x), 1))
        late, moment = np.clip(p_late, 0.0, 1.0), np.arange(len(x), dtype=float)
        return self._fitted.estimates(keys, x, names, np.clip(raw, 0.0, 1.0), cost, late, arrival_s=moment)


outlook_of = lru_cache(maxsize=64)(Outlook)
"""Outlooks are fitted once for all routers that read the same parts."""


_CALIBRATOR = "platt"
"""Of routers that name none."""


class RouterPolicy(Policy):
    """A registered router; learners keep one run per episode, and forget between games.

    Parameters
    ----------
    rules : Scenario or LLMRouterConfig
        The router is fitted on training episodes of it.
    """

    def __init__(self, router_name: str, rules: Scenario | LLMRouterConfig) -> None:
        self.name = f"router:{router_name}"
        experience = experience_of(rules)
        make = routers.get(router_name)
        accepted = inspect.signature(make.__init__).parameters
        prices = {name: value for name, value in experience.prices.items() if name in accepted}
        self.router: Router = make(**prices)
        self.clairvoyant = self.router.clairvoyant or self.router.full_information
        self._experience, self._health = experience, experience.health
        self._outlook = outlook_of(experience, self.router.predictor, self.router.calibrator or _CALIBRATOR)
        self.router.fit(self._outlook.training())

    def reset(self, game: Game, seed: int) -> None:
        """Begin ``game.n`` runs."""
        self._key, self._t = f"{game.rules.name}/{seed}", 0
        first = seed_for("environment", self.router.name, self._key)
        if isinstance(self.router, Learner):
            with np.errstate(over="ignore"):
                self.router.start(game.n, 1, np.uint64(first) + np.arange(game.n, dtype=np.uint64))
        else:
            self.router.seed = first % 2**63
        if self.router.full_information:
            game.aside = generator("what other models would have given", seed)
        if self._health is not None:
            self._health.reset()
        # Where the same request comes again until it is served, a rejected answer is tried again by the next step.
        self._cascade = self.router if isinstance(self.router, Cascade) and game.rules.retries else None
        self._tried: list[Attempts] = []

    def act(self, game: Game) -> Ints:
        """Ask the router; an episode without money for any model sheds (where that can be) or calls the cheapest."""
        self._t += 1
        self._now = now = self._estimates(game)
        is_open = _open(now.cost_hat, game.left_usd, game.remaining)
        funded: Bools = np.asarray(is_open.any(axis=1))
        self._propensity = np.ones(game.n)
        if self._cascade is not None:
            model = self._proposed(self._cascade, now, is_open) if funded[0] else np.full(1, SHED)
        elif funded.any():
            free, all_or_open = np.zeros((game.n, 1)), is_open | ~funded[:, None]
            choice: Choice = self.router.decide(now, Terms(free, free, is_open=lambda beliefs: all_or_open))
            model, self._propensity = np.where(funded, choice.model, SHED), choice.propensity
        else:
            model = np.full(game.n, SHED)
        idle = now.cost_hat.argmin(axis=1) if game.rules.shed is None else game.rules.shed
        return np.where(model == SHED, idle, model)

    def learn(self, action: Ints, moved: Moved, going: Bools) -> None:
        """Move the belief; give learners feedback, and routers that may reject it the answer."""
        called: Bools = np.asarray(going & (action < len(self._now.models)), dtype=bool)
        if self._health is not None:
            self._health.update(int(action[0]) if called[0] else None, bool(moved.quality[0]))
        run = np.flatnonzero(called)
        if not len(run):
            return
        if self._cascade is not None:
            seen = Attempts(action, moved.cost, moved.latency, cues_of(moved.quality <= 0))
            tried = [*self._tried, seen]
            self._tried = [] if self._cascade.keep(self._now, tried)[0] >= 0 else tried
        if isinstance(self.router, Learner):
            late: Floats = (moved.latency > self._experience.tau_s).astype(float)
            news = Feedback.about(
                self._now.take(run),
                action[run],
                run=run,
                t=self._t - 1,
                propensity=self._propensity[run],
                cost_usd=moved.cost[run],
                late=late[run],
                quality=moved.quality[run],
                all_outcomes=None if moved.every is None else moved.every.take(run),
            )
            self.router.observe(news)

    def _estimates(self, game: Game) -> Estimates:
        belief = None if self._health is None else self._health.predict()[None, :]
        x = features_of(game.observation, belief)
        now = self._outlook.now(x, belief, f"{self._key}/{self._t}")
        if self.router.clairvoyant:
            quality, p_late = game.expected()
            now = now.with_(p=quality, p_raw=quality, p_late=now.p_late if p_late is None else p_late)
        return now

    def _proposed(self, cascade: Cascade, now: Estimates, is_open: Bools) -> Ints:
        """Return the next model of a chain of attempts; one that the money does not reach gives way to the cheapest."""
        model = cascade.propose(now, self._tried)
        if model[0] == SHED and self._tried:  # the chain is at its end: the next request starts anew
            self._tried = []
            model = cascade.propose(now, [])
        if model[0] != SHED and not is_open[0, model[0]]:
            model = now.cost_hat.argmin(axis=1)
        return model


def _open(cost: Floats, left_usd: Floats, remaining: Ints) -> Bools:
    """Return which models may be called: (n, n_model).

    A model is open if after it the money still pays the cheapest model for each of the other ``remaining``
    steps; where none is, if the money pays for it. None that would take the last of the money is ever called.
    """
    left = left_usd[:, None] - 1e-9
    affordable = cost < left
    provident = affordable & (cost + (remaining[:, None] - 1) * cost.min(axis=1, keepdims=True) < left)
    return np.where(provident.any(axis=1, keepdims=True), provident, affordable)
