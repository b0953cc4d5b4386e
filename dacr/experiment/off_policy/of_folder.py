"""Off-policy evaluation of a results folder: fixed policies judged from a learner's log, beside the truth."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dacr.core import files, registry
from dacr.core.errors import UserError
from dacr.core.rng import keys_of, seed_for
from dacr.data.splits import split_queries
from dacr.data.table import RoutingTable, load
from dacr.metrics.ope import Log, evaluate, running_means
from dacr.replay.arms import with_plans
from dacr.replay.feedback import FeedbackPlan
from dacr.replay.protocols.combined import parse
from dacr.replay.protocols.effects import Effects
from dacr.report.folder import Results
from dacr.types import Floats

MADE_BY = "python scripts/run_experiment.py --dacr_floor 0.1"
READ = ("policy", "lambda_cost", "setting", "seed", "t", "qid", "domain", "model", "quality", "attempts", "propensity")


def of_folder(results_dir: Path, policy: str, data: Path | None, out: Path | None) -> None:
    """Evaluate fixed policies from a learner's log by IPS, SNIPS and DR; print error and coverage against the truth.

    Parameters
    ----------
    policy : str
        The learner whose log is used. Its propensities must be above 0 for every model.
    data : Path, optional
        Long table with the truth; by default the one that the folder's manifest names.
    out : Path, optional
        CSV file for every single estimate; by default ope.csv in the results folder.
    """
    results = Results.open(results_dir)
    folder, config = results.folder, results.config
    if not config:
        raise UserError(f"{folder / 'manifest.json'} is no manifest of an experiment; run {MADE_BY} again")
    decisions = results.decisions(READ).to_pandas()
    decisions = decisions.astype(dict.fromkeys(("policy", "setting", "qid", "model"), object))
    logged = decisions[decisions["policy"] == policy]
    if logged.empty:
        raise UserError(
            f"{folder} has no decisions of {policy!r}; it has {', '.join(sorted(set(decisions['policy'])))}"
        )
    free, floor = _free_settings(results, policy)
    followed = folder / "plans.csv"
    plans = pd.read_csv(followed)["plan"].unique().tolist() if followed.is_file() else []
    table = load(data or Path(config["data"]), with_response=bool(plans))
    plan = FeedbackPlan(p_miss=config["dacr_p_miss"], miss_depends_on=config.get("miss_depends_on", "none"))
    effects = _effects(folder, config, int(logged["t"].max()) + 1, table.model)
    if plans:
        held_out = tuple(config.get("ood_holdout") or ())
        split = split_queries(list(table.qid), list(table.domain), held_out, config["test_size"], config["split_seed"])
        table = with_plans(table, plans, split.train, config.get("loose_answers"))
    made, prices = [], []
    for setting, log in logged.groupby("setting", sort=False):
        if str(setting) not in free:
            continue
        log = log.sort_values(["seed", "t"])
        static = decisions[(decisions["policy"] != policy) & decisions["setting"].isin([setting, ""])]
        made.append(_at_setting(log, static, table, plan, effects).assign(setting=setting))
        prices.append((setting, price_of_floor(log["quality"].to_numpy(), _truth(log, table), floor)))
    if not made:
        raise UserError(f"{folder} has no decisions of {policy!r} at a setting without a budget; run {MADE_BY} again")
    frame = pd.concat(made, ignore_index=True)
    frame.insert(0, "setting", frame.pop("setting"))
    path = out or folder / "ope.csv"
    files.write_text(path, frame.to_csv(index=False, float_format="%.10g", lineterminator="\n"))
    print(f"{policy}: {frame['run'].nunique()} runs at {len(made)} settings, exploration floor {floor:g}\n")
    print(summary(frame).to_string(float_format=lambda value: f"{value:.4f}"))
    print("\nwhere effective_n is below about 30, intervals are rough: a higher floor or a longer stream helps")
    print("the floor's price: mean quality that uniform choices gave away, by what the other choices got")
    for setting, price in prices:
        print(f"  {setting or policy}: {price:+.4f}")
    print(f"wrote {path}")


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Average single estimates over runs and settings, per target and estimator."""
    frame = frame.assign(squared=np.square(frame["error"]), width=frame["high"] - frame["low"])
    frame["width"] = frame["width"].where(np.isfinite(frame["width"]))
    grouped = frame.groupby(["target", "estimator"], sort=False)
    made = grouped[["estimate", "true", "error", "squared", "width", "covered", "effective_n"]].mean()
    made["rmse"] = np.sqrt(made.pop("squared"))
    made = made.rename(columns={"error": "mean_error", "covered": "coverage"})
    return made[["estimate", "true", "mean_error", "rmse", "width", "coverage", "effective_n"]]


