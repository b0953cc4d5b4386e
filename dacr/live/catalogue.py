"""The catalogue: which models there are, what they cost, where they are called, and by which names they go elsewhere.

.. code-block:: yaml

    providers:                       # optional
      openai: {base_url: "https://api.openai.com/v1", api_key_env: OPENAI_API_KEY}
    models:
      gpt-4o-mini:
        provider: openai
        price_per_million_input: 0.15
        price_per_million_output: 0.60
        api_name: gpt-4o-mini        # optional: what the endpoint calls it
        aliases: [openai/gpt-4o-mini]  # optional: other names of the same model
"""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from dacr.core import files
from dacr.core.errors import UserError
from dacr.data.prices import FREE, Price, price_of
from dacr.data.table import load as read_table

DEFAULT_PROVIDERS: dict[str, dict[str, str]] = {
    "openai": {
        "base_url": "https://api.openai.com/v1",
        "api_key_env": "OPENAI_API_KEY",
        "output_limit_field": "max_completion_tokens",
    },
    "openrouter": {"base_url": "https://openrouter.ai/api/v1", "api_key_env": "OPENROUTER_API_KEY"},
    "together": {"base_url": "https://api.together.xyz/v1", "api_key_env": "TOGETHER_API_KEY"},
    "anthropic": {"base_url": "https://api.anthropic.com/v1", "api_key_env": "ANTHROPIC_API_KEY"},
    "ollama": {"base_url": "http://localhost:11434/v1", "api_key_env": "OLLAMA_API_KEY"},
}


@dataclass(frozen=True)
class CatalogueEntry:
    """One model of the catalogue.

    Attributes
    ----------
    api_name : str
        What the endpoint calls it.
    price : Price or None
        None where the catalogue gives not both prices; an unknown price is never taken as free.
    aliases : tuple of str
        Other names under which the same model is met.
    """

    name: str
    api_name: str
    provider: str = ""
    price: Price | None = None
    aliases: tuple[str, ...] = ()

    @property
    def is_free(self) -> bool:
        """Whether its calls are known to cost nothing."""
        return self.price is not None and self.price.cost(1, 1) == 0


@dataclass(frozen=True)
class Catalogue:
    """Models and providers by name."""

    models: dict[str, CatalogueEntry]
    providers: dict[str, dict[str, str]] = field(default_factory=lambda: dict(DEFAULT_PROVIDERS))
    source: str = "the catalogue"

    def get(self, name: str, allow_unlisted: bool = False) -> CatalogueEntry:
        """Return the entry called ``name`` or having it as an alias (without regard to case).

        ``provider/model`` with a known provider needs no entry: ``ollama/qwen2.5:7b``.

        Parameters
        ----------
        allow_unlisted : bool
            Return an unpriced entry for an unknown name (a local server's own models) instead of raising.
        """
        if name in self.models:
            return self.models[name]
        for entry in self.models.values():
            if name.casefold() in (alias.casefold() for alias in (entry.name, *entry.aliases)):
                return entry
        provider, slash, model = name.partition("/")
        if slash and provider in self.providers:
            # What runs on one's own machine costs nothing; any other price is unknown.
            return CatalogueEntry(name, model, provider, FREE if provider == "ollama" else None)
        if allow_unlisted:
            return CatalogueEntry(name, name)
        near = difflib.get_close_matches(name, self.models, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(self.models)[:12])};"
        raise UserError(f"model {name!r} is not in {self.source}; {hint} or add it there with its prices")

    def provider(self, entry: CatalogueEntry) -> dict[str, str]:
        """Return the settings of a model's provider; empty where it names none."""
        return self.providers.get(entry.provider, {})


def load(path: str | Path) -> Catalogue:
    """Read a catalogue from YAML.

    Raises
    ------
    UserError
        No such file, not YAML, no ``models``, a price that is negative or no number.
    """
    path = Path(path)
    content = files.read_yaml(path)
    if not isinstance(content, Mapping) or not isinstance(content.get("models"), Mapping):
        raise UserError(f"{path} has no 'models:' section; expected models: {{NAME: {{provider: ..., ...}}}}")
    providers = {**DEFAULT_PROVIDERS}
    for name, settings in (content.get("providers") or {}).items():
        _require_mapping(settings, f"{path}: provider {name!r}")
        known = {key: str(value) for key, value in (settings or {}).items()}
        providers[str(name)] = {**DEFAULT_PROVIDERS.get(str(name), {}), **known}
    models = {str(name): _entry(str(name), settings, path) for name, settings in content["models"].items()}
    return Catalogue(models, providers, str(path))


def _entry(name: str, settings: Any, path: Path) -> CatalogueEntry:
    _require_mapping(settings, f"{path}: model {name!r}")
    settings = settings or {}
    aliases = settings.get("aliases") or ()
    aliases = (aliases,) if isinstance(aliases, str) else tuple(str(alias) for alias in aliases)
    api_name, provider = str(settings.get("api_name") or name), str(settings.get("provider") or "")
    return CatalogueEntry(name, api_name, provider, price_of(name, settings, str(path)), aliases)


