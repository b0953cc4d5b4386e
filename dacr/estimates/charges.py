"""What calls will cost and whether they will be late, of every model on training and test rows."""

import numpy as np

from dacr.estimates.predictors.cost import CostPredictor
from dacr.estimates.predictors.folds import recorded_together
from dacr.estimates.predictors.lateness import LatenessPredictor
from dacr.types import Bools, Floats, Ints


def charges(
    seen: Floats,
    asked: Floats,
    cost_usd: Floats,
    latency_s: Floats,
    tau_s: float,
    fold: Ints,
    recorded: Bools | None = None,
) -> dict[str, Floats]:
    """Return mean and upper cost in USD, and P(late): ``cost_train``, ``cost_test``, ``upper_train`` ..., (n, n_model).

    Those of training rows are out-of-fold; where a model was not recorded its predictors never saw the row.

    Parameters
    ----------
    seen, asked : (n_train, k), (n_test, k) float
        What predictors read of training and of test rows.
    cost_usd, latency_s : (n_train, n_model) float
    fold : (n_train,) int
    recorded : (n_train, n_model) bool, optional
        Where there is an outcome; by default everywhere.
    """
    made = {
        f"{what}_{part}": np.empty((len(rows), cost_usd.shape[1]))
        for what in ("cost", "upper", "late")
        for part, rows in (("train", seen), ("test", asked))
    }
    for own, known in recorded_together(recorded):
        cost = CostPredictor().fit(seen[known], cost_usd[:, own][known], fold[known])
        late = LatenessPredictor().fit(seen[known], latency_s[:, own][known], tau_s, fold[known])
        made["cost_test"][:, own], made["upper_test"][:, own] = cost.predict(asked)
        made["late_test"][:, own] = late.predict(asked)
        mean, chance = np.empty((2, len(seen), cost.smearing_.size))
        if not isinstance(known, slice):
            mean[:], chance[:] = cost.predict(seen)[0], late.predict(seen)
        mean[known], chance[known] = cost.out_of_fold_, late.out_of_fold_
        made["cost_train"][:, own], made["late_train"][:, own] = mean, chance
        free = cost.smearing_ == 0  # no ratio tells how far a cost of 0 can be exceeded
        ratio = np.maximum(cost.upper_ratio_, cost.smearing_) / np.where(free, 1.0, cost.smearing_)
        made["upper_train"][:, own] = mean * ratio
    return made
