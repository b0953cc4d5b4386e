"""Any table that already has one row per query and model."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data import schema
from dacr.data.loaders.base import Loader, sample_rows


@loaders.register("long")
class LongTable(Loader):
    """The long table's own columns, in any order; further ones are kept, ``response`` may be missing."""

    by_chunks = True

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """Every required column is there."""
        return set(schema.REQUIRED) <= set(columns)

    @classmethod
    def sample(cls) -> pd.DataFrame:
        """Two queries and two models."""
        return sample_rows()

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Check the columns and fill in an empty response."""
        missing = [name for name in schema.REQUIRED if name not in frame.columns]
        if missing:
            raise UserError(f"the table lacks the columns {missing}; got {list(frame.columns)}")
        return frame if "response" in frame.columns else frame.assign(response="")
