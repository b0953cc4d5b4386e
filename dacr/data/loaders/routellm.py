"""RouteLLM's responses: a wide CSV, a column of truth values per model."""

from collections.abc import Collection
from typing import ClassVar

import numpy as np
import pandas as pd

from dacr.core.registry import loaders
from dacr.data.loaders.base import Loader, prompt_ids, sample_rows
from dacr.data.loaders.texts import numbers, texts
from dacr.data.schema import COLUMNS

_TRUTH = {"True": "1", "False": "0", "true": "1", "false": "0"}


@loaders.register("routellm")
class RouteLLM(Loader):
    """Columns ``prompt, <model A>, <model B>`` and, where kept, ``<model>_response``; no costs, one domain."""

    by_chunks = True
    sample_quality: ClassVar[dict[tuple[str, str], float]] = {
        ("Question q0?", "m0"): 1.0,
        ("Question q0?", "m1"): 0.0,
        ("Question q1?", "m0"): 0.0,
        ("Question q1?", "m1"): 1.0,
    }

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """A prompt, and models alone beside it."""
        others = set(columns) - {"prompt"}
        models = {name for name in others if not name.endswith("_response")}
        named = others - models <= {f"{model}_response" for model in models}
        plain = not any("." in name and name.split(".", 1)[0] in others for name in others)
        return "prompt" in columns and len(models) == 2 and named and plain and not models & set(COLUMNS)

    @classmethod
    def sample(cls) -> pd.DataFrame:
        """Two prompts and two models."""
        prompts = sample_rows()["prompt"].unique()
        return pd.DataFrame({"prompt": prompts, "m0": [True, False], "m1": [False, True], "m0_response": ["a", "b"]})

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Stack the models; a query is told by its text."""
        prompt = texts(frame["prompt"])
        own = {"qid": prompt_ids(prompt.tolist()), "prompt": prompt, "domain": "routellm", "cost": np.nan}
        models = [name for name in frame.columns if name != "prompt" and not name.endswith("_response")]
        parts = []
        for model in models:
            said = f"{model}_response"
            right = frame.assign(**{model: texts(frame[model].astype(object)).replace(_TRUTH)})
            columns = {"model": model, "quality": numbers(right, model)}
            parts.append(pd.DataFrame(own | columns | {"response": texts(frame[said]) if said in frame else ""}))
        return pd.concat(parts, ignore_index=True)
