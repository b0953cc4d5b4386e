from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.report import tables
from dacr.report.comparison import chosen_settings, compare
from dacr.report.results import Absent, Results
from dacr.report.table import Cell, Table, tex, to_html, to_latex, to_markdown

SMALL = Table(
    "small",
    "A title & more",
    ["Router", "Quality"],
    [[Cell("a_b"), Cell.number(0.5, best=True)], [Cell("c|d"), Cell.number(-0.25, tie=True)]],
    ["Note: 5 %."],
    [1],
)


def test_markdown_is_a_table_with_the_best_in_bold_and_ties_marked() -> None:
    assert to_markdown(SMALL).splitlines()[2:6] == [
        "| Router |   Quality |",
        "|--------|----------:|",
        "| a_b    | **0.500** |",
        "| c\\|d   |  −0.250 ≈ |",
    ]


def test_latex_escapes_and_is_balanced() -> None:
    text = to_latex(SMALL)
    assert "a\\_b & \\textbf{0.500} \\\\" in text
    assert "c|d & $-$0.250\\,$\\approx$ \\\\" in text
    assert "\\caption{A title \\& more. Note: 5 \\%.}" in text
    assert text.count("\\midrule") == 2
    for name in ("table", "tabular"):
        assert text.count(f"\\begin{{{name}}}") == text.count(f"\\end{{{name}}}") == 1
    assert text.isascii()


def test_html_escapes_and_carries_what_it_sorts_by() -> None:
    text = to_html(Table("t", "<b>", ["x", "y"], [[Cell("<i>"), Cell.number(1 / 3)]]))
    assert "<b>" not in text
    assert "<i>" not in text
    assert f'data-sort="{1 / 3!r}"' in text


def test_a_missing_number_is_a_dash() -> None:
    assert Cell.number(float("nan")).text == "–"
    assert tex("–") == "--"


@pytest.mark.parametrize("name", list(tables.TABLES))
def test_every_table_is_written_twice_and_in_ascii_latex(name: str, results_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(results_folder, tmp_path / "r")
    results = Results.open(tmp_path / "r")
    table = tables.TABLES[name](results)
    assert all(len(row) == len(table.head) for row in table.rows)
    assert to_latex(table).isascii()
    assert "nan" not in to_markdown(table)


def test_the_main_table_quotes_the_metrics(results: Results) -> None:
    table = tables.main_results(results)
    chosen = chosen_settings(results).set_index("policy")
    own = table.rows[0]
    assert own[0].text == "DACR"
    assert own[1].sort == chosen["mean_quality"]["dacr"]
    best = [row for row in table.rows if row[1].best]
    assert len(best) == 1
    assert "clairvoyant" not in best[0][0].text
    assert "full information" not in best[0][0].text
    assert "†" not in best[0][0].text


def test_others_spend_no_more_than_the_reference_or_are_marked(results: Results) -> None:
    chosen = chosen_settings(results)
    cap = chosen["mean_cost"].iloc[0]
    assert chosen["policy"].iloc[0] == "dacr"
    assert (chosen["mean_cost"] <= cap * (1 + 1e-9)).eq(~chosen["dearer"].astype(bool)).all()
    metrics = results.table("metrics.csv")
    for _, row in chosen.iloc[1:].iterrows():
        part = metrics[metrics["policy"] == row["policy"]]
        within = part[part["mean_cost"] <= cap * (1 + 1e-9)]
        if len(within):
            assert row["mean_quality"] == pytest.approx(within["mean_quality"].max())
        else:
            assert row["mean_cost"] == part["mean_cost"].min()


def test_differences_are_those_of_the_means_and_inside_their_intervals(results: Results) -> None:
    made = compare(results)
    quality = made.chosen.set_index("policy")["mean_quality"]
    for row in made.differences.itertuples():
        assert row.difference == pytest.approx(quality[row.name] - quality["dacr"])
        assert row.low <= row.difference <= row.high
    assert compare(results) is made
    assert (made.chosen["quality_lo"] <= made.chosen["mean_quality"]).all()


def test_without_decisions_the_main_table_has_no_intervals_and_no_verdicts(
    results_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(results_folder, tmp_path / "r")
    (tmp_path / "r" / "decisions.parquet").unlink()
    results = Results.open(tmp_path / "r")
    with pytest.raises(Absent, match=r"decisions\.parquet"):
        compare(results)
    table = tables.main_results(results)
    assert "[" not in table.rows[0][1].text
    assert tables.write(results) == ["main_results", "by_domain", "calibration"]


def test_many_domains_are_pooled_by_family(results_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(results_folder, tmp_path / "r")
    table = pd.read_csv(results_folder / "metrics_by_domain.csv")
    wide = pd.concat([table.assign(domain=table["domain"] + f"-{i}") for i in range(6)])
    wide.to_csv(tmp_path / "r" / "metrics_by_domain.csv", index=False)
    made = tables.by_domain(Results.open(tmp_path / "r"))
    assert made.head[0] == "Family of domains"
    assert len(made.rows) == 4


def test_the_floor_of_the_calibration_error_is_below_what_is_measured(results: Results) -> None:
    table = tables.calibration(results)
    floor = np.array([row[2].sort for row in table.rows if row[2].sort is not None])
    assert len(floor) == 11
    assert ((floor > 0.005) & (floor < 0.12)).all()
    for row in table.rows:
        values = [cell.sort for cell in row[3:]]
        assert [cell.best for cell in row[3:]] == [round(v, 3) == round(min(values), 3) for v in values]
