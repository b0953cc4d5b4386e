"""RouterArena: a cache of scored answers per model, and the predictions that a router submits."""

from collections.abc import Iterable
from typing import Any

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records
from dacr.data.loaders.texts import get, text_of
from dacr.data.sources import Member


@loaders.register("routerarena")
class RouterArena(Records):
    """One JSONL per model; scores are fractional and may lie below 0; ``global_index`` begins with the domain."""

    known_by = ({"global_index", "llm_selected", "evaluation_result.score"},)

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


@loaders.register("routerarena_predictions")
class RouterArenaPredictions(Records):
    """A JSON list, one model per query: what one router chose, so that the table is not complete."""

    known_by = ({"global index", "prediction", "accuracy"},)

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
