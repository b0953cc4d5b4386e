"""The figure of the evaluation: grader and reward side by side, a column of panels per scenario."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from dacr.report import style

LABELS = {
    "open_loop": "open loop",
    "open_loop_base": "open loop (base)",
    "oracle": "oracle (clairvoyant)",
    "ppo": "PPO",
    "router:dacr": "DACR",
    "router:dacr_eq9": "DACR, Eq. 9",
    "router:predict_optimize": "predict-optimize",
    "router:joint_ranker": "joint ranker",
    "router:best_single": "best single",
}


def label(policy: str) -> str:
    """Return what a reader calls a policy."""
    return LABELS.get(policy, policy.removeprefix("router:").replace("_", " "))


def _colour(policy: str) -> str:
    if policy == "oracle":
        return style.BLACK
    if policy == "ppo":
        return style.PURPLE
    if policy == "router:dacr":
        return style.VERMILLION
    return style.BLUE if policy.startswith("router:") else style.GREY


def draw(summary: pd.DataFrame, title: str) -> Figure:
    """Draw means with 95 % intervals: one column per scenario, grader above reward.

    Parameters
    ----------
    summary : DataFrame
        Of one mode and seed set: scenario, policy, grader_score, grader_score_half, reward, reward_half.
    """
    scenarios = list(dict.fromkeys(summary["scenario"]))
    policies = list(dict.fromkeys(summary["policy"]))
    place = {policy: len(policies) - 1 - i for i, policy in enumerate(policies)}
    with style.paper():
        figure = Figure(figsize=(style.DOUBLE_IN, 0.9 + 0.3 * len(policies)), layout="constrained")
        figure.suptitle(title, fontsize=8, fontweight="bold", x=0.01, ha="left")
        axes = figure.subplots(2, len(scenarios), sharey=True, squeeze=False)
        for column, scenario in enumerate(scenarios):
            part = summary[summary["scenario"] == scenario]
            for row, (value, unit) in enumerate((("grader_score", "grade"), ("reward", "reward"))):
                ax = axes[row, column]
                for _, one in part.iterrows():
                    ax.errorbar(
                        one[value], place[one["policy"]], xerr=np.nan_to_num(one[f"{value}_half"]),
                        color=_colour(one["policy"]), marker="o", markersize=3, linewidth=0.9,
                        markerfacecolor="white" if one["policy"] == "oracle" else None,
                    )  # fmt: skip
                ax.set_xlabel(unit)
                ax.set_yticks(list(place.values()), [label(policy) for policy in place])
                ax.set_ylim(-0.7, len(policies) - 0.3)
                if value == "reward":  # bankrupt policies lie far to the left: the axis keeps to the others
                    low, high = float(part[value].min()), float(part[value].max())
                    ax.set_xlim(max(low, -12.0) - 1.5, high + 3.0)
                    ax.set_xlabel("reward" if low >= -12.0 else f"reward (down to {low:.0f})")
                if not row:
                    ax.set_title(scenario.replace("_hard_multi", "\nhard_multi"), fontsize=6.8)
    return figure
