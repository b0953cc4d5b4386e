"""From settings and a table to what routers play in: the one place where an arena is assembled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacr.core import files
from dacr.core.cache import Cache
from dacr.core.errors import UserError
from dacr.data.table import RoutingTable
from dacr.estimates.estimator import Estimator
from dacr.estimates.features.cues import response_cues
from dacr.replay.labels import labels_for
from dacr.replay.protocols.cold_start import cues_without, without_outcomes
from dacr.replay.protocols.combined import parse
from dacr.replay.settings import ExperimentSettings
from dacr.replay.testbed import Testbed, assemble
from dacr.replay.world import Arena
from dacr.workload.queueing import replicas_for


def set_up(
    settings: ExperimentSettings,
    table: RoutingTable,
    cache: Cache,
    *,
    features: NDArray[np.float32] | None = None,
    max_queries: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Testbed, Arena]:
    """Assemble the testbed and the arena; nothing is fitted until it is asked for.

    Parameters
    ----------
    features : (n_query, n_feature) float32, optional
        Replace the project's own, and those of ``settings.features``.
    max_queries : int
        Play at most so many test queries, the first of the stream; 0 plays all.
    progress : callable
        Is told what is being computed.
    """
    bed = assemble(settings, table)
    if 0 < max_queries < len(bed.test):
        bed = replace(bed, test=bed.test[:max_queries], arrival_s=bed.arrival_s[:max_queries])
    names, n = table.model, len(bed.test)
    cold = parse(settings.protocol).effects(n, names, settings.seeds[0]).cold
    if cold is not None:
        bed = replace(bed, table=without_outcomes(bed.table, bed.train, cold))
    estimator = estimator_of(settings, bed, cache, features=features, progress=progress)
    estimator.label = labels_for(settings, bed, estimator.x if settings.domain_info == "inferred" else None)
    cues = cached_cues(cache, bed)
    replicas = replicas_for(settings.replicas, table.model) if settings.replicas else None
    if cold is not None:
        cues = cues_without(cues[0], cold), cues[1]
    return bed, Arena(settings, estimator, *cues, replicas, cold)


def estimator_of(
    settings: ExperimentSettings,
    bed: Testbed,
    cache: Cache,
    *,
    features: NDArray[np.float32] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Estimator:
    """Return the estimates of a testbed; nothing is fitted until it is asked for. Arguments as in :func:`set_up`."""
    return Estimator(
        table=bed.table,
        train=bed.train,
        test=bed.test,
        arrival_s=bed.arrival_s,
        tau_s=settings.tau_seconds,
        cache=cache,
        n_jobs=settings.n_jobs,
        features=given_features(settings, bed.table.n_query) if features is None else features,
        progress=progress,
    )


def given_features(settings: ExperimentSettings, n_query: int) -> Any:
    """Read features of the user's own, or return None."""
    if settings.features is None:
        return None
    path = files.existing_file(settings.features)
    try:
        x = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"--features {path} is not a .npy file of numbers: {error}") from None
    if x.ndim != 2 or len(x) != n_query or not np.issubdtype(x.dtype, np.number) or not np.isfinite(x).all():
        raise UserError(
            f"--features {path}: expected finite numbers of shape ({n_query}, n_feature), one row per query of the "
            f"table in its order, got {x.dtype} of shape {x.shape}"
        )
    return x.astype(np.float32)


def cached_cues(cache: Cache, bed: Testbed) -> tuple[Any, Any]:
    """Return the cues of the responses to training and to test queries; None each where there are no responses."""
    response = bed.table.response
    if response is None:
        return None, None
    parts = {"response": response, "n_model": bed.table.n_model}
    cues = cache.get("cues", parts, lambda: {"cues": response_cues(response, bed.table.n_model)})["cues"]
    return cues[bed.train], cues[bed.test]
