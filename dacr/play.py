"""Play one registered router on a testbed, at every point of its frontier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacr.budget import Pacer
from dacr.estimates import Estimator, clairvoyant
from dacr.registry import routers
from dacr.replay import FeedbackPlan, Played, Runs, play_runs, play_static
from dacr.routers.base import Router, stack, with_setting
from dacr.settings import ExperimentSettings
from dacr.types import Estimates, Outcomes, Training


@dataclass(frozen=True)
class Arena:
    """What all routers of an experiment share.

    Attributes
    ----------
    cues_train, cues_test : (n, n_model, n_cue) float32
        What a caller can read off the responses.
    """

    settings: ExperimentSettings
    estimator: Estimator
    cues_train: NDArray[np.float32]
    cues_test: NDArray[np.float32]

    @property
    def truth(self) -> Outcomes:
        """What really happened on the test rows."""
        return self.estimator.outcomes(self.estimator.test, self.cues_test)

    def training(self, predictor: str, calibrator: str) -> Training:
        """What a router is fitted on: estimates of the given parts, and what happened."""
        return Training(
            self.estimator.training(predictor, calibrator),
            self.estimator.outcomes(self.estimator.train, self.cues_train),
            self.settings.tau_seconds,
            self.estimator.calibrators[predictor, calibrator],
        )

    @property
    def runs(self) -> Runs:
        """One run per seed, each in the order of arrival."""
        n = len(self.estimator.test)
        seeds = tuple(self.settings.seeds)
        return Runs(np.tile(np.arange(n), (len(seeds), 1)), self.estimator.arrival_s, seeds)


def parts_of(cls: type[Router], settings: ExperimentSettings) -> tuple[str, str]:
    """Return the names of the predictor and the calibrator that a router reads."""
    return cls.predictor or settings.predictor, cls.calibrator or settings.calibrator


@dataclass(frozen=True)
class Entry:
    """A fitted router at every point of its frontier, and what it may see: ready to be played anywhere.

    Attributes
    ----------
    labels : tuple of str
        Name of each point.
    points : tuple of Router
    requests : Estimates
    """

    name: str
    labels: tuple[str, ...]
    points: tuple[Router, ...]
    requests: Estimates

    @property
    def learns(self) -> bool:
        """Whether the router takes feedback."""
        return self.points[0].learns


def enter(name: str, arena: Arena) -> Entry:
    """Fit a registered router once and set it up at all its settings."""
    cls = routers.get(name)
    settings, estimator = arena.settings, arena.estimator
    predictor, calibrator = parts_of(cls, settings)
    requests = _seen(cls, settings, estimator.testing(predictor, calibrator), arena.truth)
    points = cls.settings(settings.sweep)
    fitted = cls(**points[0])
    if cls.fit is not Router.fit:
        fitted.fit(arena.training(predictor, calibrator))
    if hasattr(fitted, "read_texts"):
        # Rules and chains judge words, which estimates do not carry; quality is not among them.
        table = estimator.table.take(estimator.test)
        fitted.read_texts(requests.key, table.prompt, table.domain, table.response)
    labels = tuple(label_of(point, points) for point in points)
    return Entry(name, labels, tuple(with_setting(fitted, point) for point in points), requests)


def play(entry: Entry, truth: Outcomes, runs: Runs, settings: ExperimentSettings) -> Iterator[Played]:
    """Play an entry at each of its points: one result each, in order."""
    if entry.learns:
        yield from play_learner(entry, truth, runs, settings)
        return
    for point in entry.points:
        yield play_static(point, entry.requests, truth, runs)


def play_learner(entry: Entry, truth: Outcomes, runs: Runs, settings: ExperimentSettings) -> list[Played]:
    """Play all settings x seeds of a learner abreast; return one result per setting."""
    points, n_run = entry.points, len(runs.seed)
    every = Runs(np.tile(runs.order, (len(points), 1)), runs.arrival_s, runs.seed * len(points))
    wide = np.ones(len(every.seed))
    paced = points[0].paced
    pacer = Pacer(
        wide * (settings.dacr_budget_cost if paced and settings.dacr_budget_cost else np.inf),
        wide * (settings.dacr_budget_viol if paced and settings.dacr_budget_viol else np.inf),
        horizon=runs.order.shape[1],
        eta=settings.dacr_mu_lr,
    )
    plan = FeedbackPlan(settings.dacr_delay, settings.dacr_p_miss)
    together = stack([point for point in points for _ in range(n_run)])
    played = play_runs(together, entry.requests, truth, every, plan, pacer, tell_all=together.full_information)
    return [_slice(played, slice(k * n_run, (k + 1) * n_run)) for k in range(len(points))]


def _slice(played: Played, runs: slice) -> Played:
    values: dict[str, Any] = {
        field.name: None if getattr(played, field.name) is None else getattr(played, field.name)[runs]
        for field in fields(Played)
    }
    return Played(**values)


def _seen(cls: type[Router], settings: ExperimentSettings, requests: Estimates, truth: Outcomes) -> Estimates:
    """Return what the router may see: estimates; all of the truth for references; its cost and lateness on request."""
    if cls.clairvoyant:
        return clairvoyant(requests, truth)
    if settings.decision_info == "oracle":
        return clairvoyant(requests, truth).with_(p=requests.p, p_raw=requests.p_raw)
    return requests


def label_of(point: dict[str, Any], points: list[dict[str, Any]]) -> str:
    """Name a point of a frontier by what varies along it: ``lambda_cost=5``; empty where nothing does."""
    varying = [name for name in point if any(other[name] != point[name] for other in points)]
    return ", ".join(f"{name}={point[name]:g}" for name in varying)
