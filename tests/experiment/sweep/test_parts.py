"""Parts: what is written comes back, the same bytes each time, and damage is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.experiment.sweep.parts import is_finished, manifest_of, read_part, write_part

MANIFEST = {"cell": "a", "config": {"lambdas": [0.0, 1.0]}, "code": "12"}


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    runs = pd.DataFrame(
        {"policy": ["a", "a"], "n": [3, 4], "mean_quality": [0.1 + 0.2, 1 / 3], "lambda_cost": [np.nan, np.nan]}
    )
    duals = pd.DataFrame({"policy": ["b"], "n": [0.5], "ok": [True], "text": [None]})
    return {"runs": runs, "duals": duals, "nothing": pd.DataFrame()}


def test_what_is_written_comes_back(tables: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    write_part(tmp_path / "a.parquet", tables, MANIFEST)
    manifest, read = read_part(tmp_path / "a.parquet")
    assert manifest == MANIFEST
    assert list(read) == ["runs", "duals"]
    for name, frame in read.items():
        pd.testing.assert_frame_equal(frame, tables[name], check_dtype=False)
    assert read["runs"]["n"].dtype == np.int64
    assert read["duals"]["ok"].dtype == bool


def test_the_same_tables_are_the_same_bytes(tables: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_part(tmp_path / f"{name}.parquet", tables, MANIFEST)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_only_a_whole_part_of_this_cell_is_finished(tables: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    assert not is_finished(path, MANIFEST)
    write_part(path, tables, MANIFEST)
    assert is_finished(path, MANIFEST)
    assert not is_finished(path, MANIFEST | {"code": "13"})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert manifest_of(path) is None
    seen = 0
    for at in range(8, len(whole) // 2, 40):  # data pages: their checksums tell
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        seen += manifest_of(path) is None
    assert seen > 0
    path.write_bytes(b"")
    assert manifest_of(path) is None
