"""LLMRouterBench: ``bench/<dataset>/<split>/<model>/<...time>.json``, the newest of a folder that is no demo."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records
from dacr.data.loaders.json_records import scalars
from dacr.data.loaders.texts import number
from dacr.data.sources import Member


@loaders.register("llmrouterbench")
class LLMRouterBench(Records):
    """Scores and costs in ``records``; a cost of 0 beside tokens means that it is missing, and is made from prices."""

    prefix = "records.item"
    known_by = ({"records", "records.item.origin_query", "records.item.score"},)

    def read(self, source: Sequence[Member]) -> Iterator[dict[str, Any]]:
        """Leave out demos and older files."""
        folders: dict[str, list[Member]] = {}
        for member in source:
            if self.reads(member):
                folders.setdefault(str(PurePosixPath(member.name).parent), []).append(member)
        for found in folders.values():
            for member in sorted(found, key=lambda one: one.name, reverse=True):
                self._head = scalars(member, ("model_name", "dataset_name", "split", "demo"))
                if not self._head.get("demo"):
                    yield from super().read([member])
                    break

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One record is one outcome of the model in the header."""
        head, path = self._head, PurePosixPath(member.name)
        dataset = str(head.get("dataset_name") or path.parts[-4])
        spent = number(record.get("prompt_tokens")) + number(record.get("completion_tokens"))
        cost = record.get("cost")
        yield {
            "qid": f"{dataset}.{head.get('split') or ''}.{record['index']}",
            "prompt": record.get("prompt") or record["origin_query"],
            "domain": self.domain_of(record, dataset),
            "model": head.get("model_name") or path.parts[-2],
            "response": record.get("prediction") if record.get("raw_output") is None else record["raw_output"],
            "quality": record.get("score"),
            "cost": None if cost == 0 and spent > 0 else cost,
            "input_tokens": record.get("prompt_tokens"),
            "output_tokens": record.get("completion_tokens"),
        }
