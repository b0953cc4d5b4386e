"""What a metric has to keep: columns of decisions in, one number out, and nothing else changed."""

from typing import Any

import numpy as np

from dacr.contracts.rules import Rule, described, keep, require
from dacr.core.rng import generator
from dacr.metrics.metric import READABLE, SETTING, Metric

_TAKEN = (*SETTING, "seed", "domain", "family", "n_seed")


def decisions(n: int, shed: bool = False) -> dict[str, Any]:
    """Return columns of n decisions; with ``shed`` every third request is shed, so that it has no latency."""
    rng = generator("metric contract", n)
    run: dict[str, Any] = {name: rng.uniform(0.01, 0.99, n) for name in READABLE}
    run["attempts"] = rng.integers(1, 3, n)
    run["slo_violation"] = (rng.uniform(size=n) < 0.3).astype(np.float64)
    if shed:
        gone = np.arange(n) % 3 == 0
        run["attempts"][gone] = 0
        for name in ("quality", "cost"):
            run[name][gone] = 0.0
        for name in ("latency_s", "p_hat", "cost_hat", "p_late"):
            run[name][gone] = np.nan
    return run


def its_name_is_a_column_of_its_own(part: Metric) -> None:
    """No key of a table, and one word."""
    require(part.name not in _TAKEN and part.name.isidentifier(), f"{part.name!r} can't be a column of metrics.csv")


def it_gives_one_number(part: Metric) -> None:
    """The same every time; finite where every request was served and known."""
    for n in (1, 2, 50):
        value = _of(part, decisions(n))
        require(np.isfinite(value), f"of {n} ordinary decisions it is {value}")
        require(value == _of(part, decisions(n)), "of the same decisions it is another number")


def shed_requests_are_no_accident(part: Metric) -> None:
    """A shed request has attempts 0, quality 0, cost 0 and no latency: the result is a number or NaN, no error."""
    for n in (1, 50):
        with np.errstate(all="raise"):
            _of(part, decisions(n, shed=True))


def decisions_stay_as_they_are(part: Metric) -> None:
    """It writes into none of its columns."""
    run = decisions(20, shed=True)
    _of(part, run)
    for name, values in decisions(20, shed=True).items():
        np.testing.assert_array_equal(run[name], values, f"it changed the column {name}")


RULES: tuple[Rule, ...] = (
    described,
    its_name_is_a_column_of_its_own,
    it_gives_one_number,
    shed_requests_are_no_accident,
    decisions_stay_as_they_are,
)


def check_metric(part: Metric) -> None:
    """Hold a registered metric to its contract; an AssertionError names the rule that it breaks."""
    keep(part, RULES)


def _of(part: Metric, run: dict[str, Any]) -> float:
    value = part.function(*(run[name] for name in part.columns))
    require(
        np.ndim(value) == 0 and isinstance(value, (int, float, np.number)), f"it gives {value!r}, expected a number"
    )
    return float(value)
