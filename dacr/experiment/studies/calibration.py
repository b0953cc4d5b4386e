"""All calibrators side by side: in distribution, and on each large family of domains held out.

Each split is one experiment. Its calibrators are compared on the test rows; predict-then-optimise plays with each of
them, since better calibration need not route better; dacr and its full-information twin show what feedback does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from dacr.core import files, manifest
from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.errors import UserError
from dacr.core.registry import calibrators as known
from dacr.core.registry import load_plugin, predictors
from dacr.data.table import load
from dacr.experiment.manner import Entrant, Manner
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.studies.calibration_tables import ROUTER, calibration_tables, write_summary
from dacr.experiment.studies.conducted import conducted, hold_outs
from dacr.experiment.studies.figures import draw_figures
from dacr.experiment.sweep.folder import locked
from dacr.experiment.writer import replace_results, write_csv

IN_DISTRIBUTION = "in distribution"
LAMBDAS = FloatList((0.0, 5.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0))
WRITTEN = (
    "calibration_ece.csv",
    "reliability.csv",
    "brier_differences.csv",
    "routing.csv",
    "summary.csv",
    "summary.md",
    "summary.tex",
    "figures",
    "manifest.json",
)
"""What the study writes; earlier ones of these go."""


def calibration_study(
    *,
    data: Path = Path("data/routerbench_raw_long.parquet"),
    results_dir: Path = Path("results_calibration"),
    calibrators: StrList = StrList(("all",)),  # noqa: B008 - immutable
    holdouts: StrList = StrList(),  # noqa: B008
    min_queries: int = 200,
    in_distribution: bool = True,
    predictor: str = "logistic",
    online: bool = True,
    lambdas: FloatList = LAMBDAS,
    dacr_delay: int = 10,
    dacr_p_miss: float = 0.3,
    seeds: IntList = IntList(range(1, 11)),  # noqa: B008
    n_resample: int = 500,
    plugin: Path | None = None,
    no_cache: bool = False,
    n_jobs: int = 2,
) -> None:
    """Compare calibrators out-of-fold: in distribution, and on each large family of domains held out.

    Parameters
    ----------
    data : Path
        Long table from scripts/prepare_routerbench.py.
    results_dir : Path
        Folder for tables and figures; earlier ones in it are replaced, all or nothing. cells/ in it has the
        experiments, as they end; the same command again does what is left.
    calibrators : list of str
        Registered calibrators, or all; the raw prediction and the base rate are always compared.
    holdouts : list of str
        Families of domains, one hold-out each, or several together: "mbpp,arc-challenge+winogrande"; by default
        every family of --min_queries queries.
    min_queries : int
        Smaller families are not held out.
    in_distribution : bool
        Also test a fifth of every domain with all domains in training.
    predictor : str
        Registered quality predictor.
    online : bool
        Also play DACR and its full-information twin on streams with delayed feedback.
    lambdas : list of float
        Prices of the frontiers, in quality per USD.
    dacr_delay : int
        Feedback on the quality of decision t is due just before decision t + 1 + delay.
    dacr_p_miss : float
        Probability that a rating never comes.
    seeds : list of int
        Stream orders; learners get no interval from one.
    n_resample : int
        Bootstrap replicates.
    plugin : Path, optional
        Python file with registered parts of one's own.
    no_cache : bool
        Compute everything afresh.
    n_jobs : int
        Worker processes.
    """
    config = {name: value for name, value in locals().items() if name != "results_dir"}
    if n_resample < 2 or min_queries < 2 or len(seeds) == 0:
        raise UserError(
            "need --n_resample and --min_queries of at least 2, and one seed; "
            f"got {n_resample}, {min_queries} and {len(seeds)} seeds"
        )
    if plugin is not None:
        load_plugin(plugin)
    predictors.get(predictor)
    names = chosen_calibrators(calibrators, print)
    where = hold_outs(load(data, with_response=False), tuple(holdouts), min_queries, ("--holdouts", "--min_queries"))
    where |= {IN_DISTRIBUTION: ()} if in_distribution else {}
    entrants = {ROUTER.format(name): Entrant("static", calibrator=name) for name in names}
    entrants |= {name: Entrant(name) for name in ("dacr", "dacr_full")} if online else {}
    common = ExperimentSettings(
        data=data,
        predictor=predictor,
        calibrators=StrList(names),
        lambdas=lambdas,
        lambda_lat=0.0,
        dacr_delay=dacr_delay,
        dacr_p_miss=dacr_p_miss,
        seeds=seeds,
        orders=len(seeds),
        plugin=plugin,
    )
    manner = Manner(compared=True, decisions="none", entrants=entrants, n_resample=n_resample)
    cells = {name: (replace(common, ood_holdout=StrList(held)), manner) for name, held in where.items()}
    with locked(results_dir):
        folders = conducted(cells, data, results_dir, n_jobs, not no_cache)
        tables = calibration_tables(folders)
        about = manifest.build("calibration_study", config, {"data": data}, holdouts=list(where), calibrators=names)
        with replace_results(results_dir, WRITTEN) as folder:
            for stem, frame in tables.items():
                write_csv(folder, f"{stem}.csv", frame)
            write_summary(folder, tables["summary"])
            draw_figures(folder)
            about["files"] = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
            files.write_json(folder / "manifest.json", about)
    print((results_dir / "summary.md").read_text(encoding="utf-8"))
    print(f"wrote {results_dir}: {', '.join(sorted(tables))}, figures")


def chosen_calibrators(names: Sequence[str], say: Callable[[str], None]) -> list[str]:
    """Return the calibrators asked for; of ``all``, those that can be used here (the others say why not)."""
    if list(names) != ["all"]:
        for name in names:
            reason = known.get(name).unavailable()
            if reason:
                raise UserError(reason)
        return list(dict.fromkeys(["identity", "base_rate", *names]))
    for _, part in known.items():
        if part.unavailable():
            say(f"left out: {part.unavailable()}")
    return [name for name, part in known.items() if not part.unavailable()]
