"""MixInstruct: JSON lines, the candidates of each instruction with several scores."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records, sample_rows
from dacr.data.sources import Member


@loaders.register("mixinstruct")
class MixInstruct(Records):
    """One of ``scores`` is the quality: name it with ``--quality_metric``; no costs."""

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """An instruction and its candidates."""
        return {"id", "instruction", "candidates"} <= set(columns)

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

    @classmethod
    def write_sample(cls, folder: Path) -> Path:
        """Write one file."""
        lines = [
            {
                "id": f"mbpp/{qid}",
                "instruction": rows["prompt"].iloc[0],
                "input": "",
                "output": "x",
                "candidates": [
                    {
                        "model": row.model,
                        "decoding_method": "top_p",
                        "text": row.response,
                        "scores": {"bert": row.quality},
                    }
                    for row in rows.itertuples()
                ],
            }
            for qid, rows in sample_rows().groupby("qid")
        ]
        (folder / "mix.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return folder / "mix.jsonl"
