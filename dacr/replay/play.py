"""Play one registered router on a testbed, at every point of its frontier."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from dacr.core.background import one_thread
from dacr.core.registry import routers
from dacr.estimates.fitted import clairvoyant
from dacr.replay.beliefs import Believer, record_of
from dacr.replay.budgets.pacer import Pacer
from dacr.replay.budgets.ways import WayChooser, Ways
from dacr.replay.entry import Entry, Point
from dacr.replay.settings import WorldSettings
from dacr.replay.setup import Setup
from dacr.replay.static import play_static
from dacr.replay.stepped import play_runs
from dacr.replay.world import World
from dacr.routers.base import Cascade, Reference, Router, stack, with_setting
from dacr.routers.texts import TextReader, hand_over
from dacr.types import Estimates, Outcomes, Played, Runs
from dacr.workload.queueing import FifoQueues


def budget_label(cost: float, late: float) -> str:
    """Name an enforced budget: ``budget_cost=0.001, budget_late=0.1``."""
    parts = [("budget_cost", cost), ("budget_late", late)]
    return ", ".join(f"{name}={value:g}" for name, value in parts if np.isfinite(value))


def parts_of(cls: type[Router], settings: WorldSettings) -> tuple[str, str]:
    """Return the names of the predictor and the calibrator that a router reads."""
    return cls.predictor or settings.predictor, cls.calibrator or settings.calibrator


def enter(name: str, setup: Setup, chosen: Mapping[str, Any] | None = None) -> Entry:
    """Fit a registered router once and set it up at all its points; ``chosen`` are arguments in place of defaults."""
    cls = routers.get(name)
    settings, estimator = setup.settings, setup.estimator
    predictor, calibrator = parts_of(cls, settings)
    seen = setup.arms if cls.takes_plans and setup.arms is not None else setup
    requests = _seen(cls, settings, seen.testing(predictor, calibrator), seen.truth)
    sweep = settings.sweep
    frontier = cls.settings(sweep)
    fitted = cls(**{**(chosen or {}), **frontier[0]})
    train = None if cls.fit is Router.fit else seen.training(predictor, calibrator)
    fitted.fallback = settings.fallback_value
    if train is not None:
        fitted.fit(train)
    if isinstance(fitted, Reference):
        fitted.foresee(requests, seen.truth)
    has_ways = isinstance(fitted, Cascade) and cls.budget == "ways" and train is not None and bool(setup.budgets)
    has_ways &= setup.world.effects is None  # along a protocol a way's calls depend on when they are made
    if isinstance(fitted, TextReader):
        parts = [(requests, estimator.test), *([(train.requests, estimator.train)] if has_ways and train else [])]
        for part, rows in parts:
            text = estimator.table, rows, estimator.prompts.questions
            hand_over(fitted, part.key, estimator.labels[rows], *text)
    kept = sweep.kept_for(cls)
    points = [Point(label_of(point, frontier), with_setting(fitted, point), *kept) for point in frontier]
    under_budget = cls.budget_setting(sweep)
    if under_budget is not None:
        for pair in setup.budgets:
            told = {"budget_cost": pair[0]} if cls.budget == "own" else {}
            points.append(Point(budget_label(*pair), with_setting(fitted, under_budget | told), *pair, enforced=True))
    ways = None
    if has_ways and train is not None:
        ways = Ways.of(
            [point.router for point in points if isinstance(point.router, Cascade)], train, requests, seen.truth
        )
        chooser = WayChooser(ways.costs)
        chooser.fallback = settings.fallback_value
        points += [Point(budget_label(*pair), chooser, *pair, enforced=True) for pair in setup.budgets]
    return Entry(name, tuple(points), requests, ways)


def play(entry: Entry, world: World) -> list[Played]:
    """Play an entry at each of its points: one result each, in order."""
    world = world.for_arms(len(entry.requests.models))
    if entry.ways is not None:
        return _play_cascade(entry, entry.ways, world)
    plain = [point for point in entry.points if not _is_stepped(point, world)]
    stepped = [point for point in entry.points if _is_stepped(point, world)]
    played = {
        id(point): play_static(point.router, entry.requests, world.truth, world.runs_of(point), world.effects)
        for point in plain
    }
    if stepped:
        played |= dict(zip(map(id, stepped), _play_stepped(stepped, entry, world), strict=True))
    return [played[id(point)] for point in entry.points]


def _play_cascade(entry: Entry, ways: Ways, world: World) -> list[Played]:
    """Play a cascade's frontier as it is, and its enforced budgets by choosing among its ways; no call of it queues."""
    frontier, enforced = (tuple(one for one in entry.points if one.enforced == kind) for kind in (False, True))
    most = None if world.most_usd is None else ways.most_usd(world.most_usd)
    of_ways = replace(world, truth=ways.truth, most_usd=most, replicas=None)
    under_budget = play(replace(entry, points=enforced, requests=ways.requests, ways=None), of_ways)
    return play(replace(entry, points=frontier, ways=None), world) + [ways.played(one) for one in under_budget]


def _is_stepped(point: Point, world: World) -> bool:
    """Say whether the stream must be walked position by position; a router of several calls never can be."""
    return world.order_matters(point) and (point.router.learns or not point.router.several_attempts)


def _play_stepped(points: list[Point], entry: Entry, world: World) -> list[Played]:
    """Play points x runs abreast; return one result per point."""
    runs = world.learning
    n_run = len(runs.order)
    every = Runs(np.tile(runs.order, (len(points), 1)), runs.arrival_s, runs.seed * len(points))
    together = stack([point.router for point in points for _ in range(n_run)])
    pacer = Pacer(
        np.repeat([point.budget_cost for point in points], n_run),
        np.repeat([point.budget_late for point in points], n_run),
        horizon=world.horizon,
        eta=world.eta,
        most_usd=world.most_usd,
        fallback=together.fallback if together.abstains else None,
    )
    queues = None if world.replicas is None else FifoQueues(len(every.seed), world.replicas)
    frontier = [k for k, point in enumerate(points) if not point.enforced]
    middle = frontier[(len(frontier) - 1) // 2] if frontier and world.record_beliefs else None
    record = None
    if middle is not None:
        own = slice(middle * n_run, (middle + 1) * n_run)
        record = record_of(together, own, (n_run, len(world.truth), len(entry.requests.models)))
    with one_thread():
        played = play_runs(
            together,
            entry.requests,
            world.truth,
            every,
            world.plan,
            pacer,
            tell_all=together.full_information,
            queues=queues,
            tau_s=world.tau_s,
            effects=world.effects,
            record=record,
        )
    each = [_slice(played, slice(k * n_run, (k + 1) * n_run)) for k in range(len(points))]
    if middle is not None and record is not None and isinstance(together, Believer):
        after = record.after(together, entry.requests, world.effects)
        each[middle] = replace(each[middle], p_before=record.before, p_after=after)
    return each


def _slice(played: Played, runs: slice) -> Played:
    values: dict[str, Any] = {
        field.name: None if getattr(played, field.name) is None else getattr(played, field.name)[runs]
        for field in fields(Played)
    }
    return Played(**values)


def _seen(cls: type[Router], settings: WorldSettings, requests: Estimates, truth: Outcomes) -> Estimates:
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
