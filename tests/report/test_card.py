"""Cards: a YAML head that the Hub can read, and every section that a reader needs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from dacr.core.errors import UserError
from dacr.data.sample.schemas import write_long
from dacr.report.card import make_card


def head_of(text: str) -> dict[str, object]:
    assert text.startswith("---\n")
    return dict(yaml.safe_load(text.split("---\n")[1]))


def test_a_results_folder_has_its_numbers_checks_and_command(results_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(results_folder, tmp_path / "r")
    make_card(results_dir=str(tmp_path / "r"), licence="cc-by-4.0")
    text = (tmp_path / "r" / "README.md").read_text()
    assert head_of(text)["license"] == "cc-by-4.0"
    assert "| DACR " in text and "Held out: grade-school-math, mbpp." in text
    assert "DACR002 (warning): kNN lies below a blind mixture" in text
    for section in ("What it is", "What came out", "Splits", "Checks", "Limits", "How it was made"):
        assert f"\n## {section}\n" in text


def test_a_prepared_table_tells_models_domains_and_that_it_is_made_up(tmp_path: Path) -> None:
    write_long(tmp_path / "long.parquet", 500)
    table = pd.read_parquet(tmp_path / "long.parquet")
    make_card(data=str(tmp_path / "long.parquet"), out=str(tmp_path / "card.md"))
    text = (tmp_path / "card.md").read_text()
    assert head_of(text)["size_categories"] == ["n<1K" if len(table) < 1000 else "1K<n<10K"]
    assert f"{table['qid'].nunique():,} queries" in text
    assert all(str(domain) in text for domain in table["domain"].unique())


@pytest.mark.parametrize("named", [{}, {"results_dir": "a", "data": "b"}])
def test_one_of_a_folder_and_a_table_is_named(named: dict[str, str]) -> None:
    with pytest.raises(UserError, match="name one of"):
        make_card(**named)


def test_what_is_no_table_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(UserError, match="no prepared table"):
        make_card(data=str(tmp_path / "x.parquet"))
