"""Values of other policies from a log with one model per request, with intervals and support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dacr.core import files, manifest
from dacr.core.errors import UserError
from dacr.data.sources import members
from dacr.experiment.off_policy.one_arm import OneArmLog
from dacr.experiment.off_policy.targets import Target, always, decided, said, saved, unsupported
from dacr.metrics.ope import Log, cell_means, running_means, values
from dacr.types import Floats
from dacr.workload.stream import manifest_path

ROUGH = 30
"""Effective calls below which intervals are rough."""

LOGGED = "as logged"
"""What the policy that made the log is called."""

COLUMNS = ["target", "measure", "estimator", "estimate", "low", "high", "effective_n"]

FAR = 4.0
"""Standard errors from 1 at which a policy's mean weight says that the propensities are not those of the log."""


def of_log(
    log: OneArmLog,
    path: str,
    decisions: Sequence[str],
    router: Path | None,
    scores: str | None,
    out: Path,
    config: Mapping[str, Any],
) -> None:
    """Judge single models, decisions and a saved router; print the table, and write it with its manifest."""
    targets = [*decided(log, decisions), *([saved(log, router)] if router is not None else []), *always(log)]
    rows, refused = [], {}
    for target in targets:
        lacks = unsupported(log, target)
        if not lacks.any():
            rows.append(judged(log, target))
            continue
        refused[target.name] = said(log, target, lacks)
        if target.asked:
            raise UserError(f"{refused[target.name]}; nothing can be said of a policy that calls it there")
    if not rows:
        raise UserError(f"no policy has support in {path}: {next(iter(refused.values()))}; try --propensities overall")
    frame = pd.concat([as_logged(log), *rows], ignore_index=True)
    inputs = {f"log {i}": one.path for i, one in enumerate(members(path))} | ({"scores": scores} if scores else {})
    inputs |= {f"decisions {i}": one for i, one in enumerate(decisions)} | ({"router": router} if router else {})
    about = manifest.build(
        "evaluate_policies",
        config,
        inputs,
        n=len(log),
        n_rated=int(log.rated.sum()),
        propensities=log.told,
        refused=refused,
    )
    files.write_text(out, frame.to_csv(index=False, float_format="%.10g", lineterminator="\n"))
    files.write_json(manifest_path(out), about)
    unrated = int((~log.rated).sum())
    rated = f"; {unrated} without a score, taken as missing by chance within model and domain" if unrated else ""
    print(f"{len(log)} requests, {len(log.models)} models{rated}\n{log.told}\n")
    print(frame.to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep=""))
    for line in refused.values():
        print(f"refused: {line}")
    if (frame["effective_n"] < ROUGH).any():
        print(f"where effective_n is below about {ROUGH}, intervals are rough")
    print(f"wrote {out}")


def as_logged(log: OneArmLog) -> pd.DataFrame:
    """Return the rows of the policy that made the log: plain means."""
    n = len(log)
    alone, every = np.zeros(n, dtype=np.int64), np.ones((n, 1))
    parts = []
    for measure, had in _measured(log).items():
        frame = values(Log(alone, every[:, 0], had), every)
        parts.append(frame[frame["estimator"] == "SNIPS"].assign(target=LOGGED, measure=measure, estimator="mean"))
    return pd.concat(parts)[COLUMNS]


def judged(log: OneArmLog, target: Target) -> pd.DataFrame:
    """Return the rows of one policy: of quality, and of cost where every call has one."""
    pi = np.eye(len(log.models))[target.model]
    parts = []
    for measure, had in _measured(log).items():
        one = _as_log(log, had)
        frame = values(one, pi)
        _require_fit(log, target, one, pi)
        parts.append(frame.assign(target=target.name, measure=measure))
    frame = pd.concat(parts, ignore_index=True)
    if not log.logged:  # weights by estimated shares make IPS and SNIPS the stratified mean, whose error is DR's
        frame = frame[frame["estimator"] == "DR"]
    return frame[COLUMNS]


def _measured(log: OneArmLog) -> dict[str, Floats]:
    """Return quality, and cost where every call has one, of rated requests."""
    known = {"quality": log.quality}
    if np.isfinite(log.cost_usd).all():
        known["cost_usd"] = np.where(log.rated, log.cost_usd, np.nan)
    return known


def _as_log(log: OneArmLog, had: Floats) -> Log:
    """Return the log of what was measured, with an outcome model."""
    if not log.logged:
        p_hat = cell_means(had, log.model, log.domain, len(log.models))
        return Log(log.model, log.propensity, had, 1.0, p_hat)
    rated = _share_rated(log)
    one = Log(log.model, log.propensity, had, rated)
    return Log(log.model, log.propensity, had, rated, running_means(one, log.domain, len(log.models)))


def _share_rated(log: OneArmLog) -> Floats:
    """Return the share of rated calls of each call's model in its domain; 1 where that is none: it is not used."""
    cell = log.domain * len(log.models) + log.model
    share = np.bincount(cell, log.rated) / np.maximum(np.bincount(cell), 1)
    return np.where(log.rated, share[cell], 1.0)


def _require_fit(log: OneArmLog, target: Target, one: Log, pi: Floats) -> None:
    """Refuse logged propensities that can't be those of the log: weights must average 1."""
    w = pi[np.arange(len(log)), log.model] * log.rated / (log.propensity * one.p_rated)
    off = (w.mean() - 1) / max(w.std() / np.sqrt(len(w)), 1e-12)
    if log.logged and w.sum() ** 2 > ROUGH * np.square(w).sum() and abs(off) > FAR:
        raise UserError(
            f"the logged propensities are not those of the log: weights of {target.name!r} average {w.mean():.2f} "
            f"instead of 1, {abs(off):.1f} standard errors off; --propensities by_domain estimates them"
        )
