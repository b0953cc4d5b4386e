"""A win-rate threshold between a strong and a weak model, after RouteLLM (arXiv 2406.18665)."""

from typing import Any, Self

import numpy as np

from dacr.core.registry import routers
from dacr.estimates.predictors.folds import out_of_fold
from dacr.estimates.predictors.logistic import LogisticPredictor
from dacr.routers.base import Router, Sweep
from dacr.types import Estimates, Floats, Training

_NEVER = -4.0
"""Score of models that are neither strong nor weak: below any score of the two."""


@routers.register("routellm")
class RouteLlmRouter(Router):
    """Call the strong model where its predicted win rate passes a threshold, else the weak one.

    The strong model is the best in training, the weak one the cheapest. The win rate w is learnt from
    (1 + q_strong - q_weak) / 2, so a tie counts one half; the threshold is the quantile of out-of-fold
    win rates that sends the share ``strong_share`` of training questions to the strong model.

    Parameters
    ----------
    strong_share : float in [0, 1], or NaN
        NaN leaves the share free: the threshold is one half, and 2 (w - 1/2) = E(q_strong - q_weak) is what the strong
        model gains, in units of quality. A price x of a dollar moves the threshold to 1/2 + x (c_strong - c_weak) / 2,
        so that an enforced budget finds the share, up to every request that gains anything.
    """

    stackable = ("strong_share",)

    def __init__(self, *, strong_share: float = 0.5) -> None:
        self.strong_share = strong_share

    @classmethod
    def settings(cls, sweep: Sweep) -> list[dict[str, Any]]:
        """Return eleven shares of strong calls, from none to all."""
        return [{"strong_share": value} for value in sweep.thresholds]

    @classmethod
    def budget_setting(cls, sweep: Sweep) -> dict[str, Any] | None:
        """Under a budget the share is free: a share of its own would cap what money can buy."""
        return {"strong_share": np.nan}

    def fit(self, train: Training) -> Self:
        """Choose the pair and learn the win rate."""
        quality = train.outcomes.quality
        self.strong_ = int(quality.mean(axis=0).argmax())
        self.weak_ = int(train.outcomes.cost_usd.mean(axis=0).argmin())
        wins = ((1 + quality[:, self.strong_] - quality[:, self.weak_]) / 2)[:, None]
        fold = (train.requests.key % np.uint64(5)).astype(np.int64)
        held_out = out_of_fold(LogisticPredictor, train.requests.features, wins, fold)[:, 0]
        self.sorted_win_rates_: Floats = np.sort(held_out)
        self.win_rate_ = LogisticPredictor().fit(train.requests.features, wins)
        return self

    def scores(self, requests: Estimates) -> Floats:
        """Return 2 (win rate - threshold) for the strong model, 0 for the weak one, less than both for the rest."""
        scores = np.full((len(requests), len(requests.models)), _NEVER)
        scores[:, self.weak_] = 0.0
        if self.strong_ != self.weak_:
            win = self.win_rate_.predict(requests.features)[:, 0]
            scores[:, self.strong_] = 2.0 * (win - self._threshold())
        return scores

    def _threshold(self) -> Floats:
        """Return the win rate from which the strong model is called: (1,), or (n_run,) for runs played abreast."""
        share = np.atleast_1d(np.asarray(self.strong_share, dtype=float)).ravel()
        is_free = np.isnan(share)
        known = self.sorted_win_rates_
        place = (1.0 - np.where(is_free, 0.5, np.clip(share, 0.0, 1.0))) * (len(known) - 1)
        low = np.floor(place).astype(np.int64)
        above = known[np.minimum(low + 1, len(known) - 1)] - known[low]
        quantile = known[low] + (place - low) * above
        # None and all are meant literally, also of requests unlike any in training.
        literal = np.where(share <= 0, 1.5, np.where(share >= 1, -0.5, quantile))
        return np.where(is_free, 0.5, literal)
