"""RouterBench's raw file: one row per query and model, under its own column names."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from dacr.core.registry import loaders
from dacr.data import routerbench
from dacr.data.loaders.base import Loader, sample_rows


@loaders.register("routerbench_raw")
class RouterBenchRaw(Loader):
    """The raw long file; model under ``model`` or ``model_name``, cost under ``cost`` or ``total_cost``."""

    by_chunks = True

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """A query id and a column that names the model."""
        return "sample_id" in columns and not {"model", "model_name"}.isdisjoint(columns)

    @classmethod
    def sample(cls) -> pd.DataFrame:
        """Two queries and two models."""
        names = {"qid": "sample_id", "domain": "eval_name", "model": "model_name", "response": "model_response"}
        return sample_rows(**names, quality="performance", cost="total_cost")

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rename the columns and unwrap the texts."""
        return routerbench.from_raw(frame, self.quality_suffix)
