"""Tables of results are what pandas writes, byte for byte, but for lone carriage returns, which stand in quotes."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.experiment.writer import write_csv

# No carriage returns: pandas leaves them without quotes on some Pythons, and readers then see another row.
LETTERS = st.characters(codec="utf-8", exclude_characters="\r")
TEXTS = st.lists(st.one_of(st.none(), st.text(LETTERS, max_size=8)), min_size=3, max_size=3)
NUMBERS = st.lists(st.one_of(st.just(np.nan), st.floats()), min_size=3, max_size=3)


def both(folder, frame):
    """Return what this project and pandas write of a table."""
    write_csv(folder, "own.csv", frame)
    frame.to_csv(folder / "pandas.csv", index=False, float_format="%.10g", lineterminator="\n")
    return (folder / "own.csv").read_bytes(), (folder / "pandas.csv").read_bytes()


def test_every_kind_of_column(tmp_path):
    frame = pd.DataFrame(
        {
            "whole": [1, -2],
            "no": [True, None],
            'so, "called"': [None, 'x,"y'],
            "far": [np.inf, -np.inf],
            "kind": pd.Categorical(["u", "v\nw"]),
            "short": np.array([1.5, np.nan], dtype=np.float32),
            "perhaps": pd.array([1, None], dtype="Int64"),
            "mixed": [1.5, "t"],
            "nothing": [None, None],
            "text": pd.array(["é", None], dtype="string"),
        }
    )
    own, pandas = both(tmp_path, frame)
    assert own == pandas


def test_a_carriage_return_is_read_back(tmp_path):
    frame = pd.DataFrame({"text": ["a\rb", "c"], "end": 0})
    write_csv(tmp_path, "own.csv", frame)
    assert pd.read_csv(tmp_path / "own.csv").equals(frame)


@pytest.mark.parametrize("n", [0, 1])
def test_few_rows(tmp_path, n):
    own, pandas = both(tmp_path, pd.DataFrame({"a": [1.0], "b": ["x"]}).head(n))
    assert own == pandas


@settings(max_examples=60, deadline=None)
@given(TEXTS, NUMBERS)
def test_any_texts_and_numbers(tmp_path_factory, texts, numbers):
    own, pandas = both(tmp_path_factory.mktemp("csv"), pd.DataFrame({"text": texts, "number": numbers, "end": 0}))
    assert own == pandas
