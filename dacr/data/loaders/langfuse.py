"""Langfuse's exported observations: one call a row, JSON lines or CSV; scores are a file of their own."""

from typing import Any

import numpy as np
import pandas as pd

from dacr.core.registry import loaders
from dacr.data.loaders.base import Loader, prompt_ids
from dacr.data.loaders.texts import get, number, read_json, text_of, texts
from dacr.types import Floats


@loaders.register("langfuse")
class Langfuse(Loader):
    """Cost is ``total_cost``, latency ``latency``; a query is told by its input, a score is joined by ``trace_id``."""

    by_chunks = True
    known_by = ({"trace_id", "provided_model_name"},)

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Turn observations into outcomes."""
        frame = frame[frame["provided_model_name"].notna()]  # spans and events called no model
        prompt = [text_of(read_json(value)) for value in frame["input"]]
        trace = texts(frame["trace_id"]).astype(object)
        latency = _numbers(frame, "latency")
        used = [read_json(value) for value in frame.get("usage_details", pd.Series(None, index=frame.index))]
        columns: dict[str, Any] = {
            "qid": [own or name for own, name in zip(prompt_ids(prompt), trace, strict=True)],
            "prompt": prompt,
            "domain": "log",
            "model": texts(frame["provided_model_name"]),
            "response": [_answer(value) for value in frame["output"]],
            "quality": _numbers(frame, "score"),
            "cost": _numbers(frame, "total_cost"),
            "latency_s": np.where(latency > 0, latency, np.nan),
            "input_tokens": [number(get(one, "input")) for one in used],
            "output_tokens": [number(get(one, "output")) for one in used],
            "request_id": trace,
        }
        if "propensity" in frame:
            columns["propensity"] = _numbers(frame, "propensity")
        field = (self.domain_from or "").partition(":")[0]
        return pd.DataFrame(columns, index=frame.index).assign(**({field: frame[field]} if field in frame else {}))


def _answer(value: Any) -> str:
    read = read_json(value)
    return text_of(read.get("content", read) if isinstance(read, dict) else read)


def _numbers(frame: pd.DataFrame, name: str) -> Floats:
    return frame[name].to_numpy(dtype=np.float64, na_value=np.nan) if name in frame else np.full(len(frame), np.nan)
