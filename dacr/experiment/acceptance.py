"""Which answers to accept: thresholds of a router's own confidence, set on training, and what came of them.

An answer that is not accepted is withheld, or handed to somebody else. The level is kept in expectation on requests
like those of training; on domains that training did not have nothing keeps it, so what was realised there stands in a
row of its own.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd

from dacr.core.rng import seed_for
from dacr.metrics.selective import accept_threshold
from dacr.replay.entry import Entry
from dacr.replay.play import parts_of
from dacr.replay.setup import Setup
from dacr.routers.base import Cascade, Learner, Reference, Router
from dacr.routers.texts import TextReader
from dacr.types import Floats, Played, Training

ALPHAS = 0.05, 0.1, 0.2
"""Levels: wrong answers that are accepted, per request."""

MAX_ROWS = 2000
"""Training rows that a threshold is set on, evenly spread: 1 / (n + 1) is little beside any level."""


class Acceptance:
    """Thresholds of routers that choose one arm by estimates, along their frontiers, and what came of them."""

    def __init__(self, setup: Setup) -> None:
        self._setup, self._rows = setup, list[dict[str, Any]]()
        labels, test, train = setup.estimator.labels, setup.estimator.test, setup.estimator.train
        known = np.isin(labels[test].astype(str), np.unique(labels[train].astype(str)))
        self._parts = {"all": np.ones(len(known), dtype=bool), "seen": known, "unseen": ~known}

    def add(self, entry: Entry, played: list[Played]) -> None:
        """Set an entry's thresholds on training, and apply them to what it answered along its frontier."""
        router = entry.points[0].router
        predictor, calibrator = parts_of(type(router), self._setup.settings)
        # Where neither router nor calibrator is fitted on training rows, nobody has predicted these out of fold; and a
        # learner that is not knows nothing before feedback.
        fitted = type(router).fit is not Router.fit or (calibrator != "identity" and not entry.learns)
        if isinstance(router, (Cascade, Reference, TextReader)) or not fitted:
            return
        setup, arms = self._setup, self._setup.arms
        with_plans = arms is not None and len(entry.requests.models) == len(arms.names)
        training = (arms if with_plans and arms is not None else setup).training(predictor, calibrator)
        for point, one in zip(entry.points, played, strict=True):
            if point.enforced:
                continue
            confidence, quality = decided_in_training(point.router, training)
            for alpha in ALPHAS:
                least = accept_threshold(confidence, quality, alpha)
                for part, mine in self._parts.items():
                    own = mine[one.row]
                    got = own & (one.p_hat >= least)  # not where no call was made
                    if own.any():
                        self._rows.append(
                            {
                                "policy": entry.name,
                                "lambda_cost": float(point.router.params.get("lambda_cost", np.nan)),
                                "setting": point.label,
                                "part": part,
                                "alpha": alpha,
                                "threshold": least,
                                "n": int(mine.sum()),
                                "coverage": float(got.sum() / own.sum()),
                                "risk": float((1.0 - one.quality)[got].sum() / own.sum()),
                                "quality_accepted": float(one.quality[got].mean()) if got.any() else np.nan,
                            }
                        )

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the table by the stem of its file; nothing where no router has thresholds."""
        return {"acceptance": pd.DataFrame(self._rows)} if self._rows else {}


def decided_in_training(router: Router, training: Training) -> tuple[Floats, Floats]:
    """Return the confidence and the quality of what a router chooses on training rows, a learner before any feedback.

    Estimates there are out-of-fold.
    """
    every = np.arange(len(training))[:: -(-len(training) // MAX_ROWS)]
    requests, had = training.requests.take(every), training.outcomes.take(every)
    if isinstance(router, Learner):
        router = copy.copy(router)
        seeds = np.full(len(every), seed_for("acceptance"), dtype=np.uint64)
        router.start(len(every), len(requests.domains), seeds)
    choice = router.decide(requests)
    own = np.arange(len(every)), choice.model
    known = np.isfinite(had.known(had.quality)[own])
    return choice.beliefs.p[own][known], had.quality[own][known]
