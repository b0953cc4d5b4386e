"""Label the domains of a stream: the stage behind ``scripts/label_domain_openai.py``."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.journal import Journal
from dacr.core.values import Above0, AtLeast1, Whole
from dacr.data.schema import family_of
from dacr.data.table import load
from dacr.estimates.features.question import question_of
from dacr.estimates.features.text import hashed_counts
from dacr.live import catalogue as catalogues
from dacr.live.answers import Schema, parse_json, without_thoughts
from dacr.live.call import FATAL, RETRYABLE, fatal
from dacr.live.fleet import Fleet, Link
from dacr.live.schedule import Job, launch

_KNOWN: dict[str, dict[str, Any]] = files.read_yaml(Path(__file__).with_name("labels.yaml"))
LABELS = tuple(_KNOWN)
_SURE_ENOUGH = 0.2
"""A label that is less likely than this is "other": with nine to choose from, chance is .11."""

_MOST_CHARS = 4000
_MOST_WAIT_S = 60.0
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
    f'such as {{"domain": "math"}}, where domain is one of: {", ".join(LABELS)}. '
    + "; ".join(f"{name}: {about['about']}" for name, about in _KNOWN.items() if "about" in about)
    + "."
)


def label_of_family(domain: str) -> str | None:
    """Return the label that a benchmark's family stands for, None where it is not known.

    Examples
    --------
    >>> label_of_family("mmlu-law"), label_of_family("chinese_zodiac")
    ('knowledge_qa', None)
    """
    family = family_of(domain).lower()
    fits = (name for name, about in _KNOWN.items() if family.startswith(tuple(about.get("families", ()))))
    return next(fits, None)


def agreement(labels: Sequence[str], domains: Sequence[str]) -> list[str]:
    """Compare labels with benchmark families; return lines to print.

    One line per family: how many, the most frequent label and its share, and the share of the label
    that the family stands for. Then the overall share, and the adjusted mutual information of labels and
    families (0 by chance, 1 for the same partition), which needs no mapping.
    """
    from sklearn.metrics import adjusted_mutual_info_score

    given = pd.Series(list(labels), index=[family_of(domain) for domain in domains])
    lines = [f"{'family':28} {'n':>6}  {'most frequent label':24} expected label"]
    for family, own in given.groupby(level=0):
        expected = label_of_family(str(family))
        top = own.value_counts().sort_index().idxmax()
        share = f"{expected} {(own == expected).mean():.1%}" if expected else ""
        lines.append(f"{family:28} {len(own):6d}  {f'{top} {(own == top).mean():.1%}':24} {share}".rstrip())
    wanted = np.array([label_of_family(family) or "" for family in given.index])
    known = wanted != ""
    hits = f"{(given.to_numpy() == wanted)[known].mean():.1%} of {known.sum()}" if known.any() else "no family is known"
    mutual = adjusted_mutual_info_score(given.index.to_numpy(str), given.to_numpy(str))
    return [*lines, f"agreement with known families: {hits}; adjusted mutual information {mutual:.3f}"]


def local_labels(
    questions: Sequence[str], taught: Sequence[str] = (), taught_domains: Sequence[str] = ()
) -> list[tuple[str, float]]:
    """Label questions without any server: by a logistic regression on hashed TF-IDF counts.

    Parameters
    ----------
    taught, taught_domains : sequence of str
        Questions with their benchmark domains, of which those with a known family are learnt beside a few examples
        of each kind.

    Returns
    -------
    (label, probability) per question; the label is "other" where none is likely.
    """
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pairs = [(text, name) for name, about in _KNOWN.items() for text in about.get("examples", ())]
    pairs += [(text, label_of_family(domain) or "") for text, domain in zip(taught, taught_domains, strict=True)]
    texts, labels = zip(*(pair for pair in pairs if pair[1]), strict=True)
    counts = hashed_counts(texts)
    terms = np.flatnonzero(counts.getnnz(axis=0))  # most of the hash buckets are empty
    model = make_pipeline(
        TfidfTransformer(sublinear_tf=True), LogisticRegression(C=10.0, class_weight="balanced", max_iter=300)
    )
    model.fit(counts[:, terms], labels)
    p = model.predict_proba(hashed_counts(questions)[:, terms])
    names = np.where(p.max(axis=1) >= _SURE_ENOUGH, model.classes_[p.argmax(axis=1)], "other")
    return list(zip(names.tolist(), p.max(axis=1).tolist(), strict=True))


def label_domain(
    *,
    stream: Path = Path("data/stream.jsonl"),
    out: Path = Path("data/domain_labels.jsonl"),
    model: str = "gpt-4o-mini",
    config: Path = files.CONFIGS / "models.yaml",
    data: Path | None = None,
    base_url: str | None = None,
    concurrency: AtLeast1 = 16,
    timeout_s: Above0 = 30.0,
    retries: Whole = 3,
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
    by_qid: dict[str, dict[str, Any]] = {}
    for event in files.read_jsonl(stream, made_by="python scripts/build_stream.py"):
        if event.get("qid") is None or event.get("prompt") is None:
            raise UserError(f"{stream}: a line lacks qid or prompt; write it with python scripts/build_stream.py")
        by_qid.setdefault(str(event["qid"]), event)
    link, fleet = Link(model, timeout_s), None
    if model != "local":
        known = catalogues.load(config)
        entry = known.get(model, allow_unlisted=True)
        if entry.price is None and not base_url and model not in _WELL_KNOWN:
            known.get(model)  # says what was probably meant
        catalogue = replace(known, models={**known.models, model: entry})
        fleet = Fleet.of(catalogue, [link], base_url, api_key_env, allow_insecure)
    failed: Counter[str] = Counter()
    with Journal(out) as journal:
        labels = {str(row["qid"]): str(row["label"]) for row in journal.rows if row.get("model") == model}
        cache = {row["prompt_sha256"]: str(row["label"]) for row in journal.rows if row.get("model") == model}
        todo: dict[str, list[str]] = {}  # one question, all its queries
        for qid, event in by_qid.items():
            if qid not in labels:
                prompt = str(event["prompt"]).encode("utf-8", "surrogatepass")
                todo.setdefault(hashlib.sha256(prompt).hexdigest(), []).append(qid)

        def record(sha: str, label: str, **more: Any) -> None:
            for qid in todo[sha]:
                journal.append({"qid": qid, "label": label, "model": model, "prompt_sha256": sha, **more})
                labels[qid] = label

        for sha in todo.keys() & cache.keys():
            record(sha, cache[sha])
        ask = {sha: _question(by_qid[qids[0]]["prompt"]) for sha, qids in todo.items() if sha not in cache}
        if fleet is None and ask:
            found = local_labels(list(ask.values()), *_taught(data, by_qid))
            for sha, (label, p) in zip(ask, found, strict=True):
                record(sha, label, p=round(p, 6))
        elif fleet is not None and ask:
            failed = asyncio.run(_ask_all(fleet, link, ask, record, concurrency, retries, journal))
    named = [qid for qid in by_qid if qid in labels and by_qid[qid].get("domain")]
    print(f"{sum(qid in labels for qid in by_qid)} of {len(by_qid)} queries are labelled by {model} in {out}")
    if named:
        print("\n".join(agreement([labels[q] for q in named], [str(by_qid[q]["domain"]) for q in named])))
    if failed:
        wrong = ", ".join(f"{count} {name}" for name, count in failed.most_common())
        print(f"not labelled: {wrong}; run the same command to try these again")
    return int(bool(failed))


async def _ask_all(
    fleet: Fleet,
    link: Link,
    ask: Mapping[str, str],
    record: Callable[[str, str], None],
    concurrency: int,
    retries: int,
    journal: Journal,
) -> Counter[str]:
    """Ask about every question; return how often which problem was left."""
    failed: Counter[str] = Counter()
    jobs = [Job(sha, link.name, question, 0.0, 0.0) for sha, question in ask.items()]
    bar = tqdm(total=len(jobs), unit="prompt", disable=None)

    async def work(job: Job) -> None:
        label, problem, message = await _ask(fleet, link, job.prompt, retries)
        if label is not None:
            record(job.qid, label)
        elif problem in FATAL:
            raise fatal(problem, link.name, message)
        else:
            failed[problem] += 1
        bar.update()

    try:
        await launch(jobs, work, asyncio.Semaphore(concurrency), pacing=False)
    finally:
        bar.close()
        journal.sync()
        await fleet.aclose()
    return failed


async def _ask(fleet: Fleet, link: Link, question: str, retries: int) -> tuple[str | None, str, str]:
    """Return (label, "", "") or (None, what went wrong, the server's words)."""
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": question}]
    fields: dict[str, Any] = {"temperature": 0, "response_format": _SCHEMA.response_format()}
    problem = message = ""
    for attempt in range(retries + 1):
        result = await fleet.ask(link, messages, fields)
        problem, message = result.error or "no label in the answer", result.message
        if result.ok:
            parsed = parse_json(without_thoughts(result.text), _SCHEMA)
            if parsed.problem is None:
                return str(parsed.value["domain"]), "", ""
        elif problem in ("bad_request", "option") and fields:
            # A server that knows no schemas, or a model that knows no temperature: the system message suffices.
            for name in [name for name in fields if name in message] or ["response_format", "temperature"]:
                fields.pop(name, None)
        elif problem not in RETRYABLE:
            break
        elif attempt < retries:
            own = 0.5 * 2**attempt if result.retry_after_s is None else result.retry_after_s
            await asyncio.sleep(min(own, _MOST_WAIT_S))
    return None, problem, message


def _question(prompt: Any) -> str:
    return question_of(str(prompt))[-_MOST_CHARS:]


def _taught(data: Path | None, left_out: Iterable[str]) -> tuple[list[str], list[str]]:
    if data is None:
        return [], []
    table = load(data, incomplete=True)
    kept = np.flatnonzero(~np.isin(table.qid.astype(str), list(left_out)))
    return [_question(text) for text in table.prompt[kept]], [str(domain) for domain in table.domain[kept]]
