"""What learners believed against what came of it: their rows of ``calibration_ece.csv`` and ``reliability.csv``.

Three stages. ``online``: the beliefs about the models that were called, before each call; this is what decisions
were made on. ``online_counterfactual``: the beliefs about every model before each decision, against every model's
outcome, which bandit feedback can reach in part only. ``online_end``: the beliefs after the whole stream, about all
pairs. The last two are kept of learners with a posterior (:class:`dacr.replay.beliefs.Believer`), at the middle
point of their frontier.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from dacr.experiment.calibration.tables import binned, measured
from dacr.metrics.calibration.bins import ALL, Groups
from dacr.metrics.calibration.grouped import grouped_calibration
from dacr.replay.world import World
from dacr.types import Floats, Played


@dataclass
class OnlineCalibration:
    """Collects, learner by learner, how beliefs came true.

    Parameters
    ----------
    domain : (n,) object
        Of the test rows.
    model : tuple of str
        Names of the models, where beliefs about every model are recorded.
    """

    domain: np.ndarray
    model: tuple[str, ...] = ()
    tables: list[pd.DataFrame] = field(default_factory=list)
    bins: list[pd.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._groups = Groups.of(self.domain)

    def add(self, router: str, setting: str, played: Played, world: World) -> None:
        """Keep the calibration of one learner at one point, all runs."""
        p, q = _by_row(played.p_hat, played), _by_row(played.quality, played)
        found = grouped_calibration(p, q, self._groups, learner=True)
        # With one column per query, pooling the models changes nothing.
        about = {"calibrator": router, "stage": "online", "setting": setting}
        self._keep({name: values[:, 1:] for name, values in found.items()}, (ALL,), about)
        if played.p_before is None or played.p_after is None:
            return
        self._keep_bins(p, q, about)
        n_arm = played.p_before.shape[2]
        world = world.for_arms(n_arm)
        had, effects = world.truth, world.effects
        last = had if effects is None else effects.outcomes(len(had) - 1, had)
        stages = (
            ("online_counterfactual", played.p_before, _outcomes(played, world)),
            ("online_end", played.p_after, had.known(last.quality)),
        )
        for stage, beliefs, truth in stages:
            all_pairs, about = beliefs.astype(np.float64), about | {"stage": stage}
            found = grouped_calibration(all_pairs, truth, self._groups, learner=True)
            self._keep(found, (*self.model[:n_arm], ALL), about)
            self._keep_bins(all_pairs, truth, about)

    def _keep(self, found: dict[str, Floats], models: tuple[str, ...], about: dict[str, str]) -> None:
        table = measured(found, self._groups, models, **about)
        self.tables.append(table[table["n"] > 0])

    def _keep_bins(self, p: Floats, q: Floats, about: dict[str, str]) -> None:
        which = [0, *self._groups.families]
        self.bins.append(binned(p, q, self._groups, which, model=ALL, **about))

    def joined_to(self, calibration: pd.DataFrame, reliability: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Return both tables of calibration: those of offline predictions, and the learners' rows below."""
        return {"calibration_ece": joined(calibration, self.tables), "reliability": joined(reliability, self.bins)}


def joined(offline: pd.DataFrame, online: list[pd.DataFrame]) -> pd.DataFrame:
    """Append tables of learners to a table of offline calibration, in its columns."""
    keys = ["model", "calibrator", "domain", "stage", "setting"]
    columns = [*keys, *(name for name in offline.columns if name not in keys)]
    parts = [offline.assign(setting=""), *online]
    return pd.concat([part.reindex(columns=columns) for part in parts], ignore_index=True)


def _by_row(values: Floats, played: Played) -> Floats:
    """Turn values by position of the stream into values by row of the table: (n_run, n, 1)."""
    out = np.empty_like(values)
    # Predictions of routers that add a bias may leave [0, 1] by rounding.
    np.put_along_axis(out, played.row, np.clip(values, 0.0, 1.0), axis=1)
    return out[:, :, None]


def _outcomes(played: Played, world: World) -> Floats:
    """Return the quality that every model would have had when each request came: (n, n_model), or one per run."""
    if world.effects is None:
        return world.truth.known(world.truth.quality)
    return np.stack([world.truth.known(world.effects.over(order, world.truth).quality) for order in played.row])
