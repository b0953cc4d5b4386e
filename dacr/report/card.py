"""A card for a results folder or a prepared table: what it is, where it came from, what it must not be taken for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import yaml

from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.manifest import from_metadata
from dacr.data.hub import push_card
from dacr.report import words
from dacr.report.folder import Absent, Results, short_names
from dacr.report.main_table import main_results
from dacr.report.table import markdown, number, to_markdown

SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
"""Numbers of rows, and what the Hub calls them."""

LICENCES = {"sample": "mit"}
"""By loader, where a licence is known; RouterBench declares none."""

LIMITS = (
    "Answers, quality and costs are recorded: a router cannot change an answer, and no model was called.",
    "Prices are those of the time of recording, not today's; costs that a table holds were never made newer.",
    "Quality is what the benchmark's judges recorded, with their faults.",
)
LIMITS_OF = {
    "sample": "The data are made up: templates as prompts, names and means as published, a truth that is known. They "
    "show that the machinery works, and are no evidence about real models.",
    "simulated": "Latency was never recorded: it is simulated from speeds measured elsewhere. Lateness is a scenario.",
}


def make_card(*, results_dir: str = "", data: str = "", licence: str = "", out: str = "", push: str = "") -> None:
    """Write a card (Markdown with a YAML head, as the Hub expects) for a results folder or a prepared table.

    Parameters
    ----------
    results_dir : str
        Folder that run_experiment wrote; the card is its README.md.
    data : str
        Prepared table (Parquet) instead; the card stands beside it as NAME.card.md.
    licence : str
        Licence of the data, as the Hub names it ("mit", "cc-by-4.0"); "unknown" where the loader tells none.
    out : str
        Another file for the card.
    push : str
        OWNER/NAME of a data set on the Hub that the card, and nothing else, is sent to; it is made, and private, where
        it is not there.

    Raises
    ------
    UserError
        Neither or both of a folder and a table are named, what is named cannot be read, or the Hub refuses.
    """
    if bool(results_dir) == bool(data):
        raise UserError("name one of a results folder (--results_dir DIR) and a prepared table (--data FILE)")
    if data:
        path = files.existing_file(Path(data), made_by="python scripts/prepare_routerbench.py")
        target, text = path.with_suffix(".card.md"), table_card(path, licence)
    else:
        results = Results.open(results_dir)
        target, text = results.folder / "README.md", results_card(results, licence)
    target = Path(out) if out else target
    files.write_text(target, text)
    print(f"wrote {target}; {f'sent it to {push_card(push, text)}' if push else 'nothing was sent anywhere'}")


def table_card(path: Path, licence: str = "") -> str:
    """Return the card of a prepared table."""
    try:
        manifest = from_metadata(pq.read_schema(path).metadata)
        frame = ds.dataset(path).to_table(["qid", "domain", "model", "quality", "cost"]).to_pandas()
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{str(path)!r} is no prepared table ({error}); make one with prepare_routerbench") from None
    loader = str(manifest.get("loader", ""))
    n_query, n_model = frame["qid"].nunique(), frame["model"].nunique()
    head = _head(path.stem, licence or LICENCES.get(loader, "unknown"), len(frame))
    by_model = frame.groupby("model", observed=True)[["quality", "cost"]].mean().sort_values("cost")
    names = short_names(list(by_model.index))
    rows = [
        [names[str(model)], number(row["quality"]), number(1000 * row["cost"], ".4g")]
        for model, row in by_model.iterrows()
    ]
    counts = frame.drop_duplicates("qid")["domain"].value_counts()
    sections = {
        "What it is": f"{n_query:,} queries from {frame['domain'].nunique():,} domains, each answered by {n_model:,} "
        f"models: a row per query and model ({len(frame):,}), with the quality (0 to 1) and the cost of the answer.",
        "Models": markdown(["model", "mean quality", "USD per 1,000 answers"], rows),
        "Domains": markdown(["domain", "queries"], [[str(name), f"{n:,}"] for name, n in counts.items()]),
        "Splits": "None is fixed here: `--ood_holdout` holds domains out, or a fifth of each domain is tested.",
        "Limits": _list([*LIMITS, *([LIMITS_OF[loader]] if loader in LIMITS_OF else [])]),
        "How it was made": _made(manifest),
    }
    return _page(head, path.stem, sections)


def results_card(results: Results, licence: str = "") -> str:
    """Return the card of a results folder."""
    manifest, sources = results.manifest, words.mapping(results.manifest.get("sources"))
    try:
        n_row = pq.read_metadata(results.folder / "decisions.parquet").num_rows
    except OSError:
        n_row = len(results.table("metrics.csv"))
    try:
        table = to_markdown(main_results(results))
    except Absent as reason:
        table = f"No table of routers: {reason}."
    held = results.held_out
    simulated = [LIMITS_OF["simulated"]] if "simulated" in str(sources) else []
    sections = {
        "What it is": " ".join(words.what_was_run(results)),
        "What came out": "\n\n".join([*words.answer(results), table]),
        "Splits": f"Held out: {', '.join(held)}." if held else "A part of every domain was tested.",
        "Checks": _checks(results),
        "Limits": _list([*LIMITS, *simulated]),
        "How it was made": _made(manifest),
    }
    name = results.folder.resolve().name
    return _page(_head(f"Routing results: {name}", licence or "unknown", n_row), f"Routing results: {name}", sections)


def _checks(results: Results) -> str:
    if not results.has("checks.csv"):
        return "None were stored."
    table = results.table("checks.csv")
    found = table[table["status"] != "passed"]
    return _list(
        [f"{row.code} ({row.severity or row.status}): {row.message or row.title}" for row in found.itertuples()]
    )


def _made(manifest: Mapping[str, Any]) -> str:
    lines = [f"{name}: `{value}`" for name, value in words.fingerprint(manifest)]
    config = words.mapping(manifest.get("config"))
    if manifest.get("loader") and config.get("hf_repo") and manifest["loader"] != "sample":
        lines.append(f"source: {config['hf_repo']}, revision {config.get('hf_revision')}, read by {manifest['loader']}")
    return _list(lines)


def _head(name: str, licence: str, n_row: int) -> str:
    size = next((label for limit, label in SIZES if n_row < limit), "10M<n<100M")
    about = {"pretty_name": name, "license": licence, "language": ["en"], "tags": ["llm-routing", "dacr"]}
    return yaml.safe_dump({**about, "size_categories": [size]}, sort_keys=False, allow_unicode=True)


def _page(head: str, title: str, sections: Mapping[str, str]) -> str:
    parts = [f"---\n{head}---", f"# {title}", *(f"## {name}\n\n{text.strip()}" for name, text in sections.items())]
    return "\n\n".join(parts) + "\n"


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {' '.join(line.split())}" for line in lines) or "- none"
