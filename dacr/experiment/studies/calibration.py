"""All calibrators side by side: in distribution, and on each large family of domains held out.

Each split is one experiment. Its calibrators are compared on the test rows; predict-then-optimise plays with each of
them, since better calibration need not route better; dacr and its full-information twin show what feedback does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from dacr.core import files, manifest
from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.errors import UserError
from dacr.core.registry import calibrators as known
from dacr.core.registry import load_plugin, predictors
from dacr.data.table import load
from dacr.experiment.frontier_table import BRIER, read_replicates, together
from dacr.experiment.groups import hold_outs
from dacr.experiment.manner import Entrant, Manner
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.studies.conducted import conducted, shared
from dacr.experiment.sweep.folder import locked
from dacr.experiment.writer import replace_results, write_csv
from dacr.metrics.paired import to_reference
from dacr.report.folder import read_csv
from dacr.report.table import Table, to_latex, to_markdown

IN_DISTRIBUTION = "in distribution"
LAMBDAS = FloatList((0.0, 5.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0))
WRITTEN = (
    "calibration_ece.csv", "reliability.csv", "brier_differences.csv", "routing.csv", "summary.csv", "summary.md",
    "summary.tex", "figures", "manifest.json",
)  # fmt: skip
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
    own = {"calibrators": StrList(names), "lambda_lat": 0.0, "orders": len(seeds)}
    common = ExperimentSettings(**shared(config) | own)
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
            from dacr.experiment.studies.calibration_figures import draw_figures  # here: Matplotlib

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


ROUTER = "static with {}"
"""What predict-then-optimise (``static``, with no price of lateness) is called, by its calibrator."""

REFERENCES = ("identity", "base_rate")
_BETTER = {"win": "better", "tie": "tie", "loss": "worse", "unknown": "unknown"}
_STAGES = ("raw", "offline", "online", "online_counterfactual", "online_end")
NOTE = (
    "Expected calibration error, 15 bins of equal width. Offline, online_counterfactual (before each decision) and "
    "online_end (after the stream): all pairs (query, model), mean over models; the online ones at the middle price. "
    "Online: called pairs, pooled over models, mean over prices. Calibrators are fitted out-of-fold."
)


def calibration_tables(folders: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Return every table of the study by the stem of its file; the first column is the hold-out.

    - ``calibration_ece``, ``reliability``: those of the experiments, below each other.
    - ``brier_differences``: calibrator - reference in Brier score, mean over models, paired by query; ``verdict`` is
      better, tie or worse, Holm over the calibrators.
    - ``routing``: frontier area of predict-then-optimise with each calibrator, beside its ECE and Brier score.
    - ``summary``: one row per calibrator and stage.
    """
    made: dict[str, list[pd.DataFrame]] = {}
    for name, folder in folders.items():
        ece = read_csv(folder / "calibration_ece.csv")
        own = {
            "calibration_ece": ece,
            "reliability": read_csv(folder / "reliability.csv"),
            "brier_differences": brier_differences(folder),
            "routing": routing(folder, ece),
            "summary": summary(ece),
        }
        for stem, frame in own.items():
            frame.insert(0, "holdout", name)
            made.setdefault(stem, []).append(frame)
    return {stem: pd.concat(frames, ignore_index=True) for stem, frames in made.items()}


def brier_differences(folder: Path) -> pd.DataFrame:
    """Compare every calibrator's Brier score with the raw prediction's and with the base rate's, paired by query."""
    scores = read_replicates(folder / "replicates.parquet")[BRIER]
    names, frames = list(scores), []
    for reference in REFERENCES:
        frame = to_reference(names, together(scores, names), names.index(reference), bigger_is_better=False)
        frames.append(frame.assign(verdict=frame["verdict"].map(_BETTER)))
    return pd.concat(frames, ignore_index=True).rename(columns={"name": "calibrator"}).drop(columns="reason")


def routing(folder: Path, ece: pd.DataFrame) -> pd.DataFrame:
    """Return the frontier area of predict-then-optimise with each calibrator, beside its ECE and Brier score.

    Returns
    -------
    DataFrame
        calibrator, area (quality units, between the cheapest and the dearest model's cost), area_low,
        area_high, ece, brier (means over models), and paired against the raw prediction and the base rate:
        difference_to_R, low_to_R, high_to_R, p_holm_to_R, verdict_to_R.
    """
    collected = read_replicates(folder / "replicates.parquet")
    names = list(collected[BRIER])
    areas = together(collected["area"], [ROUTER.format(name) for name in names])
    low, high = areas.interval()
    table = pd.DataFrame({"calibrator": names, "area": areas.estimate, "area_low": low, "area_high": high})
    average = by_model(ece, ("raw", "offline")).groupby("calibrator")[["ece", "ece_debiased", "brier"]].mean()
    table = table.merge(average, left_on="calibrator", right_index=True, how="left")
    for reference in REFERENCES:
        paired = to_reference(names, areas, names.index(reference)).set_index("name")
        for column in ("difference", "low", "high", "p_holm", "verdict"):
            table[f"{column}_to_{reference}"] = paired[column].reindex(names).to_numpy()
    return table


def summary(ece: pd.DataFrame) -> pd.DataFrame:
    """Return one row per calibrator and stage: ece, ece_null, ece_debiased, brier, of all domains."""
    columns = ["ece", "ece_null", "ece_debiased", "brier"]
    called = ece[(ece["stage"] == "online") & (ece["domain"] == "all") & (ece["model"] == "all")]
    rows = pd.concat([by_model(ece, [stage for stage in _STAGES if stage != "online"]), called])
    out = rows.groupby(["calibrator", "stage"], sort=False)[columns].mean().reset_index()
    return out.sort_values("stage", key=lambda stage: stage.map(_STAGES.index), kind="stable", ignore_index=True)


def by_model(ece: pd.DataFrame, stages: object) -> pd.DataFrame:
    """Return the rows of single models over all domains, of these stages."""
    return ece[(ece["domain"] == "all") & (ece["model"] != "all") & ece["stage"].isin(list(stages))]  # type: ignore[call-overload]


def write_summary(folder: Path, table: pd.DataFrame) -> None:
    """Write summary.md (ECE beside its null value, then the debiased ECE) and summary.tex (the latter)."""
    keys, holdouts = ["calibrator", "stage"], list(dict.fromkeys(table["holdout"]))
    order = pd.MultiIndex.from_frame(table[keys].drop_duplicates())

    def made(name: str, title: str, text: pd.Series) -> Table:
        wide = table.assign(text=text).pivot(index=keys, columns="holdout", values="text").loc[order, holdouts]
        return Table(name, title, wide.fillna("").reset_index().rename_axis(columns=None), notes=[NOTE])

    short = {name: table[name].map(_short) for name in ("ece", "ece_null", "ece_debiased")}
    with_null = short["ece"] + " (" + short["ece_null"] + ")"
    debiased = made("summary", "Debiased ECE", short["ece_debiased"])
    files.write_text(
        folder / "summary.md",
        to_markdown(made("ece", "ECE (in brackets what perfect calibration would score at this n)", with_null))
        + "\n"
        + to_markdown(debiased),
    )
    files.write_text(folder / "summary.tex", to_latex(debiased))


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0") if np.isfinite(value) else ""
