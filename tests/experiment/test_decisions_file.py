"""Decisions are written by a thread: in the order in which they were given, and no error is lost."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dacr.experiment.decisions_file import DecisionsFile


def part(k: int) -> pa.Table:
    policy = pa.DictionaryArray.from_arrays(pa.array([0] * 3, pa.int32()), pa.array([f"policy {k}"]))
    return pa.table({"policy": policy, "quality": [k + 0.1, k + 0.2, k + 0.3]})


def test_parts_are_row_groups_in_order(tmp_path: Path) -> None:
    file = DecisionsFile(tmp_path / "d.parquet", {b"made": b"by a test"})
    for k in range(20):
        file.write(part(k))
    file.close()
    read = pq.ParquetFile(tmp_path / "d.parquet")
    with read:
        assert read.num_row_groups == 20 and read.schema_arrow.metadata[b"made"] == b"by a test"
        table = read.read()
    assert table["quality"].to_pylist() == [k + x for k in range(20) for x in (0.1, 0.2, 0.3)]
    assert table["policy"].to_pylist() == [f"policy {k}" for k in range(20) for _ in range(3)]


def test_an_error_of_the_thread_is_raised(tmp_path: Path) -> None:
    file = DecisionsFile(tmp_path / "d.parquet", {})
    file.write(part(0))
    file.write(pa.table({"other": [1]}))
    with pytest.raises(ValueError):
        file.write(part(1))
    file.close()
    last = DecisionsFile(tmp_path / "no folder" / "d.parquet", {})
    last.write(part(0))
    with pytest.raises(FileNotFoundError):
        last.close()


def test_nothing_given_writes_nothing(tmp_path: Path) -> None:
    DecisionsFile(tmp_path / "d.parquet", {}).close()
    assert not list(tmp_path.iterdir())
