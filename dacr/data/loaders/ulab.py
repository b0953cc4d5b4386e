"""LLMRouter of U Lab: JSON lines, one per query and model."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records, prompt_id, sample_rows
from dacr.data.sources import Member


@loaders.register("llmrouter")
class ULab(Records):
    """Quality is ``performance``, latency ``response_time`` in seconds; costs are made from prices."""

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """Its task, query and grade."""
        return {"task_name", "query", "model_name", "performance"} <= set(columns)

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One record is one outcome; queries without a number of their own are told apart by their text."""
        task = record["task_name"]
        own = record.get("embedding_id")
        latency = record.get("response_time")
        output = record.get("completion_tokens")
        yield {
            "qid": f"{task}.{prompt_id(record['query']) if own is None else own}",
            "prompt": record["query"],
            "domain": self.domain_of(record, task),
            "model": record["model_name"],
            "response": record.get("response"),
            "quality": record.get("performance"),
            "latency_s": latency if latency else None,
            "input_tokens": record.get("prompt_tokens"),
            "output_tokens": record.get("token_num") if output is None else output,
        }

    @classmethod
    def write_sample(cls, folder: Path) -> Path:
        """Write one file."""
        rows = [
            {
                "task_name": row.domain,
                "query": row.prompt,
                "ground_truth": "x",
                "metric": "em",
                "model_name": row.model,
                "response": row.response,
                "prompt_tokens": 30,
                "completion_tokens": 20,
                "token_num": 50,
                "response_time": 1.5,
                "performance": row.quality,
                "embedding_id": int(row.qid[1:]),
            }
            for row in sample_rows().itertuples()
        ]
        (folder / "routing.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder / "routing.jsonl"
