"""What the tables say, in sentences: targets met and missed, exceptions, and whether calibration pays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

DEFAULT = "base_slope"
CALLED_LIMITS = ((1000, 0.03), (0, 0.06))
"""Targets of the ECE on called pairs: (streams of at least this length, limit)."""

ALL_PAIRS_LIMIT = 0.08
END_LIMIT = 0.03


def findings(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return one sentence per finding."""
    table = tables["calibration_ece"]
    whole = table[table["domain"] == "all"]
    return [
        *_exceptions(tables["brier_differences"]),
        *_called(whole),
        *_all_pairs(whole),
        *_end(whole),
        *_routing(tables["routing"]),
    ]


def _exceptions(differences: pd.DataFrame) -> list[str]:
    """Name every place where the default's Brier score is worse than a reference's beyond its interval."""
    own = differences[(differences["calibrator"] == DEFAULT) & (differences["domain"] == "all")]
    out = []
    for reference, part in own.groupby("reference", sort=False):
        mean = part[part["model"] == "mean"]
        counts = mean["verdict"].value_counts()
        out.append(
            f"Brier score of {DEFAULT} against {reference}, mean over models: better in {counts.get('better', 0)}, "
            f"a tie in {counts.get('tie', 0)}, worse in {counts.get('worse', 0)} of {len(mean)} splits."
        )
        for row in part[part["verdict"] == "worse"].itertuples():
            out.append(
                f"Exception: {DEFAULT} is worse than {reference} by {row.difference:.4f} "
                f"[{row.low:.4f}, {row.high:.4f}] in Brier score ({row.holdout}, model {row.model})."
            )
    return out


def _called(whole: pd.DataFrame) -> list[str]:
    rows = whole[(whole["stage"] == "online") & (whole["calibrator"] == "dacr") & (whole["model"] == "all")]
    out = []
    for name, part in rows.groupby("holdout", sort=False):
        n, ece = part["n"].max(), part["ece"].mean()
        limit = next(limit for least, limit in CALLED_LIMITS if n >= least)
        out.append(
            f"Called pairs, {name} (n {n:.0f}): DACR's ECE {ece:.3f}, target {limit:g} {_met(ece <= limit)}; "
            f"perfect calibration would score {part['ece_null'].mean():.3f}."
        )
    return out


def _all_pairs(whole: pd.DataFrame) -> list[str]:
    rows = whole[(whole["stage"] == "online_counterfactual") & whole["holdout"].ne("in distribution")]
    out = []
    for kind, text in (("all", "pooled over models"), ("mean", "mean over models")):
        means = rows[rows["model"] == kind].groupby("calibrator")["ece"].mean()
        if "dacr" in means.index:
            value = float(means["dacr"])
            out.append(
                f"All pairs, mean over hold-outs, {text}: DACR's ECE {value:.3f}, target {ALL_PAIRS_LIMIT:g} "
                f"{_met(value <= ALL_PAIRS_LIMIT)}; the full-information twin's {means.get('dacr_full', np.nan):.3f}."
            )
    return out


def _end(whole: pd.DataFrame) -> list[str]:
    """Judge the last quarter by the root of the squared error, whose bias is removed exactly."""
    rows = whole[(whole["stage"] == "online_end") & (whole["calibrator"] == "dacr") & (whole["model"] == "all")]
    out = []
    for name, part in rows.groupby("holdout", sort=False):
        rms = float(np.sqrt(max(part["ece2_debiased"].mean(), 0.0)))
        out.append(
            f"Called pairs, last quarter, {name} (n {part['n'].mean():.0f}): debiased root-mean-square error "
            f"{rms:.3f}, target {END_LIMIT:g} {_met(rms <= END_LIMIT)}; debiased ECE {part['ece_debiased'].mean():.3f}."
        )
    return out


def _routing(routing: pd.DataFrame) -> list[str]:
    out = []
    for name, part in routing.groupby("holdout", sort=False):
        area, brier = part.set_index("calibrator")["area"], part.set_index("calibrator")["brier"]
        agreement = spearmanr(-brier, area).statistic if part["brier"].nunique() > 1 else np.nan
        out.append(
            f"Routing, {name}: the best Brier score is {brier.idxmin()}'s (area {area[brier.idxmin()]:.3f}), the best "
            f"area {area.idxmax()}'s ({area.max():.3f}); rank agreement of Brier score and area {agreement:+.2f}."
        )
        if part["brier"].size > 1 and area.idxmax() != brier.idxmin():
            out.append(f"So on {name} the better calibrated predictions do not route better.")
    return out


def _met(good: bool) -> str:
    return "met" if good else "MISSED"
