"""What a router is told in an environment: :class:`~dacr.types.Estimates` from training episodes.

A router of the project asks for calibrated quality, mean cost and P(late) of every arm. In an environment
they come from what an agent can observe: features of the state, and for some environments a belief that
is filtered from past outcomes. Everything is fitted on training episodes that no result is told for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dacr.core.registry import calibrators, predictors
from dacr.core.rng import keys_of
from dacr.envs.policies.experience import Experience
from dacr.estimates.fitted import Fitted
from dacr.estimates.predictors.base import Predictor
from dacr.estimates.predictors.folds import out_of_fold
from dacr.estimates.predictors.logistic import LogisticPredictor
from dacr.routers.base import Router
from dacr.types import Estimates, Floats, Training

_CALIBRATOR = "platt"
_PREDICTOR = "logistic"
_FOLDS = 5


class Outlook:
    """Estimates for one router, by the predictor and the calibrator that its class names.

    Where it names none, the prediction is the filtered belief (or a logistic regression on the features)
    and the calibrator is Platt's.
    """

    def __init__(self, router: Router, experience: Experience) -> None:
        self._experience = experience
        self._parts = _parts_of(experience, router.predictor, router.calibrator or _CALIBRATOR)
        self._cost = experience.outcomes.cost_usd.mean(axis=0)

    def training(self) -> Training:
        """Return what ``Router.fit`` gets."""
        e, parts = self._experience, self._parts
        return Training(self._estimates(e.features, parts.raw, parts.p_late, "training"), e.outcomes, e.tau_s)

    def now(self, features: NDArray[np.float32], belief: Floats | None, key: str) -> Estimates:
        """Return the estimates for ``n`` decisions: ``features`` (n, n_feature), ``belief`` (n, n_model) or None."""
        raw = belief if self._parts.predictor is None else self._parts.predictor.predict(features)
        assert raw is not None
        return self._estimates(features, raw, self._parts.lateness.predict(features), key)

    def _estimates(self, x: NDArray[np.float32], raw: Floats, p_late: Floats, key: str) -> Estimates:
        keys = keys_of([f"{key}/{i}" for i in range(len(x))])
        names = np.full(len(x), self._experience.name, dtype=object)
        cost = np.tile(self._cost, (len(x), 1))
        late, moment = np.clip(p_late, 0.0, 1.0), np.arange(len(x), dtype=float)
        return self._parts.fitted.estimates(keys, x, names, np.clip(raw, 0.0, 1.0), cost, late, arrival_s=moment)


class _Parts(NamedTuple):
    """What routers share that read the same parts; ``raw`` and ``p_late`` are out-of-fold, on the training episodes."""

    fitted: Fitted
    predictor: Predictor | None
    lateness: LogisticPredictor
    raw: Floats
    p_late: Floats


@lru_cache(maxsize=64)
def _parts_of(experience: Experience, predictor_name: str | None, calibrator_name: str) -> _Parts:
    x, y = experience.features, experience.outcomes.quality
    fold = np.arange(len(x)) % _FOLDS
    predictor = None
    if predictor_name is None and experience.belief is not None:
        raw = experience.belief
    else:
        make = predictors.get(predictor_name or _PREDICTOR)
        raw = out_of_fold(make, x, y, fold)
        predictor = make().fit(x, y)
    names = np.full(len(x), experience.name, dtype=object)
    make = calibrators.get(calibrator_name)
    ready = tuple(make().fit(raw[:, m], y[:, m], names, x=x) for m in range(len(experience.models)))
    late = experience.outcomes.late.astype(float)
    lateness = LogisticPredictor().fit(x, late)
    fitted = Fitted(experience.models, (experience.name,), ready)
    return _Parts(fitted, predictor, lateness, raw, out_of_fold(LogisticPredictor, x, late, fold))
