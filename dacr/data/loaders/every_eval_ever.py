"""Every Eval Ever: ``<uuid>_samples.jsonl``, what inspect, HELM, lm-eval and others are converted to."""

from collections.abc import Iterable
from typing import Any

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records
from dacr.data.loaders.texts import get, number, text_of
from dacr.data.sources import Member


@loaders.register("every_eval_ever")
class EveryEvalEver(Records):
    """Quality is ``evaluation.score``, latency ``performance.latency_ms``; costs are made from prices."""

    known_by = ({"model_id", "sample_id", "evaluation_name", "evaluation.score"},)

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One record is one outcome."""
        name = str(record["evaluation_name"])
        yield {
            "qid": f"{name}.{record['sample_id']}",
            "prompt": text_of(get(record, "input.raw")) or text_of(get(record, "input.formatted")),
            "domain": self.domain_of(record, name),
            "model": record["model_id"],
            "response": text_of(get(record, "output.raw")),
            "quality": get(record, "evaluation.score"),
            "latency_s": number(get(record, "performance.latency_ms")) / 1000,
            "input_tokens": get(record, "token_usage.input_tokens"),
            "output_tokens": get(record, "token_usage.output_tokens"),
        }
