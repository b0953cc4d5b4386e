"""Which answers to accept: thresholds of a router's own confidence, set on training, and what came of them.

An answer that is not accepted is withheld, or handed to somebody else. The level is kept in expectation on requests
like those of training; on domains that training did not have nothing keeps it, so what was realised there stands in a
row of its own.
"""

from typing import Any

import numpy as np
import pandas as pd

from dacr.metrics.selective import accept_threshold
from dacr.replay.entry import Entry
from dacr.replay.kept import decided_in_training
from dacr.replay.play import parts_of
from dacr.replay.setup import Setup
from dacr.routers.base import Cascade, Reference, Router
from dacr.routers.texts import TextReader
from dacr.types import Played

ALPHAS = 0.05, 0.1, 0.2
"""Levels: wrong answers that are accepted, per request."""


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
        free = [(point, one) for point, one in zip(entry.points, played, strict=True) if not point.enforced]
        if not free:
            return
        decided = decided_in_training([point.router for point, _ in free], training, setup.estimator.cache)
        for (point, one), confidence, quality in zip(free, *decided, strict=True):
            known = np.isfinite(quality)
            parts = {part: mine[one.row] for part, mine in self._parts.items() if mine.any()}
            for alpha in ALPHAS:
                least = accept_threshold(confidence[known], quality[known], alpha)
                accepted = one.p_hat >= least  # not where no call was made
                for part, own in parts.items():
                    got = own & accepted
                    if own.any():
                        self._rows.append(
                            {
                                "policy": entry.name,
                                "lambda_cost": float(point.router.params.get("lambda_cost", np.nan)),
                                "setting": point.label,
                                "part": part,
                                "alpha": alpha,
                                "threshold": least,
                                "n": int(self._parts[part].sum()),
                                "coverage": float(got.sum() / own.sum()),
                                "risk": float((1.0 - one.quality)[got].sum() / own.sum()),
                                "quality_accepted": float(one.quality[got].mean()) if got.any() else np.nan,
                            }
                        )

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the table by the stem of its file; nothing where no router has thresholds."""
        return {"acceptance": pd.DataFrame(self._rows)} if self._rows else {}
