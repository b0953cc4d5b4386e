from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_results import write

from dacr.report.folder import Results


@pytest.fixture(scope="session")
def results_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up results folder. Tests that change it must copy it first."""
    return write(tmp_path_factory.mktemp("report") / "results_dacr")


@pytest.fixture(scope="session")
def results(results_folder: Path) -> Results:
    return Results.open(results_folder)
