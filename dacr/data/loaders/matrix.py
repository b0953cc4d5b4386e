"""A matrix in one JSON object: ``{model: {task: {ans, ok, usd, lat}}}``."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records
from dacr.data.loaders.json_records import pairs
from dacr.data.loaders.texts import number
from dacr.data.sources import Member


@loaders.register("matrix")
class Matrix(Records):
    """Quality is ``ok``, cost ``usd``, latency ``lat`` in milliseconds; there are no prompts."""

    sample_quality: ClassVar[dict[tuple[str, str], float]] = {("", "m0"): 0.0, ("", "m1"): 0.5}

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """``ok`` and ``usd`` in the third floor."""
        third = {name.rsplit(".", 1)[-1] for name in columns if name.count(".") >= 2}
        return {"ok", "usd", "lat"} <= third and "items" not in columns

    def read(self, source: Sequence[Member]) -> Iterator[dict[str, Any]]:
        """Yield the outcomes of one model after another."""
        for member in (one for one in source if self.reads(one)):
            for model, tasks in pairs(member):
                for qid, told in tasks.items():
                    yield {
                        "qid": qid,
                        "domain": self.domain_of({"qid": qid, **told}, qid.rstrip("0123456789") or "matrix"),
                        "model": model,
                        "response": told.get("ans"),
                        "quality": told.get("ok"),
                        "cost": told.get("usd"),
                        "latency_s": number(told.get("lat")) / 1000,
                    }
