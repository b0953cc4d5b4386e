"""The three schemas become one long table; split rows are merged; texts are unwrapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from completing import complete
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data import pickles, schema
from dacr.data.loaders import routerbench
from dacr.data.loaders.base import detect

FOLDER = Path(__file__).parent / "pickles"
MBPP = {  # published means over all 427 queries: quality, USD per query
    "mistralai/mistral-7b-chat": (0.3443, 4.846e-5),
    "WizardLM/WizardLM-13B-V1.2": (0.3700, 8.099e-5),
    "meta/code-llama-instruct-34b-chat": (0.5176, 1.5603e-4),
    "mistralai/mixtral-8x7b-chat": (0.5410, 1.7429e-4),
    "zero-one-ai/Yi-34B-Chat": (0.3864, 2.2863e-4),
    "meta/llama-2-70b-chat": (0.3302, 2.9722e-4),
    "gpt-3.5-turbo-1106": (0.6534, 3.3476e-4),
    "claude-instant-v1": (0.6042, 4.8113e-4),
    "claude-v1": (0.5972, 4.2735e-3),
    "claude-v2": (0.6417, 5.8376e-3),
    "gpt-4-1106-preview": (0.6862, 9.3771e-3),
}


def wide() -> pd.DataFrame:
    return pickles.load(FOLDER / "pandas_1_5_3_wide_p4.pkl")


def raw() -> pd.DataFrame:
    return pickles.load(FOLDER / "pandas_1_5_3_raw_p4.pkl")


@pytest.mark.parametrize("file", ["routerbench_0shot_783.pkl", "routerbench_5shot_3164.pkl"])
def test_mbpp_means_are_the_published_ones(file: str, shared_data: Path) -> None:
    frame = pickles.load(shared_data / file)
    assert detect(frame.columns, file) == "routerbench_wide"
    long = complete(loaders.get("routerbench_wide")().convert(frame), file).frame
    mbpp = long[long["domain"] == "mbpp"]
    means = mbpp.groupby("model", observed=True)[["quality", "cost"]].mean()
    assert sorted(means.index) == sorted(MBPP)
    for model, (quality, cost) in MBPP.items():
        assert means.loc[model, "quality"] == pytest.approx(quality, abs=5.1e-5)
        assert means.loc[model, "cost"] == pytest.approx(cost, rel=2e-4)
    best = mbpp.sort_values(["quality", "cost"], ascending=[False, True]).groupby("qid", observed=True).first()
    assert best["quality"].mean() == pytest.approx(0.8665, abs=5.1e-5)
    assert best["cost"].mean() == pytest.approx(4.829e-4, rel=2e-4)
    assert not long["prompt"].astype(str).str.startswith("['").any()


def test_paretobandit_becomes_a_long_table(shared_data: Path) -> None:
    long = complete(loaders.get("paretobandit")().load(shared_data / "paretobandit_k4_long.parquet"), "p").frame
    assert long["qid"].nunique() == 3559 and long["model"].nunique() == 4
    assert {"difficulty", "split"} <= set(long.columns)
    assert {schema.family_of(name) for name in long["domain"].unique() if name.startswith("bbh/")} == {"bbh"}


def test_wide_and_raw_say_the_same() -> None:
    from_wide = complete(routerbench.from_wide(wide()), "wide").frame
    from_raw = complete(routerbench.from_raw(raw()), "raw").frame
    pd.testing.assert_frame_equal(from_wide, from_raw)
    assert from_wide["qid"].astype(str).tolist() == ["made.0"] * 2 + ["made.1"] * 2 + ["made.2"] * 2
    assert from_wide["model"].astype(str).tolist() == ["large", "small"] * 3
    assert from_wide["quality"].tolist() == [1.0, 1.0, 1.0, 0.25, 0.5, 0.0]
    assert from_wide["prompt"].astype(str).tolist()[::2] == ["Add 1 and 2.", "Be brief.\nName a colour.", "Say 'hi'."]
    assert from_wide["response"].tolist()[:2] == ["three", "3"]


@pytest.mark.parametrize("names", [{"model_name": "model"}, {"cost": "total_cost"}, {"model_response": "response"}, {}])
def test_raw_file_under_its_other_names(names: dict[str, str]) -> None:
    frame = raw().rename(columns=names)
    assert detect(frame.columns, "raw") == "routerbench_raw"
    assert routerbench.from_raw(frame)["quality"].tolist() == raw()["performance"].tolist()


def test_wide_file_with_suffixed_quality() -> None:
    frame = wide().rename(columns={"small": "small|score", "large": "large|score"})
    assert routerbench.from_wide(frame, "score")["quality"].tolist() == [1.0, 1.0, 0.25, 1.0, 0.0, 0.5]
    with pytest.raises(UserError, match="its suffixes are"):
        routerbench.from_wide(frame)
    with pytest.raises(UserError, match=r"small\|scoer"):
        routerbench.from_wide(frame, "scoer")


def test_raw_file_names_the_nearest_column() -> None:
    with pytest.raises(UserError, match="nearest is 'performance'"):
        routerbench.from_raw(raw(), "performence")


def test_texts_in_a_number_column_are_an_error() -> None:
    with pytest.raises(UserError, match="'cost' should be numbers"):
        routerbench.from_raw(raw().assign(cost="cheap"))


def halves() -> pd.DataFrame:
    """The first query on two half-empty rows."""
    frame = pd.concat([wide().iloc[:1], wide()], ignore_index=True)
    frame.loc[0, ["small", "small|total_cost"]] = np.nan
    frame.loc[1, ["large", "large|total_cost"]] = np.nan
    return frame


def test_half_empty_rows_are_merged() -> None:
    done = complete(routerbench.from_wide(halves()), "halves")
    assert (done.n_merged, done.n_dropped) == (1, 0)
    pd.testing.assert_frame_equal(done.frame, complete(routerbench.from_wide(wide()), "wide").frame)


def test_cells_that_stay_empty_are_an_error_or_dropped() -> None:
    frame = halves().drop(index=1)
    with pytest.raises(UserError, match=r"1 of 6 outcomes are missing, in 1 of 3 queries.*'small'.*has NaN"):
        complete(routerbench.from_wide(frame), "halves")
    done = complete(routerbench.from_wide(frame), "halves", "drop")
    assert done.n_dropped == 1 and list(done.frame["qid"].unique()) == ["made.1", "made.2"]
    with pytest.raises(UserError, match="has no row"):
        complete(routerbench.from_raw(raw().iloc[1:]), "raw")
    with pytest.raises(UserError, match="none is left"):
        complete(routerbench.from_raw(raw().iloc[:1].assign(cost=np.nan)), "raw", "drop")


def test_a_pair_that_stands_twice_is_an_error() -> None:
    with pytest.raises(UserError, match="stand twice"):
        complete(routerbench.from_wide(pd.concat([wide(), wide().iloc[:1]])), "twice")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("['a']", "a"),
        ('["it\'s"]', "it's"),
        ("['a\\nb']", "a\nb"),
        ("['system', 'user']", "system\nuser"),
        ("['broken", "['broken"),
        ("['a' + 'b']", "['a' + 'b']"),
        ("['a', 1, 'b']", "['a', 1, 'b']"),
        ("['a\"]", "['a\"]"),
        ("[1, 2]", "[1, 2]"),
        ("['", "['"),
        ("['']", ""),
        ("", ""),
        (None, ""),
        (float("nan"), ""),
        (["a", "b"], "a\nb"),
    ],
)
def test_unwrap_by_hand(text: object, expected: str) -> None:
    assert routerbench.unwrap([text]).tolist() == [expected]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=3))
@settings(deadline=None, max_examples=300)
def test_unwrap_undoes_repr(parts: list[str]) -> None:
    assert routerbench.unwrap([repr(parts)])[0] == "\n".join(parts)


@given(st.text(alphabet="[]'\"\\x0nN{a}+,() ", max_size=12))
@settings(deadline=None, max_examples=300)
def test_unwrap_never_fails(text: str) -> None:
    assert isinstance(routerbench.unwrap([f"['{text}']"])[0], str)


@given(st.permutations(range(6)))
@settings(deadline=None, max_examples=30)
def test_order_of_rows_within_a_query_does_not_matter(order: list[int]) -> None:
    frame = routerbench.from_raw(raw())
    done = complete(frame.iloc[order], "shuffled").frame.sort_values(["qid", "model"], key=lambda c: c.astype(str))
    whole = complete(frame, "whole").frame
    assert done["quality"].tolist() == whole["quality"].tolist()


def test_unknown_columns_name_the_loaders() -> None:
    with pytest.raises(UserError, match=r"--loader: .*long, .*paretobandit"):
        detect(["a", "b"], "file")
    for name, loader in loaders.items():
        assert callable(loader().load), name
