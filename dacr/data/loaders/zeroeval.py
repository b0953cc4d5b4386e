"""ZeroEval: a JSON list per model and task; answers are graded here, since the records hold no score."""

import json
import re
from collections.abc import Iterable
from typing import Any, ClassVar

from dacr.core.registry import loaders
from dacr.data.loaders.base import Records
from dacr.data.loaders.texts import text_of
from dacr.data.sources import Member

_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")
_LOOSE = re.compile(r"[\s'\"]")
_SAID = re.compile(r'"answer"\s*:\s*("(?:[^"\\]|\\.)*"|[^,}\n]+)')


@loaders.register("zeroeval")
class ZeroEval(Records):
    """The answer in the JSON of ``output[0]`` against the gold one; tokens by length, costs from prices."""

    known_by = ({"session_id", "output", "generator", "answer"},)

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One record is one outcome."""
        response = text_of(record["output"][:1])
        told = record.get("model_input")
        question = record.get("question") or record.get("problem")
        yield {
            "qid": record["id"],
            "prompt": question or (told if told != "n/a" else ""),
            "domain": self.domain_of(record, record["dataset"]),
            "model": record["generator"],
            "response": response,
            "quality": agrees(said(response), text_of(record["answer"])),
        }

    sample_quality: ClassVar[dict[tuple[str, str], float]] = {
        ("Question q0?", "m0"): 1.0,
        ("Question q0?", "m1"): 0.0,
        ("Question q1?", "m0"): 0.0,
        ("Question q1?", "m1"): 0.0,
    }


def said(response: str) -> str:
    r"""Return the answer in a response that holds JSON, maybe among other text; '' where there is none.

    Examples
    --------
    >>> said('```json\n{"reasoning": "so", "answer": "18"}\n```'), said('{"answer": 7'), said("eighteen")
    ('18', '7', '')
    """
    found = _SAID.findall(response)
    if not found:
        return ""
    text = str(found[-1]).strip()
    try:
        return text_of(json.loads(text))
    except ValueError:
        return text.strip('"')


def agrees(answer: str, gold: str) -> float:
    """Say whether an answer is the gold one: as a number, else as a text without blanks, quotes and case.

    Examples
    --------
    >>> agrees("$1,018.0", "# 1018"), agrees("[1,2]", "[1, 2]"), agrees("Hbt", "'hbt'"), agrees("17", "# 18")
    (1.0, 1.0, 1.0, 0.0)
    """
    if gold.startswith("#"):
        return float(_last_number(answer) == _last_number(gold))
    return float(_LOOSE.sub("", answer).casefold() == _LOOSE.sub("", gold).casefold())


def _last_number(text: str) -> float | None:
    found = _NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None
