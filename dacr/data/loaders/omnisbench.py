"""OmnisBench: the items of a run, each the answer that a policy got from the model it chose."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, ClassVar

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records
from dacr.data.loaders.texts import number
from dacr.data.sources import Member


@loaders.register("omnisbench")
class OmnisBench(Records):
    """Sparse but for the models of fixed policies; an answer that several policies share stands once."""

    prefix = "items.item"
    sample_quality: ClassVar[dict[tuple[str, str], float]] = {
        ("", "m0"): 0.0, ("", "m1"): 1.0,
    }  # fmt: skip

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """What stands in its items, or beside them."""
        names = set(columns)
        return ("leaderboard.item.policy" in names and "frontier_model" in names) or "items.item.chosen_model" in names

    def read(self, source: Sequence[Member]) -> Iterator[dict[str, Any]]:
        """Yield each (item, model) once: policies share recordings."""
        seen: set[tuple[str, str]] = set()
        for row in super().read(source):
            key = (str(row["qid"]), str(row["model"]))
            if key not in seen:
                seen.add(key)
                yield row

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One item is one outcome; the prompt is not recorded."""
        yield {
            "qid": f"{record['dataset']}.{record['item_id']}",
            "prompt": record.get("prompt"),
            "domain": self.domain_of(record, record["dataset"]),
            "model": record["chosen_model"],
            "response": record.get("response_text"),
            "quality": record.get("passed"),
            "cost": record.get("cost_usd"),
            "latency_s": number(record.get("latency_ms")) / 1000,
            "input_tokens": record.get("input_tokens"),
            "output_tokens": record.get("output_tokens"),
        }
