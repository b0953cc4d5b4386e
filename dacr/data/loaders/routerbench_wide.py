"""RouterBench's wide files: one row per query, a group of columns per model."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from dacr.core.registry import loaders
from dacr.data import routerbench
from dacr.data.loaders.base import Loader, sample_rows


@loaders.register("routerbench_wide")
class RouterBenchWide(Loader):
    """The 0-shot and 5-shot files: quality under the bare model name or ``<model>|<suffix>``."""

    by_chunks = True

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """A query id and at least one ``<model>|total_cost``."""
        return "sample_id" in columns and any(str(name).endswith("|total_cost") for name in columns)

    @classmethod
    def sample(cls) -> pd.DataFrame:
        """Two queries, a group of columns for each of two models."""
        long = sample_rows()
        wide = long.drop_duplicates("qid")[["qid", "prompt", "domain"]].reset_index(drop=True)
        wide.columns = pd.Index(["sample_id", "prompt", "eval_name"])
        wide["prompt"] = [f"['{prompt}']" for prompt in wide["prompt"]]
        for name, own in long.groupby("model"):
            wide[name] = own["quality"].to_numpy()
            wide[f"{name}|model_response"] = [f"['{answer}']" for answer in own["response"]]
            wide[f"{name}|total_cost"] = own["cost"].to_numpy()
        return wide.assign(oracle_model_to_route_to="m0")

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Stack the models' columns."""
        return routerbench.from_wide(frame, self.quality_suffix)
