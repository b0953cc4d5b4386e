"""Every stage is linear in the number of queries: ratios are asserted, seconds are only printed.

Times are processor time, the best of some runs: what other work on the machine disturbs least. It still takes
caches and the clock of the processor, now more and now less: both sizes take turns, so that the same work disturbs
both, and are run again while the ratio is too large. Each best time can only come nearer to that of an idle
machine, so what is not linear stays above the limit however often it is run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from dacr.core.cache import Cache
from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.registry import predictors, routers
from dacr.data.prepare import prepare_routerbench
from dacr.data.table import load
from dacr.estimates.estimator import Estimator
from dacr.estimates.features.question import questions_of
from dacr.estimates.features.text import TextFeatures, hashed_counts
from dacr.experiment.settings import ExperimentSettings
from dacr.replay.play import enter, play
from dacr.replay.setup import Setup
from dacr.replay.testbed import Testbed, assemble
from tests.benchmarks.clock import processor_seconds

pytestmark = pytest.mark.slow

SMALL, LARGE = 4000, 8000
LIMIT = 2.6
HELD = StrList(["grade-school-math"])


def seconds(work: Callable[[int], Any], n: int) -> float:
    # One thread for linear algebra, as in an experiment: threads that wait for each other count as processor time.
    with threadpool_limits(1):
        return processor_seconds(lambda: work(n))


def check_growth(what: str, work: Callable[[int], Any], limit: float = LIMIT, times: int = 3) -> float:
    """Check how many times as long twice the queries take; print both times, return that of the larger size."""
    small = large = float("inf")
    for k in range(10 * times):
        small, large = min(small, seconds(work, SMALL)), min(large, seconds(work, LARGE))
        if k + 1 >= times and large <= limit * small:
            break
    runs = f"the best of {k + 1} runs"
    print(f"\n{what}: {small:.2f} s at {SMALL:,}, {large:.2f} s at {LARGE:,} queries: x {large / small:.2f}, {runs}")
    assert large <= limit * small
    return large


@pytest.fixture(scope="module")
def long_tables(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("bench")
    for n in (SMALL, LARGE):
        prepare_routerbench(sample=n, out=str(folder / f"{n}.parquet"))
    return {n: folder / f"{n}.parquet" for n in (SMALL, LARGE)}


@pytest.fixture(scope="module")
def settings() -> ExperimentSettings:
    return ExperimentSettings(lambdas=FloatList([5, 50]), seeds=IntList([1, 2]), ood_holdout=HELD, orders=2, n_jobs=1)


@pytest.fixture(scope="module")
def beds(long_tables: dict[int, Path], settings: ExperimentSettings) -> dict[int, Testbed]:
    return {n: assemble(settings, load(path)) for n, path in long_tables.items()}


@pytest.fixture(scope="module")
def estimators(beds: dict[int, Testbed], settings: ExperimentSettings) -> dict[int, Estimator]:
    return {
        n: Estimator(bed.table, bed.train, bed.test, bed.arrival_s, settings.tau_seconds, Cache(None), n_jobs=1)
        for n, bed in beds.items()
    }


def test_prepare(tmp_path: Path) -> None:
    check_growth("prepare", lambda n: prepare_routerbench(sample=n, out=str(tmp_path / "out.parquet")))


def test_load(long_tables: dict[int, Path]) -> None:
    check_growth("load", lambda n: load(long_tables[n]))


def test_features(beds: dict[int, Testbed]) -> None:
    def work(n: int) -> None:
        bed = beds[n]
        counts = hashed_counts(questions_of(bed.table.prompt))
        TextFeatures().fit(counts[bed.train]).transform(counts)

    check_growth("features", work)


@pytest.mark.parametrize("name", predictors.names())
def test_predictors(name: str, estimators: dict[int, Estimator]) -> None:
    def work(one: Estimator) -> None:
        predictors.get(name)().fit(one.x[one.train], one.table.quality[one.train]).predict(one.x[one.test])

    for one in estimators.values():
        assert one.x.shape[0] == one.table.n_query  # features are not part of what is timed
    times = 1 if name == "boosting" else 3
    # What takes milliseconds is done often enough for a clock of 10 ms.
    once = min(seconds(lambda n: work(estimators[n]), SMALL) for _ in range(times))
    often = int(np.ceil(0.1 / max(once, 1e-3)))
    # Quadratic below the cap of its index: 4, up to 5 where the larger size outgrows a shared cache. Cubic is 8.
    limit = 6.0 if name == "knn" else LIMIT
    check_growth(f"predictor {name}", lambda n: [work(estimators[n]) for _ in range(often)], limit, times)


@pytest.mark.parametrize("name", [name for name in routers.names() if routers.get(name).learns])
def test_replay_of_learners(
    name: str, estimators: dict[int, Estimator], beds: dict[int, Testbed], settings: ExperimentSettings
) -> None:
    players: dict[int, Callable[[], Any]] = {}
    decisions = 0
    for n in (SMALL, LARGE):
        one, bed = estimators[n], beds[n]
        cues = np.zeros((bed.table.n_query, bed.table.n_model, 8), dtype=np.float32)
        setup = Setup(settings, one, cues[bed.train], cues[bed.test])
        entry = enter(name, setup)
        players[n] = lambda e=entry, a=setup: play(e, a.world)  # type: ignore[misc]
        decisions = sum(result.model.size for result in players[n]())
    taken_s = check_growth(f"replay {name}", lambda n: players[n](), times=4)
    print(f"{decisions / taken_s:,.0f} decisions a second")
