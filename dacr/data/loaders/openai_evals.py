"""Logs of OpenAI's evals: events of one model's run, JSON lines: how a sample was answered, and whether it matched."""

from collections.abc import Iterable, Sequence
from typing import Any

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records
from dacr.data.loaders.texts import get, text_of
from dacr.data.sources import Member


@loaders.register("openai_evals")
class OpenAIEvals(Records):
    """Quality is ``correct`` of the event ``match``; prompt, answer and usage are those of ``sampling`` before it."""

    known_by = ({"spec.run_id", "spec.eval_name"},)

    def begin(self, member: Member, source: Sequence[Member]) -> None:
        """Forget the run before."""
        self._sampled: dict[str, dict[str, Any]] = {}

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """A match is the outcome of the sampling of its sample."""
        if "spec" in record:
            spec = record["spec"]
            named = spec.get("completion_fns") or [spec["model"]]
            self._model, self._eval = str(named[0]), str(spec["eval_name"])
            self.recorded = max(self.recorded, str(spec.get("created_at") or "")[:10])
        elif record.get("type") == "sampling":
            self._sampled[record["sample_id"]] = record["data"]
        elif record.get("type") == "match":
            sampled = self._sampled.pop(record["sample_id"], {})
            yield {
                "qid": record["sample_id"],
                "prompt": text_of(sampled.get("prompt")),
                "domain": self.domain_of(record, self._eval.split(".", 1)[0]),
                "model": self._model,
                "response": text_of(sampled.get("sampled")),
                "quality": record["data"]["correct"],
                "input_tokens": get(sampled, "usage.prompt_tokens"),
                "output_tokens": get(sampled, "usage.completion_tokens"),
            }
