"""The conductor of the study: every hold-out, every calibrator, every table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dacr.core import files, manifest
from dacr.core.cache import Cache
from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.errors import UserError
from dacr.core.registry import predictors
from dacr.data.splits import family_of_each, held_out_domains, hold_out, large_families, sizes
from dacr.data.table import RoutingTable, load
from dacr.experiment.studies.calibration_bench import IN_DISTRIBUTION, Holdout, chosen_calibrators, holdout
from dacr.experiment.studies.calibration_figures import draw_figures
from dacr.experiment.studies.calibration_offline import brier_differences, offline_table
from dacr.experiment.studies.calibration_online import Online, play_online
from dacr.experiment.studies.calibration_online_tables import (
    call_share_table,
    feedback_table,
    stage_table,
    stream_table,
)
from dacr.experiment.studies.calibration_routing import routing_table
from dacr.experiment.studies.calibration_summary import reliability_table, summary_table, write_summary
from dacr.experiment.studies.calibration_truth import true_quality, truth_table
from dacr.metrics.resample import draw
from dacr.replay.feedback import FeedbackPlan
from dacr.types import Floats

STATIC = ("identity", "base_rate", "base_slope")


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
    online_lambdas: FloatList = FloatList((0.0, 20.0, 100.0, 500.0)),  # noqa: B008
    lambdas: FloatList = FloatList((0.0, 5.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)),  # noqa: B008
    dacr_delay: int = 10,
    dacr_p_miss: float = 0.3,
    seeds: IntList = IntList(range(1, 11)),  # noqa: B008
    n_resample: int = 500,
    truth_sample: int = 0,
    truth_seed: int = 0,
    no_cache: bool = False,
    n_jobs: int = 2,
) -> None:
    """Compare calibrators out-of-fold: in distribution, and on each large family of domains held out.

    Parameters
    ----------
    data : Path
        Long table from scripts/prepare_routerbench.py.
    results_dir : Path
        Folder for tables and figures; earlier ones in it are replaced, all or nothing.
    calibrators : list of str
        Registered calibrators, or all; the raw prediction and the base rate are always compared.
    holdouts : list of str
        Prefixes of domains, each held out in turn; by default every family of --min_queries queries.
    min_queries : int
        Smaller families are not held out.
    in_distribution : bool
        Also test a fifth of every domain with all domains in training.
    predictor : str
        Registered quality predictor.
    online : bool
        Also play DACR, its full-information twin and online Platt on streams with delayed feedback.
    online_lambdas : list of float
        Prices of a dollar, in quality per USD, at which they are played.
    lambdas : list of float
        Prices of the frontier on which offline calibrators are compared as parts of a router.
    dacr_delay : int
        Feedback on the quality of decision t is due just before decision t + 1 + delay.
    dacr_p_miss : float
        Probability that a rating never comes.
    seeds : list of int
        Stream orders; learners get no interval from one.
    n_resample : int
        Bootstrap replicates.
    truth_sample : int
        Where --data is the embedded benchmark: its number of queries; adds the error against true probabilities.
    truth_seed : int
        Its seed.
    no_cache : bool
        Compute everything afresh.
    n_jobs : int
        Threads and worker processes.
    """
    config = {name: value for name, value in locals().items() if name != "results_dir"}
    if n_resample < 2 or min_queries < 2 or len(seeds) == 0:
        raise UserError(
            "need --n_resample and --min_queries of at least 2, and one seed; "
            f"got {n_resample}, {min_queries} and {len(seeds)} seeds"
        )
    predictors.get(predictor)
    names = chosen_calibrators(calibrators, print)
    table = load(data)
    truth = true_quality(table, truth_sample, truth_seed) if truth_sample else None
    where = hold_outs(table, tuple(holdouts), min_queries)
    cache = Cache.from_environment(not no_cache)
    plan = FeedbackPlan(dacr_delay, dacr_p_miss)
    tables: dict[str, list[pd.DataFrame]] = {}
    for name, prefixes in (where | ({IN_DISTRIBUTION: ()} if in_distribution else {})).items():
        one = holdout(table, data, name, prefixes, predictor, tuple(seeds), cache, n_jobs)
        print(f"{name}: {len(one.quality):,} queries")
        played = (tuple(online_lambdas), plan) if online else None
        made = _tables(one, names, tuple(lambdas), played, n_resample, truth)
        for stem, frame in made.items():
            frame.insert(0, "holdout", name)
            tables.setdefault(stem, []).append(frame)
    whole = {stem: pd.concat(frames, ignore_index=True) for stem, frames in tables.items()}
    whole["summary"] = summary_table(whole["calibration_ece"])
    about = manifest.build("calibration_study", config, {"data": data}, holdouts=list(where), calibrators=names)
    with files.atomic_folder(results_dir) as folder:
        for stem, frame in whole.items():
            frame.to_csv(folder / f"{stem}.csv", index=False, lineterminator="\n", float_format="%.8g")
        write_summary(folder, whole)
        draw_figures(folder)
        about["files"] = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        files.write_json(folder / "manifest.json", about)
    print(f"wrote {results_dir}: {', '.join(sorted(whole))}, figures")


def hold_outs(table: RoutingTable, wanted: Sequence[str], min_queries: int) -> dict[str, tuple[str, ...]]:
    """Return the name of each hold-out and what it holds out: the prefixes wanted, or every large family.

    Raises
    ------
    UserError
        A prefix that matches no domain, or all of them: before anything is fitted.
    """
    if not wanted:
        family_of = family_of_each(table.domain, table.family)
        names = large_families(sizes(table.family), min_queries, "--min_queries")
        return {name: hold_out(name, family_of) for name in names}
    for prefix in wanted:
        try:
            held_out_domains(list(table.domain), [prefix])
        except UserError as error:
            raise UserError(str(error).replace("--ood_holdout", "--holdouts")) from None
    return {prefix: (prefix,) for prefix in wanted}


def _tables(
    one: Holdout,
    names: list[str],
    lambdas: tuple[float, ...],
    played: Any,
    n_resample: int,
    truth: Floats | None,
) -> dict[str, pd.DataFrame]:
    """Return every table of one hold-out."""
    p = {name: one.p(name) for name in names}
    resamples = draw(len(one.quality), len(one.runs.seed), n_resample)
    offline, draws = offline_table(one, p, resamples)
    out = {
        "calibration_ece": offline,
        "brier_differences": brier_differences(offline, draws),
        "routing": routing_table(one, names, lambdas, offline, resamples),
        "reliability": reliability_table(one, {name: p[name] for name in STATIC if name in p}, []),
    }
    online: list[Online] = []
    if played is not None:
        prices, plan = played
        online = play_online(one, plan, prices)
        static = {name: p[name] for name in STATIC if name in p}
        out["calibration_ece"] = pd.concat([offline, stage_table(one, online, resamples)], ignore_index=True)
        out["stream"] = stream_table(one, online, static)
        out["feedback"] = feedback_table(one, online)
        out["call_share"] = call_share_table(one, online, static)
        out["reliability"] = reliability_table(one, static, online)
    if truth is not None:
        out["truth"] = truth_table(one, p, truth, online)
    out["calibration_ece"]["n"] = np.round(out["calibration_ece"]["n"], 2)
    return out
