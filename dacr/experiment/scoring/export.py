"""Our own decisions in the forms that others read: a table of decisions, or RouterArena's predictions."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from dacr.core import files
from dacr.core.errors import UserError
from dacr.report.folder import Results

COLUMNS = {
    "policy": "router", "setting": "setting", "seed": "order", "qid": "qid", "model": "model", "attempts": "attempts",
    "p_hat": "p", "propensity": "propensity", "cost": "cost_usd", "latency_s": "latency_s", "quality": "quality",
}  # fmt: skip
"""Columns of ``decisions.parquet`` -> of the file that is written."""


def export_decisions(
    *,
    results_dir: Path,
    out: Path,
    form: Literal["decisions", "routerarena"] = "decisions",
    router: str = "",
    setting: str = "",
) -> None:
    """Write the decisions of a results folder in the form that scripts/score_decisions.py reads.

    Parameters
    ----------
    results_dir : Path
        Folder that scripts/run_experiment.py wrote.
    out : Path
        File to write: .csv, .jsonl or .parquet; .json for RouterArena's form.
    form : str
        decisions, or routerarena: a JSON list of predictions of one router at one setting, in its first order.
    router, setting : str
        These alone; all by default.
    """
    results = Results.open(results_dir)
    frame = results.decisions(list(COLUMNS)).to_pandas().rename(columns=COLUMNS)
    for name, value in (("router", router), ("setting", setting)):
        if value:
            names = frame[name].astype(str).unique()
            frame = frame[frame[name] == value]
            if frame.empty:
                raise UserError(f"{results_dir} has no {name} {value!r}; it has {', '.join(names[:12])}")
    known = results.table("metrics.csv")
    held = known.loc[known["enforced"], ["policy", "setting"]].agg("|".join, axis=1)
    frame["enforced"] = (frame["router"].astype(str) + "|" + frame["setting"].astype(str)).isin(set(held))
    frame["model"] = frame["model"].astype(object).where(frame["model"].notna(), "")
    if form == "routerarena":
        _predictions(frame, out)
    else:
        _table(frame, out)
    print(f"wrote {out}: {len(frame)} decisions")


def _table(frame: pd.DataFrame, out: Path) -> None:
    kinds = {".csv", ".jsonl", ".parquet"}
    if out.suffix not in kinds:
        raise UserError(f"--out {out}: expected a file ending in {', '.join(sorted(kinds))}")
    with files.atomic_path(out) as temporary:
        if out.suffix == ".csv":
            frame.to_csv(temporary, index=False, lineterminator="\n")
        elif out.suffix == ".jsonl":
            frame.to_json(temporary, orient="records", lines=True, double_precision=15)
        else:
            frame.to_parquet(temporary, index=False)


def _predictions(frame: pd.DataFrame, out: Path) -> None:
    if frame[["router", "setting"]].drop_duplicates().shape[0] != 1:
        raise UserError("RouterArena's form holds one router at one setting; give --router and --setting")
    frame = frame[frame["order"] == frame["order"].min()]
    rows = pd.DataFrame(
        {
            "global index": frame["qid"].astype(str),
            "prompt": "",
            "prediction": frame["model"],
            "cost": frame["cost_usd"],
            "accuracy": frame["quality"],
            "for_optimality": False,
        }
    )
    records = rows.to_dict("records")
    served = np.asarray(frame["model"] != "")
    for row, ok in zip(records, served, strict=True):
        row["generated_result"] = {"generated_answer": "", "success": bool(ok), "token_usage": None, "provider": None,
                                   "error": None, "model_used": row["prediction"]}  # fmt: skip
    files.write_json(out, records)
