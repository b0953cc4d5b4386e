"""RouterBench's wide files: one row per query, a group of columns per model."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from dacr.core.registry import loaders
from dacr.data import routerbench
from dacr.data.loaders.base import Loader


@loaders.register("routerbench_wide")
class RouterBenchWide(Loader):
    """The 0-shot and 5-shot files: quality under the bare model name or ``<model>|<suffix>``."""

    by_chunks = True

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """A query id and at least one ``<model>|total_cost``."""
        return "sample_id" in columns and any(str(name).endswith("|total_cost") for name in columns)

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Stack the models' columns."""
        return routerbench.from_wide(frame, self.quality_suffix)
