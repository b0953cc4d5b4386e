"""The study in words and tables: Markdown that a reader can check against the CSV files beside it."""

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from dacr.core import files
from dacr.report.table import markdown


def study_text(tables: Mapping[str, pd.DataFrame], command: str) -> str:
    """Return the report of a study: how it was made, areas, budgets, pooled differences, choices, controls."""
    frame = tables["holdouts"]
    parts = [
        f"Made by `{command}`. Areas are of points averaged over orders, in quality units less the price of "
        "lateness (0 unless the command gives it one), "
        "between the cheapest and the dearest single model. Bold: the router differs from dacr (paired over queries x "
        "orders, Holm over the table); ⁻ worse than dacr, ⁺ better.",
        "### Frontier area",
        _areas(frame),
        "### Mean quality over enforced budgets",
        _budgets(frame),
        "### All hold-outs pooled: router minus dacr",
        _pooled(tables["holdouts_pooled"]),
    ]
    if "prices" in tables:
        parts += [
            "### The same under other prices",
            "Each model's costs times a factor of its own, log-uniform from .5 to 2: pooled differences to dacr.",
            _prices(tables["prices"]),
        ]
    if "choices" in tables:
        parts += [
            "### What was chosen",
            "On training domains alone, each of which was held out in turn for this (nested); routers that are not "
            "listed have nothing to choose.",
            markdown(["hold-out", "router", "chosen"], tables["choices"].to_numpy().tolist()),
        ]
    if "controls" in tables:
        parts += ["### Controls", _controls(tables["controls"])]
    return "\n\n".join(parts) + "\n"


def write_section(document: Path, title: str, text: str) -> None:
    """Replace the section ``## title`` of a Markdown file, or add it at the end; the other sections stay."""
    old = document.read_text(encoding="utf-8") if document.is_file() else "# Results over hold-outs\n"
    section = f"## {title}\n\n{text.strip()}\n"
    # Headings of the text itself are a level deeper, so a section ends at the next "## " or the end of the file.
    pattern = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    if pattern.search(old):
        new = pattern.sub(lambda _: section + "\n", old).rstrip() + "\n"
    else:
        new = f"{old.rstrip()}\n\n{section}"
    files.write_text(document, new)


def _number(value: float, digits: int = 3) -> str:
    return "" if not np.isfinite(value) else f"{value:.{digits}f}"


def _marked(value: float, verdict: str) -> str:
    sign = {"win": "⁺", "loss": "⁻"}.get(verdict, "")
    return f"**{_number(value)}**{sign}" if sign else _number(value)


def _areas(frame: pd.DataFrame) -> str:
    names, plans = list(dict.fromkeys(frame["router"])), "gate_hull" in frame
    rows = []
    for hold_out, part in frame.groupby("hold_out", sort=False):
        first, by = part.iloc[0], part.set_index("router")
        cells = [_marked(by.loc[n, "area"], by.loc[n, "area_verdict"]) if n in by.index else "" for n in names]
        dacr = by.loc["dacr"]
        rows.append(
            [f"{hold_out} ({first['n']:,})", _number(first["hull"])]
            + ([_number(first["gate_hull"])] if plans else [])
            + [_number(first["hull_by_domain"]), _number(first["oracle"]), *cells, _number(dacr["area_se"], 4)]
            + [f"{_number(dacr['ece'])} ({_number(dacr['ece_null'])})"]
        )
    return markdown(
        [
            "hold-out (n)",
            "hull",
            *["hull with plans"] * plans,
            "hull by domain",
            "oracle",
            *names,
            "standard error of dacr",
            "ECE of dacr's calls (null)",
        ],
        rows,
    )


def _budgets(frame: pd.DataFrame) -> str:
    if "budget_quality" not in frame or frame["budget_quality"].isna().all():
        return "No budgets were asked for."
    own = ["budget_quality", "budget_verdict"]
    names = list(dict.fromkeys(frame["router"]))
    rows = []
    for hold_out, part in frame.groupby("hold_out", sort=False):
        by = part.set_index("router")
        cells = [_marked(*by.loc[n, own]) if n in by.index else "" for n in names]
        worst = part["worst_overspend"].idxmax()
        rows.append(
            [f"{hold_out} ({part.iloc[0]['n']:,})", _number(part.iloc[0]["budget_hull"]), *cells]
            + [f"{by.loc['dacr', 'worst_overspend']:+.2%}"]
            + [f"{part.loc[worst, 'worst_overspend']:+.2%} ({part.loc[worst, 'router']})"]
            + [f"{part['share_over'].max():.1%}", f"{part['share_unused'].max():.1%}"]
        )
    text = markdown(
        ["hold-out (n)", "hull", *names, "worst overspend, dacr", "worst of all", "most runs > 1 % over"]
        + ["most runs < 95 % used at a price > 0"],
        rows,
    )
    return f"{text}\n\nThe last two columns are the worst router's share of its runs (orders x budgets)."


def _pooled(pooled: pd.DataFrame) -> str:
    rows = [
        [row["measure"], row["name"], f"{row['difference']:+.4f}", f"{row['low']:+.4f} to {row['high']:+.4f}"]
        + [f"{row['p_holm']:.2g}", {"win": "better", "loss": "worse"}.get(row["verdict"], row["verdict"])]
        for row in pooled.to_dict("records")
    ]
    return markdown(["measure", "router", "difference to dacr", "95 % interval", "p (Holm)", "than dacr"], rows)


def _prices(prices: pd.DataFrame) -> str:
    rows = [
        [row["measure"], row["name"], f"{row['median']:+.4f}", f"{row['least']:+.4f} to {row['most']:+.4f}"]
        + [f"{row['better']} / {row['worse']} of {row['n_draw']}"]
        for row in prices.to_dict("records")
    ]
    return markdown(["measure", "router", "median difference", "range", "better / worse than dacr"], rows)


def _controls(controls: pd.DataFrame) -> str:
    what = {
        "auc": "within-domain AUC of predictor (.5: it ranks nothing)",
        "shuffled": "area with features shuffled within domains (beside: as they are)",
        "permuted": "area with the paths of plans permuted within domains (beside: as they are)",
        "a_a": "dacr against itself under other seeds: share of points that differ (nominal .05)",
    }
    rows = [
        [row["hold_out"], what[row["control"]], row["subject"], _number(row["value"]), _number(row["reference"])]
        for row in controls.to_dict("records")
    ]
    return markdown(["hold-out", "control", "of", "value", "beside"], rows)
