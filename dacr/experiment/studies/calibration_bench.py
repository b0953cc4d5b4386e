"""Hold-outs: each large family of domains tested in turn by estimators that were trained on the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dacr.core.cache import Cache
from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.core.registry import calibrators
from dacr.data.splits import shuffled
from dacr.data.table import RoutingTable
from dacr.estimates.estimator import Estimator
from dacr.experiment.settings import ExperimentSettings
from dacr.replay.setup import estimator_of
from dacr.replay.testbed import assemble
from dacr.types import Floats, Runs

IN_DISTRIBUTION = "in distribution"


@dataclass(frozen=True)
class Holdout:
    """One split, its estimators, and the stream orders in which its test part is played.

    Attributes
    ----------
    name : str
        The family or the prefix of the held-out domains, or :data:`IN_DISTRIBUTION`.
    quality : (n, n_model) float in [0, 1]
        Of the test rows.
    domain : (n,) object
    runs : Runs
        One stream order per seed.
    """

    name: str
    estimator: Estimator
    predictor: str
    quality: Floats
    domain: np.ndarray
    runs: Runs
    tau_s: float

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models."""
        return self.estimator.table.model

    def p(self, calibrator: str) -> Floats:
        """Return a calibrator's predictions on the test rows: (n, n_model)."""
        out: Floats = self.estimator.calibrated[self.predictor, calibrator, "test"]
        return out


def chosen_calibrators(names: Sequence[str], say: Callable[[str], None]) -> list[str]:
    """Return the calibrators asked for; of ``all``, those that can be used here (the others say why not)."""
    if list(names) != ["all"]:
        for name in names:
            reason = calibrators.get(name).unavailable()
            if reason:
                raise UserError(reason)
        return list(dict.fromkeys(["identity", "base_rate", *names]))
    for _, part in calibrators.items():
        if part.unavailable():
            say(f"left out: {part.unavailable()}")
    return [name for name, part in calibrators.items() if not part.unavailable()]


def holdout(
    table: RoutingTable,
    data: Path,
    name: str,
    prefixes: Sequence[str],
    predictor: str,
    seeds: Sequence[int],
    cache: Cache,
    n_jobs: int,
) -> Holdout:
    """Split, and prepare the estimators; nothing is fitted until it is asked for.

    Parameters
    ----------
    prefixes : sequence of str
        What is held out, as in ``--ood_holdout``; empty in distribution.
    """
    settings = ExperimentSettings(data=data, ood_holdout=StrList(prefixes), predictor=predictor, n_jobs=n_jobs)
    bed = assemble(settings, table)
    estimator = estimator_of(settings, bed, cache)
    every = np.arange(len(bed.test))
    ids = list(bed.table.qid[bed.test])
    order = np.stack([shuffled(ids, every, seed) for seed in seeds])
    runs = Runs(order, bed.arrival_s, tuple(seeds))
    quality = bed.table.quality[bed.test]
    return Holdout(name, estimator, predictor, quality, bed.table.domain[bed.test], runs, settings.tau_seconds)
