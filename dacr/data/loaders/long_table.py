"""Any table that already has one row per query and model."""

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data import schema
from dacr.data.loaders.base import Loader, sample_rows
from dacr.data.loaders.texts import numbers, texts


@loaders.register("long")
class LongTable(Loader):
    """The long table's own columns, in any order; further ones are kept, ``response`` may be missing."""

    by_chunks = True
    known_by = (set(schema.REQUIRED) - {"cost"},)  # a cost may come from prices

    @classmethod
    def sample(cls) -> pd.DataFrame:
        """Two queries and two models."""
        return sample_rows()

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Check the columns, turn ids into texts and fill in what may be missing: response and cost."""
        missing = [name for name in schema.REQUIRED if name not in frame.columns and name != "cost"]
        if missing:
            raise UserError(f"the table lacks the columns {missing}; got {list(frame.columns)}")
        names = [name for name in schema.COLUMNS if name in frame.columns]
        columns = {name: texts(frame[name]) for name in names if name not in ("quality", "cost")}
        measured = [name for name in ("quality", "cost", *schema.COUNTED) if name in frame.columns]
        columns |= {name: numbers(frame, name) for name in measured}
        return frame.assign(**({"response": "", "cost": np.nan} | columns))
