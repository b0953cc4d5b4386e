"""lm-evaluation-harness: ``samples_<task>_<time>.jsonl``, and the model's name in ``results_<time>.json`` beside it."""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data.loaders.base import Records
from dacr.data.loaders.json_records import scalars
from dacr.data.loaders.texts import get, text_of
from dacr.data.sources import Member

_SAMPLES = re.compile(r"samples_(.+?)_(\d{4}-\d{2}-\d{2}T[\d:.-]+)$")
_NAMES = ("model_name", "config.model_args", "config.model")


@loaders.register("lm_eval")
class LMEval(Records):
    """Quality is one of ``metrics``; a document that several filters grade needs ``--quality_metric METRIC,FILTER``."""

    known_by = ({"doc_id", "doc", "filtered_resps", "doc_hash"},)

    def reads(self, member: Member) -> bool:
        """Only the samples hold outcomes."""
        return super().reads(member) and PurePosixPath(member.name).name.startswith("samples_")

    def begin(self, member: Member, source: Sequence[Member]) -> None:
        """Find task and model."""
        place = PurePosixPath(member.name)
        found = _SAMPLES.match(place.stem)
        self._task, time = found.groups() if found else (place.stem.removeprefix("samples_"), "")
        beside = [
            other
            for other in source
            if PurePosixPath(other.name).parent == place.parent and PurePosixPath(other.name).name.startswith("results")
        ]
        same = [other for other in beside if time and time in other.name] or beside
        told = scalars(same[0], _NAMES) if same else {}
        model = told.get("model_name") or re.sub(r".*?pretrained=([^,]+).*", r"\1", told.get("config.model_args") or "")
        self._model = model or told.get("config.model") or (place.parent.name if len(place.parts) > 1 else "")
        if not self._model:
            raise UserError(f"{member.name}: no results_*.json beside it says which model this is; add it")
        self._filters: set[str] = set()
        self.recorded = max(self.recorded, time[:10])

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One record is one outcome, as one filter sees it."""
        metric, _, wanted = (self.quality_metric or "").partition(",")
        own = str(record.get("filter") or "none")
        if wanted and own != wanted:
            return
        self._filters.add(own)
        if len(self._filters) > 1:
            raise UserError(
                f"{member.name} has answers under the filters {sorted(self._filters)}; choose one with "
                "--quality_metric METRIC,FILTER"
            )
        names = record.get("metrics") or [key for key, value in record.items() if key in ("exact_match", "acc")]
        scores = {name: record[name] for name in names if name in record}
        arguments = record.get("arguments")
        first = arguments[0] if isinstance(arguments, list) else get(arguments, "gen_args_0")
        prompt = first[0] if isinstance(first, list) else get(first, "arg_0")
        response = record["filtered_resps"]
        said = record.get("resps") or response
        while isinstance(said, list) and said:
            said = said[0]
        yield {
            "qid": f"{self._task}.{record['doc_id']}",
            "prompt": text_of(prompt) or text_of(record["doc"]),
            "domain": self.domain_of(record, self._task),
            "model": self._model,
            "response": text_of(said),
            "quality": self.chosen(scores, "metrics", metric or None),
        }
