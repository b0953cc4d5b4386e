"""The stage that brings a benchmark in: fetch or generate, convert, check, write one long table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dacr.core import manifest as manifests
from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data import hub, matrix_store
from dacr.data.complete import MissingOutcomes, complete
from dacr.data.loaders.base import detect, read_frame
from dacr.data.loaders.chunks import column_names, long_chunks
from dacr.data.routerbench import DEFAULT_QUALITY
from dacr.data.to_store import write_store
from dacr.data.write import Summary, in_chunks, write_long


def prepare_routerbench(
    *,
    hf_repo: str = hub.REPO,
    hf_revision: str = hub.REVISION,
    hf_file: str = hub.FILE,
    hf_sha256: str = "",
    pkl: str | None = None,
    sample: int | None = None,
    loader: str | None = None,
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
    if loader is not None:
        loaders.get(loader)
    if sample is not None:
        summary = _write_sample(out, sample, seed, config)
    elif out.endswith(matrix_store.SUFFIX):
        path = Path(pkl) if pkl is not None else hub.fetch(hf_repo, hf_revision, hf_file, hf_sha256)
        summary = _write_store(out, path, loader, quality_suffix, missing_outcomes, config)
    else:
        path = Path(pkl) if pkl is not None else hub.fetch(hf_repo, hf_revision, hf_file, hf_sha256)
        summary = _write_file(out, path, loader, quality_suffix, missing_outcomes, config)
    print(_say(summary))
    print(f"wrote {out}")


def _write_sample(out: str, n_query: int, seed: int, config: dict[str, Any]) -> Summary:
    from dacr.data.sample import generate

    about = manifests.build("prepare_routerbench", config, loader="sample")
    if out.endswith(matrix_store.SUFFIX):
        return write_store(out, lambda: generate.iter_chunks(n_query, seed), f"--sample {n_query}", about)
    return write_long(out, generate.iter_chunks(n_query, seed), about)


def _write_store(
    out: str,
    path: Path,
    loader: str | None,
    quality_suffix: str,
    missing_outcomes: MissingOutcomes,
    config: dict[str, Any],
) -> Summary:
    names = column_names(path)
    loader = loader or detect(read_frame(path).columns if names is None else names, str(path))
    made = loaders.get(loader)(quality_suffix=quality_suffix)
    about = manifests.build("prepare_routerbench", config, {"table": path}, loader=loader)
    return write_store(out, lambda: long_chunks(path, made), str(path), about, missing_outcomes)


def _write_file(
    out: str,
    path: Path,
    loader: str | None,
    quality_suffix: str,
    missing_outcomes: MissingOutcomes,
    config: dict[str, Any],
) -> Summary:
    if loader is None:
        frame = read_frame(path)
        loader = detect(frame.columns, str(path))
        long = loaders.get(loader)(quality_suffix=quality_suffix).convert(frame)
        del frame  # the raw file's texts are some GB as Python strings
    else:
        long = loaders.get(loader)(quality_suffix=quality_suffix).load(path)
    done = complete(long, str(path), missing_outcomes)
    del long
    if done.n_merged:
        print(f"merged the half-empty rows of {done.n_merged} queries")
    if done.n_dropped:
        print(f"dropped {done.n_dropped} queries that lack the outcome of some model")
    told = {"loader": loader, "n_merged": done.n_merged, "n_dropped": done.n_dropped}
    manifest = manifests.build("prepare_routerbench", config, {"table": path}, **told)
    return write_long(out, in_chunks(done.frame), manifest)


def _say(summary: Summary) -> str:
    means = summary.means().sort_values("mean_quality", ascending=False)
    table = means.to_string(index=False, formatters={"mean_quality": "{:.4f}".format, "mean_cost": "{:.4g}".format})
    return (
        f"{summary.n_query:,} queries x {len(summary.models)} models, {len(summary.domains)} domains; "
        f"mean quality, and mean cost in USD per query:\n{table}"
    )
