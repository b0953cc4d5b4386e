"""A table that fits in memory, with every outcome in its place."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from dacr.data.gather import Gathered, MissingOutcomes


class Completed(NamedTuple):
    frame: pd.DataFrame
    n_merged: int
    n_dropped: int


def complete(frame: pd.DataFrame, source: str, missing_outcomes: MissingOutcomes = "error") -> Completed:
    with tempfile.TemporaryDirectory() as folder, Gathered(Path(folder) / "table", source) as gathered:
        gathered.add(frame)
        layout = gathered.layout(missing_outcomes)
        whole = next(gathered.chunks(layout))
        return Completed(whole, layout.n_merged, layout.n_dropped)