def price_of_floor(quality: Floats, truth: Floats, floor: float) -> float:
    r"""Return the quality that the exploration floor cost, per request.

    With V = (1 - floor) V' + floor U, V the learner's mean and U that of uniform choices, it is
    V' - V = (V - U) floor / (1 - floor). What exploration taught is not counted.

    Examples
    --------
    >>> round(price_of_floor(np.array([0.95, 0.95]), np.array([[1.0, 0.0], [1.0, 0.0]]), 0.1), 3)
    0.05
    """
    return float((quality.mean() - truth.mean()) * floor / (1 - floor))


def _at_setting(
    log: pd.DataFrame, static: pd.DataFrame, table: RoutingTable, plan: FeedbackPlan, effects: Effects
) -> pd.DataFrame:
    n_model = table.n_model
    column = {name: m for m, name in enumerate(table.model)}
    frames = []
    for run, rows in log.groupby("seed", sort=True):
        truth = _truth(rows, table)
        quality = rows["quality"].to_numpy()
        p_rated = 1.0 - effects.p_missing(rows["t"].to_numpy(), plan.p_missing(quality))
        draws = plan.draws(keys_of(rows["qid"].astype(str)), seed_for("missing feedback", int(run)))
        quality = np.where(draws >= 1.0 - p_rated, quality, np.nan)
        # A rating that could never come is never seen: its probability is not used.
        p_rated = np.where(np.isfinite(quality), p_rated, 1.0)
        model = rows["model"].map(column).to_numpy(dtype=np.int64)
        one = Log(model, rows["propensity"].to_numpy(), quality, p_rated)
        domain = pd.factorize(rows["domain"].astype(str))[0]
        one = Log(one.model, one.propensity, quality, p_rated, running_means(one, domain, n_model))
        fixed = [("uniform", np.full((len(rows), n_model), 1.0 / n_model))]
        fixed += [(f"always {name}", np.tile(np.eye(n_model)[m], (len(rows), 1))) for m, name in enumerate(table.model)]
        targets = [*fixed, *_recorded(static, rows["qid"], column)]
        frames += [evaluate(one, pi, truth).assign(target=name, run=run) for name, pi in targets]
    frame = pd.concat(frames, ignore_index=True)
    first = ["run", "target"]
    return frame[[*first, *(name for name in frame.columns if name not in first)]]


def _recorded(static: pd.DataFrame, qid: pd.Series, column: dict[str, int]) -> Iterator[tuple[str, Floats]]:
    """Yield the decisions of routers that don't learn, as policies: those that chose one arm per request."""
    known = dict(registry.routers.items())
    for name, rows in static.groupby("policy", sort=True):
        part = known.get(str(name))
        several_calls = part is not None and part.several_attempts and (rows["attempts"] != 1).any()
        if part is None or part.learns or several_calls or (rows["propensity"] < 1).any():
            continue
        rows = rows[rows["setting"] == rows["setting"].iloc[0]]
        chosen = rows.drop_duplicates("qid").set_index("qid")["model"].reindex(qid)
        if chosen.notna().all():
            yield str(name), np.eye(len(column))[chosen.map(column).to_numpy(dtype=np.int64)]


def _truth(rows: pd.DataFrame, table: RoutingTable) -> Floats:
    where = pd.Index(table.qid).get_indexer(rows["qid"].astype(str))
    if (where < 0).any():
        raise UserError(f"{int((where < 0).sum())} logged queries are not in the table; name the right one with --data")
    return table.quality[where]


def _effects(folder: Path, config: Mapping[str, Any], n: int, models: tuple[str, ...]) -> Effects:
    """Return what a protocol did to the feedback; refuse one after which the table is not what the log was about."""
    text = config.get("protocol") or ""
    effects = parse(text).effects(n, models, (config.get("seeds") or [1])[0])
    changed = {
        "how good answers were": effects.quality_factor,
        "which models could be called": effects.available,
        "what ratings told": effects.flip,
    }
    what = [name for name, part in changed.items() if part is not None]
    if what:
        raise UserError(
            f"{folder} was made with --protocol {text}, which changed {' and '.join(what)}: the table is not the truth "
            f"of that log; run {MADE_BY} without it"
        )
    return effects


def _free_settings(results: Results, policy: str) -> tuple[set[str], float]:
    """Return a policy's settings that keep no budget, and its exploration floor, as ``metrics.csv`` says."""
    metrics = results.table("metrics.csv")
    own = metrics[metrics["policy"] == policy]
    floor = float(own["param_floor"].min()) if "param_floor" in own else 0.0
    if not floor > 0:
        raise UserError(
            f"{policy!r} ran without an exploration floor, so models it avoided can't be judged; run {MADE_BY}"
        )
    # A budget closes models: nothing can be said about those.
    free = own[~own["enforced"] & ~own["budgeted"]]
    if free.empty:
        raise UserError(
            f"{policy!r} kept a budget at every setting in {results.folder}, which closes models: nothing can be said "
            f"of those; run {MADE_BY} with --lambdas and without --dacr_budget_cost and --dacr_budget_viol"
        )
    return set(free["setting"]), floor
