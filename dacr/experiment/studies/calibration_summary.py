"""The table for a paper, in CSV, Markdown and LaTeX; and the bins behind the reliability diagrams."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dacr.core import files
from dacr.experiment.studies.calibration_bench import Holdout
from dacr.experiment.studies.calibration_online import Online
from dacr.metrics.calibration.groups import Groups
from dacr.metrics.calibration.reliability import pooled_bins
from dacr.types import Floats

NOTE = (
    "Expected calibration error, 15 bins of equal width. Offline, online_counterfactual (before each decision) and "
    "online_end (after the stream): all pairs (query, model), mean over models. Online, and online_last_quarter of the "
    "stream: called pairs, pooled over models. "
    "Calibrators are fitted out-of-fold; learners are means over stream orders and prices."
)

_STAGES = {
    "raw": 0,
    "offline": 1,
    "online": 2,
    "online_last_quarter": 3,
    "online_counterfactual": 4,
    "online_end": 5,
}


def reliability_table(holdout: Holdout, static: Mapping[str, Floats], online: Sequence[Online]) -> pd.DataFrame:
    """Return the bins of all pairs, pooled over models: offline, and along the stream at the first price.

    ``se`` is the standard error of mean_q - mean_p in a bin (over queries; runs repeat the same queries,
    so they are averaged, not counted).
    """
    frames = []
    for name, p in static.items():
        stage = "raw" if name == "identity" else "offline"
        frames.append(_bins(p.ravel(), holdout.quality.ravel(), 1).assign(calibrator=name, stage=stage))
    seen: set[str] = set()
    for one in online:
        if one.name in seen:
            continue
        seen.add(one.name)
        q = holdout.quality[one.row]
        n_run = len(one.row)
        all_pairs = _bins(one.p.ravel(), q.ravel(), n_run)
        called = _bins(one.called(one.p).ravel(), one.called(q).ravel(), n_run)
        frames.append(all_pairs.assign(calibrator=one.name, stage="online_counterfactual"))
        frames.append(called.assign(calibrator=one.name, stage="online"))
    return pd.concat(frames, ignore_index=True).assign(model="all", domain="all")


def _bins(p: Floats, q: Floats, n_run: int) -> pd.DataFrame:
    one = Groups.of(np.zeros(len(p)))
    cells = pooled_bins(p[None, :, None], q[:, None], one, [0]).drop(columns=["group", "mean_q_low", "mean_q_high"])
    cells["n"] /= n_run
    cells["se"] = cells["sd_q"] / np.sqrt(np.maximum(cells["n"], 1.0))
    return cells[cells["n"] > 0]


def summary_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per calibrator and stage, one column per hold-out: mean ECE over models, all domains.

    The stage ``online`` pools the called pairs; learners are averaged over prices. Columns per hold-out:
    ece (95 % interval), null, brier.
    """
    rows = table[(table["domain"] == "all") & (table["model"] == np.where(_is_pooled(table), "all", "mean"))]
    columns = ["ece", "ece_low", "ece_high", "ece_null", "ece_debiased", "brier"]
    out = rows.groupby(["holdout", "calibrator", "stage"], sort=False)[columns].mean().reset_index()
    out["rank"] = out["stage"].map(_STAGES)
    return out.sort_values(["rank", "calibrator", "holdout"], kind="stable").drop(columns="rank").reset_index(drop=True)


def _is_pooled(table: pd.DataFrame) -> pd.Series:
    return table["stage"].isin(["online", "online_last_quarter"])


def write_summary(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write summary.md (ECE beside its null value; debiased ECE with its interval) and summary.tex (the latter)."""
    summary = tables["summary"]
    holdouts = list(dict.fromkeys(tables["calibration_ece"]["holdout"]))
    rows = list(dict.fromkeys(zip(summary["calibrator"], summary["stage"], strict=True)))
    index = summary.set_index(["calibrator", "stage", "holdout"]).to_dict("index")

    def block(cell: Callable[[Mapping[str, float]], str]) -> list[list[str]]:
        return [[a, b, *(cell(index[a, b, h]) if (a, b, h) in index else "" for h in holdouts)] for a, b in rows]

    with_null = block(lambda one: f"{_short(one['ece'])} ({_short(one['ece_null'])})")
    debiased = block(lambda one: _short(one["ece_debiased"]) + _interval(one))
    head = ["calibrator", "stage", *holdouts]
    text = [NOTE, "", "ECE (and what perfect calibration would score with these predictions at this n):", ""]
    text += [*_markdown(head, with_null), "", "Debiased ECE [95 % interval]:", "", *_markdown(head, debiased)]
    files.write_text(folder / "summary.md", "\n".join(text) + "\n")
    tex = [f"% {NOTE}", rf"\begin{{tabular}}{{ll{'r' * len(holdouts)}}} \toprule"]
    tex += [" & ".join(map(_tex, head)) + r" \\ \midrule"]
    tex += [" & ".join(map(_tex, row)) + r" \\" for row in debiased]
    files.write_text(folder / "summary.tex", "\n".join([*tex, r"\bottomrule \end{tabular}"]) + "\n")


def _markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|---|---|" + "---:|" * (len(head) - 2)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _interval(one: Mapping[str, float]) -> str:
    return f" [{_short(one['ece_low'])}, {_short(one['ece_high'])}]" if np.isfinite(one["ece_low"]) else ""


def _tex(text: str) -> str:
    return text.replace("_", r"\_").replace("%", r"\%").replace("&", r"\&")
