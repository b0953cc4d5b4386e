from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from synthetic_results import write

from dacr.report.folder import Results
from dacr.report.make import make_figures


@pytest.fixture(scope="session")
def results_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up results folder. Tests that change it must copy it first."""
    return write(tmp_path_factory.mktemp("report") / "results_dacr")


@pytest.fixture(scope="session")
def results(results_folder: Path) -> Results:
    return Results.open(results_folder)


@pytest.fixture(scope="session")
def drawn_folder(results_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder with every figure and table and the page, as the command leaves it. Read it, don't change it."""
    copy = tmp_path_factory.mktemp("drawn") / "results"
    shutil.copytree(results_folder, copy)
    make_figures(results_dir=str(copy))
    return copy
