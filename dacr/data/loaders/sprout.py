"""SPROUT: a wide Parquet file, a struct per model."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data.loaders.base import Loader, prompt_ids, sample_rows
from dacr.data.loaders.texts import number, texts

_OWN = {"prompt", "dataset", "golden_answer"}


@loaders.register("sprout")
class Sprout(Loader):
    """``<model>{score, num_input_tokens, num_output_tokens, response}``; costs are made from prices."""

    by_chunks = True

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """The words beside the models."""
        return set(columns) >= _OWN and not {"model", "model_name", "qid"} & set(columns)

    @classmethod
    def sample(cls) -> pd.DataFrame:
        """Two prompts and two models."""
        long = sample_rows()
        wide = long.drop_duplicates("qid")[["prompt", "domain"]].rename(columns={"domain": "dataset"})
        wide = wide.assign(golden_answer="x").reset_index(drop=True)
        for name, own in long.groupby("model"):
            wide[name] = [
                {"score": row.quality, "num_input_tokens": 30, "num_output_tokens": 20, "response": row.response}
                for row in own.itertuples()
            ]
        return wide

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Stack the models; a query is told by its text."""
        models = [name for name in frame.columns if name not in _OWN and _is_answer(frame[name])]
        if not models:
            raise UserError(f"no column holds a model's {{score, response, ...}}; got {list(frame.columns)[:12]}")
        prompt, domain = texts(frame["prompt"]), texts(frame["dataset"])
        parts = []
        for model in models:
            told = pd.DataFrame([value or {} for value in frame[model]], index=frame.index)
            columns = {
                name: [number(value) for value in told[key]] if key in told else np.nan
                for name, key in (
                    ("quality", "score"), ("input_tokens", "num_input_tokens"), ("output_tokens", "num_output_tokens")
                )
            }  # fmt: skip
            response = texts(told["response"]) if "response" in told else ""
            ids = prompt_ids(list(prompt))
            own = {"qid": ids, "prompt": prompt, "domain": domain, "model": model, "response": response, "cost": np.nan}
            parts.append(pd.DataFrame(own | columns, index=frame.index))
        return pd.concat(parts, ignore_index=True)


def _is_answer(column: pd.Series) -> bool:
    told = column.dropna()
    return bool(len(told)) and isinstance(told.iloc[0], dict) and "score" in told.iloc[0]
