"""Off-policy evaluation: by hand, without bias, and with the coverage it promises under adaptive logging."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.metrics.ope import Log, evaluate, running_means


def test_by_hand():
    log = Log(
        model=np.array([0, 1, 0, 1]),
        propensity=np.array([0.5, 0.25, 0.8, 0.5]),
        quality=np.array([1.0, 0.5, np.nan, 0.0]),
        p_rated=0.5,
        p_hat=np.array([[0.5, 0.5], [0.5, 0.25], [0.9, 0.1], [0.5, 0.5]]),
    )
    pi = np.array([[1.0, 0.0], [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    truth = np.array([[1.0, 0.0], [0.0, 0.5], [1.0, 1.0], [1.0, 0.0]])
    made = evaluate(log, pi, truth).set_index("estimator")
    # w = 1/(.5*.5)=4, .5/(.25*.5)=4, 0 (unrated), 1/(.5*.5)=4
    assert made.loc["IPS", "estimate"] == pytest.approx((4 * 1 + 4 * 0.5) / 4)
    assert made.loc["SNIPS", "estimate"] == pytest.approx(6 / 12)
    direct = (0.5 + (0.25 + 0.125) + 0.9 + 0.5) / 4
    terms = np.array([4 * 0.5, 4 * 0.25, 0.0, 4 * -0.5])
    assert made.loc["DR", "estimate"] == pytest.approx(direct + terms.mean())
    quantile = student.ppf(0.975, 2)  # three effective calls
    error = np.sqrt(np.square(terms - terms.mean()).sum()) / 4
    assert made.loc["DR", "high"] - made.loc["DR", "low"] == pytest.approx(2 * quantile * error)
    ratio = np.sqrt(np.square(4 * (np.array([1.0, 0.5, 0.0]) - 0.5)).sum()) / 8  # each of three weighs 4 of 12
    assert made.loc["SNIPS", "high"] - made.loc["SNIPS", "estimate"] == pytest.approx(quantile * ratio)
    assert made["true"].unique() == pytest.approx((1 + 0.25 + 1 + 0) / 4)
    assert made["effective_n"].unique() == pytest.approx(3.0)
    assert (made["error"] == made["estimate"] - made["true"]).all()


def test_policy_that_made_the_log_gets_its_own_mean():
    model = np.array([0, 1, 1])
    quality = np.array([0.25, 1.0, 0.5])
    made = evaluate(Log(model, np.ones(3), quality), np.eye(2)[model], np.zeros((3, 2)))
    assert made["estimate"].to_numpy() == pytest.approx(quality.mean())


def test_a_policy_that_was_never_followed_has_no_weight():
    made = evaluate(Log(np.array([0, 0]), np.ones(2), np.ones(2)), np.eye(2)[[1, 1]], np.ones((2, 2)))
    snips = made.set_index("estimator").loc["SNIPS"]
    assert np.isnan(snips["estimate"]) and not snips["covered"] and snips["effective_n"] == 0


def test_one_followed_call_says_next_to_nothing():
    made = evaluate(Log(np.array([0, 1]), np.full(2, 0.5), np.ones(2)), np.eye(2)[[0, 0]], np.ones((2, 2)))
    snips = made.set_index("estimator").loc["SNIPS"]
    assert snips["estimate"] == 1.0 and snips["high"] == np.inf and snips["covered"]


def test_unbiased_over_all_outcomes_of_chance():
    """Sum over every sequence of choices and ratings, weighted by its probability, of an adaptive log."""
    q = np.array([[1.0, 0.25], [0.5, 0.75], [0.0, 1.0]])
    pi = np.array([[0.3, 0.7], [1.0, 0.0], [0.5, 0.5]])
    rho = 0.6
    expected = {"IPS": 0.0, "DR": 0.0}
    for path in range(4**3):
        chance, model, propensity, quality, p_hat = 1.0, [], [], [], []
        belief = np.array([0.5, 0.5])
        for t in range(3):
            step = path // 4**t % 4
            a, rated = step % 2, step // 2
            first = 0.2 + 0.6 * belief[0]
            e = first if a == 0 else 1 - first
            chance *= e * (rho if rated else 1 - rho)
            model.append(a)
            propensity.append(e)
            p_hat.append(belief.copy())
            quality.append(q[t, a] if rated else np.nan)
            if rated:
                belief[a] = 0.5 * belief[a] + 0.5 * q[t, a]
        log = Log(np.array(model), np.array(propensity), np.array(quality), rho, np.array(p_hat))
        made = evaluate(log, pi, q).set_index("estimator")["estimate"]
        for name in expected:
            expected[name] += chance * made[name]
    true = (pi * q).sum(axis=1).mean()
    assert expected["IPS"] == pytest.approx(true)
    assert expected["DR"] == pytest.approx(true)


def adaptive_log(seed: int, n: int, floor: float = 0.1, rho: float = 0.7, n_model: int = 3):
    """Run a learner that favours what was best so far, on drifting requests, and log it."""
    rng = generator("adaptive log", seed)
    drift = np.linspace(0, 1, n)[:, None]
    p = np.clip(np.array([0.4, 0.5, 0.6]) + 0.3 * drift * np.array([1, 0, -1]) + rng.normal(0, 0.1, (n, 3)), 0.02, 0.98)
    q = (rng.uniform(size=p.shape) < p).astype(float)
    got, count = np.full(n_model, 0.5), np.ones(n_model)
    model, propensity = np.zeros(n, dtype=np.int64), np.zeros(n)
    quality = np.full(n, np.nan)
    for t in range(n):
        chance = np.full(n_model, floor / n_model)
        chance[(got / count).argmax()] += 1 - floor
        model[t] = rng.choice(n_model, p=chance)
        propensity[t] = chance[model[t]]
        if rng.uniform() < rho:
            quality[t] = q[t, model[t]]
            got[model[t]] += quality[t]
            count[model[t]] += 1
    log = Log(model, propensity, quality, rho)
    block = (np.arange(n) * 4 // n).astype(np.int64)
    return Log(model, propensity, quality, rho, running_means(log, block, n_model)), q


def coverage(n_log: int, n: int):
    covered, errors = [], []
    for seed in range(n_log):
        log, q = adaptive_log(seed, n)
        uniform = np.full(q.shape, 1 / 3)
        switching = np.eye(3)[np.where(np.arange(n) < n // 2, 2, 0)]
        for pi in (uniform, switching):
            made = evaluate(log, pi, q).set_index("estimator")
            covered.append(made["covered"])
            errors.append(made["error"])
    names = covered[0].index
    return dict(zip(names, np.mean(covered, axis=0), strict=True)), dict(
        zip(names, np.mean(errors, axis=0), strict=True)
    )


def test_coverage_under_adaptive_logging():
    covered, bias = coverage(60, 400)
    assert min(covered.values()) > 0.85, covered
    assert abs(bias["IPS"]) < 0.03 and abs(bias["DR"]) < 0.03, bias


@pytest.mark.slow
def test_coverage_under_adaptive_logging_many():
    covered, bias = coverage(800, 2000)
    assert all(0.92 < value <= 1 for value in covered.values()), covered
    assert abs(bias["IPS"]) < 0.005 and abs(bias["DR"]) < 0.005, bias


def test_running_means_look_at_the_past_alone():
    log, _ = adaptive_log(1, 80)
    domain = np.arange(80) % 3
    before = running_means(log, domain, 3)
    changed = log.quality.copy()
    changed[40:] = 1.0
    after = running_means(Log(log.model, log.propensity, changed, log.p_rated), domain, 3)
    assert (before[:41] == after[:41]).all() and (before[41:] != after[41:]).any()
    assert (before[0] == 0.5).all()
    one = Log(np.array([0, 0]), np.ones(2), np.array([1.0, 1.0]))
    # Overall (1 + 2.5) / 6; in the domain the same rating again: (1 + 5 * .5833) / 6.
    assert running_means(one, np.zeros(2, dtype=np.int64), 2)[1] == pytest.approx([(1 + 5 * 3.5 / 6) / 6, 0.5])


def test_refusals():
    log = Log(np.array([0, 1]), np.array([0.5, 0.5]), np.array([1.0, np.nan]))
    with pytest.raises(UserError, match="sum to 1"):
        evaluate(log, np.ones((2, 2)), np.ones((2, 2)))
    with pytest.raises(UserError, match="shape"):
        evaluate(log, np.full((3, 2), 0.5), np.ones((3, 2)))
    with pytest.raises(UserError, match="p_hat"):
        evaluate(
            Log(log.model, log.propensity, log.quality, 1.0, np.ones((2, 3))), np.full((2, 2), 0.5), np.ones((2, 2))
        )
    for propensity, p_rated in ((np.array([0.0, 0.5]), 1.0), (np.array([0.5, 1.5]), 1.0), (np.full(2, 0.5), 0.0)):
        with pytest.raises(UserError, match="above 0"):
            Log(log.model, propensity, log.quality, p_rated)
    with pytest.raises(UserError, match="at least one"):
        Log(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))
