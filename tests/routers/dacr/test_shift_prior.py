"""Prior widths from the families of training."""

import numpy as np
import pytest
from scipy.special import expit

from dacr.core.rng import generator
from dacr.routers.dacr.shift_prior import shift_prior


def families(n_family: int, sd_u: float, sd_v: float, n_row: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    rng = generator("families", n_family, sd_u, sd_v)
    n_model = 12
    z = 0.3 + rng.normal(0, sd_u, (n_family, 1)) + rng.normal(0, sd_v, (n_family, n_model))
    family = np.repeat(np.arange(n_family), n_row)
    return (rng.random((len(family), n_model)) < expit(z)[family]).astype(float), family


def test_many_families_overrule_the_weak_prior() -> None:
    sd_u, sd_v = shift_prior(*families(60, 0.9, 0.3), weak_u=3.0, weak_v=2.0)
    assert sd_u == pytest.approx(0.9, rel=0.35)
    assert sd_v == pytest.approx(0.3, rel=0.25)


def test_without_two_families_the_weak_prior_stays() -> None:
    quality, family = families(1, 1.0, 1.0)
    assert shift_prior(quality, family, 1.2, 0.8) == (1.2, 0.8)
    small = np.append(family, np.full(5, 7))  # a family of five rows says too little
    assert shift_prior(np.vstack([quality, quality[:5]]), small, 1.2, 0.8) == (1.2, 0.8)


def test_by_hand() -> None:
    """Two families of 98 rows, one model at rates 25/100 and 75/100 (smoothed): d = -+ 2 ln 3, and no v."""
    quality = np.concatenate([np.r_[np.ones(24), np.zeros(74)], np.r_[np.ones(74), np.zeros(24)]])[:, None]
    sd_u, sd_v = shift_prior(quality, np.repeat([0, 1], 98), weak_u=1.0, weak_v=0.8)
    assert sd_u == pytest.approx(np.sqrt((3 * 1.0 + (2 * np.log(3)) ** 2) / 4))
    assert sd_v == pytest.approx(0.8)


def test_noise_of_small_families_is_not_taken_for_a_shift() -> None:
    _, noisy = shift_prior(*families(40, 0.0, 0.0, n_row=30), weak_u=1.0, weak_v=0.8)
    assert noisy < 0.3
