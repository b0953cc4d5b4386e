"""LiteLLM's spend logs: one call a row, without a score; scores come from a file of their own (``--scores``)."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records
from dacr.data.loaders.texts import get, read_json, text_of
from dacr.data.sources import Member


@loaders.register("litellm")
class LiteLLM(Records):
    """Cost is ``spend``, latency from the times; failed calls are left out; a query is told by its messages."""

    further = ("request_id", "propensity")
    by_text = True
    known_by = ({"request_id", "spend", "model"},)

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One call is one outcome; its score is joined by ``request_id``."""
        if record.get("status") == "failure":
            return
        prompt = text_of(read_json(record.get("messages")))
        seconds = (pd.Timestamp(record["endTime"]) - pd.Timestamp(record["startTime"])).total_seconds()
        self.recorded = max(self.recorded, str(record["startTime"])[:10])
        yield {
            "qid": None if prompt else record["request_id"],
            "prompt": prompt,
            "domain": self.domain_of(record, record.get("model_group") or "log"),
            "model": record["model"],
            "response": _answer(record.get("response")),
            "quality": record.get("score"),
            "cost": record["spend"],
            "latency_s": seconds,
            "input_tokens": record.get("prompt_tokens"),
            "output_tokens": record.get("completion_tokens"),
            "request_id": record["request_id"],
            "propensity": get(read_json(record.get("metadata")), "propensity"),
        }


def _answer(response: Any) -> str:
    if isinstance(response, dict) and response.get("choices"):
        first = response["choices"][0]
        return text_of(first.get("message") or first.get("text"))
    return text_of(response)
