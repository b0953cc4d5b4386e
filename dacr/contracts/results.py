"""A small results folder, from a real experiment on the embedded benchmark: made once per process."""

import contextlib
import io
import tempfile
from functools import cache
from pathlib import Path

from dacr.core.cli import FloatList, StrList
from dacr.data.sample.schemas import write_long
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings

_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []  # removed when the process ends


HELD_OUT = (
    "hellaswag", "grade-school-math", "mmlu-professional-law", "mmlu-moral-scenarios", "arc-challenge", "winogrande",
)  # fmt: skip
"""Domains with at least 20 queries each, and enough of them to count wins over."""


@cache
def small_results() -> Path:
    """Return a folder with every table of an experiment: a learner, references, budgets, stream orders."""
    _FOLDERS.append(tempfile.TemporaryDirectory())
    folder = Path(_FOLDERS[-1].name)
    write_long(folder / "long.parquet", 640)
    settings = ExperimentSettings(
        data=folder / "long.parquet",
        results_dir=folder / "results",
        routers=StrList(["dacr", "predict_optimize", "zero", "oracle"]),
        calibrators=StrList(["identity", "base_slope"]),
        ood_holdout=StrList(HELD_OUT),
        lambdas=FloatList([0.0, 100.0]),
        budget_grid=2,
        orders=2,
        no_cache=True,
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        run_experiment(settings)
    return folder / "results"
