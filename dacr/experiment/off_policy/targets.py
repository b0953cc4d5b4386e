"""Policies that are judged from somebody else's log: single models, decisions in a file, a saved router."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.core.rng import seed_for
from dacr.experiment.off_policy.one_arm import LEAST, OneArmLog, calls_by_domain
from dacr.experiment.scoring.decisions import read
from dacr.replay.saved import load_router
from dacr.routers.base import Cascade, Learner
from dacr.types import Bools, Ints

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
