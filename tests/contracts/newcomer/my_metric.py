"""A further column of metrics.csv."""

import numpy as np

from dacr.metrics.metric import metric


@metric("newcomer_metric", "quality", "cost")
def quality_per_usd(quality, cost):
    """Quality that a dollar bought; NaN where nothing was spent."""
    spent = float(np.sum(cost))
    return float(np.sum(quality)) / spent if spent > 0 else float("nan")
