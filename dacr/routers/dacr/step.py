"""One step of DACR for all runs: believe, choose, learn. Each is one kernel, so that a step is a few calls."""

from typing import Any

import numpy as np

from dacr.core.compiled import kernel
from dacr.core.rng import draw_of
from dacr.routers.dacr.centres import calibrate, calibrate_called, move_centres
from dacr.routers.dacr.knowledge_gradient import worth_of_trying
from dacr.routers.dacr.posterior import add_sites, squash_shifted
from dacr.routers.dacr.probes import add_worth_of_probes, rate
from dacr.routers.dacr.spending import correct_costs, take_bill
from dacr.routers.dacr.step_of_plans import logit_of_plan, see_plans, take_agreement, take_bill_of_plan
from dacr.routers.dacr.thompson import sample
from dacr.routers.dacr.under_way import narrow, take_ratings
from dacr.types import Floats, Ints

PARTS = ("z", "p", "cost_hat", "cost_upper", "p_late", "value", "sd", "through_u", "own_sd")
"""What :func:`believe` writes: the logit before its shift, what is believed and worth, and parts of the shift."""


@kernel
def believe(
    arrives: bool, run: Ints, row: Ints, prices: Floats, known: Any, calls: Floats, state: Any, out: Floats
) -> None:
    """Write what runs believe of requests into ``out``, (9, n, n_arm): :data:`PARTS`.

    Parameters
    ----------
    arrives : bool
        The requests arrive now, one per run, and move the centres.
    run, row : (n,) int
        Runs, and rows of ``known``.
    prices : (2, n_run) float
        Of a dollar and of a late answer, in quality.
    known : tuple of arrays
        Domain codes, logits of p_raw and of p_late, mean and upper costs of requests.
    calls : (n_run, n_domain + 1, n_arm) float
        Calls so far.
    state : tuple
        Of centres, quality, lateness, costs, and plans.
    """
    domain, logit_p, logit_late, cost_hat, cost_upper = known
    centres, quality, late, costs, plans = state
    z, p, mean_cost, p_late, value = out[0], out[1], out[2], out[4], out[5]
    n_arm, n_model, now, every = out.shape[2], plans[0][1].shape[1], quality[5], np.arange(len(run))
    if arrives:
        move_centres(run, row, domain, logit_p, centres)
    calibrate(run, row, domain, logit_p, centres, z)
    squash_shifted(run, row, domain, z, every, now, 0, n_model, p)
    correct_costs(run, row, domain, cost_hat, cost_upper, costs, mean_cost, out[3])
    if n_arm > n_model:
        see_plans(run, row, domain, calls, plans, p, z, mean_cost, out[3])
        squash_shifted(run, row, domain, z, every, now, n_model, n_arm, p)
    squash_shifted(run, row, domain, logit_late, row, late[5], 0, n_arm, p_late)
    for i in range(len(run)):
        r, d = run[i], domain[row[i]]
        of_money, of_time = prices[0, r], prices[1, r]
        for m in range(n_arm):
            value[i, m] = p[i, m] - of_money * mean_cost[i, m] - of_time * p_late[i, m]
            out[6, i, m], out[7, i, m], out[8, i, m] = now[r, d, 1, m], now[r, d, 2, m], now[r, d, 3, m]


