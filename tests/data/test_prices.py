"""Costs from tokens and prices, worked out by hand; models without a price are never free unasked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import cli, manifest
from dacr.core.errors import UserError
from dacr.data import table
from dacr.data.prepare import prepare_routerbench
from dacr.data.prices import DEFAULT, Prices
from dacr.data.table import read_parquet

PRICES = """
as_of: 2026-01-31
models:
  cheap: {price_per_million_input: 1, price_per_million_output: 2}
  mid*: {price_per_million_input: 10, price_per_million_output: 20, price_per_request: 0.001, as_of: 2025-06-01}
  strong: {price_per_million_input: 100, price_per_million_output: 200, price_per_million_cached_input: 50}
"""


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    (tmp_path / "prices.yaml").write_text(PRICES)
    return tmp_path / "prices.yaml"


@pytest.fixture
def priced(tmp_path: Path, prices: Path):
    def run(frame: pd.DataFrame, *flags: str, code: int = 0) -> table.RoutingTable | None:
        frame.to_parquet(tmp_path / "t.parquet")
        command = ["--pkl", str(tmp_path / "t.parquet"), "--out", str(tmp_path / "o.parquet"), "--prices", str(prices)]
        assert cli.run(prepare_routerbench, [*command, *flags]) == code
        return table.load(tmp_path / "o.parquet") if code == 0 else None

    return run


def test_cost_from_recorded_tokens(tiny_long: pd.DataFrame, priced) -> None:
    got = priced(tiny_long.drop(columns="cost").assign(input_tokens=1000, output_tokens=500))
    assert got.cost_usd[0].tolist() == pytest.approx([0.001 + 0.001, 0.001 + 0.01 + 0.01, 0.1 + 0.1])


def test_cost_from_cached_input_is_lower(tiny_long: pd.DataFrame, priced) -> None:
    frame = tiny_long.drop(columns="cost").assign(input_tokens=1000, output_tokens=0, cached_tokens=400)
    assert priced(frame).cost_usd[0, 2] == pytest.approx((600 * 100 + 400 * 50) / 1e6)


def test_cost_from_the_length_of_texts_is_said(tiny_long: pd.DataFrame, priced, capsys, tmp_path: Path) -> None:
    got = priced(tiny_long.drop(columns="cost").assign(prompt="x" * 400, response="y" * 40))
    assert got.cost_usd[0, 0] == pytest.approx((100 * 1 + 10 * 2) / 1e6)
    assert "tokens of cheap are estimated from texts in 6 rows" in capsys.readouterr().out
    told = manifest.from_metadata(read_parquet(tmp_path / "o.parquet").schema.metadata)["pricing"]
    assert told["models"]["cheap"]["n_estimated"] == 6 and told["as_of"] == {
        "cheap": "2026-01-31", "mid": "2025-06-01", "strong": "2026-01-31"
    }  # fmt: skip


def test_recorded_costs_stay_unless_repriced(tiny_long: pd.DataFrame, priced, capsys) -> None:
    frame = tiny_long.assign(input_tokens=1000, output_tokens=500)
    assert priced(frame).cost_usd[0, 0] == tiny_long["cost"].iloc[0]
    assert "repriced" not in capsys.readouterr().out
    got = priced(frame, "--reprice")
    assert (got.cost_usd[:, 0] == 0.002).all()
    recorded = tiny_long[tiny_long["model"] == "cheap"]["cost"].sum()
    assert f"repriced cheap: {recorded:.6g} USD recorded, 0.012 USD now" in capsys.readouterr().out


def test_a_price_cut_moves_one_model_as_by_hand(tiny_long: pd.DataFrame, priced, prices: Path) -> None:
    frame = tiny_long.assign(input_tokens=1000, output_tokens=500)
    before = priced(frame, "--reprice").cost_usd
    cut = PRICES.replace("input: 100, price_per_million_output: 200", "input: 20, price_per_million_output: 40")
    prices.write_text(cut)
    after = priced(frame, "--reprice").cost_usd
    np.testing.assert_allclose(after, before * [1, 1, 0.2])


def test_an_unpriced_model_is_an_error_that_names_the_nearest(tiny_long: pd.DataFrame, priced, capsys) -> None:
    frame = tiny_long.drop(columns="cost").replace({"strong": "stronk"})
    priced(frame, code=2)
    said = capsys.readouterr().err
    assert "a model has no price" in said and "'stronk'" in said and "'strong'" in said and said.count("\n") == 1
    assert priced(frame, "--unpriced", "drop").model == ("cheap", "mid")
    assert "no price of stronk: left out" in capsys.readouterr().out
    free = priced(frame, "--unpriced", "free")
    assert (free.cost_usd[:, 2] == 0).all() and (free.cost_usd[:, :2] > 0).all()
    assert "no price of stronk: counted as free" in capsys.readouterr().out


def test_accuracy_alone(tiny_long: pd.DataFrame, priced, capsys) -> None:
    got = priced(tiny_long.drop(columns="cost"), "--cost", "none", "--strong_model", "strong")
    assert (got.cost_usd == [0, 0, 1]).all()
    priced(tiny_long, "--cost", "none", code=2)
    assert "--strong_model" in capsys.readouterr().err
    priced(tiny_long, "--cost", "none", "--strong_model", "string", code=2)
    assert "its models are cheap, mid, strong" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models: [a]", "no 'models:' section"),
        ("models: {a: 3}", "should be a mapping"),
        ("models: {a: {price_per_million_input: -1, price_per_million_output: 1}}", "number of at least 0"),
        ("models: {a: {price_per_million_input: free, price_per_million_output: 1}}", "number of at least 0"),
        ("models: {a: {price_per_million_input: 1, price_per_million_output: 1, as_of: soon}}", "a date such as"),
        ("models: {a: {price_per_million_input: 1, price_per_million_output: .inf}}", "number of at least 0"),
        ("a: [", "not YAML"),
    ],
)
def test_files_of_prices_that_are_none(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(UserError, match=says):
        Prices.read(tmp_path / "p.yaml")


def test_the_longest_wildcard_wins_and_names_come_first(tmp_path: Path) -> None:
    rows = {"*": 1, "openai/*": 2, "openai/gpt-4o*": 3, "openai/gpt-4o-mini": 4}
    lines = [f"  '{name}': {{price_per_million_input: {n}, price_per_million_output: {n}}}" for name, n in rows.items()]
    (tmp_path / "p.yaml").write_text("models:\n" + "\n".join(lines))
    read = Prices.read(tmp_path / "p.yaml")
    names = ("x", "openai/o1", "OpenAI/gpt-4o", "openai/gpt-4o-mini")
    assert [price.input for name in names if (price := read.get(name))] == [1, 2, 3, 4]


def test_the_prices_that_ship_are_those_of_routerbench() -> None:
    read = Prices.read(DEFAULT)
    price = read.get("gpt-4-1106-preview")
    assert price is not None and (price.input, price.output, price.as_of) == (10.0, 30.0, "2024-01-31")
    assert read.get("OPENAI/GPT-4-turbo") == price and read.get("gpt-5") is None
    local = read.get("ollama/qwen2.5:7b")
    assert local is not None and local.cost(np.array([1e6]), np.array([1e6]))[0] == 0
