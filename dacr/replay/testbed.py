"""What is replayed: which test queries arrive when, and how long every model takes on each query."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from dacr.core.cache import Cache
from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.data.schema import incomplete
from dacr.data.splits import Split, shuffled, split_queries
from dacr.data.table import RoutingTable
from dacr.data.tokens import tokens_of
from dacr.replay.settings import WorldSettings
from dacr.replay.unrecorded import with_means
from dacr.types import Bools, Floats, Ints
from dacr.workload.arrivals import load_multiplier, poisson
from dacr.workload.latency import LatencyModel
from dacr.workload.latency_log import LatencyLog, read_latency_log
from dacr.workload.simulate import rows_of, training_latency
from dacr.workload.stream import read_stream

_ORDER_SEED = 1


@dataclass(frozen=True)
class Testbed:
    """A table with latencies, and the stream that is replayed on it.

    Attributes
    ----------
    table : RoutingTable
        Latency known for every training and test row.
    train, test : (n,) int
        Row indices; ``test`` in the order of arrival.
    arrival_s : (n_test,) float, stream seconds
    held_out : tuple of str
        Domains that training has none of.
    sources : dict
        Where queries and latencies come from, and how many: for the manifest and the summary.
    """

    __test__ = False  # not a test class, whatever its name begins with

    table: RoutingTable
    train: Ints
    test: Ints
    arrival_s: Floats
    held_out: tuple[str, ...]
    sources: dict[str, Any] = field(default_factory=dict)


def assemble(settings: WorldSettings, table: RoutingTable, cache: Cache = Cache(None)) -> Testbed:  # noqa: B008
    """Join table, split, stream and latency log.

    Raises
    ------
    UserError
        A stream with queries outside the test split, a log without test queries, missing latencies.
    """
    table = replace(table, cost_usd=table.cost_usd * other_prices(table.n_model, settings.price_draw))
    split = split_queries(
        list(table.qid), list(table.domain), tuple(settings.ood_holdout), settings.test_size, settings.split_seed
    )
    log = (
        read_latency_log(settings.latency_log, table.model, settings.missing_latency) if settings.latency_log else None
    )
    log_rows = rows_of(table, log.qid, str(settings.latency_log), str(settings.data)) if log else np.array([], int)
    test, arrival_s, load, source = _arrivals(settings, table, split, log, log_rows)
    recorded = np.isfinite(table.latency_s)
    simulated, tokens = _simulated(settings, table, test, load, cache)
    np.copyto(simulated, table.latency_s, where=recorded)  # the table's own come before simulated ones
    table = table.with_latency(simulated)
    how = _how(recorded if table.recorded is None else recorded[table.recorded], tokens, settings.default_tokens)
    covered = np.isin(test, log_rows)
    uncovered = test[~covered] if settings.missing_latency == "drop" else test[:0]
    if log is not None:
        table.latency_s[log_rows] = log.latency_s
        if not covered.all():
            keep = _treat_uncovered(settings, covered)
            test, arrival_s = test[keep], arrival_s[keep]
    unknown = "" if table.recorded is None else incomplete(table.recorded[np.concatenate([split.train, test])])
    table = with_means(table, test, split.train)
    sources = {
        "queries": source,
        "missing_outcomes": unknown,
        "n_test": len(test),
        "n_split": len(split.test),
        "n_train": len(split.train),
        "test_latency": how if log is None else "log" if covered.all() else f"log, rest {how}",
        "test_latency_coverage": float(covered.mean()) if log is not None else 0.0,
        "log_coverage": None if log is None else log.coverage,
        "log_dropped": 0 if log is None else log.n_dropped + len(set(table.qid[uncovered]) - set(log.dropped)),
        "log_imputed": 0 if log is None else log.n_imputed,
        "log_failed": None if log is None else log.n_failed,
        "train_latency": how
        if log is None or not np.isin(split.train, log_rows).any()
        else f"log for {float(np.isin(split.train, log_rows).mean()):.1%}, rest {how}",
    }
    return Testbed(table, split.train, test, arrival_s, split.held_out, sources)


def other_prices(n_model: int, draw: int) -> Floats:
    """Return a factor on each model's prices, log-uniform from .5 to 2, drawn anew for each number: (n_model,).

    Examples
    --------
    >>> other_prices(3, 0).tolist()
    [1.0, 1.0, 1.0]
    """
    return np.ones(n_model) if draw == 0 else 2.0 ** generator("other prices", draw).uniform(-1, 1, n_model)


def _how(recorded: Bools, tokens: str, default_tokens: float) -> str:
    """Say where latencies come from that no log has."""
    if recorded.all():
        return "recorded in the table"
    words = {
        "counted": "",
        "declared": " from declared tokens",
        "default": f" from {default_tokens:g} tokens an answer",
    }
    known = f"recorded in the table for {recorded.mean():.1%}, rest " if recorded.any() else ""
    return f"{known}simulated{words[tokens]}"


def _arrivals(
    settings: WorldSettings, table: RoutingTable, split: Split, log: LatencyLog | None, log_rows: Ints
) -> tuple[Ints, Floats, Floats, str]:
    """Return test rows in order of arrival, arrival times, load multipliers, and where they come from."""
    if settings.stream is not None:
        stream = read_stream(settings.stream)
        rows = rows_of(table, stream.qid, str(settings.stream), str(settings.data))
        outside = ~np.isin(rows, split.test)
        if outside.any():
            raise UserError(
                f"{settings.stream}: {int(outside.sum())} of its {len(rows)} queries are not in the test split, first "
                f"qid {stream.qid[outside][0]!r}; build it with the same --ood_holdout, --test_size and --split_seed"
            )
        return rows, stream.arrival_s, stream.lat_mult, f"stream {settings.stream}"
    if log is not None:
        mine = np.isin(log_rows, split.test)
        if not mine.any():
            raise UserError(
                f"{settings.latency_log}: none of its {len(log_rows)} queries is in the test split; make it from a "
                "stream that was built with the same --ood_holdout, --test_size and --split_seed"
            )
        rows, arrival_s = log_rows[mine], log.arrival_s[mine]
        if not np.isfinite(arrival_s).all():
            arrival_s = poisson(len(rows), settings.rate_qps, _ORDER_SEED)
        return rows, arrival_s, load_multiplier(arrival_s), f"latency log {settings.latency_log}"
    rows = shuffled(list(table.qid), split.test, _ORDER_SEED)
    arrival_s = poisson(len(rows), settings.rate_qps, _ORDER_SEED)
    return rows, arrival_s, load_multiplier(arrival_s), "the whole test split"


def _simulated(
    settings: WorldSettings, table: RoutingTable, test: Ints, load: Floats, cache: Cache
) -> tuple[Floats, str]:
    """Simulate the latency of every query: training under a drawn load, test queries under their own.

    The second value says where token counts come from.
    """
    if settings.replicas:
        load = np.ones(len(test))  # Waiting in line is simulated as the stream goes, not read off a multiplier.
    model = LatencyModel.from_yaml(settings.config_latency)
    how = settings.token_method, settings.chars_per_token, settings.default_tokens
    tokens, counted = tokens_of(table, *how, cache)
    latency = training_latency(table, model, noise_cv=settings.noise_cv, lat_mult_pool=load, tokens=tokens)
    latency[test] = model.latencies(list(table.qid[test]), table.model, tokens[test], load, settings.noise_cv, 1)
    return latency, counted


def _treat_uncovered(settings: WorldSettings, covered: np.ndarray) -> np.ndarray:
    """Return which test queries stay where the log lacks some: an error unless the user says otherwise."""
    if settings.missing_latency == "error":
        raise UserError(
            f"{settings.latency_log} covers {int(covered.sum())} of the {len(covered)} test queries "
            f"({covered.mean():.1%}); --missing_latency drop leaves the others out, impute simulates them"
        )
    if settings.missing_latency == "drop":
        return covered
    return np.ones(len(covered), dtype=bool)
