"""MixInstruct: JSON lines, the candidates of each instruction with several scores."""

from collections.abc import Iterable
from typing import Any

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records
from dacr.data.sources import Member


@loaders.register("mixinstruct")
class MixInstruct(Records):
    """One of ``scores`` is the quality: name it with ``--quality_metric``; no costs."""

    known_by = ({"id", "instruction", "candidates"},)

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One candidate is one outcome; a candidate's model may differ by how it was decoded."""
        qid = str(record["id"])
        prompt = "\n".join(part for part in (record["instruction"], record.get("input")) if part)
        for candidate in record["candidates"]:
            yield {
                "qid": qid,
                "prompt": prompt,
                "domain": self.domain_of(record, qid.split("/", 1)[0]),
                "model": candidate["model"],
                "response": candidate.get("text"),
                "quality": self.chosen(candidate["scores"], "scores"),
            }
