"""Which queries arrive when, and how long every model takes: streams, logs, and what is missing in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dacr.core.cache import Cache
from dacr.core.cli import FloatList, StrList
from dacr.core.errors import UserError
from dacr.data.splits import split_queries
from dacr.data.table import RoutingTable, load
from dacr.experiment.settings import ExperimentSettings
from dacr.replay.setup import read_off, set_up
from dacr.replay.testbed import assemble

HELD = StrList(["grade-school-math"])


@pytest.fixture(scope="module")
def table(sample_long: Path) -> RoutingTable:
    return load(sample_long)


def bed_of(table: RoutingTable, **flags):
    return assemble(ExperimentSettings(ood_holdout=HELD, **flags), table)


def first_tested(table: RoutingTable, n: int = 20) -> list[str]:
    split = split_queries(list(table.qid), list(table.domain), tuple(HELD))
    return table.qid[split.test[:n]].tolist()


def write(path: Path, lines: list[dict]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def log_lines(table: RoutingTable, qids: list[str], arrival: bool = True) -> list[dict]:
    return [
        {"qid": qid, "model": model, "latency_s": 1.0 + i + 0.01 * m, "ok": True}
        | ({"arrival_s": float(i)} if arrival else {})
        for i, qid in enumerate(qids)
        for m, model in enumerate(table.model)
    ]


def stream_lines(qids: list[str]) -> list[dict]:
    return [
        {"arrival_s": 0.5 * i, "ts": 1e9 + i, "qid": qid, "domain": "d", "prompt": "p", "lat_mult": 1.0}
        for i, qid in enumerate(qids)
    ]


first_tested.__test__ = False


def test_without_files_the_whole_test_part_arrives_shuffled(table: RoutingTable) -> None:
    bed = bed_of(table)
    split = split_queries(list(table.qid), list(table.domain), tuple(HELD))
    assert sorted(bed.test) == split.test.tolist() and bed.test.tolist() != split.test.tolist()
    assert (bed.train == split.train).all() and bed.held_out == ("grade-school-math",)
    assert (np.diff(bed.arrival_s) >= 0).all()
    assert np.isfinite(bed.table.latency_s).all() and (bed.table.latency_s > 0).all()
    assert np.isnan(table.latency_s).all(), "the caller's table stays as it was"
    assert (bed.table.latency_s == bed_of(table).table.latency_s).all()


def test_a_stream_gives_queries_and_arrivals(table: RoutingTable, tmp_path: Path) -> None:
    qids = first_tested(table)[::-1]
    bed = bed_of(table, stream=write(tmp_path / "s.jsonl", stream_lines(qids)))
    assert bed.table.qid[bed.test].tolist() == qids
    np.testing.assert_allclose(bed.arrival_s, 0.5 * np.arange(20))
    assert bed.sources["n_test"] == 20 and bed.sources["n_split"] > 20


def test_a_stream_outside_the_split_is_refused(table: RoutingTable, tmp_path: Path) -> None:
    inside = first_tested(table)
    outside = next(str(qid) for qid, domain in zip(table.qid, table.domain, strict=True) if domain not in HELD)
    path = write(tmp_path / "s.jsonl", stream_lines([*inside, outside]))
    with pytest.raises(UserError, match=f"1 of its 21 queries are not in the test split, first qid '{outside}'"):
        bed_of(table, stream=path)


def test_a_log_gives_queries_latencies_and_arrivals(table: RoutingTable, tmp_path: Path) -> None:
    qids = first_tested(table)
    bed = bed_of(table, latency_log=write(tmp_path / "l.jsonl", log_lines(table, qids)))
    assert bed.table.qid[bed.test].tolist() == qids
    np.testing.assert_allclose(bed.table.latency_s[bed.test][:, 0], 1.0 + np.arange(20))
    np.testing.assert_allclose(bed.arrival_s, np.arange(20))
    assert bed.sources["test_latency"] == "log" and bed.sources["log_coverage"] == 1.0
    without = bed_of(table, latency_log=write(tmp_path / "m.jsonl", log_lines(table, qids, arrival=False)))
    assert without.table.qid[without.test].tolist() == qids
    assert np.isfinite(without.arrival_s).all() and (np.diff(without.arrival_s) >= 0).all()


def test_training_latencies_come_from_the_log_where_it_has_them(table: RoutingTable, tmp_path: Path) -> None:
    bed = bed_of(table)
    trained = table.qid[bed.train[:3]].tolist()
    path = write(tmp_path / "l.jsonl", log_lines(table, [*first_tested(table), *trained]))
    logged = bed_of(table, latency_log=path)
    np.testing.assert_allclose(logged.table.latency_s[bed.train[:3]][:, 0], [21.0, 22.0, 23.0])
    assert len(logged.test) == 20 and logged.sources["train_latency"].startswith("log for")


def test_missing_models_never_become_0_s(table: RoutingTable, tmp_path: Path) -> None:
    qids = first_tested(table)
    lines = log_lines(table, qids)
    gone = {(qids[0], table.model[2]), (qids[3], table.model[0])}
    path = write(tmp_path / "l.jsonl", [line for line in lines if (line["qid"], line["model"]) not in gone])
    with pytest.raises(UserError, match=r"99\.0 %.*--missing_latency drop.*impute"):
        bed_of(table, latency_log=path)
    dropped = bed_of(table, latency_log=path, missing_latency="drop")
    assert dropped.table.qid[dropped.test].tolist() == [qid for qid in qids if qid not in (qids[0], qids[3])]
    imputed = bed_of(table, latency_log=path, missing_latency="impute")
    assert imputed.table.qid[imputed.test].tolist() == qids
    # As slow as the query was for the other models, which here is all that differs.
    assert imputed.table.latency_s[imputed.test][0, 2] == pytest.approx(1.02, rel=0.15)
    assert imputed.table.latency_s[imputed.test][3, 0] == pytest.approx(4.0, rel=0.15)
    for bed in (dropped, imputed):
        assert (bed.table.latency_s[bed.test] > 0).all()


def test_a_stream_that_the_log_covers_in_part(table: RoutingTable, tmp_path: Path) -> None:
    qids = first_tested(table)
    files = {
        "stream": write(tmp_path / "s.jsonl", stream_lines(qids)),
        "latency_log": write(tmp_path / "l.jsonl", log_lines(table, qids[:15])),
    }
    with pytest.raises(UserError, match=r"covers 15 of the 20 test queries \(75"):
        bed_of(table, **files)
    dropped = bed_of(table, **files, missing_latency="drop")
    assert dropped.table.qid[dropped.test].tolist() == qids[:15] and len(dropped.arrival_s) == 15
    imputed = bed_of(table, **files, missing_latency="impute")
    assert len(imputed.test) == 20 and (imputed.table.latency_s[imputed.test] > 0).all()
    assert imputed.sources["test_latency_coverage"] == 0.75


def test_a_query_that_is_left_out_is_counted_once(table: RoutingTable, tmp_path: Path) -> None:
    """Of 20 queries in the stream the log lacks five, and of a sixth it lacks one model: six are left out."""
    qids = first_tested(table)
    lines = [line for line in log_lines(table, qids[:15]) if (line["qid"], line["model"]) != (qids[3], table.model[0])]
    log = write(tmp_path / "l.jsonl", lines)
    stream = write(tmp_path / "s.jsonl", stream_lines(qids))
    bed = bed_of(table, stream=stream, latency_log=log, missing_latency="drop")
    assert len(bed.test) == 14 and bed.sources["log_dropped"] == 6
    alone = bed_of(table, latency_log=log, missing_latency="drop")
    assert len(alone.test) == 14 and alone.sources["log_dropped"] == 1
    assert bed_of(table, stream=stream, latency_log=log, missing_latency="impute").sources["log_dropped"] == 0


def test_a_log_of_other_queries_is_refused(table: RoutingTable, tmp_path: Path) -> None:
    trained = [str(q) for q, d in zip(table.qid, table.domain, strict=True) if d not in HELD][:3]
    with pytest.raises(UserError, match="none of its 3 queries is in the test split"):
        bed_of(table, latency_log=write(tmp_path / "l.jsonl", log_lines(table, trained)))


@pytest.mark.parametrize("budget", [FloatList(), FloatList([0.01])])
def test_responses_to_training_rows_are_kept_for_who_reads_them_alone(table: RoutingTable, budget: FloatList) -> None:
    whole, setup = set_up(ExperimentSettings(ood_holdout=HELD, budget_cost=budget), table, Cache(None))
    bed = read_off(whole, setup)
    known = bed.table.response.is_valid().to_numpy(zero_copy_only=False).reshape(-1, table.n_model)
    assert setup.estimator.table.response is bed.table.response and known[bed.test].all()
    assert known[bed.train].all() if budget else not known[bed.train].any()


def test_other_prices_change_costs_alone_by_a_factor_of_each_model(table: RoutingTable) -> None:
    recorded, other, again = (bed_of(table, price_draw=k).table for k in (0, 3, 3))
    np.testing.assert_array_equal(recorded.cost_usd, table.cost_usd)
    factor = other.cost_usd / recorded.cost_usd
    np.testing.assert_allclose(factor, np.broadcast_to(factor[0], factor.shape))
    assert (factor[0] >= 0.5).all() and (factor[0] <= 2.0).all() and len(set(factor[0].round(9))) == table.n_model
    np.testing.assert_array_equal(other.cost_usd, again.cost_usd)
    np.testing.assert_array_equal(other.quality, recorded.quality)
    assert not np.allclose(other.cost_usd, bed_of(table, price_draw=4).table.cost_usd)


@pytest.mark.parametrize(
    ("flags", "said"),
    [({"price_draw": -1}, "whole number"), ({"price_draw": 1, "max_call_usd": "catalogue"}, "0 with --max_call_usd")],
)
def test_other_prices_that_make_no_sense(flags: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        ExperimentSettings(ood_holdout=HELD, **flags)
