"""What feedback does to calibration: DACR's posterior, its full-information twin, and online Platt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from dacr.estimates.calibrators.online_platt import OnlinePlatt
from dacr.experiment.studies.calibration_bench import Holdout
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.stepped import play_runs
from dacr.routers.base import Choice, Terms, stack, with_setting
from dacr.routers.dacr.router import DacrRouter
from dacr.types import Bools, Estimates, Feedback, Floats, Ints, Keys, Played, Runs, Training

FEEDBACK = (0, 10, 30, 100, 300, 1000)
"""Amounts of feedback at which a learner's state is kept."""


@dataclass(frozen=True)
class Snapshot:
    """A learner's quality sites in one run after ``k`` ratings, just before decision ``t``."""

    run: int
    k: int
    t: int
    tau: Floats
    eta: Floats


class RecordingDacr(DacrRouter):
    """DACR that keeps what it believed about every model before each decision, and some of its states."""

    recorded: list[Floats]
    rated: list[tuple[Ints, Ints]]
    snapshots: list[Snapshot]

    def start(self, n_run: int, n_domain: int, seeds: Keys) -> None:
        """Forget all feedback and all records."""
        super().start(n_run, n_domain, seeds)
        self.recorded = []
        self.rated = []
        self._rated = np.zeros(n_run, dtype=np.int64)
        self.snapshots = [self._snapshot(run, 0) for run in range(n_run)]

    def decide(self, requests: Estimates, terms: Terms | None = None) -> Choice:
        """Decide, and record."""
        choice = super().decide(requests, terms)
        self.recorded.append(choice.beliefs.p.copy())
        return choice

    def observe(self, feedback: Feedback) -> None:
        """Learn, and keep the state of runs that have reached one of :data:`FEEDBACK`."""
        super().observe(feedback)
        rated = np.isfinite(feedback.quality)
        run = feedback.run[rated]
        self.rated.append((run, feedback.t[rated]))
        self._rated[run] += 1
        self.snapshots += [self._snapshot(int(r), int(self._rated[r])) for r in run if self._rated[r] in FEEDBACK]

    def _snapshot(self, run: int, k: int) -> Snapshot:
        sites = self._quality
        return Snapshot(run, k, len(self.recorded), sites.tau[run].copy(), sites.eta[run].copy())


@dataclass(frozen=True)
class Online:
    """A learner's forecasts along the stream: first axis is the run (one per stream order).

    Attributes
    ----------
    row : (n_run, n) int
        Test row at each position.
    p : (n_run, n, n_model) float
        Believed quality of every model before each decision.
    model : (n_run, n) int
        Called model.
    router : RecordingDacr or None
    end : (n_run, n, n_model) float or None
        Believed quality of every model after the whole stream, by position as well.
    """

    name: str
    lambda_cost: float
    row: Ints
    p: Floats
    model: Ints
    router: RecordingDacr | None = field(default=None, repr=False)
    end: Floats | None = field(default=None, repr=False)

    def called(self, values: Floats) -> Floats:
        """Take the called model's entry of (n_run, n, n_model) values."""
        return np.take_along_axis(values, self.model[:, :, None], axis=2)[:, :, 0]


def play_online(holdout: Holdout, plan: FeedbackPlan, lambdas: tuple[float, ...]) -> list[Online]:
    """Play DACR, its twin and online Platt on every stream order at every price of a dollar.

    Online Platt is told the very outcomes that DACR's calls earned (the same models, delay and gaps), so
    that the two differ in what they make of feedback, not in what they get.
    """
    estimator = holdout.estimator
    requests = estimator.testing(holdout.predictor, "base_slope")
    training = Training(
        estimator.training(holdout.predictor, "base_slope"),
        estimator.outcomes(estimator.train),
        holdout.tau_s,
        estimator.calibrators[holdout.predictor, "base_slope"],
    )
    out = []
    for full in (False, True):
        fitted = RecordingDacr(lambda_late=1.0).fit(training)
        fitted.full_information = full
        played, router = _play(holdout, requests, fitted, plan, lambdas, full)
        n_run = len(holdout.runs.seed)
        beliefs = np.stack(router.recorded, axis=1)
        for k, price in enumerate(lambdas):
            own = slice(k * n_run, (k + 1) * n_run)
            name = "dacr_full" if full else "dacr"
            row = played.row[own]
            end = np.stack([router.believed(np.full(len(at), run), requests.take(at)) for run, at in _each(own, row)])
            one = Online(name, price, row, beliefs[own], played.model[own], None if full else router, end)
            out.append(one)
            if not full:
                known = told(router, one, k * n_run)
                out.append(_online_platt(holdout, one, known, plan.delay, requests))
    return out


def _each(runs: slice, row: Ints) -> Iterator[tuple[int, Ints]]:
    """Yield the number of each run, and its rows in the order of the stream."""
    yield from zip(range(runs.start, runs.stop), row, strict=True)


def _play(
    holdout: Holdout,
    requests: Estimates,
    fitted: DacrRouter,
    plan: FeedbackPlan,
    lambdas: tuple[float, ...],
    full: bool,
) -> tuple[Played, RecordingDacr]:
    runs, n_run = holdout.runs, len(holdout.runs.seed)
    together = stack([with_setting(fitted, {"lambda_cost": price}) for price in lambdas for _ in range(n_run)])
    assert isinstance(together, RecordingDacr)
    every = Runs(np.tile(runs.order, (len(lambdas), 1)), runs.arrival_s, runs.seed * len(lambdas))
    wide = np.full(len(every.seed), np.inf)
    truth = holdout.estimator.outcomes(holdout.estimator.test)
    pacer = Pacer(wide, wide, horizon=runs.order.shape[1])
    return play_runs(together, requests, truth, every, plan, pacer, tell_all=full), together


def told(router: RecordingDacr, dacr: Online, first_run: int) -> Bools:
    """Say which pairs DACR was ever told about: (n_run, n, n_model), at most one model per position."""
    n_run, n, _ = dacr.p.shape
    run = np.concatenate([np.zeros(0, dtype=np.int64), *(r for r, _ in router.rated)]) - first_run
    t = np.concatenate([np.zeros(0, dtype=np.int64), *(t for _, t in router.rated)])
    own = (run >= 0) & (run < n_run)
    rated = np.zeros((n_run, n), dtype=bool)
    rated[run[own], t[own]] = True
    out = np.zeros(dacr.p.shape, dtype=bool)
    np.put_along_axis(out, dacr.model[:, :, None], rated[:, :, None], axis=2)
    return out


def _online_platt(holdout: Holdout, dacr: Online, known: Bools, delay: int, requests: Estimates) -> Online:
    fitted = holdout.estimator.calibrators[holdout.predictor, "platt"]
    n_run, n, n_model = dacr.p.shape

    def as_series(values: np.ndarray) -> np.ndarray:
        return values.transpose(1, 0, 2).reshape(n, n_run * n_model)

    start = np.tile([[one.a_, one.b_] for one in fitted], (n_run, 1))
    p, y = requests.p_raw[dacr.row], holdout.quality[dacr.row]
    forecasts = OnlinePlatt(start=start).run(as_series(p), as_series(y), as_series(known), delay)
    back = forecasts.reshape(n, n_run, n_model).transpose(1, 0, 2)
    return Online("online_platt", dacr.lambda_cost, dacr.row, back, dacr.model)
