"""Play one registered router on a testbed, at every point of its frontier."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    tick: Callable[[], None] = lambda: None

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


def play(name: str, arena: Arena) -> Iterator[tuple[str, dict[str, Any], Played]]:
    """Fit a router once and play all its settings; yield (setting, parameters, what happened)."""
    cls = routers.get(name)
    settings, estimator = arena.settings, arena.estimator
    predictor, calibrator = parts_of(cls, settings)
    requests = _seen(cls, settings, estimator.testing(predictor, calibrator), arena.truth)
    points = cls.settings(settings.sweep)
    fitted = cls(**points[0])
    if cls.fit is not Router.fit:
        fitted.fit(arena.training(predictor, calibrator))
    chosen = [with_setting(fitted, point) for point in points]
    labels = [label_of(point, points) for point in points]
    if not cls.learns:
        for router, label in zip(chosen, labels, strict=True):
            yield label, router.params, play_static(router, requests, arena.truth, arena.runs)
        return
    played = _play_learner(chosen, requests, arena)
    for router, label, one in zip(chosen, labels, played, strict=True):
        yield label, router.params, one


def _play_learner(chosen: list[Router], requests: Estimates, arena: Arena) -> list[Played]:
    """Play all settings x seeds of a learner abreast; return one result per setting."""
    settings, runs = arena.settings, arena.runs
    n_run = len(runs.seed)
    every = Runs(np.tile(runs.order, (len(chosen), 1)), runs.arrival_s, runs.seed * len(chosen))
    wide = np.ones(len(every.seed))
    paced = chosen[0].paced
    pacer = Pacer(
        wide * (settings.dacr_budget_cost if paced and settings.dacr_budget_cost else np.inf),
        wide * (settings.dacr_budget_viol if paced and settings.dacr_budget_viol else np.inf),
        horizon=runs.order.shape[1],
        eta=settings.dacr_mu_lr,
    )
    plan = FeedbackPlan(settings.dacr_delay, settings.dacr_p_miss)
    together = stack([router for router in chosen for _ in range(n_run)])
    played = play_runs(
        together, requests, arena.truth, every, plan, pacer, tell_all=together.full_information, tick=arena.tick
    )
    return [_slice(played, slice(k * n_run, (k + 1) * n_run)) for k in range(len(chosen))]


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
