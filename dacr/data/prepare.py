"""The stage that brings a benchmark in: fetch or generate, convert, check, write one long table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from dacr.core import manifest as manifests
from dacr.core.errors import UserError
from dacr.core.registry import load_plugin, loaders
from dacr.data import hub, matrix_store
from dacr.data.gather import Gathered, MissingOutcomes
from dacr.data.loaders.base import detect_source
from dacr.data.loaders.routerbench import DEFAULT_QUALITY
from dacr.data.sources import Member, members
from dacr.data.write import Summary, write_long, write_store


def prepare_routerbench(
    *,
    hf_repo: str = hub.REPO,
    hf_revision: str = hub.REVISION,
    hf_file: str = hub.FILE,
    hf_sha256: str = "",
    pkl: str | None = None,
    sample: int | None = None,
    loader: str | None = None,
    plugin: str | None = None,
    quality_suffix: str = DEFAULT_QUALITY,
    missing_outcomes: MissingOutcomes = "error",
    out: str = "data/routerbench_raw_long.parquet",
    seed: int = 0,
) -> None:
    """Convert a routing benchmark to one long Parquet table: a row per query and model.

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
        Local file (pickle, Parquet or CSV) instead of the Hub.
    sample : int, optional
        Generate the embedded benchmark with so many queries instead of the Hub.
    loader : str, optional
        Which loader understands the file; found by its columns where not given.
    plugin : str, optional
        Python file that registers a loader of your own; it runs with your rights.
    quality_suffix : str
        Quality column of the raw file, or what follows "<model>|" in a wide one.
    missing_outcomes : {error, drop}
        What to do with queries that some model has no outcome for.
    out : str
        Parquet file to write; a name that ends in .store makes a folder of memory-mapped matrices, for tables of any
        size (Parquet and CSV are then read in chunks).
    seed : int
        Seed of the embedded benchmark.
    """
    config = {name: value for name, value in locals().items() if name != "out"}
    if pkl is not None and sample is not None:
        raise UserError("--pkl and --sample exclude each other; give one of them")
    if plugin is not None:
        load_plugin(plugin)
    if loader is not None:
        loaders.get(loader)
    if sample is not None:
        from dacr.data.sample import generate

        about = partial(manifests.build, "prepare_routerbench", config, loader="sample")
        made = generate.iter_chunks(sample, seed)
        if out.endswith(matrix_store.SUFFIX):
            summary = _write(out, f"--sample {sample}", made, missing_outcomes, about)
        else:
            summary = write_long(out, made, about())
    else:
        path = pkl if pkl is not None else str(hub.fetch(hf_repo, hf_revision, hf_file, hf_sha256))
        found = members(path)
        name = loader or detect_source(found, path)
        about = partial(manifests.build, "prepare_routerbench", config, _inputs(found), loader=name)
        made = loaders.get(name)(quality_suffix=quality_suffix).chunks(found)
        summary = _write(out, path, made, missing_outcomes, about)
    print(_say(summary))
    print(f"wrote {out}")


def _write(
    out: str,
    source: str,
    chunks: Iterable[pd.DataFrame],
    missing_outcomes: MissingOutcomes,
    about: Callable[..., dict[str, Any]],
) -> Summary:
    """Gather the chunks and write them, whole or not at all."""
    to_store = out.endswith(matrix_store.SUFFIX)
    if to_store:
        matrix_store.require_replaceable(out)
    with Gathered(out, source) as gathered:
        for chunk in chunks:
            gathered.add(chunk)
        layout = gathered.layout(missing_outcomes)
        if layout.n_merged:
            print(f"merged the half-empty rows of {layout.n_merged} queries")
        if layout.n_dropped:
            print(f"dropped {layout.n_dropped} queries that lack the outcome of some model")
        told = about(n_merged=layout.n_merged, n_dropped=layout.n_dropped)
        if to_store:
            return write_store(out, gathered, layout, told)
        return write_long(out, gathered.chunks(layout), told)


def _say(summary: Summary) -> str:
    means = summary.means().sort_values("mean_quality", ascending=False)
    table = means.to_string(index=False, formatters={"mean_quality": "{:.4f}".format, "mean_cost": "{:.4g}".format})
    return (
        f"{summary.n_query:,} queries x {len(summary.models)} models, {len(summary.domains)} domains; "
        f"mean quality, and mean cost in USD per query:\n{table}"
    )


def _inputs(found: Sequence[Member]) -> dict[str, Path]:
    paths = list(dict.fromkeys(member.path for member in found))
    return {"table": paths[0]} if len(paths) == 1 else {f"table {i}": path for i, path in enumerate(paths)}
