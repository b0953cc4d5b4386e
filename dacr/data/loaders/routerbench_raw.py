"""RouterBench's raw file: one row per query and model, under its own column names."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from dacr.core.registry import loaders
from dacr.data import routerbench
from dacr.data.loaders.base import Loader


@loaders.register("routerbench_raw")
class RouterBenchRaw(Loader):
    """The raw long file; model under ``model`` or ``model_name``, cost under ``cost`` or ``total_cost``."""

    by_chunks = True

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """A query id and a column that names the model."""
        return "sample_id" in columns and not {"model", "model_name"}.isdisjoint(columns)

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rename the columns and unwrap the texts."""
        return routerbench.from_raw(frame, self.quality_suffix)
