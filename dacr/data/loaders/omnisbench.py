"""OmnisBench: the items of a run, each the answer that a policy got from the model it chose."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records, number, sample_rows
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
        latency = number(record.get("latency_ms"))
        yield {
            "qid": f"{record['dataset']}.{record['item_id']}",
            "prompt": record.get("prompt"),
            "domain": self.domain_of(record, record["dataset"]),
            "model": record["chosen_model"],
            "response": record.get("response_text"),
            "quality": record.get("passed"),
            "cost": record.get("cost_usd"),
            "latency_s": latency / 1000 if latency > 0 else None,
            "input_tokens": record.get("input_tokens"),
            "output_tokens": record.get("output_tokens"),
        }

    @classmethod
    def write_sample(cls, folder: Path) -> Path:
        """Write one run."""
        items = [
            {
                "policy": f"always_{row.model}",
                "dataset": row.domain,
                "item_id": row.qid,
                "response_text": row.response,
                "chosen_model": row.model,
                "passed": row.model == "m1" if row.qid == "q1" else row.model == "m0",
                "cost_usd": row.cost,
                "input_tokens": 30,
                "output_tokens": 20,
                "latency_ms": 1500.0,
            }
            for row in sample_rows().itertuples()
        ]
        (folder / "results.json").write_text(json.dumps({"frontier_model": "m1", "leaderboard": [], "items": items}))
        return folder / "results.json"
