"""``dacr.run``: the experiment of ``scripts/run_experiment.py`` as a call."""

from __future__ import annotations

from typing import Any

from dacr.core.cli import values_of
from dacr.core.errors import UserError
from dacr.experiment.notebook.results import ExperimentResults
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings

CALM = {"draw": False, "n_jobs": 1}
"""Defaults of keywords that differ from the flags': a notebook draws what it shows, and a script without a
``__main__`` guard could not start processes."""


def run(settings: ExperimentSettings | None = None, **flags: Any) -> ExperimentResults:
    """Run one experiment, write its results folder, and open it.

    Parameters
    ----------
    settings : ExperimentSettings, optional
        What to do. Without it keywords say so.
    flags
        Flags of ``scripts/run_experiment.py`` by name, with values as a YAML file has them: ``ood_holdout="mbpp"``,
        ``lambdas=[0, 50]``. Figures are written with ``draw=True`` alone. All is done in this process unless ``n_jobs``
        says more: a script then needs ``if __name__ == "__main__"``. The numbers are the same for any ``n_jobs``.

    Returns
    -------
    ExperimentResults
        The folder ``results_dir``, which anything else that reads results reads too.

    Raises
    ------
    UserError
        A keyword that is no flag, a value that does not fit, or whatever the command would tell in one line.

    Examples
    --------
    >>> dacr.run(data="data/long.parquet", ood_holdout="mbpp", routers="dacr,zero")  # doctest: +SKIP
    """
    if settings is not None and flags:
        raise UserError(f"dacr.run takes settings or keywords, got both: settings and {', '.join(flags)}")
    if settings is None:
        settings = ExperimentSettings(**values_of(ExperimentSettings, CALM | flags, "dacr.run"))
    run_experiment(settings, quiet=True)
    return ExperimentResults.open(settings.results_dir)
