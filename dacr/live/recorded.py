"""A recorded benchmark as rules and chain meet it: with the estimates that their users would have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dacr.core.rng import keys_of
from dacr.data.table import RoutingTable
from dacr.replay.static import play_static
from dacr.routers.base import Router
from dacr.routers.rules.engine import RulePolicy
from dacr.routers.texts import TextReader, hand_over
from dacr.types import Estimates, Floats, Ints, Outcomes, Played, Runs, Training
from dacr.workload.latency_log import read_latency_log


@dataclass(frozen=True)
class Recorded:
    """A split of a table. Nobody predicts anything here: a call costs its tokens at the model's mean price.

    Attributes
    ----------
    test : (n,) int
        Rows of the table that are played.
    training : Training
        What routers are fitted on.
    requests : Estimates of n
    truth : Outcomes of n
        A latency that is not recorded is NaN, and never late.
    """

    table: RoutingTable
    test: Ints
    training: Training
    requests: Estimates
    truth: Outcomes

    @classmethod
    def of(cls, table: RoutingTable, train: Ints, test: Ints) -> Recorded:
        """Return the world of a split.

        A prompt has characters / 4 tokens and an answer as many as the rules expect; a model's price per token is its
        mean training cost over the mean tokens of a call.
        """
        price = table.cost_usd[train].mean(axis=0) / _tokens(table.prompt[train]).mean()
        quality = table.quality[train].mean(axis=0)
        known, asked = (_estimates(table, rows, price, quality) for rows in (train, test))
        training = Training(known, _outcomes(table, train), np.inf)
        return cls(table, test, training, asked, _outcomes(table, test))

    def play(self, router: Router) -> Played:
        """Fit a router, hand it the texts if it reads any, and play it: one run, in the order of ``test``."""
        router.fit(self.training)
        if isinstance(router, TextReader):
            hand_over(router, self.requests.key, self.table.domain[self.test], self.table, self.test)
        runs = Runs(np.arange(len(self.test))[None], self.requests.arrival_s, (1,))
        return play_static(router, self.requests, self.truth, runs)


def with_log(table: RoutingTable, path: Path) -> RoutingTable:
    """Return the table with the latencies of a log, NaN where the log has no such query."""
    log = read_latency_log(path, table.model, "impute")
    place = pd.Index(log.qid.astype(str)).get_indexer(table.qid.astype(str))
    return table.with_latency(np.where((place >= 0)[:, None], log.latency_s[place], np.nan))


def _estimates(table: RoutingTable, rows: Ints, price_usd: Floats, quality: Floats) -> Estimates:
    domains, code = np.unique(table.domain[rows].astype(str), return_inverse=True)
    cost = _tokens(table.prompt[rows])[:, None] * price_usd
    expected = np.tile(quality, (len(rows), 1))
    return Estimates(
        key=keys_of(table.qid[rows]),
        features=np.zeros((len(rows), 0), dtype=np.float32),
        domain=code.astype(np.int64),
        p_raw=expected,
        p=expected,
        cost_hat=cost,
        cost_upper=cost,
        p_late=np.zeros_like(cost),
        arrival_s=np.zeros(len(rows)),
        models=table.model,
        domains=tuple(str(name) for name in domains),
    )


def _outcomes(table: RoutingTable, rows: Ints) -> Outcomes:
    latency = table.latency_s[rows]
    return Outcomes(table.quality[rows], table.cost_usd[rows], latency, np.zeros(latency.shape, dtype=bool))


def _tokens(prompts: Iterable[str]) -> Floats:
    return np.array([-(-len(text) // 4) + RulePolicy.expected_output_tokens for text in prompts], dtype=float)
