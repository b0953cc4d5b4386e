"""Label the domains of a stream: the stage behind ``scripts/label_domain_openai.py``."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dacr.core import files
from dacr.core.configs import CONFIGS
from dacr.core.errors import UserError
from dacr.estimates.features.question import question_of
from dacr.live import catalogue as catalogues
from dacr.live.answers import Schema, parse_json, without_thoughts
from dacr.live.call import RETRYABLE
from dacr.live.chain import Link
from dacr.live.domain_labels import LABELS, agreement
from dacr.live.fleet import Fleet
from dacr.live.journal import Journal
from dacr.live.local_labels import local_labels

_MOST_CHARS = 4000
_WELL_KNOWN = ("gpt-4o-mini", "gpt-4o", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-5-mini", "gpt-5-nano")
_SCHEMA = Schema(
    {
        "type": "object",
        "properties": {"domain": {"type": "string", "enum": list(LABELS)}},
        "required": ["domain"],
        "additionalProperties": False,
    }
)
_SYSTEM = (
    "You sort requests to a language model by what they ask for. Do not answer the request. Reply with JSON "
    f'such as {{"domain": "math"}}, where domain is one of: {", ".join(LABELS)}. knowledge_qa: facts and exams; '
    "commonsense: everyday plausibility, pronouns, endings; reasoning: logic puzzles; "
    "rag: answers from given documents; dialogue_chat: conversation and free writing; other: none of these."
)


def label_domain(
    *,
    stream: Path = Path("data/stream.jsonl"),
    out: Path = Path("data/domain_labels.jsonl"),
    model: str = "gpt-4o-mini",
    config: Path = CONFIGS / "models.yaml",
    data: Path | None = None,
    base_url: str | None = None,
    concurrency: int = 16,
    timeout_s: float = 30.0,
    retries: int = 3,
    api_key_env: str | None = None,
    allow_insecure: bool = False,
) -> int:
    """Give each query of a stream a coarse domain label, from a model or from an offline classifier.

    One line per query: qid, label, model. Prompts that were labelled before are not asked about again.

    Parameters
    ----------
    stream : Path
        Written by scripts/build_stream.py.
    out : Path
        JSON lines, appended to.
    model : str
        A chat model, or "local": a classifier on text features, no key.
    config : Path
        The catalogue: where the model is called.
    data : Path | None
        A long table that teaches the local classifier; queries of the stream are left out of it.
    base_url : str | None
        Any OpenAI-compatible server.
    concurrency : int
        Most calls at a time.
    timeout_s : float
        Most seconds of one call.
    retries : int
        Further tries after an error or an answer that is no label.
    api_key_env : str | None
        Variable with the key.
    allow_insecure : bool
        Allow plain http to another machine.
    """
    if concurrency < 1 or retries < 0 or not timeout_s > 0:
        raise UserError("--concurrency should be at least 1, --retries at least 0 and --timeout_s above 0")
    events = files.read_jsonl(files.existing_file(stream, made_by="python scripts/build_stream.py"))
    by_qid: dict[str, dict[str, Any]] = {}
    for event in events:
        if event.get("qid") is None or event.get("prompt") is None:
            raise UserError(f"{stream}: a line lacks qid or prompt; write it with python scripts/build_stream.py")
        by_qid.setdefault(str(event["qid"]), event)
    fleet = None
    if model != "local":
        known = catalogues.load(config)
        entry = known.get(model, allow_unlisted=True)
        if not entry.priced and not base_url and model not in _WELL_KNOWN:
            known.get(model)  # says what was probably meant
        fleet = Fleet.of(known, [Link(model, timeout_s)], base_url, api_key_env, allow_insecure)
    with Journal(out) as journal:
        rows = [row for row in journal.rows if row.get("model") == model]
        cache = {str(row["prompt_sha256"]): str(row["label"]) for row in rows}
        done = {str(row["qid"]) for row in rows}
        todo: dict[str, list[str]] = {}  # one question, all its queries
        for qid, event in by_qid.items():
            if qid not in done:
                todo.setdefault(_hash(str(event["prompt"])), []).append(qid)

        def record(sha: str, label: str, **more: Any) -> None:
            for qid in todo[sha]:
                journal.append({"qid": qid, "label": label, "model": model, "prompt_sha256": sha, **more})

        for sha in todo.keys() & cache.keys():
            record(sha, cache[sha])
        ask = {sha: str(by_qid[qids[0]]["prompt"]) for sha, qids in todo.items() if sha not in cache}
        failed: Counter[str] = Counter()
        if fleet is None and ask:
            taught = _taught(data, set(by_qid))
            for sha, (label, p) in zip(ask, local_labels(_questions(ask.values()), *taught), strict=True):
                record(sha, label, p=round(p, 6))
        elif fleet is not None and ask:
            failed = asyncio.run(_ask_all(fleet, Link(model, timeout_s), ask, record, concurrency, retries, journal))
    return _report(out, model, by_qid, failed)


def _report(out: Path, model: str, by_qid: dict[str, dict[str, Any]], failed: Counter[str]) -> int:
    with Journal(out) as journal:
        labels = {str(row["qid"]): str(row["label"]) for row in journal.rows if row.get("model") == model}
    named = [qid for qid in by_qid if qid in labels and by_qid[qid].get("domain")]
    print(f"{sum(qid in labels for qid in by_qid)} of {len(by_qid)} queries are labelled by {model} in {out}")
    if named:
        print("\n".join(agreement([labels[q] for q in named], [str(by_qid[q]["domain"]) for q in named])))
    if failed:
        wrong = ", ".join(f"{count} {name}" for name, count in failed.most_common())
        print(f"not labelled: {wrong}; run the same command to try these again")
        return 1
    return 0


async def _ask_all(
    fleet: Fleet, link: Link, ask: dict[str, str], record: Any, concurrency: int, retries: int, journal: Journal
) -> Counter[str]:
    failed: Counter[str] = Counter()
    waiting = iter(ask.items())
    bar = tqdm(total=len(ask), unit="prompt", disable=None)
    fatal: list[UserError] = []

    async def work() -> None:
        for sha, prompt in waiting:
            if fatal:
                return
            label, problem = await _ask(fleet, link, prompt, retries)
            if label is not None:
                record(sha, label)
            elif problem.startswith("auth"):
                fatal.append(UserError(f"the server refuses the API key ({problem}); mend that and run it again"))
            else:
                failed[problem.split(":")[0]] += 1
            bar.update()

    try:
        await asyncio.gather(*(work() for _ in range(min(concurrency, len(ask)))))
    finally:
        bar.close()
        journal.sync()
        await fleet.aclose()
    if fatal:
        raise fatal[0]
    return failed


async def _ask(fleet: Fleet, link: Link, prompt: str, retries: int) -> tuple[str | None, str]:
    """Return (label, "") or (None, what went wrong)."""
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _questions([prompt])[0]}]
    fields: dict[str, Any] = {"temperature": 0, "response_format": _SCHEMA.response_format()}
    problem = ""
    for attempt in range(retries + 1):
        result = await fleet.ask(link, messages, fields)
        if result.ok:
            parsed = parse_json(without_thoughts(result.text), _SCHEMA)
            if parsed.problem is None:
                return str(parsed.value["domain"]), ""
            problem = "no label in the answer"
        elif result.error == "bad_request" and "response_format" in fields:
            del fields["response_format"]  # a server that knows no schemas: the system message suffices
            problem = f"bad_request: {result.message}"
        else:
            problem = f"{result.error}: {result.message}"
            if result.error not in RETRYABLE:
                break
            if attempt < retries:
                own = 0.5 * 2**attempt if result.retry_after_s is None else result.retry_after_s
                await asyncio.sleep(min(own, 60.0))
    return None, problem


def _questions(prompts: Any) -> list[str]:
    return [question_of(prompt)[-_MOST_CHARS:] for prompt in prompts]


def _taught(data: Path | None, left_out: set[str]) -> tuple[Sequence[str], Sequence[str]]:
    if data is None:
        return (), ()
    from dacr.data.table import load

    table = load(data)
    kept = [i for i, qid in enumerate(table.qid) if qid not in left_out]
    return _questions(table.prompt[kept]), [str(domain) for domain in table.domain[kept]]


def _hash(prompt: str) -> str:
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()
