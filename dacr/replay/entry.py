"""A router that is ready to be played: fitted, at every point of its frontier, with what it may see."""

from dataclasses import dataclass

import numpy as np

from dacr.replay.budgets.ways import Ways
from dacr.routers.base import Router
from dacr.types import Estimates


@dataclass(frozen=True)
class Point:
    """One point at which a router is played: its arguments, and the budgets that the arena holds it to.

    Attributes
    ----------
    label : str
        What varies: ``lambda_cost=5``, ``budget_cost=0.001``.
    router : Router
        Fitted.
    budget_cost, budget_late : float
        Infinity where the arena holds it to none.
    enforced : bool
        One of the experiment's budgets, which every router is held to alike (``--budget_cost``, ``--budget_late``,
        ``--budget_grid``). All other points are a frontier's, even those that keep a budget of the operator's.
    """

    label: str
    router: Router
    budget_cost: float = np.inf
    budget_late: float = np.inf
    enforced: bool = False

    @property
    def bounded(self) -> bool:
        """Whether the arena's prices and ledger hold it to a budget, whoever asked for it."""
        return bool(np.isfinite(self.budget_cost) or np.isfinite(self.budget_late))

    @property
    def budgeted(self) -> bool:
        """Whether it is a point of a frontier that is to keep a budget of the operator's (``--dacr_budget_*``)."""
        return not self.enforced and bool(np.isfinite(self.allowed).any())

    @property
    def allowed(self) -> tuple[float, float]:
        """What it is to keep, by the arena's prices or by its own: USD per request, share of late answers."""
        own = [self.router.params.get(name) for name in ("budget_cost", "budget_late")]
        cost, late = (np.inf if value is None else float(value) for value in own)
        return min(self.budget_cost, cost), min(self.budget_late, late)


@dataclass(frozen=True)
class Entry:
    """A fitted router at every point where it is played, and what it may see: ready to be played anywhere."""

    name: str
    points: tuple[Point, ...]
    requests: Estimates
    ways: Ways | None = None
    """Of a cascade that is held to enforced budgets: what these choose from."""

    @property
    def learns(self) -> bool:
        """Whether the router takes feedback."""
        return self.points[0].router.learns
