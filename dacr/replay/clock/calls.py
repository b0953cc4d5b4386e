"""The calls of one step: what they give, what was believed of them, and when news of them comes."""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from dacr.core.compiled import kernel
from dacr.replay.clock.calendar import put_down
from dacr.replay.feedback import p_missing
from dacr.replay.protocols.effects import missing_besides
from dacr.types import SHED, Floats, Ints


@dataclass(frozen=True)
class Seen:
    """What happened so far: every array is (n, n_run), by position; see :class:`~dacr.types.Played`."""

    model: Ints
    attempts: Ints
    quality: Floats
    cost_usd: Floats
    latency_s: Floats
    late: Floats
    propensity: Floats
    p_hat: Floats
    cost_hat: Floats
    p_late: Floats

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> Self:
        """Return room for what will happen."""
        whole = {"model", "attempts"}
        kinds: Any = {field.name: np.int64 if field.name in whole else np.float64 for field in fields(cls)}
        return cls(**{name: np.zeros(shape, dtype=kind) for name, kind in kinds.items()})

    @property
    def arrays(self) -> tuple[Any, ...]:
        """All of them, as kernels take them."""
        return tuple(self.__dict__.values())

    def by_name(self) -> dict[str, Any]:
        """Return what is kept of it when all is over."""
        return {name: values for name, values in self.__dict__.items() if name != "late"}


@kernel
def make_calls(
    t: int,
    model: Ints,
    propensity: Floats,
    row: Ints,
    quality: Floats,
    cost_usd: Floats,
    latency_s: Floats,
    late: Any,
    p: Floats,
    cost_hat: Floats,
    p_late: Floats,
    rating_draw: Floats,
    arrival_s: Floats,
    rule: Any,
    besides: Any,
    seen: Any,
    ended: Any,
    rated: Any,
) -> None:
    """Make the calls of position ``t``, one per run, and put down when their end and their rating will be told.

    Parameters
    ----------
    model, propensity : (n_run,)
        Where none can be called (``SHED``), nothing comes, at once and for nothing, and no news follows.
    row : (n_run,) int
        Rows of ``quality``, ``cost_usd``, ``latency_s`` and ``late``, each (n_row, n_model): what models give.
    p, cost_hat, p_late : (n_run, n_model) float
        What was believed.
    rating_draw : (n_run,) float
        A call is rated where this is at least the probability that its rating goes missing.
    arrival_s : (n,) float
        Of all positions.
    rule : tuple
        How ratings come (:attr:`~dacr.replay.feedback.FeedbackPlan.rule`).
    besides : tuple
        What a protocol adds at this position: further decisions of delay, and probability that a rating is lost.
    seen, ended, rated : tuples of arrays
        Of :class:`Seen`, and of the calendars of ends and of ratings.
    """
    delay, delay_s, p_miss, depends_on = rule
    further, lost = besides
    o_model, o_attempts, o_quality, o_cost, o_latency, o_late, o_chance, o_p, o_cost_hat, o_p_late = seen
    n_run = len(model)
    for r in range(n_run):
        m, i = model[r], row[r]
        o_model[t, r], o_chance[t, r] = m, propensity[r]
        if m == SHED:
            o_p[t, r] = o_cost_hat[t, r] = o_p_late[t, r] = np.nan
            continue
        i, m = np.uint64(i), np.uint64(m)  # a kernel asks of signed places whether they are negative
        o_attempts[t, r] = 1
        o_quality[t, r], o_cost[t, r] = quality[i, m], cost_usd[i, m]
        o_latency[t, r], o_late[t, r] = latency_s[i, m], late[i, m]
        o_p[t, r], o_cost_hat[t, r], o_p_late[t, r] = p[r, m], cost_hat[r, m], p_late[r, m]
        end = arrival_s[t] + latency_s[i, m]
        put_down(ended, first_from(arrival_s, end, t + 1), t * n_run + r)
        due = t + 1 + delay + further
        if np.isfinite(delay_s):
            due = first_from(arrival_s, end + delay_s, due)
        if rating_draw[r] >= missing_besides(p_missing(quality[i, m], p_miss, depends_on), lost):
            put_down(rated, due, t * n_run + r)


@kernel
def first_from(moments: Floats, moment: float, start: int) -> int:
    """Return the first place from ``start`` on at which ascending moments reach one; their number where none does."""
    # Most calls end soon: steps that double first, then halves.
    n, step = len(moments), 1
    low = start
    while low + step <= n and moments[np.uint64(low + step - 1)] < moment:
        low, step = low + step, 2 * step
    high = min(low + step - 1, n)
    while low < high:
        middle = (low + high) // 2
        if moments[np.uint64(middle)] < moment:
            low = middle + 1
        else:
            high = middle
    return low
