"""RouterArena: a cache of scored answers per model, and the predictions that a router submits."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records, get, sample_rows
from dacr.data.loaders.texts import text_of
from dacr.data.sources import Member


@loaders.register("routerarena")
class RouterArena(Records):
    """One JSONL per model; scores are fractional and may lie below 0; ``global_index`` begins with the domain."""

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """Its index, its model and its score."""
        return {"global_index", "llm_selected", "evaluation_result.score"} <= set(columns)

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One record is one outcome."""
        qid = text_of(record["global_index"])
        result = record.get("evaluation_result") or {}
        yield {
            "qid": qid,
            "prompt": record["question"],
            "domain": self.domain_of(record, qid.split("_", 1)[0]),
            "model": record["llm_selected"],
            "response": record.get("generated_answer"),
            "quality": result.get("score"),
            "cost": result.get("inference_cost"),
            "input_tokens": get(record, "token_usage.input_tokens"),
            "output_tokens": get(record, "token_usage.output_tokens"),
        }

    @classmethod
    def write_sample(cls, folder: Path) -> Path:
        """Write a file for each of two models."""
        for model, rows in sample_rows().groupby("model"):
            lines = [
                {
                    "global_index": f"AIME_{row.qid}",
                    "question": row.prompt,
                    "llm_selected": model,
                    "generated_answer": row.response,
                    "token_usage": {"input_tokens": 30, "output_tokens": 20, "total_tokens": 50},
                    "success": True,
                    "evaluation_result": {"score": row.quality, "metric": "exact", "inference_cost": row.cost},
                }
                for row in rows.itertuples()
            ]
            (folder / f"{model}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return folder


@loaders.register("routerarena_predictions")
class RouterArenaPredictions(Records):
    """A JSON list, one model per query: what one router chose, so that the table is not complete."""

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """Its index with a blank, and the chosen model."""
        return {"global index", "prediction", "accuracy"} <= set(columns)

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One record is the outcome of the model that was chosen."""
        qid = text_of(record["global index"])
        result = record.get("generated_result") or {}
        yield {
            "qid": qid,
            "prompt": record.get("prompt"),
            "domain": self.domain_of(record, qid.split("_", 1)[0]),
            "model": record["prediction"],
            "response": result.get("generated_answer"),
            "quality": record.get("accuracy"),
            "cost": record.get("cost"),
            "input_tokens": get(result, "token_usage.input_tokens"),
            "output_tokens": get(result, "token_usage.output_tokens"),
        }

    @classmethod
    def write_sample(cls, folder: Path) -> Path:
        """Write one list."""
        rows = [
            {
                "global index": f"AIME_{row.qid}",
                "prompt": row.prompt,
                "prediction": row.model,
                "generated_result": {"generated_answer": row.response, "success": True},
                "cost": row.cost,
                "accuracy": row.quality,
                "for_optimality": row.model == "m1",
            }
            for row in sample_rows().itertuples()
        ]
        (folder / "predictions.json").write_text(json.dumps(rows))
        return folder / "predictions.json"
