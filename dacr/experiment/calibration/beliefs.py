"""What learners believed against what came of it: their rows of ``calibration_ece.csv`` and ``reliability.csv``.

Three stages. ``online``: the beliefs about the models that were called, before each call; this is what decisions
were made on. ``online_counterfactual``: the beliefs about every model before each decision, against every model's
outcome, which bandit feedback can reach in part only. ``online_end``: the beliefs after the whole stream, about all
pairs. The last two are kept of learners with a posterior (:class:`dacr.replay.beliefs.Believer`), at the middle
point of their frontier.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.cache import Cache
from dacr.experiment.calibration.tables import bin_rows, measure_rows
from dacr.metrics.calibration.bins import ALL, Groups
from dacr.metrics.calibration.reported import BINS, MEASURES, by_row, of_calls, of_learner, part_of
from dacr.replay.world import World
from dacr.types import Floats, Played

ONLINE = "online"


@dataclass
class OnlineCalibration:
    """Collects, learner by learner, how beliefs came true.

    Parameters
    ----------
    domain : (n,) object
        Of the test rows.
    model : tuple of str
        Names of the models, where beliefs about every model are recorded.
    cache : Cache
        Where what is measured is kept.
    """

    domain: np.ndarray
    model: tuple[str, ...] = ()
    cache: Cache = field(default_factory=lambda: Cache(None))
    tables: list[pd.DataFrame] = field(default_factory=list)
    bins: list[pd.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._groups = Groups.of(self.domain)

    def add(self, router: str, points: Mapping[str, Played], world: World) -> None:
        """Keep the calibration of one learner, all runs, at points by the names of their settings."""
        calls = [(one.row, one.p_hat, one.quality) for one in points.values()]
        found = self.cache.call(of_calls, calls, self._groups)
        for k, (setting, played) in enumerate(points.items()):
            about = {"calibrator": router, "stage": ONLINE, "setting": setting}
            self._keep({name: values[:, [k]] for name, values in found.items()}, (ALL,), about)
            if played.p_before is not None and played.p_after is not None:
                self._keep_whole(played.p_before, played.p_after, played, world, about)

    def _keep_whole(
        self, before: NDArray[Any], after: NDArray[Any], played: Played, world: World, about: dict[str, str]
    ) -> None:
        """Keep that of beliefs about every model, (n_run, n, n_model) before each decision and after all, and bins."""
        n_arm = before.shape[2]
        world = world.for_arms(n_arm)
        had, effects = world.truth, world.effects
        last = had if effects is None else effects.outcomes(len(had) - 1, had)
        stages = {
            ONLINE: (by_row(played.row, played.p_hat), by_row(played.row, played.quality)),
            "online_counterfactual": (before.astype(np.float64), _outcomes(played, world)),
            "online_end": (after.astype(np.float64), had.known(last.quality)),
        }
        found = self.cache.call(of_learner, list(stages.values()), self._groups)
        for k, stage in enumerate(stages):
            about = about | {"stage": stage}
            if stage != ONLINE:
                self._keep(part_of(found, f"{k} {MEASURES}"), (*self.model[:n_arm], ALL), about)
            self.bins.append(bin_rows(part_of(found, f"{k} {BINS}"), self._groups, model=ALL, **about))

    def _keep(self, found: dict[str, Floats], models: tuple[str, ...], about: dict[str, str]) -> None:
        table = measure_rows(found, self._groups, models, **about)
        self.tables.append(table[table["n"] > 0])

    def joined_to(self, calibration: pd.DataFrame, reliability: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Return both tables of calibration: those of offline predictions, and the learners' rows below."""
        return {"calibration_ece": joined(calibration, self.tables), "reliability": joined(reliability, self.bins)}


def joined(offline: pd.DataFrame, online: list[pd.DataFrame]) -> pd.DataFrame:
    """Append tables of learners to a table of offline calibration, in its columns."""
    keys = ["model", "calibrator", "domain", "stage", "setting"]
    columns = [*keys, *(name for name in offline.columns if name not in keys)]
    return pd.concat([offline.assign(setting=""), *online], ignore_index=True).reindex(columns=columns)


def _outcomes(played: Played, world: World) -> Floats:
    """Return the quality that every model would have had when each request came: (n, n_model), or one per run."""
    if world.effects is None:
        return world.truth.known(world.truth.quality)
    return np.stack([world.truth.known(world.effects.over(order, world.truth).quality) for order in played.row])
