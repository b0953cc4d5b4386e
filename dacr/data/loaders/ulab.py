"""LLMRouter of U Lab: JSON lines, one per query and model."""

from collections.abc import Iterable
from typing import Any

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records, prompt_id
from dacr.data.sources import Member


@loaders.register("llmrouter")
class ULab(Records):
    """Quality is ``performance``, latency ``response_time`` in seconds; costs are made from prices."""

    known_by = ({"task_name", "query", "model_name", "performance"},)

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One record is one outcome; queries without a number of their own are told apart by their text."""
        task = record["task_name"]
        own = record.get("embedding_id")
        output = record.get("completion_tokens")
        yield {
            "qid": f"{task}.{prompt_id(record['query']) if own is None else own}",
            "prompt": record["query"],
            "domain": self.domain_of(record, task),
            "model": record["model_name"],
            "response": record.get("response"),
            "quality": record.get("performance"),
            "latency_s": record.get("response_time"),
            "input_tokens": record.get("prompt_tokens"),
            "output_tokens": record.get("token_num") if output is None else output,
        }
