"""The table of calibration errors: every calibrator, and what learners believed, by model and by domain."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dacr.report.equal_money import is_limit
from dacr.report.folder import Results, short_names
from dacr.report.table import Table, number

BELIEFS = {"online": " called", "online_counterfactual": " before", "online_end": " after"}
"""Stages of a learner's beliefs, as they are called in the table."""


def calibration(results: Results) -> Table:
    """Expected calibration error by model and by domain, for every calibrator and for learners' beliefs."""
    table = _with_beliefs(results.table("calibration_ece.csv"))
    names = short_names([m for m in table["model"].unique() if m != "all"]) | {"all": "all models"}
    calibrators = list(dict.fromkeys(table["calibrator"]))
    models = table[table["domain"] == "all"]
    domains = table[(table["model"] == "all") & (table["domain"] != "all")]
    labelled = pd.concat(
        [models.assign(label=models["model"].map(names)), domains.assign(label="domain " + domains["domain"])]
    )
    cells = labelled.drop_duplicates(["label", "calibrator"]).set_index(["label", "calibrator"])
    labels = list(dict.fromkeys(labelled["label"]))
    ece, floor = (cells[name].unstack()[calibrators].loc[labels] for name in ("ece", "ece_null"))
    # A learner that was told more than it could know is a reference: it is not compared.
    fair = [name for name in calibrators if not is_limit(name.split(" ")[0])]
    able = ece.round(3)[fair].reindex(columns=calibrators)
    text = ece.map(number) + floor.map(lambda value: f" ({value:.3f})" if value == value else "")
    text.columns = ["raw" if name == "identity" else name for name in calibrators]
    counts = labelled.groupby("label", sort=False)["n"].max()[labels]
    text.insert(0, "n", [f"{int(n):,}" for n in counts], allow_duplicates=True)
    text.insert(0, "", labels, allow_duplicates=True)
    bold = np.column_stack([np.zeros((len(text), 2), dtype=bool), able.eq(able.min(axis=1), axis=0)])
    notes = [
        f"Setting: {results.setting}. ECE of all models' predictions on the test queries, 15 bins of equal width; "
        "bold: lowest to three digits.",
        "In brackets the floor: what a perfectly calibrated predictor with these very predictions would score, from "
        "noise alone (ece_null).",
    ]
    if any(name.endswith(BELIEFS["online"]) for name in calibrators):
        notes.append(
            "Of learners: before, what was believed of every model before each decision; after, at the end of the "
            "stream; called, of the called models alone, before each call. Intervals: calibration_ece.csv."
        )
    groups = [models["model"].nunique()] if len(models) and len(domains) else []
    return Table("calibration", "Expected calibration error", text, bold, notes, groups)


def _with_beliefs(table: pd.DataFrame) -> pd.DataFrame:
    """Name a learner's stages apart, at the setting whose beliefs about every model are known; drop the others."""
    known = table.loc[table["stage"] == "online_counterfactual", ["calibrator", "setting"]]
    keys = pd.MultiIndex.from_frame(table[["calibrator", "setting"]])
    table = table[~table["stage"].isin(BELIEFS) | keys.isin(pd.MultiIndex.from_frame(known))]
    return table.assign(calibrator=table["calibrator"] + table["stage"].map(BELIEFS).fillna(""))
