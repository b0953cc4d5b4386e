"""A win-rate threshold between a strong and a weak model, after RouteLLM (arXiv 2406.18665)."""

from __future__ import annotations

from typing import Any

import numpy as np

from dacr.predictors.folds import out_of_fold
from dacr.predictors.logistic import LogisticPredictor
from dacr.registry import routers
from dacr.routers.base import Router, Sweep
from dacr.types import Estimates, Floats, Training


@routers.register("routellm")
class RouteLlmRouter(Router):
    """Call the strong model where its predicted win rate passes a threshold, else the weak one.

    The strong model is the best in training, the weak one the cheapest. The win rate is learnt from
    (1 + q_strong - q_weak) / 2, so a tie counts one half; the threshold is the quantile of out-of-fold
    win rates that sends the share ``strong_share`` of training questions to the strong model.
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
        """Under a budget the median win rate is the threshold, and the price of money moves it."""
        return {"strong_share": 0.5}

    def fit(self, train: Training) -> RouteLlmRouter:
        """Choose the pair and learn the win rate."""
        quality = train.outcomes.quality
        self.strong_ = int(quality.mean(axis=0).argmax())
        self.weak_ = int(train.outcomes.cost_usd.mean(axis=0).argmin())
        wins = ((1 + quality[:, self.strong_] - quality[:, self.weak_]) / 2)[:, None]
        fold = (train.requests.key % np.uint64(5)).astype(np.int64)
        held_out = out_of_fold(LogisticPredictor, train.requests.features, wins, fold, n_jobs=2)[:, 0]
        self.sorted_win_rates_: Floats = np.sort(held_out)
        self.win_rate_ = LogisticPredictor().fit(train.requests.features, wins)
        return self

    def scores(self, requests: Estimates) -> Floats:
        """Return win rate less threshold for the strong model, 0 for the weak one, -1 for the rest."""
        win = self.win_rate_.predict(requests.features)[:, 0]
        scores = np.full((len(requests), len(requests.models)), -1.0)
        scores[:, self.weak_] = 0.0
        if self.strong_ != self.weak_:
            scores[:, self.strong_] = self._above_threshold(win)
        return scores

    def _above_threshold(self, win: Floats) -> Floats:
        share = float(np.ravel(self.strong_share)[0])  # the same in all runs played abreast
        if share <= 0:
            return np.full(len(win), -0.5)
        if share >= 1:
            return np.full(len(win), 0.5)
        above: Floats = win - np.quantile(self.sorted_win_rates_, 1 - share)
        return above
