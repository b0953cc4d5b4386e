"""What a router is told in an environment: :class:`~dacr.types.Estimates` from training episodes.

A router of the project asks for calibrated quality, mean cost and P(late) of every arm. In an environment
they come from what an agent can observe: features of the state, and for some environments a belief that
is filtered from past outcomes. Everything is fitted on training episodes that no result is told for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacr.core.registry import calibrators, predictors
from dacr.core.rng import keys_of
from dacr.envs.policies.experience import Experience, cues_of
from dacr.estimates.predictors.folds import out_of_fold
from dacr.estimates.predictors.logistic import LogisticPredictor
from dacr.routers.base import Router
from dacr.types import Estimates, Floats, Outcomes, Training

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
        parts = _fitted(experience, router.predictor, router.calibrator or _CALIBRATOR)
        self._predictor, self._calibrators, self._lateness, self._training_raw, self._training_p_late = parts
        self._cost = experience.cost_usd.mean(axis=0)

    def training(self) -> Training:
        """Return what ``Router.fit`` gets; cues are what a caller sees of an answer: whether it failed."""
        e = self._experience
        requests = self._estimates(e.features, self._training_raw, self._training_p_late, "training")
        cues = cues_of(e.quality <= 0)
        return Training(requests, Outcomes(e.quality, e.cost_usd, e.latency_s, e.late, cues), e.tau_s)

    def now(self, features: NDArray[np.float32], belief: Floats | None, key: str) -> Estimates:
        """Return the estimates for ``n`` decisions: ``features`` (n, n_feature), ``belief`` (n, n_model) or None."""
        if self._predictor is None:
            assert belief is not None
            raw = belief
        else:
            raw = self._predictor.predict(features)
        return self._estimates(features, raw, self._lateness.predict(features), key)

    def _estimates(self, x: NDArray[np.float32], raw: Floats, p_late: Floats, key: str) -> Estimates:
        n = len(x)
        names = np.full(n, self._experience.name, dtype=object)
        p = np.column_stack(
            [
                calibrator.transform(raw[:, m], names, **({"x": x} if calibrator.uses_x else {}))
                for m, calibrator in enumerate(self._calibrators)
            ]
        )
        cost = np.repeat(self._cost[None, :], n, axis=0)
        return Estimates(
            key=keys_of([f"{key}/{i}" for i in range(n)]),
            features=x,
            domain=np.zeros(n, dtype=np.int64),
            p_raw=np.clip(raw, 0.0, 1.0),
            p=p,
            cost_hat=cost,
            cost_upper=cost,
            p_late=np.clip(p_late, 0.0, 1.0),
            arrival_s=np.arange(n, dtype=float),
            models=self._experience.models,
            domains=(self._experience.name,),
        )


@lru_cache(maxsize=64)
def _fitted(experience: Experience, predictor_name: str | None, calibrator_name: str) -> tuple[Any, ...]:
    """Fit what routers with these parts share: predictor, calibrators, lateness, out-of-fold predictions of both."""
    x, y = experience.features, experience.quality
    fold = np.arange(len(x)) % _FOLDS
    predictor: Any = None
    if predictor_name is None and experience.belief is not None:
        raw = experience.belief
    else:
        make = predictors.get(predictor_name or _PREDICTOR)
        raw = out_of_fold(make, x, y, fold)
        predictor = make().fit(x, y)
    names = np.full(len(x), experience.name, dtype=object)
    fitted = []
    for m in range(len(experience.models)):
        calibrator = calibrators.get(calibrator_name)()
        more = {"x": x} if calibrator.uses_x else {}
        fitted.append(calibrator.fit(raw[:, m], y[:, m], names, **more))
    late = experience.late.astype(float)
    lateness = LogisticPredictor().fit(x, late)
    return predictor, fitted, lateness, raw, out_of_fold(LogisticPredictor, x, late, fold)
