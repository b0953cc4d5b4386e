"""What learners believed against what came of it: their rows of ``calibration_ece.csv`` and ``reliability.csv``.

Three stages. ``online``: the beliefs about the models that were called, before each call; this is what decisions
were made on. ``online_counterfactual``: the beliefs about every model before each decision, against every model's
outcome, which bandit feedback can reach in part only. ``online_end``: the beliefs after the whole stream, about all
pairs. The last two are kept of learners with a posterior (:class:`dacr.replay.beliefs.Believer`), at the middle
point of their frontier.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dacr.core.cache import Cache
from dacr.experiment.calibration.tables import bin_rows, measure_rows
from dacr.metrics.calibration.bins import ALL, Groups
from dacr.metrics.calibration.reported import BINS, MEASURES, of_learner, part_of
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
        pairs: dict[tuple[str, str], tuple[Floats, Floats]] = {}
        for setting, played in points.items():
            pairs[setting, ONLINE] = _by_row(played.p_hat, played), _by_row(played.quality, played)
            pairs |= {(setting, stage): pair for stage, pair in _about_all_models(played, world).items()}
        whole = {setting for setting, stage in pairs if stage != ONLINE}
        binned = [setting in whole for setting, _ in pairs]
        found = self.cache.call(of_learner, list(pairs.values()), binned, self._groups)
        for k, (setting, stage) in enumerate(pairs):
            about = {"calibrator": router, "stage": stage, "setting": setting}
            measures = part_of(found, f"{k} {MEASURES}")
            models = (*self.model[: measures["n"].shape[1] - 1], ALL)
            if stage == ONLINE:  # with one column per query, pooling the models changes nothing
                measures, models = {name: values[:, 1:] for name, values in measures.items()}, (ALL,)
            table = measure_rows(measures, self._groups, models, **about)
            self.tables.append(table[table["n"] > 0])
            if binned[k]:
                self.bins.append(bin_rows(part_of(found, f"{k} {BINS}"), self._groups, model=ALL, **about))

    def joined_to(self, calibration: pd.DataFrame, reliability: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Return both tables of calibration: those of offline predictions, and the learners' rows below."""
        return {"calibration_ece": joined(calibration, self.tables), "reliability": joined(reliability, self.bins)}


def joined(offline: pd.DataFrame, online: list[pd.DataFrame]) -> pd.DataFrame:
    """Append tables of learners to a table of offline calibration, in its columns."""
    keys = ["model", "calibrator", "domain", "stage", "setting"]
    columns = [*keys, *(name for name in offline.columns if name not in keys)]
    return pd.concat([offline.assign(setting=""), *online], ignore_index=True).reindex(columns=columns)


def _by_row(values: Floats, played: Played) -> Floats:
    """Turn values by position of the stream into values by row of the table: (n_run, n, 1)."""
    out = np.empty_like(values)
    # Predictions of routers that add a bias may leave [0, 1] by rounding.
    np.put_along_axis(out, played.row, np.clip(values, 0.0, 1.0), axis=1)
    return out[:, :, None]


def _about_all_models(played: Played, world: World) -> dict[str, tuple[Floats, Floats]]:
    """Return beliefs about every model and what came of them, by stage; nothing where they were not recorded."""
    if played.p_before is None or played.p_after is None:
        return {}
    world = world.for_arms(played.p_before.shape[2])
    had, effects = world.truth, world.effects
    last = had if effects is None else effects.outcomes(len(had) - 1, had)
    return {
        "online_counterfactual": (played.p_before.astype(np.float64), _outcomes(played, world)),
        "online_end": (played.p_after.astype(np.float64), had.known(last.quality)),
    }


def _outcomes(played: Played, world: World) -> Floats:
    """Return the quality that every model would have had when each request came: (n, n_model), or one per run."""
    if world.effects is None:
        return world.truth.known(world.truth.quality)
    return np.stack([world.truth.known(world.effects.over(order, world.truth).quality) for order in played.row])
