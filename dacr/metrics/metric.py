"""The contract of a metric, and metrics of runs: a metric is a function from columns of decisions to one number."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.core.registry import metrics
from dacr.types import Ints

F = TypeVar("F", bound=Callable[..., Any])

SETTING = ("policy", "lambda_cost", "setting")
"""What names one frontier point of one router."""

READABLE = (
    "quality", "cost", "latency_s", "slo_violation", "attempts", "p_hat", "cost_hat", "p_late", "propensity"
)  # fmt: skip
"""Columns of decisions that a metric may read: those of ``decisions.parquet`` that are numbers."""

_FIRST = (
    "n", "mean_quality", "mean_cost", "mean_latency_s", "p50_latency_s", "p95_latency_s", "p99_latency_s",
    "latency_coverage", "slo_violation_rate", "mean_attempts", "shed_rate",
)  # fmt: skip
"""The columns that result tables begin with; further metrics follow by name."""


@dataclass
class Metric:
    """A registered metric.

    Attributes
    ----------
    function : callable
        Arrays of shape (n,) with n > 0, one for each of ``columns`` -> one number; NaN where it is not defined.
    columns : tuple of str
        What it reads, of :data:`READABLE`.
    abreast : bool
        The function also takes many runs of the same length, (n_run, n) -> (n_run,) numbers.
    """

    function: Callable[..., Any]
    columns: tuple[str, ...]
    abreast: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        function = getattr(self.function, "func", self.function)
        self.__doc__, self.__module__ = function.__doc__, function.__module__
        self.__qualname__ = function.__qualname__


def metric(name: str, *columns: str, abreast: bool = False) -> Callable[[F], F]:
    """Return a decorator that registers a function of these columns of decisions as the metric ``name``."""
    unknown = sorted(set(columns) - set(READABLE))
    if unknown or not columns:
        raise UserError(f"metric {name!r} reads {unknown or 'no column'}; decisions have {', '.join(READABLE)}")

    def decorate(function: F) -> F:
        metrics.register(name)(Metric(function, columns, abreast))
        return function

    return decorate


class Remembered:
    """A function of columns that several metrics of one run share: it keeps its last result while it is asked again."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._columns: tuple[Any, ...] = ()
        self._result: Any = None

    def __call__(self, *columns: Any) -> Any:
        """Return what the function gives for these very arrays."""
        if len(columns) != len(self._columns) or any(a is not b for a, b in zip(columns, self._columns, strict=True)):
            self._result, self._columns = self._function(*columns), columns
        return self._result


def registered() -> list[Metric]:
    """Return every metric, in the order of the columns of result tables."""
    rank = {name: k for k, name in enumerate(_FIRST)}
    return sorted((one for _, one in metrics.items()), key=lambda one: (rank.get(one.name, len(rank)), one.name))


def measure(runs: Mapping[str, Any], by: Sequence[Metric]) -> dict[str, Any]:
    """Return every metric of one group of decisions, given as columns: (n,), or (n_run, n) for one number per run."""
    return {one.name: _measured(one, [runs[name] for name in one.columns]) for one in by}


def measure_by_domain(
    runs: Mapping[str, Any], code: Ints, n_domain: int, names: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Return registered metrics of runs: of all decisions of each, and of those in each domain.

    Parameters
    ----------
    runs : mapping of (n_run, n) arrays
        Columns of decisions.
    code : (n_run, n) int
        Their domains, below ``n_domain``.

    Returns
    -------
    dict of (n_run, 1 + n_domain) arrays
        All decisions first; 0 for a domain of which a run has none.
    """
    by = [metrics.get(name) for name in names]
    count = np.stack([np.bincount(one, minlength=n_domain) for one in code])
    out = {}
    for name, values in measure(runs, by).items():
        out[name] = np.zeros((len(code), 1 + n_domain), dtype=values.dtype)
        out[name][:, 0] = values
    order = np.argsort(code, axis=1, kind="stable")
    grouped = {name: np.take_along_axis(values, order, 1) for name, values in runs.items()}
    # Runs of one stream have the same domains in other orders, and are measured abreast.
    alike = [slice(None)] if (count == count[0]).all() else [slice(r, r + 1) for r in range(len(code))]
    for some in alike:
        size = count[some][0]
        end = np.cumsum(size)
        for d in np.flatnonzero(size):
            own = slice(end[d] - size[d], end[d])
            whole = size[d] == code.shape[1]
            found = {} if whole else measure({name: values[some, own] for name, values in grouped.items()}, by)
            for name, values in out.items():
                values[some, 1 + d] = values[some, 0] if whole else found[name]
    return out


def _measured(one: Metric, columns: list[Any]) -> Any:
    if np.ndim(columns[0]) == 1:
        return one.function(*columns)
    found = one.function(*columns) if one.abreast else [one.function(*run) for run in zip(*columns, strict=True)]
    return np.broadcast_to(found, len(columns[0]))


def where_known(function: Callable[..., Any], known: Any, *columns: Any) -> Any:
    """Return what a function gives for the known values of columns, (n,) or (n_run, n): run by run where some are not.

    The function takes columns of either shape, and as few values as none.
    """
    if known.all():
        return function(*columns)
    if known.ndim == 1:
        return function(*(values[known] for values in columns))
    return np.stack([where_known(function, *run) for run in zip(known, *columns, strict=True)])


def over_seeds(per_seed: pd.DataFrame, by: Sequence[str] = SETTING) -> pd.DataFrame:
    """Average the metrics of runs over their stream orders, each order with the same weight.

    The tail quantiles are means of the orders' quantiles. NaN in one order is NaN in the mean. Adds ``n_seed``;
    ``n`` stays the requests of one order (their mean, should they differ).

    Examples
    --------
    >>> runs = pd.DataFrame({"policy": ["a", "b", "a"], "seed": [1, 1, 2], "mean_quality": [1.0, 0.5, 0.0]})
    >>> over_seeds(runs, ["policy"])
      policy  n_seed  mean_quality
    0      a       2           0.5
    1      b       1           0.5
    """
    names = [name for name in per_seed.columns if name not in (*by, "seed")]
    code = per_seed.groupby(list(by), sort=False, dropna=False, observed=True).ngroup().to_numpy()
    out = per_seed.loc[~pd.Series(code, index=per_seed.index).duplicated(), list(by)].reset_index(drop=True)
    order = np.argsort(code, kind="stable")
    n_seed = np.bincount(code, minlength=len(out))
    starts = np.cumsum(n_seed) - n_seed
    sums = np.add.reduceat(per_seed[names].to_numpy(dtype=np.float64)[order], starts, axis=0)
    out["n_seed"] = n_seed
    out[names] = sums / n_seed[:, None]
    if "n" in names and (out["n"] % 1 == 0).all():
        out["n"] = out["n"].astype(int)
    return out
