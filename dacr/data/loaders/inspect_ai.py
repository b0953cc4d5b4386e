"""inspect_ai logs: ``.eval`` (a zip of JSON) or ``.json``."""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records
from dacr.data.loaders.json_records import scalars
from dacr.data.loaders.texts import get, text_of
from dacr.data.sources import Member

_GRADES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0}
_HEADS = ("header.json", "_journal/start.json")


@loaders.register("inspect")
class InspectAI(Records):
    """Quality is a scorer's value (C, P, I, N or a number), latency ``working_time``; epochs are averaged."""

    trials = True
    known_by = ({"version", "eval", "eval.task", "eval.model"}, {"epoch", "model_usage", "output"})

    def reads(self, member: Member) -> bool:
        """Of an archive its samples alone; a log in one file whole."""
        return super().reads(member) and (not member.inner or member.inner.startswith("samples/"))

    def begin(self, member: Member, source: Sequence[Member]) -> None:
        """Find the log's model and task; an archive has them in a file of their own."""
        self.prefix = "" if member.inner else "samples.item"  # type: ignore[misc]
        if member.inner and getattr(self, "_read", None) == member.path:
            return
        heads = [one for name in _HEADS for one in source if one.path == member.path and one.inner == name]
        head = scalars(heads[0] if member.inner and heads else member, ("eval.model", "eval.task", "eval.created"))
        self.recorded = max(self.recorded, text_of(head.get("eval.created"))[:10])
        self._model = text_of(head.get("eval.model"))
        self._task = PurePosixPath(text_of(head.get("eval.task")) or member.path.stem).name
        self._read = member.path

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One sample is one outcome; what its model used is what counts, not what its scorers did."""
        model = self._model or text_of(get(record, "output.model"))
        usage = record.get("model_usage") or {}
        used = (
            usage.get(model) or (next(iter(usage.values())) if len(usage) == 1 else get(record, "output.usage")) or {}
        )
        values = {name: get(score, "value") for name, score in (record.get("scores") or {}).items()}
        value = self.chosen(values, "scores") if values else None
        yield {
            "qid": f"{self._task}.{record['id']}",
            "prompt": text_of(record["input"]),
            "domain": self.domain_of(record, self._task),
            "model": model,
            "response": get(record, "output.completion") or text_of(get(record, "output.choices")),
            "quality": _GRADES.get(value, value) if isinstance(value, str) else value,
            "cost": used.get("total_cost"),
            "latency_s": record.get("working_time"),
            "input_tokens": used.get("input_tokens"),
            "output_tokens": used.get("output_tokens"),
            "trial": record.get("epoch", 1),
        }
