"""The figures of training and evaluation."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dacr.report import style
from dacr.report.figure import headline, legend_below

_LABELS = {
    "open_loop": "open loop",
    "open_loop_base": "open loop (base)",
    "oracle": "oracle (clairvoyant)",
    "ppo": "PPO",
    "always_open_source": "always open_source (cheapest first)",
    "round_robin": "round-robin",
    "router:dacr_eq9": "DACR, Eq. 9",
}


def label(policy: str) -> str:
    """Return what a reader calls a policy."""
    if policy in _LABELS:
        return _LABELS[policy]
    kind, _, router = policy.partition("router:")
    return style.look(router).label if not kind else policy.replace("always_", "always ")


def _colour(policy: str) -> str:
    known = {"oracle": style.BLACK, "ppo": style.PURPLE, "router:dacr": style.VERMILLION}
    return known.get(policy, style.BLUE if policy.startswith("router:") else style.GREY)


def budget(summary: pd.DataFrame, title: str) -> Figure:
    """Draw means with 95 % intervals: one column per scenario, grader above reward.

    Parameters
    ----------
    summary : DataFrame
        Of one mode and seed set: scenario, policy, grader_score, grader_score_half, reward, reward_half.
    """
    scenarios = list(dict.fromkeys(summary["scenario"]))
    policies = list(dict.fromkeys(summary["policy"]))
    with style.paper():
        figure = Figure(figsize=(style.DOUBLE_IN, 0.9 + 0.3 * len(policies)), layout="constrained")
        headline(figure, title, "")
        axes = figure.subplots(2, len(scenarios), sharey=True, squeeze=False)
        for scenario, (grade, reward) in zip(scenarios, axes.T, strict=True):
            part = summary[summary["scenario"] == scenario]
            _points(grade, part, "grader_score", policies)
            _points(reward, part, "reward", policies)
            grade.set_xlabel("grade")
            low, high = float(part["reward"].min()), float(part["reward"].max())
            reward.set_xlim(max(low, -12.0) - 1.5, high + 3.0)  # bankrupt policies lie far to the left
            reward.set_xlabel("reward" if low >= -12.0 else f"reward (down to {low:.0f})")
            grade.set_title(scenario.replace("_hard_multi", "\nhard_multi"), fontsize=6.8)
    return figure


def fleet(summary: pd.DataFrame) -> Figure:
    """Draw the table of strategies: one row per fleet, reward and cost of each, best reward first.

    Parameters
    ----------
    summary : DataFrame
        fleet, policy, reward, reward_half, cost, cost_half.
    """
    fleets = list(dict.fromkeys(summary["fleet"]))
    with style.paper():
        figure = Figure(figsize=(style.DOUBLE_IN, 0.4 + 0.6 * len(fleets) + 0.13 * len(summary)), layout="constrained")
        headline(figure, "LLMRouter-v0: means of episodes", "95 % intervals")
        axes = figure.subplots(len(fleets), 2, squeeze=False, width_ratios=(2, 1))
        for name, (reward, cost) in zip(fleets, axes, strict=True):
            part = summary[summary["fleet"] == name]
            policies = list(part["policy"])
            _points(reward, part, "reward", policies)
            _points(cost, part, "cost", policies)
            cost.set_yticklabels([])
            reward.set_xlabel("reward per episode")
            cost.set_xlabel("cost per episode, USD")
            reward.set_title(name, fontsize=6.8)
    return figure


def curve(points: pd.DataFrame, lines: pd.DataFrame, title: str, setting: str) -> Figure:
    """Draw the mean reward of evaluation episodes against training steps, with one sd of episodes as a band.

    Parameters
    ----------
    points : DataFrame
        timesteps, mean_reward, sd_reward.
    lines : DataFrame
        Baselines on the same episodes: strategy, mean_reward, mean_cost; the best first. Those drawn are the best
        constant, cheapest-first, round-robin and random; of those far below the curve the legend tells the value.
    """
    with style.paper():
        figure = Figure(figsize=(style.COLUMN_IN, 2.9), layout="constrained")
        axes = figure.add_subplot()
        x, y, sd = (points[name].to_numpy(dtype=float) for name in ("timesteps", "mean_reward", "sd_reward"))
        axes.fill_between(x / 1000, y - sd, y + sd, color=style.SKY, alpha=0.3, linewidth=0, label="± 1 sd of episodes")
        axes.plot(x / 1000, y, color=style.BLUE, marker="o", label="PPO, mean reward of an episode")
        shown = slice(1, None) if len(y) > 2 and y[0] < y[1:].min() else slice(None)
        looks = zip(_shown(lines).items(), (style.VERMILLION, style.GREEN, style.ORANGE, style.BLACK), strict=False)
        best = float(lines["mean_reward"].iloc[0])
        low, high = float((y - sd)[shown].min()), max(float((y + sd)[shown].max()), best)
        low = min(low, best) - 0.15 * (high - min(low, best))
        for (name, value), colour in looks:
            inside = value >= low
            text = f"{name}: {value:.4g}" + ("" if inside else " (below)")
            axes.axhline(value if inside else np.nan, color=colour, linestyle=style.DASHED, linewidth=0.9, label=text)
        axes.set_ylim(low, high + 0.08 * (high - low))
        if shown.start:  # an untrained network may be so bad that nothing else could be seen
            axes.text(0.02, 0.03, f"untrained: {y[0]:.4g}", transform=axes.transAxes, fontsize=6, color=style.GREY)
        axes.set_xlabel("training steps (thousands)")
        axes.set_ylabel("reward per episode")
        headline(figure, title, setting)
        legend_below(figure, axes.get_legend_handles_labels()[0], 2)
    return figure


def _shown(lines: pd.DataFrame) -> dict[str, float]:
    """Return the baselines that are drawn: the best constant, the cheapest one that calls, round-robin, random."""
    reward = lines.set_index("strategy")["mean_reward"]
    constant = lines[lines["strategy"].str.startswith("always")]
    calling = constant[constant["mean_cost"] > 0]
    best = constant["strategy"].iloc[0]
    cheapest = calling.loc[calling["mean_cost"].idxmin(), "strategy"] if len(calling) else best
    out = {f"{best} (best constant)": float(reward[best])}
    if cheapest != best:
        out[f"{cheapest} (cheapest first)"] = float(reward[cheapest])
    return out | {name: float(reward[name]) for name in ("round-robin", "random")}


def _points(axes: Axes, part: pd.DataFrame, value: str, policies: list[str]) -> None:
    """Draw one value of each policy, the first on top."""
    place = {policy: len(policies) - 1 - i for i, policy in enumerate(policies)}
    for policy, mean, half in zip(part["policy"], part[value], part[f"{value}_half"], strict=True):
        axes.errorbar(
            mean, place[policy], xerr=np.nan_to_num(half), color=_colour(policy), marker="o", markersize=3,
            linewidth=0.9, markerfacecolor="white" if policy == "oracle" else None,
        )  # fmt: skip
    axes.set_yticks(list(place.values()), [label(policy) for policy in place])
    axes.set_ylim(-0.7, len(policies) - 0.3)
