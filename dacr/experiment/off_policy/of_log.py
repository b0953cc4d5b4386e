"""Policies and what each is worth by a log with one model per request, with intervals and support."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dacr.core import files, manifest
from dacr.core.errors import UserError
from dacr.core.rng import seed_for
from dacr.data.sources import members
from dacr.experiment.off_policy.one_arm import LEAST, OneArmLog, calls_by_domain
from dacr.experiment.scoring.decisions import read
from dacr.metrics.ope import Log, cell_means, running_means, values
from dacr.replay.saved import load_router
from dacr.routers.base import Cascade, Learner
from dacr.types import Bools, Floats, Ints
from dacr.workload.stream import manifest_path

SHOWN = 3
"""Requests that a refusal names."""

CHANCE = 0.01
"""A model counts as never called in a domain where so little chance had it that it was not."""


@dataclass(frozen=True)
class Target:
    """A policy that calls one model for each request of a log.

    Attributes
    ----------
    model : (n,) int, index into the log's models; -1 for a model that the log never called
    asked : bool
        Whether the user named it: then it is an error that the log can't tell.
    """

    name: str
    model: Ints
    asked: bool = True


def always(log: OneArmLog) -> Iterator[Target]:
    """Yield the policies that always call one model."""
    for m, name in enumerate(log.models):
        yield Target(f"always {name}", np.full(len(log), m), asked=False)


def decided(log: OneArmLog, paths: Sequence[str]) -> Iterator[Target]:
    """Yield the decisions of files, router by router and setting by setting, in their first order."""
    for path in paths:
        frame = read(path)
        for (router, setting), rows in frame.groupby(["router", "setting"], sort=False):
            name = f"{router} {setting}".strip()
            rows = rows[rows["order"] == rows["order"].min()].drop_duplicates("qid")
            if (rows["n_asked"] > 1).any():
                raise UserError(
                    f"{path}: {name} asks several models for a request, which no log of single calls can tell"
                )
            chosen = rows.set_index("qid")["model"].reindex(log.qid)
            if chosen.isna().any():
                lost = np.flatnonzero(chosen.isna().to_numpy())
                raise UserError(
                    f"{path}: {name} decides nothing for {len(lost)} of {len(log)} requests of the log, first query "
                    f"{log.qid[lost[0]]!r}; decisions need the log's query ids (qid)"
                )
            yield Target(name, pd.Index(log.models).get_indexer(chosen.to_numpy(dtype=object)))


def saved(log: OneArmLog, path: Path) -> Target:
    """Return what a saved router decides on the log's prompts, without feedback."""
    if not all(log.prompt):
        n = sum(not text for text in log.prompt)
        raise UserError(f"--router {path}: {n} of {len(log)} requests have no prompt, which is what it decides on")
    made = load_router(path)
    if isinstance(made.router, Cascade) or made.plans:
        raise UserError(f"--router {path}: it asks several models for a request, which no log of single calls can tell")
    requests = made.estimates(list(log.prompt), [log.domains[code] for code in log.domain])
    if isinstance(made.router, Learner):
        n = len(requests)
        made.router.start(n, len(made.domains), np.full(n, seed_for("off-policy"), dtype=np.uint64))
    choice = made.router.decide(requests)
    names = np.array(made.models, dtype=object)[choice.model]
    return Target(path.stem, pd.Index(log.models).get_indexer(names))


def unsupported(log: OneArmLog, target: Target) -> Bools:
    """Return the requests of which the log says nothing about the model that the target would call: (n,).

    With estimated propensities where the model had fewer than ``LEAST`` rated calls in the domain. With logged ones
    where it had none there, although at the least propensity that the log has of it chance would hardly have kept it
    from being called.
    """
    count, size = calls_by_domain(log), np.bincount(log.domain)
    here = np.where(target.model >= 0, count[log.domain, np.maximum(target.model, 0)], 0)
    if not log.logged:
        return np.asarray(here < LEAST)
    least = np.ones(len(log.models))
    np.minimum.at(least, log.model, log.propensity)
    rated = log.rated.mean()
    missed = (1 - least[np.maximum(target.model, 0)] * rated) ** size[log.domain]
    return np.asarray(
        (here == 0) & ((missed < CHANCE) | (count.sum(axis=0)[np.maximum(target.model, 0)] == 0)) | (target.model < 0)
    )


def said(log: OneArmLog, target: Target, lacks: Bools) -> str:
    """Say which requests lack support, and why, in one line."""
    rows = np.flatnonzero(lacks)
    by_domain = pd.Series(np.array(log.domains, dtype=object)[log.domain[rows]]).value_counts()
    shown = ", ".join(repr(str(log.request[i])) for i in rows[:SHOWN])
    places = ", ".join(f"{name} ({n})" for name, n in by_domain.head(SHOWN).items())
    more = f" and {len(by_domain) - SHOWN} more" if len(by_domain) > SHOWN else ""
    often = "never" if log.logged else f"fewer than {LEAST} times"
    return (
        f"{target.name}: no support for {len(rows)} of {len(log)} requests, such as {shown}: the log called the model "
        f"{often} in {places}{more}"
    )


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
    cell = log.domain * len(log.models) + log.model
    share = np.bincount(cell, log.rated) / np.maximum(np.bincount(cell), 1)
    rated = np.where(log.rated, share[cell], 1.0)  # of each call's model in its domain; what has no score is not used
    one = Log(log.model, log.propensity, had, rated)
    return Log(log.model, log.propensity, had, rated, running_means(one, log.domain, len(log.models)))


def _require_fit(log: OneArmLog, target: Target, one: Log, pi: Floats) -> None:
    """Refuse logged propensities that can't be those of the log: weights must average 1."""
    w = pi[np.arange(len(log)), log.model] * log.rated / (log.propensity * one.p_rated)
    off = (w.mean() - 1) / max(w.std() / np.sqrt(len(w)), 1e-12)
    if log.logged and w.sum() ** 2 > ROUGH * np.square(w).sum() and abs(off) > FAR:
        raise UserError(
            f"the logged propensities are not those of the log: weights of {target.name!r} average {w.mean():.2f} "
            f"instead of 1, {abs(off):.1f} standard errors off; --propensities by_domain estimates them"
        )
