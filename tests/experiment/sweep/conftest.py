"""A small grid and its table, and a runner of ``run_sweep`` in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dacr.data.prepare import prepare_routerbench
from dacr.experiment.sweep.driver import run_sweep


@pytest.fixture(scope="session")
def cells_in() -> Callable[[Path], dict[str, dict[str, bytes]]]:
    """Return every cell of a sweep: name -> its files -> bytes. Stage times are no part of what has to be the same."""
    return lambda folder: {
        cell.name: {path.name: path.read_bytes() for path in sorted(cell.iterdir()) if path.name != "stages.csv"}
        for cell in sorted((folder / "cells").iterdir())
    }


@pytest.fixture(scope="session")
def small_long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded benchmark with 500 queries; read it, don't change it."""
    path = tmp_path_factory.mktemp("sweep") / "long.parquet"
    prepare_routerbench(sample=500, out=str(path))
    return path


@pytest.fixture
def content(small_long: Path) -> dict[str, Any]:
    """A grid of two routers on one hold-out: two cells."""
    return {
        "data": str(small_long),
        "settings": {"lambdas": "0,100", "predictor": "base_rate"},
        "grids": {"one": {"ood_holdout": "mbpp", "seeds": "1,2", "routers": ["dacr", "zero"], "budget_grid": 2}},
    }


@pytest.fixture
def sweep(tmp_path: Path) -> Callable[..., int]:
    """Write a grid to a file and run it in one process; return the exit code."""

    def run(content: dict[str, Any], results_dir: Path = tmp_path / "results", **flags: Any) -> int:
        config = tmp_path / "grid.yaml"
        config.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return run_sweep(config=config, results_dir=results_dir, **{"n_jobs": 1, **flags})

    return run
