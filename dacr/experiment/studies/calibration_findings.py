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
        *(_rarely_called(tables["call_share"]) if "call_share" in tables else []),
        *_routing(tables["routing"]),
        *(_truth(tables["truth"]) if "truth" in tables else []),
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
    rows = whole[
        (whole["stage"] == "online_last_quarter") & (whole["calibrator"] == "dacr") & (whole["model"] == "all")
    ]
    out = []
    for name, part in rows.groupby("holdout", sort=False):
        rms = float(np.sqrt(max(part["ece2_debiased"].mean(), 0.0)))
        out.append(
            f"Called pairs, last quarter, {name} (n {part['n'].mean():.0f}): debiased root-mean-square error "
            f"{rms:.3f}, target {END_LIMIT:g} {_met(rms <= END_LIMIT)}; debiased ECE {part['ece_debiased'].mean():.3f}."
        )
    return out


def _rarely_called(shares: pd.DataFrame) -> list[str]:
    """Say what a bandit knows of the models that it rarely calls, against those that it calls most."""
    rows = shares[shares["calibrator"].isin([DEFAULT, "dacr", "dacr_full"])]
    means = rows.groupby(["holdout", "call_share", "calibrator"], sort=False)["ece"].mean().unstack("calibrator")
    out = []
    for name in dict.fromkeys(rows["holdout"]):
        part = means.loc[name]
        own = [kind for kind in dict.fromkeys(rows["call_share"]) if kind in part.index]
        ends = sorted(own, key=lambda kind: (not kind.startswith("below"), kind.startswith("above")))
        for kind in dict.fromkeys((ends[0], ends[-1])):
            one = part.loc[kind]
            out.append(
                f"By share of calls, {name}: models that get {kind} of them have an ECE on all pairs of "
                f"{one['dacr']:.3f} (offline {one[DEFAULT]:.3f}; the full-information twin's {one['dacr_full']:.3f})."
            )
    return out


def _truth(truth: pd.DataFrame) -> list[str]:
    """Say how far predictions are from the true probabilities, and whether the labels' ECE tells."""
    out = []
    for name, part in truth.groupby("holdout", sort=False):
        one = part.set_index(["calibrator", "stage"])
        known = [(c, s) for c, s in ((DEFAULT, "offline"), ("dacr", "online_counterfactual"), ("dacr", "online_end"))]
        said = ", ".join(f"{c} ({s}) {one.loc[(c, s), 'rmse_to_truth']:.3f}" for c, s in known if (c, s) in one.index)
        gap = (part["ece_debiased"] - part["ece_to_truth"]).abs()
        raw = one.loc[("identity", "raw"), "rmse_to_truth"]
        out.append(
            f"True probabilities, {name}: root-mean-square error of raw {raw:.3f}, "
            f"{said}; debiased ECE is {gap.mean():.4f} from the ECE without label noise (largest {gap.max():.4f})."
        )
    return out


def _routing(routing: pd.DataFrame) -> list[str]:
    """Say whether the calibrator with the best Brier score also routes better than the raw prediction."""
    out = []
    for name, part in routing.groupby("holdout", sort=False):
        one = part.set_index("calibrator")
        best, top = str(one["brier"].idxmin()), str(one["area"].idxmax())
        agreement = _agreement(one["brier"], one["area"])
        text = f"Routing, {name}: the best Brier score is {best}'s; "
        if best == "identity":
            text += "no calibrator is better than the raw prediction; "
        else:
            gap, low, high, verdict = (
                one.loc[best, f"{column}_to_identity"] for column in ("difference", "low", "high", "verdict")
            )
            text += (
                f"its frontier area against the raw prediction's: {gap:+.4f} [{low:+.4f}, {high:+.4f}], a {verdict}; "
            )
            if verdict != "win":
                text += "so here better calibration does not route better beyond its interval (Holm); "
        text += f"the largest area is {top}'s; rank agreement with area: Brier score {agreement:+.2f}, "
        out.append(text + f"ECE {_agreement(one['ece'], one['area']):+.2f}.")
    wins = [_beats(part.set_index("calibrator")) for _, part in routing.groupby("holdout", sort=False)]
    out.append(
        f"Does it matter? The calibrator of the best Brier score routes better than the raw prediction beyond its "
        f"interval in {sum(wins)} of {len(wins)} splits."
    )
    return out


def _beats(one: pd.DataFrame) -> bool:
    best = str(one["brier"].idxmin())
    return best != "identity" and str(one.loc[best, "verdict_to_identity"]) == "win"


def _agreement(brier: pd.Series, area: pd.Series) -> float:
    """Rank correlation of a low Brier score with a large area; NaN where one of them is constant."""
    if brier.nunique() < 2 or area.nunique() < 2:
        return float("nan")
    return float(spearmanr(-brier, area).statistic)


def _met(good: bool) -> str:
    return "met" if good else "MISSED"
