"""What a learner believed about every model, called or not: before each decision, and after the last."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dacr.replay.protocols.effects import Effects
from dacr.types import Estimates, Floats, Ints

MOST_CELLS = 2**25
"""Runs x requests x models from which beliefs are not recorded: they would take 128 MiB, twice."""


@runtime_checkable
class Believer(Protocol):
    """A learner whose beliefs about a request do not depend on which request it was asked about last."""

    def believed(self, run: Ints, requests: Estimates) -> Floats:
        """Return the quality that ``run[i]`` expects now of every model on request i: (n, n_model)."""


class BeliefRecord:
    """Beliefs of some of the runs of a replay, rows in table order.

    Parameters
    ----------
    runs : slice
        The runs to record.
    shape : (n_run, n, n_model)

    Attributes
    ----------
    before : (n_run, n, n_model) float32
        Expected quality of every model before the decision about each request.
    """

    def __init__(self, runs: slice, shape: tuple[int, int, int]) -> None:
        self.runs = runs
        self.before = np.full(shape, np.nan, dtype=np.float32)
        self._every = np.arange(shape[0])

    def note(self, row: Ints, p: Floats) -> None:
        """Keep what all runs believe now: ``row`` (all runs,) is each one's request, ``p`` (all runs, n_model)."""
        self.before[self._every, row[self.runs]] = p[self.runs]

    def after(self, learner: Believer, requests: Estimates, effects: Effects | None) -> NDArray[np.float32]:
        """Return what each run believes after the last decision about every request: shaped as ``before``."""
        n = len(requests)
        known = requests if effects is None else effects.estimates(n - 1, requests)
        first = self.runs.start or 0
        out = np.empty_like(self.before)
        for k in self._every:
            out[k] = learner.believed(np.full(n, first + k), known)
        return out


def record_of(learner: object, runs: slice, shape: tuple[int, int, int]) -> BeliefRecord | None:
    """Return an empty record of (n_run, n, n_model), or None where there are no beliefs to keep or too many."""
    if not isinstance(learner, Believer) or shape[0] * shape[1] * shape[2] > MOST_CELLS:
        return None
    return BeliefRecord(runs, shape)
