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
from dacr.data.refine import costs_said
from dacr.data.table import read_parquet
from dacr.metrics.hull import upper_hull

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


def test_where_costs_come_from_is_said(tiny_long: pd.DataFrame, priced, prices: Path, tmp_path: Path) -> None:
    prices.write_text(PRICES.replace("as_of: 2026-01-31", "as_of: 2026-01-31\nsource: the list of January"))
    said = {}
    for name, frame, flags in (
        ("recorded", tiny_long, []),
        ("counted", tiny_long.assign(input_tokens=1000, output_tokens=500), ["--reprice"]),
        ("estimated", tiny_long.drop(columns="cost"), []),
        ("free", tiny_long.drop(columns="cost").replace({"strong": "stronk"}), ["--unpriced", "free"]),
        ("calls", tiny_long, ["--cost", "none", "--strong_model", "strong"]),
    ):
        priced(frame, *flags)
        said[name] = costs_said(table.told_of(tmp_path / "o.parquet"))
    dated = f"tokens x prices of {prices} (as of 2025-06-01, 2026-01-31; the list of January)"
    guessed = "tokens estimated from texts in 100% of rows, else recorded"
    assert said == {
        "recorded": "as recorded",
        "counted": f"{dated} for 3 models; tokens recorded",
        "estimated": f"{dated} for 3 models; {guessed}",
        "free": f"{dated} for 2 models; {guessed}; no price, counted as free: stronk",
        "calls": "share of calls to strong",
    }


def hull_by_hand(cost: np.ndarray, quality: np.ndarray) -> list[tuple[float, float]]:
    """Return the points that no cheaper one and no mixture of two others reaches, the cheapest first."""
    points = sorted(zip(cost.tolist(), quality.tolist(), strict=True))
    kept = []
    for x, y in points:
        others = [one for one in points if one != (x, y)]
        mixed = [p + (q - p) * (x - a) / (b - a) for a, p in others for b, q in others if a <= x <= b and a < b]
        if all(q < y for c, q in others if c <= x) and all(y > height + 1e-12 for height in mixed):
            kept.append((x, y))
    return kept


def test_a_price_cut_of_80_percent_moves_the_frontier_as_by_hand(shared_data: Path, tmp_path: Path, capsys) -> None:
    """ZeroEval: the prices that its costs were made with change nothing; a cut for o1-mini moves its point alone."""
    source = shared_data / "zeroeval_long.parquet"
    long = pd.read_parquet(source, columns=["model", "input_tokens", "output_tokens", "cost"])
    listed = {}
    for model, rows in long.groupby("model"):
        tokens = rows[["input_tokens", "output_tokens"]].to_numpy(float)
        listed[model] = np.linalg.lstsq(tokens, rows["cost"].to_numpy() * 1e6, rcond=None)[0].round(6)
    made = []
    for factor in (1.0, 0.2):
        lines = []
        for model, per_million in listed.items():
            own = per_million * (factor if model.startswith("o1-mini") else 1.0)
            lines.append(
                f"  {model}: {{price_per_million_input: {own[0]:.9f}, price_per_million_output: {own[1]:.9f}}}"
            )
        (tmp_path / "p.yaml").write_text("\n".join(["as_of: 2024-11-01", "models:", *lines]) + "\n")
        out = tmp_path / "o.parquet"
        prepare_routerbench(pkl=str(source), prices=tmp_path / "p.yaml", reprice=True, out=str(out))
        made.append(table.load(out, with_response=False))
    said = capsys.readouterr().out
    assert said.count("repriced ") == 40 and said.count("(x 0.2)") == 1 and said.count("(x 1)") == 39
    before, after = made
    recorded = long.groupby("model")["cost"].mean()
    np.testing.assert_allclose(before.cost_usd.mean(axis=0), recorded[list(before.model)], rtol=1e-6)
    one = before.model.index("o1-mini-2024-09-12")
    others = np.arange(before.n_model) != one
    np.testing.assert_allclose(after.cost_usd[:, one], 0.2 * before.cost_usd[:, one], rtol=1e-9)
    np.testing.assert_array_equal(after.cost_usd[:, others], before.cost_usd[:, others])
    hulls = []
    for had in made:
        cost, quality = had.cost_usd.mean(axis=0), had.quality.mean(axis=0)
        vertices = list(zip(*(x.tolist() for x in upper_hull(cost, quality)), strict=True))
        assert vertices == hull_by_hand(cost, quality)
        hulls.append([had.model[int(np.flatnonzero(cost == x)[0])] for x, _ in vertices])
    assert hulls[0][-1] == hulls[1][-1] == before.model[one] and set(hulls[1]) < set(hulls[0])