@kernel
def choose(
    value: Floats,
    row: Ints,
    domain: Ints,
    key: Any,
    seed: Any,
    believed: Floats,
    count: Floats,
    under_way: Any,
    plans: Any,
    decided: int,
    left: float,
    explore: float,
    temper: Floats,
    floor: float,
    draws: Floats,
    model: Ints,
    propensity: Floats,
) -> None:
    """Choose a model for each run's request, and count the call as under way.

    Parameters
    ----------
    value : (n_run, n_arm) float
        Net values, -infinity for arms that are not open.
    row : (n_run,) int
        Rows of ``domain`` and ``key``, which draws go by.
    seed : (n_run,) uint64
    believed : (9, n_run, n_arm) float
        From :func:`believe`.
    count : (n_run, n_domain + 1) float
        Requests that have arrived.
    plans : tuple
        State of plans.
    decided, left : int, float
        Requests so far, this one included, and those that are left.
    temper : (n_arm,) float
    """
    n_run, n_arm = value.shape
    p, sd, through_u, own_sd = believed[1], believed[6], believed[7], believed[8]
    # One by one: of an array that is taken apart the parts have strides, and loops over them are no vectors.
    shape = (n_run, n_arm)
    damping, own, worth, net = np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape)
    rated, here, uniform = np.empty(n_run), np.empty(n_run), np.empty(n_run)
    for r in range(n_run):
        here[r] = max(left, 0.0) * count[r, domain[row[r]]] / decided
        uniform[r] = draw_of(key[row[r]], seed[r], np.uint64(1))
        for m in range(n_arm):
            damping[r, m] = np.sqrt(1 + np.pi / 8 * (sd[r, m] * sd[r, m]))
            net[r, m] = value[r, m]
    if explore > 0:
        narrow(row, domain, decided, own_sd, p, under_way, rated, own)
        worth_of_trying(value, p, own, damping, here, rated, worth)
        add_worth_of_probes(row, domain, plans, worth)
        for r in range(n_run):
            for m in range(n_arm):
                net[r, m] += explore * worth[r, m]
    for r in range(n_run):
        for m in range(n_arm):
            # To first order, a draw of the logit moves the probability by its slope: no sigmoid per draw.
            slope = temper[m] * p[r, m] * (1 - p[r, m]) / damping[r, m]
            worth[r, m], own[r, m] = slope * through_u[r, m], slope * own_sd[r, m]
    sample(net, worth, own, draws, floor, uniform, model, propensity)
    calls = under_way[0]
    for r in range(n_run):
        calls[r, domain[row[r]], model[r]] += 1.0


@kernel
def learn(
    run: Ints,
    row: Ints,
    t: Ints,
    arm: Ints,
    decided: int,
    rating: Floats,
    late: Floats,
    cost: Floats,
    agreed: Floats,
    same: Floats,
    known: Any,
    state: Any,
    under_way: Any,
) -> None:
    """Move the posterior by ratings, and cost and lateness by calls that have ended; all (n,), NaN is not told.

    Parameters
    ----------
    t, decided : (n,) int, int
        Position of each call, and decisions so far.
    agreed : (n,) or (0,) float
    same : (n, 2) or (0, 2) float
        Whether a plan's probes gave the answer that was shipped.
    """
    domain, logit_p, logit_late, cost_hat, _ = known
    centres, quality, lateness, costs, plans = state
    n, (n_plan, n_model) = len(run), plans[0][1].shape
    code, lag, timing, settled, own_z = (
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n),
        np.empty(n),
        np.empty(n),
    )
    z, p = np.empty((n, n_model + n_plan)), np.empty((n, n_model + n_plan))
    if not np.isnan(rating).all():  # news that a call has ended is no rating, and needs no logits
        if n_plan:
            calibrate(run, row, domain, logit_p, centres, z)
            squash_shifted(run, row, domain, z, np.arange(n), quality[5], 0, n_model, p)
        else:
            calibrate_called(run, row, arm, domain, logit_p, centres, own_z)
    for i in range(n):
        q, m = row[i], arm[i]
        code[i], lag[i], timing[i] = domain[q], decided - 1 - t[i], logit_late[q, m]
        if n_plan:
            own_z[i] = z[i, m]
        if m >= n_model and not np.isnan(rating[i]):
            own_z[i] = logit_of_plan(run[i], domain[q], m - n_model, i, p, z, plans)
        if m >= n_model and not np.isnan(late[i]):
            plans[2][run[i], code[i], 0] += 1.0
        # Agreement is seen when a call ends, and once: a rating of it tells nothing new.
        settled[i] = agreed[i] if len(agreed) and not np.isnan(late[i]) else np.nan
    if len(same):
        rate(run, code, arm, own_z, rating, same, z, plans, quality)
    else:
        add_sites(run, code, arm, own_z, rating, quality)
    take_ratings(run, code, arm, lag, rating, under_way)
    add_sites(run, code, arm, timing, late, lateness)
    for i in range(n):
        if np.isnan(cost[i]):
            continue
        if arm[i] < n_model:
            take_bill(run[i], code[i], arm[i], cost_hat[row[i], arm[i]], cost[i], costs)
        else:
            k = arm[i] - n_model
            take_bill_of_plan(run[i], code[i], k, settled[i], cost[i], cost_hat[row[i]], plans[0], costs)
    if n_plan:
        take_agreement(run, code, arm, settled, plans)
