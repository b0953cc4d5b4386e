"""Calibrators that know about domains: base_slope, by_domain, multi-domain temperature."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from dacr.core.rng import generator
from dacr.estimates.calibrators.base_slope import BaseSlope, running_mean
from dacr.estimates.calibrators.by_domain import ByDomain
from dacr.estimates.calibrators.multi_domain_temperature import MultiDomainTemperature
from dacr.estimates.calibrators.platt import Platt


def between_domains(n: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The predictor ranks queries rightly within domains and the domains the wrong way round."""
    rng = generator("between")
    code = np.arange(n) % 3
    level = np.array([1.5, 0.0, -1.5])[code]
    inside = rng.normal(0, 1, n)
    p = expit(level + inside)
    y = (rng.uniform(size=n) < expit(-level + 0.5 * inside)).astype(float)
    return p, y, np.array(["a", "b", "c"], dtype=object)[code]


def test_base_slope_is_fitted_within_domains() -> None:
    p, y, domain = between_domains()
    assert Platt().fit(p, y, domain).a_ < -0.2
    fitted = BaseSlope().fit(p, y, domain)
    assert 0.35 < fitted.a_ < 0.65
    assert abs(fitted.b_ - logit(y.mean())) < 0.01
    for name, level in [("a", 1.5), ("b", 0.0), ("c", -1.5)]:
        assert abs(fitted.centre_[name] - level) < 0.1
        assert abs(fitted.b_ + fitted.offset_[name] + level) < 0.25
        assert 0.03 < fitted.offset_sd_[name] < 0.15
        rows = domain == name
        assert abs(fitted.transform(p[rows], domain[rows]).mean() - y[rows].mean()) < 0.02


def test_base_slope_on_an_unseen_domain_by_hand() -> None:
    p, y, domain = between_domains()
    fitted = BaseSlope(pseudo_count=2.0).fit(p, y, domain)
    z = np.array([1.0, 3.0])
    centre = np.array([2 * fitted.typical_centre_ + 1.0, 2 * fitted.typical_centre_ + 4.0]) / [3, 4]
    expected = expit(fitted.a_ * (z - centre) + fitted.b_)
    np.testing.assert_allclose(fitted.transform(expit(z), ["new", "new"]), expected)


def test_unseen_domain_settles_at_the_base_rate() -> None:
    p, y, domain = between_domains()
    fitted = BaseSlope().fit(p, y, domain)
    out = fitted.transform(np.full(2000, 0.97), np.full(2000, "new", dtype=object))
    assert abs(out[-1] - y.mean()) < 0.01
    assert out[0] > out[-1]


def test_slope_at_least_zero_where_p_is_wrong() -> None:
    p, y, domain = between_domains()
    fitted = BaseSlope().fit(p, 1 - y, np.full(len(p), "one", dtype=object))
    wrong = BaseSlope().fit(1 - p, y, domain)
    assert wrong.a_ == 0.0 and wrong.free_slope_ < 0
    assert fitted.a_ >= 0.0


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.floats(-9, 9), st.integers(0, 3)), min_size=1, max_size=30),
    st.floats(-3, 3),
    st.floats(0.5, 9),
)
def test_running_mean_equals_a_loop(rows: list[tuple[float, int]], start: float, pseudo: float) -> None:
    values, group = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    for i, value in enumerate(running_mean(values, group, start, pseudo)):
        own = values[: i + 1][group[: i + 1] == group[i]]
        assert abs(value - (pseudo * start + own.sum()) / (pseudo + len(own))) < 1e-9


def test_by_domain_falls_back_to_family_then_to_platt() -> None:
    rng = generator("families")
    names = np.array(["mmlu-law", "mmlu-art", "mbpp"], dtype=object)[np.arange(3000) % 3]
    p = rng.uniform(0.05, 0.95, 3000)
    shift = np.where(names == "mbpp", -1.0, 0.8)
    y = (rng.uniform(size=3000) < expit(logit(p) + shift)).astype(float)
    fitted = ByDomain().fit(p, y, names)
    half = [0.5]
    known, sibling, stranger = (float(fitted.transform(half, [d])[0]) for d in ("mmlu-law", "mmlu-xyz", "else"))
    assert abs(sibling - expit(0.8)) < 0.05 and abs(known - expit(0.8)) < 0.05
    np.testing.assert_allclose(stranger, expit(fitted.a_ * 0.0 + fitted.b_))
    np.testing.assert_allclose(fitted.transform(half, [""]), stranger)
    frozen = ByDomain(family_sd=1e-4, domain_sd=1e-4).fit(p, y, names)
    np.testing.assert_allclose(frozen.transform(half, ["mbpp"]), expit(frozen.b_), atol=1e-4)


def test_by_domain_small_domains_shrink_more() -> None:
    domain = np.array(["big"] * 400 + ["small"] * 2, dtype=object)
    y = np.concatenate([np.tile([1.0, 0.0], 200), [0.0, 0.0]])
    fitted = ByDomain().fit(np.full(402, 0.5), y, domain)
    assert 0.3 < fitted.transform([0.5], ["small"])[0] < 0.45


def test_multi_domain_temperature_reaches_unseen_domains() -> None:
    rng = generator("temperatures")
    code = np.arange(4000) % 4
    warmth = np.array([0.0, 0.3, 0.7, 1.0])[code]
    temperature = np.exp(warmth)
    p = rng.uniform(0.02, 0.98, 4000)
    y = (rng.uniform(size=4000) < expit(logit(p) / temperature)).astype(float)
    x = np.column_stack([warmth, np.ones(4000)]).astype(np.float32)
    names = np.array(list("abcd"), dtype=object)[code]
    fitted = MultiDomainTemperature(ridge=1.0).fit(p, y, names, x=x)
    asked = np.array([[0.5, 1.0]], dtype=np.float32)
    out = fitted.transform([0.9], ["new"], x=asked)
    assert abs(out[0] - expit(logit(0.9) / np.exp(0.5))) < 0.02
    without = fitted.transform([0.9], ["d"])
    assert abs(without[0] - expit(logit(0.9) / np.e)) < 0.03


def test_unseen_domains_get_the_slope_of_unseen_domains() -> None:
    p, y, domain = between_domains()
    noise = generator("unseen").uniform(0.05, 0.95, len(p))
    fitted = BaseSlope().fit(p, y, domain, p_unseen=noise)
    assert fitted.a_unseen_ < 0.1 < fitted.a_
    few = np.array([0.1, 0.9, 0.1, 0.9])
    spread = [float(np.ptp(fitted.transform(few, np.full(4, where, dtype=object)))) for where in ("a", "", "new")]
    assert min(spread[:2]) > 0.2 > 0.1 > spread[2]
    plain = BaseSlope().fit(p, y, domain)
    assert plain.a_unseen_ == plain.a_ == fitted.a_
    better = BaseSlope().fit(noise, y, domain, p_unseen=p)
    assert better.a_unseen_ == better.a_  # never more than the slope on seen domains
