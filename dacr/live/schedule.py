"""Which calls a stream asks for, and when."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dacr.core.errors import UserError
from dacr.core.rng import keyed_uniform, keys_of, seed_for


@dataclass(frozen=True)
class Job:
    """One call to be made.

    Attributes
    ----------
    arrival_s : float, stream seconds
        As in the stream file.
    due_s : float, wall seconds
        After the first event of the stream.
    """

    qid: str
    model: str
    prompt: str
    arrival_s: float
    due_s: float


def chosen_models(qids: Sequence[str], models: Sequence[str], per_event: int | None, seed: int) -> list[list[str]]:
    """Draw which models each event calls: ``min(per_event, all)`` of them, by draws that belong to its id.

    Examples
    --------
    >>> chosen_models(["a", "b"], ["x", "y"], None, 0)
    [['x', 'y'], ['x', 'y']]
    >>> [len(names) for names in chosen_models(["a", "b"], ["x", "y", "z"], 2, 0)]
    [2, 2]
    """
    if per_event is not None and per_event < 1:
        raise UserError(f"--per_event_models should be at least 1, got {per_event}")
    if per_event is None or per_event >= len(models):
        return [list(models) for _ in qids]
    draws = keyed_uniform(keys_of(qids), len(models), seed_for("models of an event", seed))
    order = np.sort(np.argsort(draws, axis=1, kind="stable")[:, :per_event], axis=1)
    return [[models[column] for column in row] for row in order]


def plan(
    events: Sequence[Mapping[str, Any]],
    models: Sequence[str],
    *,
    per_event: int | None = None,
    time_warp: float | None = None,
    seed: int = 0,
    source: str = "the stream",
) -> list[Job]:
    """Return one job per (qid, model) in order of arrival; a query that arrives again is called once.

    Parameters
    ----------
    time_warp : float or None
        Stream seconds per wall second. None takes the stream's own ``ts`` (Unix time, already
        warped when the stream was built), or ``arrival_s`` as it is where there is none.

    Raises
    ------
    UserError
        An event without ``qid``, ``prompt`` or ``arrival_s``; a ``time_warp`` that is not above 0.
    """
    if time_warp is not None and not 0 < time_warp < float("inf"):
        raise UserError(f"--time_warp should be above 0, got {time_warp:g}")
    for number, event in enumerate(events, start=1):
        lacking = [name for name in ("qid", "prompt", "arrival_s") if event.get(name) is None]
        if lacking:
            raise UserError(f"{source}, line {number}: lacks {lacking}; write it with python scripts/build_stream.py")
        for name in ("arrival_s", "ts"):
            value = event.get(name, 0.0)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise UserError(f"{source}, line {number}: {name} must be a number of seconds, got {value!r}")
    names = chosen_models([str(event["qid"]) for event in events], models, per_event, seed)
    own_clock = time_warp is None and all("ts" in event for event in events)
    clock = [float(event["ts"] if own_clock else event["arrival_s"] / (time_warp or 1.0)) for event in events]
    start = min(clock)
    jobs: dict[tuple[str, str], Job] = {}
    for event, due, chosen in zip(events, clock, names, strict=True):
        qid = str(event["qid"])
        for model in chosen:
            job = Job(qid, model, str(event["prompt"]), float(event["arrival_s"]), due - start)
            jobs.setdefault((qid, model), job)
    return sorted(jobs.values(), key=lambda job: job.due_s)


def remaining(jobs: Iterable[Job], done: set[tuple[str, str]]) -> list[Job]:
    """Return the jobs that no earlier run recorded."""
    return [job for job in jobs if (job.qid, job.model) not in done]
