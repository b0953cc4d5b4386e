"""Learners' rows of calibration_ece.csv against loops over runs, stages, models and domains."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dacr.core.rng import generator
from dacr.experiment.calibration.beliefs import OnlineCalibration, joined
from dacr.metrics.calibration.measures import measures
from dacr.metrics.calibration.reliability import BIN_COLUMNS
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.protocols.effects import Effects
from dacr.replay.world import World
from dacr.types import Floats, Outcomes, Played, Runs

N, M, R = 40, 3, 4
DOMAIN = np.array(["mmlu-law", "mmlu-art", "mbpp", "mbpp"], dtype=object)[np.arange(N) % 4]
MODELS = ("one", "two", "three")


def case(beliefs: bool = True, effects: Effects | None = None) -> tuple[Played, World]:
    rng = generator("online rows")
    order = np.stack([rng.permutation(N) for _ in range(R)])
    quality = rng.integers(0, 5, (N, M)) / 4
    truth = Outcomes(quality, np.ones((N, M)), np.ones((N, M)), np.zeros((N, M), dtype=bool), None)
    model = rng.integers(0, M, (R, N))
    before, after = (rng.uniform(size=(R, N, M)).astype(np.float32) for _ in range(2))
    p_hat = before[np.arange(R)[:, None], order, model].astype(float)
    blank = np.zeros((R, N))
    played = Played(
        order, model, quality[order, model], blank, blank, blank.astype(int), blank, p_hat, blank, blank,
        p_before=before if beliefs else None, p_after=after if beliefs else None,
    )  # fmt: skip
    runs = Runs(order, np.arange(float(N)), tuple(range(R)))
    return played, World(FeedbackPlan(), 1.0, N, 0.05, truth, runs, runs, effects=effects)


def rows_of(domain: str) -> np.ndarray:
    if domain.startswith("family:"):
        return np.flatnonzero([d.startswith(domain.split(":")[1]) for d in DOMAIN])
    return np.flatnonzero((domain == DOMAIN) | (domain == "all"))


def means(p: list[Floats], q: list[Floats]) -> dict[str, float]:
    each = [measures(a.ravel(), b.ravel()) for a, b in zip(p, q, strict=True)]
    return {name: float(np.mean([one[name][0] for one in each])) for name in ("n", "ece", "ece_null", "brier")}


def collected(played: Played, world: World) -> OnlineCalibration:
    online = OnlineCalibration(DOMAIN, MODELS)
    online.add("dacr", {"lambda_cost=5": played}, world)
    return online


def test_rows_equal_loops_over_runs() -> None:
    played, world = case()
    table = pd.concat(collected(played, world).tables, ignore_index=True)
    assert played.p_before is not None and played.p_after is not None
    groups = {"all", "mbpp", "mmlu-art", "mmlu-law", "family:mmlu"}
    assert set(table["domain"]) == groups
    sizes = table.groupby("stage").size().to_dict()
    assert sizes == {"online": 5, "online_counterfactual": 20, "online_end": 20}
    quality = world.truth.quality
    for row in table.itertuples():
        own = rows_of(str(row.domain))
        if row.stage == "online":
            at = [np.flatnonzero(np.isin(order, own)) for order in played.row]
            found = means(
                [played.p_hat[r, t] for r, t in enumerate(at)], [played.quality[r, t] for r, t in enumerate(at)]
            )
        else:
            beliefs = played.p_before if row.stage == "online_counterfactual" else played.p_after
            m = slice(None) if row.model == "all" else slice(MODELS.index(str(row.model)), None)
            m = m if row.model == "all" else slice(m.start, m.start + 1)
            found = means([b[own, m].astype(float) for b in beliefs], [quality[own, m]] * R)
        for name, value in found.items():
            assert getattr(row, name) == pytest.approx(value, abs=1e-9), (row.stage, row.domain, row.model, name)
        assert 0 <= row.ece_low <= row.ece_debiased + 1e-12 <= row.ece_high and row.brier_low < row.brier


def test_bins_equal_those_of_the_pooled_pairs() -> None:
    played, world = case()
    assert played.p_after is not None
    offline = pd.DataFrame({"calibrator": ["platt"], **{name: [0.5] for name in BIN_COLUMNS[1:]}})
    bins = joined(offline.assign(model="all", domain="all", stage="offline"), collected(played, world).bins)
    bins = bins[bins["calibrator"] == "dacr"]
    assert set(bins["domain"]) == {"all", "mbpp", "family:mmlu"} and set(bins["model"]) == {"all"}
    end = bins[(bins["stage"] == "online_end") & (bins["domain"] == "family:mmlu")]
    own = rows_of("family:mmlu")
    p, q = played.p_after[:, own].astype(float).ravel(), np.tile(world.truth.quality[own].ravel(), R)
    k = np.minimum((p * 15).astype(int), 14)
    n = np.bincount(k, minlength=15)
    np.testing.assert_allclose(end["n"], n / R)
    for name, values in (("mean_p", p), ("mean_q", q)):
        mean = np.bincount(k, weights=values, minlength=15) / np.where(n > 0, n, np.nan)
        np.testing.assert_allclose(end[name], mean)
    some = end[end["n"] > 0]
    assert ((some["mean_q_low"] <= some["mean_q"]) & (some["mean_q"] <= some["mean_q_high"])).all()
    assert (some["mean_q_high"] - some["mean_q_low"] > 0.05).all()


def test_without_records_only_called_pairs() -> None:
    played, world = case(beliefs=False)
    online = collected(played, world)
    assert set(pd.concat(online.tables)["stage"]) == {"online"}
    offline = pd.DataFrame({"model": ["all"], "calibrator": "platt", "domain": "all", "stage": "offline", "ece": 0.1})
    whole = joined(offline, online.tables)
    assert len(whole) == 6 and whole.columns[:5].tolist() == ["model", "calibrator", "domain", "stage", "setting"]


def test_outcomes_that_change_along_the_stream() -> None:
    """The third model gives nothing in the second half: all pairs are scored against what it would have given then."""
    factor = np.ones((N, M))
    factor[N // 2 :, 2] = 0.0
    played, world = case(effects=Effects(quality_factor=factor))
    table = pd.concat(collected(played, world).tables, ignore_index=True).set_index(["stage", "domain", "model"])
    quality = world.truth.quality
    late = np.stack([np.isin(np.arange(N), order[N // 2 :]) for order in played.row])
    expected = np.mean([quality[~one, 2].sum() / N for one in late])
    assert table.loc[("online_counterfactual", "all", "three"), "mean_q"] == pytest.approx(expected)
    assert table.loc[("online_end", "all", "three"), "mean_q"] == 0.0
    assert table.loc[("online_end", "all", "one"), "mean_q"] == pytest.approx(quality[:, 0].mean())
