"""The stage that brings a benchmark in: fetch or generate, convert, check, write one long table."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from dacr.core import manifest as manifests
from dacr.core.errors import UserError
from dacr.core.registry import load_plugin, loaders
from dacr.data import hub, matrix_store, schema
from dacr.data.gather import Gathered, MissingOutcomes
from dacr.data.loaders.base import Loader, detect_source
from dacr.data.loaders.routerbench import DEFAULT_QUALITY
from dacr.data.prices import DEFAULT, Prices, Pricing
from dacr.data.refine import Refinery, parse_range, read_scores
from dacr.data.shelf import Layout
from dacr.data.sources import members
from dacr.data.write import Summary, write_long, write_store


def prepare_routerbench(
    *,
    hf_repo: str = hub.REPO,
    hf_revision: str = hub.REVISION,
    hf_file: str = hub.FILE,
    hf_sha256: str = "",
    pkl: str | None = None,
    input: str | None = None,
    sample: int | None = None,
    loader: str | None = None,
    plugin: str | None = None,
    quality_suffix: str = DEFAULT_QUALITY,
    quality_metric: str | None = None,
    quality_range: str | None = None,
    domain_from: str | None = None,
    join: Literal["auto", "id", "prompt"] = "auto",
    scores: str | None = None,
    missing_outcomes: MissingOutcomes = "error",
    cost: Literal["recorded", "none"] = "recorded",
    strong_model: str | None = None,
    prices: Path = DEFAULT,
    reprice: bool = False,
    unpriced: Literal["error", "drop", "free"] = "error",
    keep_texts: bool = True,
    out: str = "data/routerbench_raw_long.parquet",
    seed: int = 0,
) -> None:
    """Convert recorded outcomes to one long Parquet table: a row per query and model.

    Parameters
    ----------
    hf_repo : str
        Data set on the Hugging Face Hub.
    hf_revision : str
        Its commit; pinned, so that a result can be made again.
    hf_file : str
        routerbench_raw.pkl, routerbench_0shot.pkl or routerbench_5shot.pkl.
    hf_sha256 : str
        Sum to expect of the download; empty: the one on record; "any": don't check.
    pkl : str, optional
        Local file instead of the Hub: pickle, Parquet, CSV or JSON.
    input : str, optional
        The same for a folder, a glob, a zip or a file, in any of the formats of docs/formats.md.
    sample : int, optional
        Generate the embedded benchmark with so many queries instead of the Hub.
    loader : str, optional
        Which loader understands the file; found by its columns where not given.
    plugin : str, optional
        Python file that registers a loader of your own; it runs with your rights.
    quality_suffix : str
        Quality column of the raw file, or what follows "<model>|" in a wide one.
    quality_metric : str, optional
        Which score is the quality, where the data has several.
    quality_range : str, optional
        Scores that become 0 and 1, such as "1,10"; or clip, which cuts scores at 0 and 1.
    domain_from : str, optional
        Field that the domain is read from; "FIELD:SEPARATOR" takes what stands before the separator.
    join : {auto, id, prompt}
        How rows of several models find each other; auto takes the prompt where no id has two models.
    scores : str, optional
        File with request_id (or qid) and score, for logs that have none.
    missing_outcomes : {error, drop, available}
        What to do with queries that some model has no outcome for: drop leaves them out; available keeps them, and a
        model that was not recorded for a query can't be called there.
    cost : {recorded, none}
        none: accuracy alone; a call of strong_model counts 1, any other 0, so that a cost is the share of strong calls.
    strong_model : str, optional
        The model whose share of calls is the cost under --cost none.
    prices : Path
        File of prices, for outcomes with tokens and without a cost.
    reprice : bool
        Replace recorded costs by tokens times price, and print what moved.
    unpriced : {error, drop, free}
        What to do with a model that has no price: leave it out, or count it as free and mark it.
    keep_texts : bool
        False keeps neither prompts nor responses; tokens are counted first. Keys and addresses are masked in any case.
    out : str
        Parquet file to write; a name that ends in .store makes a folder of memory-mapped matrices, for tables of any
        size.
    seed : int
        Seed of the embedded benchmark.
    """
    config = {name: value for name, value in locals().items() if name != "out"}
    if sum(given is not None for given in (pkl, input, sample)) > 1:
        raise UserError("--pkl, --input and --sample exclude each other; give one of them")
    if cost == "none" and strong_model is None:
        raise UserError("--cost none needs --strong_model NAME: the cost of a router is then its share of calls to it")
    if plugin is not None:
        load_plugin(plugin)
    if loader is not None:
        loaders.get(loader)
    if sample is not None:
        summary = _write_sample(out, sample, seed, config)
    else:
        path = input or pkl or str(hub.fetch(hf_repo, hf_revision, hf_file, hf_sha256))
        found = members(path)
        name = loader or detect_source(found, path)
        refinery = Refinery(
            pricing=Pricing(Prices.read(prices), reprice, unpriced) if cost == "recorded" else None,
            strong_model=strong_model,
            by_prompt=join == "prompt",
            quality_range=parse_range(quality_range),
            scores=None if scores is None else read_scores(scores, quality_metric),
            keep_texts=keep_texts,
        )
        part = loaders.get(name)
        options = {"quality_suffix": quality_suffix, "quality_metric": quality_metric, "domain_from": domain_from}
        paths = list(dict.fromkeys(member.path for member in found))
        inputs = {"table": paths[0]} if len(paths) == 1 else {f"table {i}": path for i, path in enumerate(paths)}
        inputs |= {"prices": prices} | ({} if scores is None else {"scores": Path(scores)})
        about = partial(manifests.build, "prepare_routerbench", config, inputs, loader=name)
        try:
            summary = _write(
                out, path, part(**options).chunks(found), refinery, missing_outcomes, about, join == "auto"
            )
        except _NoSharedIds:
            print("no id has the outcomes of two models; joined by the prompt")
            refinery = replace(refinery, by_prompt=True, pricing=refinery.pricing and refinery.pricing.afresh())
            made = part(**options)
            summary = _write(out, path, made.chunks(found), refinery, missing_outcomes, about, False, made)
    print(_say(summary))
    print(f"wrote {out}")


class _NoSharedIds(Exception):
    """No id of the source has the outcomes of two models, and its prompts could tell queries."""


def _write_sample(out: str, n_query: int, seed: int, config: dict[str, Any]) -> Summary:
    from dacr.data.sample import generate

    about = partial(manifests.build, "prepare_routerbench", config, loader="sample")
    made = generate.iter_chunks(n_query, seed)
    if out.endswith(matrix_store.SUFFIX):
        return _write(out, f"--sample {n_query}", made, None, "error", about, False)
    return write_long(out, made, about())


def _write(
    out: str,
    source: str,
    chunks: Iterable[pd.DataFrame],
    refinery: Refinery | None,
    missing_outcomes: MissingOutcomes,
    about: Callable[..., dict[str, Any]],
    may_join: bool,
    loader: Loader | None = None,
) -> Summary:
    """Gather the chunks and write them, whole or not at all."""
    to_store = out.endswith(matrix_store.SUFFIX)
    if to_store:
        matrix_store.require_replaceable(out)
    with Gathered(out, source) as gathered:
        for chunk in refinery(chunks) if refinery is not None else chunks:
            gathered.add(chunk)
        if may_join and gathered.shares_no_id():
            raise _NoSharedIds
        if refinery is not None and refinery.pricing is None:
            gathered.require_model(refinery.strong_model, "--strong_model")
        layout = gathered.layout(missing_outcomes)
        told: dict[str, Any] = {"n_merged": layout.n_merged, "n_dropped": layout.n_dropped}
        if layout.n_missing:
            told["n_missing"] = layout.n_missing
        if layout.n_averaged:
            told["n_averaged"] = layout.n_averaged
        if refinery is not None:
            told |= refinery.told(loader.recorded if loader is not None else "")
        for line in _lines(layout, refinery):
            print(line)
        if to_store:
            return write_store(out, gathered, layout, about(**told))
        return write_long(out, gathered.chunks(layout), about(**told))


def _lines(layout: Layout, refinery: Refinery | None) -> Iterator[str]:
    if layout.n_merged:
        yield f"merged the half-empty rows of {layout.n_merged} queries"
    if layout.n_averaged:
        yield f"averaged the trials of {layout.n_averaged} outcomes"
    if layout.n_dropped:
        yield f"dropped {layout.n_dropped} queries that lack the outcome of some model"
    if layout.n_missing:
        yield schema.incomplete(layout.row >= 0)
    if refinery is not None:
        yield from refinery.lines()


def _say(summary: Summary) -> str:
    means = summary.means().sort_values("mean_quality", ascending=False)
    table = means.to_string(index=False, formatters={"mean_quality": "{:.4f}".format, "mean_cost": "{:.4g}".format})
    return (
        f"{summary.n_query:,} queries x {len(summary.models)} models, {len(summary.domains)} domains; "
        f"mean quality, and mean cost in USD per query:\n{table}"
    )
