"""What is held out together: families, a column of the table, or what stands before a separator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core.errors import UserError
from dacr.data.table import load
from dacr.experiment.groups import FAMILY, grouped, groups_of, hold_outs


@pytest.fixture
def data(tiny_long: pd.DataFrame, tmp_path: Path) -> Path:
    """Six queries in three domains; ``source`` is coarser than the domains, ``split`` cuts across them."""
    source = tiny_long["domain"].map({"mbpp": "code", "mmlu-law": "text", "winogrande": "text"})
    split = np.where(tiny_long["qid"].isin(["q0", "q2", "q4"]), "even", "odd")
    path = tmp_path / "long.parquet"
    tiny_long.assign(source=source, split=split).to_parquet(path)
    return path


def test_groups_come_from_families_columns_and_names(data: Path) -> None:
    table = load(data)
    assert groups_of(table, data, FAMILY).tolist() == table.family.tolist()
    assert groups_of(table, data, "source").tolist() == ["code"] * 2 + ["text"] * 4
    assert groups_of(table, data, "-").tolist() == ["mbpp"] * 2 + ["mmlu"] * 2 + ["winogrande"] * 2
    made = hold_outs(table, (), 2, groups=groups_of(table, data, "source"))
    assert made == {"text": ("=mmlu-law", "=winogrande"), "code": ("=mbpp",)}
    with pytest.raises(UserError, match="--group_by 'sauce': expected family, a separator such as /, or a column"):
        groups_of(table, data, "sauce")


def test_a_column_that_cuts_across_domains_divides_them(data: Path) -> None:
    table = load(data)
    assert grouped(table, data, "source") is table, "no domain lies in two groups"
    cut = grouped(table, data, "split")
    assert cut.domain.tolist()[:2] == ["even/mbpp", "odd/mbpp"]
    made = hold_outs(cut, ("odd",), 1, groups=groups_of(cut, data, "split"))
    assert made == {"odd": ("=odd/mbpp", "=odd/mmlu-law", "=odd/winogrande")} or made == {"odd": ("odd",)}
