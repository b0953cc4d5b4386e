from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dacr.core.errors import UserError
from dacr.metrics import intervals, paired, panel, resample
from dacr.metrics.paired import holm


@pytest.fixture
def made() -> panel.Panel:
    """Four settings on 400 queries: a, its copy, a better one, and one far worse in domain d1 alone."""
    rng = np.random.default_rng(0)
    a = rng.random(400)
    worse = a - np.where(np.arange(400) % 2 == 1, 0.3, 0.0) - rng.normal(0, 0.05, 400)
    x = np.stack([a, a, a + 0.02 + rng.normal(0, 0.05, 400), worse], axis=1)[None]
    frame = pd.DataFrame({"policy": list("abcd"), "lambda_cost": 0.0, "setting": "s"})
    domain = np.array([f"d{i % 2}" for i in range(400)], dtype=object)
    qid = np.array([f"q{i:03d}" for i in range(400)], dtype=object)
    return panel.Panel(frame, np.zeros(4, dtype=bool), qid, domain, (0,), {"quality": x})


def test_differences_are_paired_and_ties_are_ties(made: panel.Panel) -> None:
    r = resample.draw(400)
    table = paired.to_reference(list("abcd"), intervals.means(made, "quality", r), 0).set_index("name")
    assert table["verdict"].to_dict() == {"b": "tie", "c": "win", "d": "loss"}
    assert table.loc["b", "p_holm"] == 1.0
    # Paired: the width is that of the noise in the difference (sd .05), not of quality (sd .29).
    assert table.loc["c", "high"] - table.loc["c", "low"] == pytest.approx(2 * 1.96 * 0.05 / 20, rel=0.15)
    assert table.loc["c", "low"] < table.loc["c", "difference"] < table.loc["c", "high"]
    costs = paired.to_reference(list("abcd"), intervals.means(made, "quality", r), 0, bigger_is_better=False)
    assert costs.set_index("name")["verdict"].to_dict() == {"b": "tie", "c": "loss", "d": "win"}


def test_one_run_of_a_learner_gets_no_verdict(made: panel.Panel) -> None:
    learner = panel.Panel(made.settings, np.array([0, 0, 1, 0]) > 0, made.qid, made.domain, made.order, made.values)
    table = paired.to_reference(list("abcd"), intervals.means(learner, "quality", resample.draw(400)), 0)
    row = table.set_index("name").loc["c"]
    assert row["verdict"] == "unknown" and np.isnan(row["p_holm"]) and row["reason"] == intervals.ONE_RUN


def test_win_tie_loss_over_domains(made: panel.Panel) -> None:
    matrix, pairs = paired.win_tie_loss(made, "quality", resample.draw(400), list("abcd"))
    assert matrix.loc["a", "a"] == ""
    assert matrix.loc["a", "b"] == "0-2-0"
    assert matrix.loc["c", "a"] == "2-0-0" and matrix.loc["a", "c"] == "0-0-2"
    assert matrix.loc["a", "d"] == "1-1-0" and matrix.loc["d", "a"] == "0-1-1"
    assert len(pairs) == 12
    rows = pairs[(pairs["a"] == "a") & (pairs["b"] == "d")].set_index("domain")
    assert rows["difference"].to_dict() == pytest.approx({"d0": 0.0, "d1": 0.3}, abs=0.02)
    _, small = paired.win_tie_loss(made, "quality", resample.draw(400), list("abcd"), min_queries=1000)
    assert set(small["verdict"]) == {"unknown"}
    with pytest.raises(UserError, match="distinct labels"):
        paired.win_tie_loss(made, "quality", resample.draw(400), ["a", "a", "b", "c"])


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9, np.nan]), [1.0, 1.0, np.nan])
    assert holm([]).shape == (0,)
    with pytest.raises(UserError, match=r"\[0, 1\]"):
        holm([1.5])


def test_holm_keeps_the_family_error() -> None:
    p = np.random.default_rng(1).random((4000, 6))
    wrong = np.mean([(holm(row) <= 0.05).any() for row in p])
    assert 0.035 < wrong < 0.06
