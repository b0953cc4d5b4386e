"""What routers choose on training rows, before any feedback: what thresholds of their confidence are set on."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import joblib
import numpy as np

from dacr.core.cache import Arrays, Cache
from dacr.core.rng import seed_for
from dacr.routers.base import Learner, Router
from dacr.types import Estimates, Floats, Training

MAX_ROWS = 2000
"""Training rows that are looked at, evenly spread: 1 / (n + 1) is little beside any level of a threshold."""


def decided_in_training(routers: Sequence[Router], training: Training, cache: Cache) -> tuple[Floats, Floats]:
    """Return the confidence and the quality of what each of some routers of one class chooses on training rows.

    Estimates there are out-of-fold.

    Returns
    -------
    (n_router, n) each; quality is NaN where none was recorded.
    """
    every = np.arange(len(training))[:: -(-len(training) // MAX_ROWS)]
    requests, had = training.requests.take(every), training.outcomes.take(every)
    quality, rows = had.known(had.quality), np.arange(len(every))

    def compute() -> Arrays:
        chosen = [_chosen(router, requests) for router in routers]
        return {"p": np.stack([p for _, p in chosen]), "quality": np.stack([quality[rows, m] for m, _ in chosen])}

    content = joblib.hash((list(routers), requests, quality), hash_name="sha1")
    found = cache.get("in-training", {"content": content}, compute, made_by=tuple({type(one) for one in routers}))
    return found["p"], found["quality"]


def _chosen(router: Router, requests: Estimates) -> tuple[np.ndarray, Floats]:
    """Return the arm that a router chooses for each request, and what it believes of it; a learner in runs of one."""
    n = len(requests)
    if isinstance(router, Learner):
        router = copy.copy(router)
        router.start(n, len(requests.domains), np.full(n, seed_for("acceptance"), dtype=np.uint64))
    choice = router.decide(requests)
    return choice.model, choice.beliefs.p[np.arange(n), choice.model]
