"""From the results folders of a calibration study to its tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from dacr.core import files
from dacr.experiment.frontier_table import BRIER, read_replicates, together
from dacr.metrics.paired import to_reference
from dacr.report.folder import read_csv
from dacr.report.table import Table, to_latex, to_markdown

ROUTER = "static with {}"
"""What predict-then-optimise (``static``, with no price of lateness) is called, by its calibrator."""

REFERENCES = ("identity", "base_rate")
_BETTER = {"win": "better", "tie": "tie", "loss": "worse", "unknown": "unknown"}
_STAGES = ("raw", "offline", "online", "online_counterfactual", "online_end")
NOTE = (
    "Expected calibration error, 15 bins of equal width. Offline, online_counterfactual (before each decision) and "
    "online_end (after the stream): all pairs (query, model), mean over models; the online ones at the middle price. "
    "Online: called pairs, pooled over models, mean over prices. Calibrators are fitted out-of-fold."
)


def calibration_tables(folders: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Return every table of the study by the stem of its file; the first column is the hold-out.

    - ``calibration_ece``, ``reliability``: those of the experiments, below each other.
    - ``brier_differences``: calibrator - reference in Brier score, mean over models, paired by query; ``verdict`` is
      better, tie or worse, Holm over the calibrators.
    - ``routing``: frontier area of predict-then-optimise with each calibrator, beside its ECE and Brier score.
    - ``summary``: one row per calibrator and stage.
    """
    made: dict[str, list[pd.DataFrame]] = {}
    for name, folder in folders.items():
        ece = read_csv(folder / "calibration_ece.csv")
        own = {
            "calibration_ece": ece,
            "reliability": read_csv(folder / "reliability.csv"),
            "brier_differences": brier_differences(folder),
            "routing": routing(folder, ece),
            "summary": summary(ece),
        }
        for stem, frame in own.items():
            frame.insert(0, "holdout", name)
            made.setdefault(stem, []).append(frame)
    return {stem: pd.concat(frames, ignore_index=True) for stem, frames in made.items()}


def brier_differences(folder: Path) -> pd.DataFrame:
    """Compare every calibrator's Brier score with the raw prediction's and with the base rate's, paired by query."""
    scores = read_replicates(folder / "replicates.parquet")[BRIER]
    names, frames = list(scores), []
    for reference in REFERENCES:
        frame = to_reference(names, together(scores, names), names.index(reference), bigger_is_better=False)
        frames.append(frame.assign(verdict=frame["verdict"].map(_BETTER)))
    return pd.concat(frames, ignore_index=True).rename(columns={"name": "calibrator"}).drop(columns="reason")


def routing(folder: Path, ece: pd.DataFrame) -> pd.DataFrame:
    """Return the frontier area of predict-then-optimise with each calibrator, beside its ECE and Brier score.

    Returns
    -------
    DataFrame
        calibrator, area (quality units, between the cheapest and the dearest model's cost), area_low,
        area_high, ece, brier (means over models), and paired against the raw prediction and the base rate:
        difference_to_R, low_to_R, high_to_R, p_holm_to_R, verdict_to_R.
    """
    collected = read_replicates(folder / "replicates.parquet")
    names = list(collected[BRIER])
    areas = together(collected["area"], [ROUTER.format(name) for name in names])
    low, high = areas.interval()
    table = pd.DataFrame({"calibrator": names, "area": areas.estimate, "area_low": low, "area_high": high})
    average = by_model(ece, ("raw", "offline")).groupby("calibrator")[["ece", "ece_debiased", "brier"]].mean()
    table = table.merge(average, left_on="calibrator", right_index=True, how="left")
    for reference in REFERENCES:
        paired = to_reference(names, areas, names.index(reference)).set_index("name")
        for column in ("difference", "low", "high", "p_holm", "verdict"):
            table[f"{column}_to_{reference}"] = paired[column].reindex(names).to_numpy()
    return table


def summary(ece: pd.DataFrame) -> pd.DataFrame:
    """Return one row per calibrator and stage: ece, ece_null, ece_debiased, brier, of all domains."""
    columns = ["ece", "ece_null", "ece_debiased", "brier"]
    called = ece[(ece["stage"] == "online") & (ece["domain"] == "all") & (ece["model"] == "all")]
    rows = pd.concat([by_model(ece, [stage for stage in _STAGES if stage != "online"]), called])
    out = rows.groupby(["calibrator", "stage"], sort=False)[columns].mean().reset_index()
    return out.sort_values("stage", key=lambda stage: stage.map(_STAGES.index), kind="stable", ignore_index=True)


def by_model(ece: pd.DataFrame, stages: object) -> pd.DataFrame:
    """Return the rows of single models over all domains, of these stages."""
    return ece[(ece["domain"] == "all") & (ece["model"] != "all") & ece["stage"].isin(list(stages))]  # type: ignore[call-overload]


def write_summary(folder: Path, table: pd.DataFrame) -> None:
    """Write summary.md (ECE beside its null value, then the debiased ECE) and summary.tex (the latter)."""
    keys, holdouts = ["calibrator", "stage"], list(dict.fromkeys(table["holdout"]))
    order = pd.MultiIndex.from_frame(table[keys].drop_duplicates())

    def made(name: str, title: str, text: pd.Series) -> Table:
        wide = table.assign(text=text).pivot(index=keys, columns="holdout", values="text").loc[order, holdouts]
        return Table(name, title, wide.fillna("").reset_index().rename_axis(columns=None), notes=[NOTE])

    short = {name: table[name].map(_short) for name in ("ece", "ece_null", "ece_debiased")}
    with_null = short["ece"] + " (" + short["ece_null"] + ")"
    debiased = made("summary", "Debiased ECE", short["ece_debiased"])
    files.write_text(
        folder / "summary.md",
        to_markdown(made("ece", "ECE (in brackets what perfect calibration would score at this n)", with_null))
        + "\n"
        + to_markdown(debiased),
    )
    files.write_text(folder / "summary.tex", to_latex(debiased))


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0") if np.isfinite(value) else ""
