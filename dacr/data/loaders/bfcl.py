"""BFCL: results per model and category, and score files that list the failures alone."""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any, ClassVar

from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data.loaders.base import Records
from dacr.data.loaders.json_records import records
from dacr.data.loaders.texts import number, text_of
from dacr.data.sources import Member


@loaders.register("bfcl")
class BFCL(Records):
    """``result/<model>/*_result.json`` with ``score/<model>/*_score.json``: what is no failure is right."""

    sample_quality: ClassVar[dict[tuple[str, str], float]] = {("", "m0"): 0.0, ("", "m1"): 0.0}

    known_by = ({"id", "result", "input_token_count", "output_token_count"},)

    def reads(self, member: Member) -> bool:
        """Results; scores are read beside them."""
        return super().reads(member) and PurePosixPath(member.name).stem.endswith("_result")

    def begin(self, member: Member, source: Sequence[Member]) -> None:
        """Read the failures of the same model and category."""
        place = PurePosixPath(member.name)
        name = f"{place.stem.removesuffix('_result')}_score"
        self._model = place.parent.name
        scores = [
            one
            for one in source
            if PurePosixPath(one.name).stem == name and PurePosixPath(one.name).parent.name == self._model
        ]
        if not scores:
            raise UserError(
                f"{member.name}: no {name}.json of the model {self._model!r}; without it all would be right"
            )
        self._failed = {str(one["id"]): text_of(one.get("prompt")) for one in records(scores[0]) if "id" in one}

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One record is one outcome; of several turns latency and tokens are summed."""
        qid = str(record["id"])
        yield {
            "qid": qid,
            "prompt": "",
            "domain": self.domain_of(record, qid.rsplit("_", 1)[0]),
            "model": self._model,
            "response": text_of(record["result"]),
            "quality": 0.0 if qid in self._failed else 1.0,
            "latency_s": _sum(record.get("latency")),
            "input_tokens": _sum(record["input_token_count"]),
            "output_tokens": _sum(record["output_token_count"]),
        }


def _sum(value: Any) -> float:
    return sum(_sum(part) for part in value) if isinstance(value, list) else number(value)
