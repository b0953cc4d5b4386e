"""What recorded costs, tokens and prices say of each other."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from dacr.data.prepare import prepare_routerbench
from dacr.data.table import pricing_of
from dacr.experiment import checks

PRICES = "as_of: 2024-01-31\nmodels:\n  '*': {price_per_million_input: 1, price_per_million_output: 2}\n"


def found(frame: pd.DataFrame, folder: Path, **flags: object) -> dict[str, str]:
    """Status of each check of prices, for a table that went through the stage."""
    frame.to_parquet(folder / "t.parquet")
    (folder / "p.yaml").write_text(PRICES)
    prepare_routerbench(pkl=str(folder / "t.parquet"), prices=folder / "p.yaml", out=str(folder / "o.parquet"), **flags)
    result = checks.run(checks.Context(pricing=pricing_of(folder / "o.parquet")))
    rows = result[result["code"].isin([f"DACR0{n}" for n in range(14, 18)])]
    return dict(zip(rows["code"], rows["status"], strict=True))


@pytest.fixture
def sound() -> pd.DataFrame:
    rows = [(f"q{i}", f"Question {i}?", "d", m, "", 1.0, 100 + i, 50 + i) for i in range(40) for m in ("a", "b")]
    names = ["qid", "prompt", "domain", "model", "response", "quality", "input_tokens", "output_tokens"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(cost=(frame["input_tokens"] + 2 * frame["output_tokens"]) / 1e6)


def test_sound_costs_pass(sound: pd.DataFrame, tmp_path: Path) -> None:
    assert set(found(sound, tmp_path).values()) == {"passed"}


def test_without_tokens_nothing_can_be_said(sound: pd.DataFrame, tmp_path: Path) -> None:
    bare = sound.drop(columns=["input_tokens", "output_tokens"])
    assert set(found(bare, tmp_path).values()) == {"not applicable"}


def test_free_calls(sound: pd.DataFrame, tmp_path: Path) -> None:
    status = found(sound.assign(cost=sound["cost"].where(sound.index > 5, 0.0)), tmp_path)
    assert status["DACR014"] not in ("passed", "not applicable") and status["DACR015"] == "passed"


@pytest.mark.parametrize("name", ["output_tokens", "cost"])
def test_one_constant_number(name: str, sound: pd.DataFrame, tmp_path: Path) -> None:
    assert found(sound.assign(**{name: sound[name].iloc[3]}), tmp_path)["DACR015"] not in ("passed", "not applicable")


def test_a_model_that_was_six_times_dearer(sound: pd.DataFrame, tmp_path: Path) -> None:
    dear = sound.assign(cost=sound["cost"].where(sound["model"] == "a", sound["cost"] * 6))
    assert found(dear, tmp_path)["DACR016"] not in ("passed", "not applicable")


def test_prices_of_before_the_recording() -> None:
    told = {"n": 1, "n_counted": 1, "n_priced": 1, "n_zero_cost": 0} | {
        f"{end}_{name}": 1.0 for end in ("least", "most") for name in ("cost", "output_tokens")
    }
    for day, status in (("2024-01-31", "passed"), ("", "passed"), ("2026-01-21", "info")):
        pricing = {"models": {"m": told}, "as_of": {"m": "2024-01-31"}, "recorded": day}
        result = checks.run(checks.Context(pricing=pricing)).set_index("code").loc["DACR017"]
        assert (result["status"] == "passed") == (status == "passed"), result
