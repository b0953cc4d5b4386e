"""Every Eval Ever: ``<uuid>_samples.jsonl``, what inspect, HELM, lm-eval and others are converted to."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records, get, number, sample_rows
from dacr.data.loaders.texts import text_of
from dacr.data.sources import Member


@loaders.register("every_eval_ever")
class EveryEvalEver(Records):
    """Quality is ``evaluation.score``, latency ``performance.latency_ms``; costs are made from prices."""

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """Its model, sample and score."""
        return {"model_id", "sample_id", "evaluation_name", "evaluation.score"} <= set(columns)

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One record is one outcome."""
        name = str(record["evaluation_name"])
        latency = number(get(record, "performance.latency_ms"))
        yield {
            "qid": f"{name}.{record['sample_id']}",
            "prompt": text_of(get(record, "input.raw")) or text_of(get(record, "input.formatted")),
            "domain": self.domain_of(record, name),
            "model": record["model_id"],
            "response": text_of(get(record, "output.raw")),
            "quality": get(record, "evaluation.score"),
            "latency_s": latency / 1000 if latency > 0 else None,
            "input_tokens": get(record, "token_usage.input_tokens"),
            "output_tokens": get(record, "token_usage.output_tokens"),
        }

    @classmethod
    def write_sample(cls, folder: Path) -> Path:
        """Write a file for each of two models."""
        for model, rows in sample_rows().groupby("model"):
            lines = [
                {
                    "schema_version": "0.3.0",
                    "model_id": model,
                    "evaluation_name": "mbpp",
                    "sample_id": row.qid,
                    "input": {"raw": row.prompt, "formatted": f"Q: {row.prompt}"},
                    "output": {"raw": [row.response]},
                    "evaluation": {"score": row.quality, "is_correct": row.quality == 1},
                    "token_usage": {"input_tokens": 30, "output_tokens": 20},
                    "performance": {"latency_ms": 1500},
                }
                for row in rows.itertuples()
            ]
            (folder / f"{model}_samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return folder
