"""EmbedLLM: a long CSV of labels."""

import numpy as np
import pandas as pd

from dacr.core.registry import loaders
from dacr.data.loaders.base import Loader, sample_rows
from dacr.data.loaders.texts import numbers, texts


@loaders.register("embedllm")
class EmbedLLM(Loader):
    """Columns ``model_id, model_name, prompt_id, prompt, label`` (and ``category``); no answers, no costs."""

    by_chunks = True
    known_by = ({"model_name", "prompt_id", "prompt", "label"},)

    @classmethod
    def sample(cls) -> pd.DataFrame:
        """Two prompts and two models."""
        rows = sample_rows(qid="prompt_id", model="model_name", quality="label", domain="category")
        return rows.drop(columns=["response", "cost"]).assign(model_id=0)

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rename the columns."""
        domain = texts(frame["category"]) if "category" in frame.columns else "embedllm"
        return pd.DataFrame(
            {
                "qid": texts(frame["prompt_id"]),
                "prompt": texts(frame["prompt"]),
                "domain": domain,
                "model": texts(frame["model_name"]),
                "response": "",
                "quality": numbers(frame, "label"),
                "cost": np.nan,
            }
        )
