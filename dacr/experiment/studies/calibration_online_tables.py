"""Tables of online calibration: by stage, along the stream, by amount of feedback, by how often a model is called."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit

from dacr.experiment.studies.calibration_bench import Holdout
from dacr.experiment.studies.calibration_offline import AVERAGE, POOLED, add_intervals
from dacr.experiment.studies.calibration_online import FEEDBACK, Online
from dacr.metrics.calibration.bootstrap import Draws, bootstrap
from dacr.metrics.calibration.measures import COLUMNS, measures
from dacr.metrics.resample import Resamples
from dacr.routers.dacr.posterior import DomainShift, squash
from dacr.types import Floats, Ints

N_PIECES = 8
"""Pieces into which a stream is cut for the curve of ECE over time."""

CALL_SHARES = (0.02, 0.10, 0.30)
"""Limits between models that are called rarely, sometimes, often and mostly."""

_MIN_ROWS = 30
_DRAWN = ("ece", "brier", "log_loss")


def over_runs(
    p: Floats, q: Floats, query: Ints, part: Ints, n_part: int, resamples: Resamples
) -> tuple[dict[str, Floats], Draws]:
    """Return measures of each part, averaged over runs, with replicates over queries and stream orders.

    Parameters
    ----------
    p, q, query, part : (n_run, k)
        Forecast, outcome, query and part (0 .. n_part - 1) of each row of each run.

    Notes
    -----
    A run's decisions depend on each other, so each run is one measurement: a replicate moves the queries
    of all runs together and, on top, weights the runs (see :mod:`dacr.metrics.intervals`).
    """
    n_run = len(p)
    group = (np.arange(n_run)[:, None] * n_part + part).ravel()
    table = measures(p.ravel(), q.ravel(), group, n_run * n_part)
    per_run = {name: table[name].reshape(n_run, n_part) for name in COLUMNS}
    drawn = bootstrap(p.ravel(), q.ravel(), group, n_run * n_part, query.ravel(), resamples.counts)
    mean = {name: _mean(values) for name, values in per_run.items()}

    def crossed(name: str, draws: Floats) -> Floats:
        by_query = _mean(draws.reshape(n_run, n_part, -1))
        if n_run == 1:
            return np.full_like(by_query, np.nan)  # one run of a learner has no interval
        about = np.nan_to_num(per_run[name] - mean[name])
        moved: Floats = by_query + about.T @ resamples.order_weights / n_run
        return moved

    return mean, Draws(*(crossed(name, getattr(drawn, name)) for name in _DRAWN))


def stage_table(holdout: Holdout, online: Sequence[Online], resamples: Resamples) -> pd.DataFrame:
    """Return the rows of the online stages.

    ``online``: pairs that were called, pooled over models and per model; ``online_last_quarter``: those in the
    last quarter of the stream; ``online_counterfactual``: all pairs before each decision, whether called or
    not; ``online_end``: all pairs as believed after the whole stream.
    """
    frames = []
    for one in online:
        n_run, n, n_model = one.p.shape
        q = holdout.quality[one.row]
        late = slice(n - n // 4 if n >= 4 else 0, n)
        p, q_called = one.called(one.p), one.called(q)
        every = np.broadcast_to(np.arange(n_model), one.p.shape).reshape(n_run, -1)
        pairs = (q.reshape(n_run, -1), np.repeat(one.row, n_model, axis=1), every)
        last = (p[:, late], q_called[:, late], one.row[:, late], one.model[:, late])
        frames += [
            _stage(holdout, one, "online", p, q_called, one.row, one.model, resamples),
            _stage(holdout, one, "online_last_quarter", *last, resamples),
            _stage(holdout, one, "online_counterfactual", one.p.reshape(n_run, -1), *pairs, resamples),
        ]
        if one.end is not None:
            frames.append(_stage(holdout, one, "online_end", one.end.reshape(n_run, -1), *pairs, resamples))
    return pd.concat(frames, ignore_index=True)


def _stage(
    holdout: Holdout, one: Online, stage: str, p: Floats, q: Floats, query: Ints, model: Ints, resamples: Resamples
) -> pd.DataFrame:
    n_model = len(holdout.models)
    single, drawn = over_runs(p, q, query, model, n_model, resamples)
    pooled, drawn_pooled = over_runs(p, q, query, np.zeros_like(model), 1, resamples)
    names = [*holdout.models, POOLED]
    parts = [(single, drawn), (pooled, drawn_pooled)]
    if stage in (
        "online_counterfactual",
        "online_end",
    ):  # a mean over models of which some were hardly called says nothing
        average = {name: np.atleast_1d(values.mean()) for name, values in single.items()}
        parts.append((average, Draws(*(getattr(drawn, f).mean(axis=0)[None, :] for f in _DRAWN))))
        names.append(AVERAGE)
    frame = pd.DataFrame(
        {
            "calibrator": one.name,
            "stage": stage,
            "lambda_cost": one.lambda_cost,
            "domain": POOLED,
            "model": names,
            **{name: np.concatenate([table[name] for table, _ in parts]) for name in COLUMNS},
        }
    )
    add_intervals(frame, Draws(*(np.concatenate([getattr(draws, f) for _, draws in parts]) for f in _DRAWN)))
    return frame[frame["n"] > 0]


def stream_table(holdout: Holdout, online: Sequence[Online], static: dict[str, Floats]) -> pd.DataFrame:
    """Return the ECE of called and of all pairs in successive pieces of the stream, with its sd over runs.

    Parameters
    ----------
    static : dict of (n, n_model) float
        Offline calibrators, measured on the same pairs as DACR's.
    """
    rows: list[dict[str, Any]] = []
    for one in online:
        n = one.row.shape[1]
        edges = np.unique(np.linspace(0, n, N_PIECES + 1).astype(int))
        q = holdout.quality[one.row]
        forecasts = {one.name: one.p}
        if one.name == "dacr":
            forecasts |= {name: p[one.row] for name, p in static.items()}
        for first, last in pairwise(edges):
            piece = slice(first, last)
            for name, p in forecasts.items():
                for pairs, a, b in (("called", one.called(p), one.called(q)), ("all", p, q)):
                    found = _per_run(a[:, piece], b[:, piece])
                    place = {"lambda_cost": one.lambda_cost, "t_first": first, "t_last": last}
                    rows.append({"calibrator": name, "pairs": pairs, **place, **found})
    return pd.DataFrame(rows)


def feedback_table(holdout: Holdout, online: Sequence[Online]) -> pd.DataFrame:
    """Return DACR's ECE on all pairs of the rest of the stream, after 0, 10, 30, ... ratings."""
    rows: list[dict[str, Any]] = []
    requests = holdout.estimator.testing(holdout.predictor, "base_slope")
    z = logit(np.clip(requests.p, 1e-6, 1 - 1e-6))
    prices = [one for one in online if one.router is not None]
    for place, one in enumerate(prices):
        assert one.router is not None
        sites = DomainShift(1, one.router.prior_u_, one.router.prior_v_)
        n_run = len(one.row)
        for k in FEEDBACK:
            p, q = [], []
            for snapshot in one.router.snapshots:
                run = snapshot.run - place * n_run
                if snapshot.k != k or not 0 <= run < n_run:
                    continue
                ahead = one.row[run, snapshot.t :]
                if len(ahead) < _MIN_ROWS:
                    continue
                sites.tau[0], sites.eta[0] = snapshot.tau, snapshot.eta
                shift = sites.posterior(np.zeros(len(ahead), dtype=np.int64), requests.domain[ahead])
                p.append(squash(z[ahead] + shift.mean, shift.sd))
                q.append(holdout.quality[ahead])
            if not p:
                continue
            each = [_per_run(a[None], b[None]) for a, b in zip(p, q, strict=True)]
            models = [_by_model(a, b) for a, b in zip(p, q, strict=True)]
            rows.append(
                {"lambda_cost": one.lambda_cost, "feedback": k, "n_run": len(p)}
                | {name: float(np.mean([found[name] for found in each])) for name in each[0] if name != "ece_sd"}
                | {"ece_sd": float(np.std([found["ece"] for found in each], ddof=1)) if len(p) > 1 else np.nan}
                | {f"{name}_by_model": float(np.mean([found[name] for found in models])) for name in models[0]}
            )
    return pd.DataFrame(rows)


