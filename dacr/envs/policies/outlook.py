"""What a router is told in an environment: :class:`~dacr.types.Estimates` from training episodes.

A router of the project asks for calibrated quality, mean cost and P(late) of every arm. In an environment
they come from what an agent can observe: features of the state, and for some environments a belief that
is filtered from past outcomes. Everything is fitted on training episodes that no result is told for.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from dacr.core.registry import calibrators, predictors
from dacr.core.rng import keys_of
from dacr.envs.policies.experience import Experience
from dacr.estimates.fitted import Fitted
from dacr.estimates.predictors.base import Predictor
from dacr.estimates.predictors.folds import out_of_fold
from dacr.estimates.predictors.logistic import LogisticPredictor
from dacr.types import Estimates, Floats, Training

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
