"""What the rule router does on recorded outcomes, by class: whom it calls, and what its limits are worth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dacr.live.recorded import Recorded
from dacr.routers.rules.classes import CLASSES
from dacr.routers.rules.router import RulesRouter
from dacr.types import SHED


def rules_by_class(world: Recorded, router: RulesRouter) -> pd.DataFrame:
    """Play the rules: one row per class and one for all.

    ``refused`` counts requests without a call, ``forced`` those whose class's preferred model broke a limit, so that
    another was called. ``violations`` counts calls that break the cost cap on estimates (it must be 0, but for
    ``legacy``), ``over_cap`` those whose real cost does, ``overshoot_usd`` by how much in all.
    """
    played = world.play(router)
    model, cost = played.model[0], played.cost_usd[0]
    called = model != SHED
    code = router.classes(world.requests)
    expected = world.requests.cost_hat[np.arange(len(model)), np.maximum(model, 0)]
    cap = router.max_cost_per_task_usd
    frame = pd.DataFrame(
        {
            "task_class": np.array(CLASSES)[code],
            "quality": played.quality[0],
            "cost": cost,
            "refused": ~called,
            "forced": called & (model != router.rank_[code].argmin(axis=1)),
            "violation": called & (expected > cap),
            "over_cap": cost > cap,
            "overshoot": np.maximum(cost - cap, 0.0),
        }
    )
    parts = [("all", frame), *((name, frame[frame["task_class"] == name]) for name in CLASSES)]
    return pd.DataFrame([_row(name, part) for name, part in parts if len(part)])


def _row(name: str, part: pd.DataFrame) -> dict[str, object]:
    return {
        "task_class": name,
        "n": len(part),
        "mean_quality": part["quality"].mean(),
        "mean_cost": part["cost"].mean(),
        "refused": int(part["refused"].sum()),
        "forced": int(part["forced"].sum()),
        "violations": int(part["violation"].sum()),
        "over_cap": int(part["over_cap"].sum()),
        "overshoot_usd": part["overshoot"].sum(),
    }
