"""What every registered loader must keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data import schema
from dacr.data.loaders.base import detect

NAMES = loaders.names()
QUALITY = {("q0", "m0"): 1.0, ("q0", "m1"): 0.25, ("q1", "m0"): 0.0, ("q1", "m1"): 0.5}


def rows(**columns: str) -> pd.DataFrame:
    """Two queries, two models, under the given column names."""
    frame = pd.DataFrame(
        [(q, f"Question {q}?", "mbpp", m, f"Answer {m}", value, 1e-4) for (q, m), value in QUALITY.items()],
        columns=list(schema.COLUMNS),
    )
    return frame.rename(columns=columns)


def wide() -> pd.DataFrame:
    columns = {"sample_id": ["q0", "q1"], "prompt": ["['Question q0?']", "['Question q1?']"], "eval_name": "mbpp"}
    for m in ("m0", "m1"):
        columns[m] = [QUALITY["q0", m], QUALITY["q1", m]]
        columns[f"{m}|model_response"] = f"['Answer {m}']"
        columns[f"{m}|total_cost"] = 1e-4
    return pd.DataFrame(columns | {"oracle_model_to_route_to": "m0"})


FILES = {
    "long": rows(),
    "routerbench_raw": rows(
        qid="sample_id", domain="eval_name", model="model_name", response="model_response", quality="performance",
        cost="total_cost",
    ),
    "routerbench_wide": wide(),
    "paretobandit": rows(domain="source", quality="reward").drop(columns=["qid", "response"]).assign(
        difficulty=0.5, split="test"
    ),
}  # fmt: skip


def test_loaders_are_found() -> None:
    assert len(NAMES) >= 4
    assert set(FILES) == set(NAMES), "a new loader needs a file here"


@pytest.mark.parametrize("name", NAMES)
def test_a_loader_turns_its_file_into_a_sound_long_table(name: str, tmp_path: Path) -> None:
    loader = loaders.get(name)
    assert loader.name == name and (loader.__doc__ or "").strip()
    FILES[name].to_parquet(tmp_path / "file.parquet")
    long = loader().load(tmp_path / "file.parquet")
    schema.validate(long, name)
    schema.require_complete(long, name)
    assert long["qid"].nunique() == 2 and sorted(long["model"].unique()) == ["m0", "m1"]
    assert set(long["domain"]) == {"mbpp"}
    assert sorted(long["prompt"].unique()) == ["Question q0?", "Question q1?"]
    got = {(row.prompt[9:11], row.model): row.quality for row in long.itertuples()}
    assert got == QUALITY
    np.testing.assert_allclose(long["cost"].to_numpy(dtype=float), 1e-4)
    pd.testing.assert_frame_equal(long, loader().load(tmp_path / "file.parquet"))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_known_by_its_columns_and_by_one_loader_alone(name: str) -> None:
    columns = list(FILES[name].columns)
    assert detect(columns, "file") == name
    assert [other for other in NAMES if loaders.get(other).matches(columns)] == [name]
    assert detect(columns[::-1], "file") == name


def test_columns_that_no_loader_knows() -> None:
    with pytest.raises(UserError, match="no loader knows"):
        detect(["a", "b"], "file")
