"""The most that a call can cost: told, by the catalogue, from training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core.errors import UserError
from dacr.data.prepare import prepare_routerbench
from dacr.data.prices import Prices
from dacr.data.table import RoutingTable, load
from dacr.replay.budgets.call_bound import most_usd, of_catalogue

CATALOGUE = """models:
  cheap: {price_per_million_input: 1, price_per_million_output: 2, max_output_tokens: 100}
  dear: {price_per_million_input: 10, price_per_million_output: 30, max_output_tokens: 4000, price_per_request: 0.5}
  %s
"""


@pytest.fixture
def table(tiny_long: pd.DataFrame, tmp_path: Path) -> RoutingTable:
    tiny_long.to_parquet(tmp_path / "long.parquet")
    return load(tmp_path / "long.parquet")


def prices(folder: Path, more: str = "") -> Prices:
    (folder / "models.yaml").write_text(CATALOGUE % more)
    return Prices.read(folder / "models.yaml")


def test_the_catalogue_by_hand(tmp_path: Path) -> None:
    """36 letters, of which one has two bytes, and 64 of the chat: 101 tokens at most."""
    found = of_catalogue(prices(tmp_path), ("cheap", "dear"), np.array(["é" + "x" * 35], dtype=object))
    np.testing.assert_allclose(found, [[(101 + 2 * 100) / 1e6, 0.5 + (1010 + 120_000) / 1e6]])


@pytest.mark.parametrize("more", ["", "other: {price_per_million_input: 1, price_per_million_output: 2}"])
def test_a_model_without_price_or_limit_is_one_line(tmp_path: Path, more: str) -> None:
    with pytest.raises(UserError, match=r"--max_call_usd: .* max_output_tokens of 'other'") as error:
        of_catalogue(prices(tmp_path, more), ("cheap", "other"), np.array(["x"], dtype=object))
    assert "\n" not in str(error.value)


def test_a_free_model_is_bounded_by_its_price(tmp_path: Path) -> None:
    found = of_catalogue(
        prices(tmp_path, "own: {price_per_million_input: 0, price_per_million_output: 0, price_per_request: 0.01}"),
        ("own", "ollama/x"),
        np.array(["y"]),
    )
    np.testing.assert_allclose(found, [[0.01, 0.0]])


def test_a_file_of_prices_of_ones_own(table: RoutingTable, tmp_path: Path) -> None:
    told = dict.fromkeys(table.model, "{price_per_million_input: 1, price_per_million_output: 2, max_output_tokens: 7}")
    (tmp_path / "own.yaml").write_text("models:\n" + "".join(f"  {name}: {price}\n" for name, price in told.items()))
    rows = np.arange(table.n_query)
    found = most_usd(str(tmp_path / "own.yaml"), table, rows, rows)
    tokens = np.array([len(prompt.encode()) + 64 for prompt in table.prompt])
    np.testing.assert_allclose(found, np.repeat((tokens + 14.0)[:, None] / 1e6, table.n_model, axis=1))
    with pytest.raises(UserError, match="no such file"):
        most_usd(str(tmp_path / "none.yml"), table, rows, rows)


def test_queries_without_a_prompt_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="queries without a prompt"):
        of_catalogue(prices(tmp_path), ("cheap",), np.array(["x", ""], dtype=object))


@pytest.mark.parametrize("wrong", ["0", "many", "-4", "true", ".nan"])
def test_a_wrong_limit_is_one_line(tmp_path: Path, wrong: str) -> None:
    more = f"other: {{price_per_million_input: 1, price_per_million_output: 2, max_output_tokens: {wrong}}}"
    with pytest.raises(UserError, match="max_output_tokens of model 'other' should be a whole number from 1"):
        prices(tmp_path, more)


def test_training_never_looks_at_test_rows(table: RoutingTable) -> None:
    """Costs of a model are its price x 1, ..., 6; of training rows 1, 2 and 4 the dearest is 4, and twice that 8."""
    train, test = np.array([0, 1, 3]), np.array([2, 4, 5])
    found = most_usd("training", table, train, test)
    assert found.shape == (3, 3)
    np.testing.assert_allclose(found[:, list(table.model).index("cheap")], 8e-5)
    dearer = table.cost_usd.copy()
    dearer[test] *= 1e6
    np.testing.assert_array_equal(most_usd("training", replace(table, cost_usd=dearer), train, test), found)


def test_a_number_holds_for_every_call(table: RoutingTable) -> None:
    assert (most_usd("0.25", table, np.arange(3), np.arange(3, 6)) == 0.25).all()


def test_the_catalogue_bounds_the_embedded_benchmark(sample_long: Path) -> None:
    table = load(sample_long)
    assert (table.cost_usd <= of_catalogue(Prices.read(), table.model, table.prompt)).all()


def test_the_catalogue_bounds_what_was_recorded(shared_data: Path, tmp_path: Path) -> None:
    prepare_routerbench(input=str(shared_data / "routerbench_0shot_783.pkl"), out=str(tmp_path / "long.parquet"))
    table = load(tmp_path / "long.parquet")
    assert (table.cost_usd <= of_catalogue(Prices.read(), table.model, table.prompt)).all()
