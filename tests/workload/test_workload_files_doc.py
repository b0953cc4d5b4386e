"""The page on file formats names what the code reads and writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dacr.core.registry import metrics
from dacr.data.schema import COLUMNS
from dacr.experiment.writer import WRITTEN
from dacr.workload.latency_fit import COLUMNS as LLMPERF
from dacr.workload.latency_log import SCHEMA
from dacr.workload.stream import FIELDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "files.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted({*COLUMNS, *FIELDS, *SCHEMA.names, *LLMPERF, *WRITTEN, *metrics.names()}))
def test_every_column_and_file_is_documented(name):
    assert f"`{name}`" in PAGE