def _require_mapping(settings: Any, what: str) -> None:
    if settings is not None and not isinstance(settings, Mapping):
        raise UserError(f"{what} should be a mapping such as {{provider: openai}}, got {settings!r}")


def benchmark_name(name: str, models: Collection[str], catalogue: Catalogue) -> tuple[str | None, str]:
    """Return (benchmark model, how it was found) or (None, why it was not).

    Examples
    --------
    >>> known = Catalogue({"gpt-4-1106-preview": CatalogueEntry("gpt-4-1106-preview", "x", aliases=("gpt-4",))})
    >>> benchmark_name("GPT-4", ["gpt-4-1106-preview"], known)
    ('gpt-4-1106-preview', 'alias in the catalogue')
    """
    if name in models:
        return name, "same name"
    same = [model for model in models if model.casefold() == name.casefold()]
    if len(same) == 1:
        return same[0], "same name but for case"
    try:
        entry = catalogue.get(name)
    except UserError:
        known = [*models, *(alias for entry in catalogue.models.values() for alias in entry.aliases)]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"; the nearest known name is {near[0]!r}" if near else ""
        return None, f"no model or alias of {catalogue.source} has this name{hint}; add it as an alias there"
    names = {one.casefold() for one in (entry.name, entry.api_name, *entry.aliases)}
    hits = [model for model in models if model.casefold() in names]
    if len(hits) == 1:
        return hits[0], "alias in the catalogue"
    if hits:
        return None, f"it stands for several models of the benchmark: {', '.join(hits)}; keep one of these aliases"
    return None, f"it is {entry.name!r} in the catalogue, which the benchmark does not have"


def align(
    rows: Sequence[dict[str, Any]], qids: Collection[str], models: Collection[str], catalogue: Catalogue
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the rows that join, under the benchmark's model names, and a report line per model.

    Raises
    ------
    UserError
        Two names of the log are the same benchmark model and share a query: which one is meant?
    """
    log = pd.DataFrame({key: [str(row[key]) for row in rows] for key in ("qid", "model")})
    log["failed"] = [not row.get("ok", True) for row in rows]
    found = {name: benchmark_name(name, models, catalogue) for name in log["model"].unique()}
    log["target"] = log["model"].map({name: target for name, (target, _) in found.items()})
    log["known"] = log["qid"].isin(list(qids))
    joins = log[log["target"].notna() & log["known"]]
    for _, twice in joins[joins.duplicated(["qid", "target"], keep=False)].groupby(["qid", "target"]):
        (one, other), qid, target = twice["model"].iloc[:2], twice["qid"].iloc[0], twice["target"].iloc[0]
        raise UserError(
            f"models {one!r} and {other!r} are both {target!r} of the benchmark, and query {qid!r} has both; "
            "give one of them a log of its own"
        )
    lines = []
    for name, (target, how) in sorted(found.items()):
        own = log[log["model"] == name]
        if target is None:
            lines.append(f"{name}: {len(own)} calls do not join: {how}")
            continue
        joined = own[own["known"]]
        line = f"{name} -> {target} ({how}): {len(joined)} calls join"
        if len(own) > len(joined):
            line += f"; {len(own) - len(joined)} calls are for queries that the benchmark does not have"
        if joined["failed"].any():
            line += f"; {joined['failed'].sum()} of the joined calls failed"
        lines.append(line)
    missing = sorted(set(models) - set(joins["target"]))
    if missing:
        lines.append(f"not measured: {', '.join(missing)}; an experiment needs them measured, or a table without them")
    named = [
        {**rows[i], "model": target, "endpoint_model": rows[i].get("endpoint_model", name)}
        for i, target, name in zip(joins.index, joins["target"], joins["model"], strict=True)
    ]
    return named, lines


def align_latency(
    *,
    latency_log: Path = Path("data/latency_measured.jsonl"),
    data: Path = Path("data/routerbench_raw_long.parquet"),
    out: Path = Path("data/latency_aligned.jsonl"),
    config: Path = files.CONFIGS / "models.yaml",
) -> int:
    """Rename the models of a measured latency log to the benchmark's, and say what does not join and why.

    Parameters
    ----------
    latency_log : Path
        Written by scripts/collect_latency_openai.py.
    data : Path
        The benchmark's long table.
    out : Path
        The rows that join, for run_experiment --latency_log.
    config : Path
        The catalogue with the aliases.
    """
    rows = files.read_jsonl(latency_log, made_by="python scripts/collect_latency_openai.py")
    for number, row in enumerate(rows, start=1):
        if "qid" not in row or "model" not in row:
            raise UserError(f"{latency_log}, line {number}: lacks qid or model; expected a latency log")
    table = read_table(data)
    joined, lines = align(rows, [str(qid) for qid in table.qid], table.model, load(config))
    print("\n".join(lines))
    if not joined:
        raise UserError(f"no call of {latency_log} joins {data}; the lines above say why")
    files.write_jsonl(out, joined)
    print(f"wrote {out}: {len(joined)} of {len(rows)} calls")
    return 0
