"""``docs/environments.md``, written from the results of one evaluation."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dacr.core import files
from dacr.envs.document_text import END, INTRODUCTION, STRICT_TEXT, published_note
from dacr.envs.eval_figure import label
from dacr.envs.eval_fleet import FLEETS, saving_at_equal_quality

_SETS = ("development", "heldout", "fresh")


def write_document(results: str | Path, target: str | Path) -> None:
    """Write the page; every number in it comes from the CSV files in ``results``."""
    folder = files.existing_folder(results, made_by="python scripts/eval_envs.py")
    summary = pd.read_csv(folder / "budget_summary.csv")
    paired = pd.read_csv(folder / "budget_paired_grader_score.csv")
    fleet = pd.read_csv(folder / "fleet_summary.csv")
    parts = [INTRODUCTION, _fleet(fleet), _published(summary), _variants(summary, paired), END]
    files.write_text(target, "\n".join(parts).rstrip() + "\n")


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _pm(mean: float, half: float, digits: int) -> str:
    return f"{mean:.{digits}f}" + ("" if pd.isna(half) else f" ± {half:.{digits}f}")


def _fleet(fleet: pd.DataFrame) -> str:
    out = ["## LLMRouter-v0: what was measured\n"]
    for name in FLEETS:
        part = fleet[(fleet["fleet"] == name) & ~fleet["policy"].str.startswith("ppo ")]
        part = part.sort_values("reward", ascending=False)
        rows = [
            [
                label(one["policy"]).replace("always ", "always ")
                + (f" ({one['n']} trainings)" if one["policy"] == "ppo" else ""),
                _pm(one["reward"], one["half"], 1),
                f"{one['cost']:.2f}",
                f"{one['quality']:.3f}",
                f"{one['latency_s']:.2f}",
                f"{100 * one['late_share']:.0f} %",
            ]
            for _, one in part.iterrows()
        ]
        out.append(f"### `{name}`\n")
        out.append(_table(["policy", "reward per episode", "cost USD", "quality", "latency s", "late"], rows))
        out.append(_fleet_verdict(fleet, name))
    return "\n".join(out)


def _fleet_verdict(fleet: pd.DataFrame, name: str) -> str:
    part = fleet[fleet["fleet"] == name].set_index("policy")
    constants = part[part.index.str.startswith("always_")]
    best = constants["reward"].idxmax()
    if "ppo" not in part.index:
        return f"The best constant model is `{best.removeprefix('always_')}`. No trained network was given.\n"
    ppo, own = part.loc["ppo"], constants.loc[best]
    gap = float(ppo["reward"] - own["reward"])
    spread = float(ppo["half"] + own["half"])
    words = "better than" if gap > spread else "worse than" if gap < -spread else "no different from"
    cost, mixture = saving_at_equal_quality(fleet, name)
    saving = 100 * (1 - cost / mixture)
    told = (
        f"PPO is {words} the best constant model, `{best.removeprefix('always_')}`: {gap:+.1f} reward an episode, with "
        f"intervals of ± {ppo['half']:.1f} over trainings and ± {own['half']:.1f} over episodes. The cheapest "
        f"static mixture of models with PPO's mean quality costs {mixture:.2f} USD an episode, PPO {cost:.2f} USD: "
        f"a saving of {saving:.1f} % at equal quality."
    )
    if gap > spread:
        told += (
            " What it gains is latency, by spreading the load:"
            f" {100 * ppo['late_share']:.0f} % late answers against {100 * own['late_share']:.0f} %."
        )
    return told + "\n"


def _published(summary: pd.DataFrame) -> str:
    part = summary[summary["mode"] == "faithful"]
    out = ["## BudgetRouter-v0: the published scenarios, faithful\n", "Mean grade / mean reward over ten episodes.\n"]
    for scenario in dict.fromkeys(part["scenario"]):
        here = part[part["scenario"] == scenario]
        rows = []
        for policy in dict.fromkeys(here["policy"]):
            cells = [label(policy)]
            for seed_set in _SETS:
                one = here[(here["policy"] == policy) & (here["seed_set"] == seed_set)]
                cells.append(f"{one['grader_score'].iloc[0]:.4f} / {one['reward'].iloc[0]:.2f}" if len(one) else "")
            rows.append(cells)
        out.append(f"### `{scenario}`\n")
        out.append(_table(["policy", *_SETS], rows))
    return "\n".join([*out, published_note()])


def _variants(summary: pd.DataFrame, paired: pd.DataFrame) -> str:
    part = summary[summary["mode"] == "strict"]
    out = ["## BudgetRouter-v0: hidden onsets, strict\n", STRICT_TEXT]
    for scenario in dict.fromkeys(part["scenario"]):
        for seed_set in ("heldout", "heldout_100"):
            here = part[(part["scenario"] == scenario) & (part["seed_set"] == seed_set)]
            if here.empty:
                continue
            n = int(here["n"].iloc[0])
            rows = []
            for _, one in here.sort_values("grader_score", ascending=False).iterrows():
                cells = [label(one["policy"]), _pm(one["grader_score"], one["grader_score_half"], 4)]
                cells += [f"{one['reward']:.2f}", f"{100 * one['bankrupt']:.0f} %"]
                cells += [_difference(paired, scenario, seed_set, one["policy"], r) for r in ("heuristic", "open_loop")]
                rows.append(cells)
            out.append(f"### `{scenario}`, seeds `{seed_set}` ({n} episodes)\n")
            header = ["policy", "grade", "reward", "bankrupt", "grade - heuristic", "grade - open loop"]
            out.append(_table(header, rows))
    return "\n".join(out)


def _difference(paired: pd.DataFrame, scenario: str, seed_set: str, policy: str, reference: str) -> str:
    where = (paired["scenario"] == scenario) & (paired["seed_set"] == seed_set)
    one = paired[where & (paired["policy"] == policy) & (paired["reference"] == reference)]
    if one.empty:
        return ""
    first = one.iloc[0]
    text = f"{first['difference']:+.3f} ± {first['half']:.3f}"
    star = "*" if first["p_holm"] <= 0.05 else ""
    return (f"**{text}**" if abs(first["difference"]) > first["half"] else text) + star