def call_share_table(holdout: Holdout, online: Sequence[Online], static: dict[str, Floats]) -> pd.DataFrame:
    """Return calibration on all pairs, by the share of calls that a model gets in the run."""
    names = _share_names()
    rows: list[dict[str, Any]] = []
    for one in online:
        n_run, n, n_model = one.p.shape
        share = np.stack([np.bincount(model, minlength=n_model) / n for model in one.model])
        kind = np.searchsorted(CALL_SHARES, share, side="right")
        group = np.broadcast_to(
            (np.arange(n_run)[:, None] * n_model + np.arange(n_model))[:, None, :], one.p.shape
        ).ravel()
        q = holdout.quality[one.row]
        forecasts = {one.name: one.p}
        if one.name == "dacr":
            forecasts |= {name: p[one.row] for name, p in static.items()}
        for name, p in forecasts.items():
            table = measures(p.ravel(), q.ravel(), group, n_run * n_model, smooth=False)
            error = np.square(p - q).mean(axis=1)
            for k, label in enumerate(names):
                own = kind == k
                if own.any():
                    rows.append(
                        {"calibrator": name, "lambda_cost": one.lambda_cost, "call_share": label}
                        | {"models_per_run": own.sum() / n_run, "mean_share": share[own].mean()}
                        | {c: table[c].reshape(n_run, n_model)[own].mean() for c in ("ece", "ece_null", "ece_debiased")}
                        | {"brier": error[own].mean()}
                    )
    return pd.DataFrame(rows)


def _share_names() -> list[str]:
    ends = [f"{100 * share:g} %" for share in CALL_SHARES]
    return [f"below {ends[0]}", *(f"{a} to {b}" for a, b in pairwise(ends)), f"above {ends[-1]}"]


def _per_run(p: Floats, q: Floats) -> dict[str, float]:
    """Return means over runs (first axis) of ECE and its kin, all pairs of a run pooled."""
    n_run = len(p)
    group = np.repeat(np.arange(n_run), p[0].size)
    table = measures(p.ravel(), q.ravel(), group, n_run, smooth=False)
    spread = float(np.std(table["ece"], ddof=1)) if n_run > 1 else np.nan
    names = ("n", "ece", "ece_null", "ece_debiased")
    return {name: float(table[name].mean()) for name in names} | {
        "ece_sd": spread,
        "brier": float(np.square(p - q).mean()),
    }


def _by_model(p: Floats, q: Floats) -> dict[str, float]:
    group = np.broadcast_to(np.arange(p.shape[1]), p.shape).ravel()
    table = measures(p.ravel(), q.ravel(), group, p.shape[1], smooth=False)
    return {name: float(table[name].mean()) for name in ("ece", "ece_null", "ece_debiased")}


def _mean(values: Floats) -> Floats:
    """Mean over the first axis of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.asarray(total / np.where(count > 0, count, np.nan), dtype=np.float64)
