"""The long table, its dense form and the splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.errors import UserError
from dacr.data import schema, splits, table


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("quality", np.nan, "NaN or infinite"),
        ("quality", 1.01, r"\[0, 1\]"),
        ("cost", np.inf, "NaN or infinite"),
        ("cost", -1.0, "at least 0 USD"),
        ("qid", "", "'qid' is empty"),
        ("domain", None, "'domain' is empty"),
    ],
)
def test_validate_names_the_first_bad_row(column: str, value: object, says: str, tiny_long: pd.DataFrame) -> None:
    schema.validate(tiny_long, "good")
    tiny_long.loc[4, column] = value
    with pytest.raises(UserError, match=says) as error:
        schema.validate(tiny_long, "file.parquet")
    assert "file.parquet" in str(error.value)


def test_validate_columns_types_and_duplicates(tiny_long: pd.DataFrame) -> None:
    with pytest.raises(UserError, match=r"\['cost'\] are missing"):
        schema.validate(tiny_long.drop(columns="cost"), "f")
    with pytest.raises(UserError, match="should be numbers"):
        schema.validate(tiny_long.assign(cost="1"), "f")
    with pytest.raises(UserError, match="no rows"):
        schema.validate(tiny_long.iloc[:0], "f")
    with pytest.raises(UserError, match=r"q0.*stand twice|stand twice.*q0"):
        schema.validate(pd.concat([tiny_long, tiny_long.iloc[:1]]), "f")
    with pytest.raises(UserError, match=r"1 of 6 queries lack.*'q0' lacks.*cheap"):
        schema.require_complete(tiny_long.iloc[1:], "f")


def test_load_by_hand(tiny_long: pd.DataFrame, tmp_path: Path) -> None:
    tiny_long.sample(frac=1, random_state=0).to_parquet(tmp_path / "t.parquet")
    loaded = table.load(tmp_path / "t.parquet")
    assert loaded.model == ("cheap", "mid", "strong") and loaded.quality.shape == (6, 3)
    row = list(loaded.qid).index("q4")
    assert loaded.quality[row].tolist() == [0, 0.25, 0] and loaded.cost_usd[row].tolist() == pytest.approx(
        [5e-5, 5e-4, 5e-2]
    )
    assert loaded.prompt[row] == "Question number 4?" and loaded.domain[row] == "winogrande"
    assert loaded.response[row * 3 + 2].as_py() == "AAA" and np.isnan(loaded.latency_s).all()
    some = loaded.take([row, 0])
    assert some.qid[0] == "q4" and some.response[2].as_py() == "AAA" and some.n_query == 2
    alone = loaded.with_responses_of([row]).response
    assert alone[row * 3 + 2].as_py() == "AAA" and len(alone) == 18 and alone.null_count == 15


def test_categories_and_missing_responses_load_alike(tiny_long: pd.DataFrame, tmp_path: Path) -> None:
    tiny_long.to_parquet(tmp_path / "a.parquet")
    coded = tiny_long.astype({"qid": "category", "prompt": "category", "model": "category"}).drop(columns="response")
    coded.to_parquet(tmp_path / "b.parquet")
    a, b = table.load(tmp_path / "a.parquet"), table.load(tmp_path / "b.parquet")
    assert (a.quality == b.quality).all() and list(a.prompt) == list(b.prompt) and list(a.qid) == list(b.qid)
    assert a.response is not None and b.response is None and set(a.family) == {"mbpp", "mmlu", "winogrande"}


def test_unreadable_files(tmp_path: Path, tiny_long: pd.DataFrame) -> None:
    with pytest.raises(UserError, match=r"no such file.*prepare_routerbench"):
        table.load(tmp_path / "none.parquet")
    tiny_long.to_parquet(tmp_path / "t.parquet")
    data = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="truncated"):
        table.load(tmp_path / "cut.parquet")


queries = st.lists(
    st.tuples(st.integers(0, 10**6), st.sampled_from("abcd")), min_size=8, max_size=60, unique_by=lambda q: q[0]
)


@given(queries, st.floats(0.05, 0.95), st.integers(0, 5), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_split_is_disjoint_complete_and_independent_of_row_order(rows, size, seed, random) -> None:  # type: ignore[no-untyped-def]
    qid, domain = [str(q) for q, _ in rows], [d for _, d in rows]
    if all(domain.count(name) < 2 for name in domain):
        return
    split = splits.split_queries(qid, domain, test_size=size, split_seed=seed)
    assert sorted([*split.train, *split.test]) == list(range(len(rows)))
    assert {domain[i] for i in split.train} == set(domain), "every domain is trained on"
    order = list(range(len(rows)))
    random.shuffle(order)
    other = splits.split_queries([qid[i] for i in order], [domain[i] for i in order], test_size=size, split_seed=seed)
    assert {qid[order[i]] for i in other.test} == {qid[i] for i in split.test}
    held = splits.split_queries(qid, domain, ["a"]) if "a" in domain and len(set(domain)) > 1 else None
    assert held is None or {domain[i] for i in held.test} == {"a"} == set(held.held_out)


@given(queries, st.integers(0, 9))
@settings(deadline=None, max_examples=30)
def test_stream_order_belongs_to_the_queries(rows, seed) -> None:  # type: ignore[no-untyped-def]
    qid = [str(q) for q, _ in rows]
    forward = splits.shuffled(qid, np.arange(len(qid)), seed)
    backward = splits.shuffled(qid, np.arange(len(qid))[::-1], seed)
    assert sorted(forward) == list(range(len(qid))) and forward.tolist() == backward.tolist()
    half = np.arange(0, len(qid), 2)
    assert splits.shuffled(qid, half, seed).tolist() == [i for i in forward if i % 2 == 0]


def test_holdout_errors_name_the_nearest() -> None:
    domains = ["mbpp", "mmlu-law", "winogrande"]
    assert splits.held_out_domains(domains, ["mmlu", "mbpp"]) == ("mbpp", "mmlu-law")
    with pytest.raises(UserError, match="nearest is 'mbpp'"):
        splits.held_out_domains(domains, ["mbp_p"])
    with pytest.raises(UserError, match="all 3 domains"):
        splits.held_out_domains(domains, ["m", "w"])
    with pytest.raises(UserError, match="no test part"):
        splits.split_queries(["a"], ["b"])
