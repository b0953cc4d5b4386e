"""One hold-out is set up and played: every router in the same stream orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacr.core.cache import Cache
from dacr.core.processes import background
from dacr.data.table import RoutingTable
from dacr.experiment.settings import ExperimentSettings
from dacr.replay.entry import Point
from dacr.replay.play import enter, play
from dacr.replay.setup import Setup, set_up
from dacr.replay.world import World
from dacr.types import Played


@dataclass(frozen=True)
class Ran:
    """One router on one hold-out: what it did at each of its points."""

    name: str
    learns: bool
    points: tuple[Point, ...]
    played: tuple[Played, ...]

    def at(self, bounded: bool) -> list[tuple[Point, Played]]:
        """Return the points under enforced budgets, or those along the frontier."""
        pairs = zip(self.points, self.played, strict=True)
        return [(point, one) for point, one in pairs if point.bounded == bounded]


def setup_of(
    settings: ExperimentSettings, table: RoutingTable, max_queries: int = 0, features: NDArray[np.float32] | None = None
) -> Setup:
    """Assemble what routers of one hold-out share; ``features`` replace the project's own."""
    cache = Cache.from_environment(not settings.no_cache)
    return set_up(settings, table, cache, features=features, max_queries=max_queries)[1]


def same_orders(setup: Setup) -> World:
    """Let every router play the learners' orders, also along its frontier: they are compared order by order."""
    return replace(setup.world, static=setup.world.learning)


def play_routers(
    names: Sequence[str],
    setup: Setup,
    n_jobs: int = 1,
    world: World | None = None,
    chosen: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Ran]:
    """Play routers at all their points, in the same stream orders; ``chosen`` replaces defaults, by router."""
    chosen = chosen or {}
    world = world or same_orders(setup)
    with background(n_jobs) as submit:
        entries = [enter(name, setup, chosen.get(name)) for name in names]
        waiting = [submit(play, entry, world) for entry in entries]
        return [
            Ran(entry.name, entry.learns, entry.points, tuple(wait()))
            for entry, wait in zip(entries, waiting, strict=True)
        ]
