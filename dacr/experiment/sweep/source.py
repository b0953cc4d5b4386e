"""The table of a sweep: a path, a URL that fsspec knows, or a sample; read by every worker from where it lies."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dacr.core import files
from dacr.core.errors import UserError
from dacr.data import matrix_store, schema, splits
from dacr.data.sample.generate import iter_chunks
from dacr.data.splits import held_out_domains
from dacr.data.table import read_parquet
from dacr.data.write import write_long

SAMPLE = "sample:"


@dataclass(frozen=True)
class TableFacts:
    """What a grid may ask of the table before any cell is run.

    Attributes
    ----------
    n : dict
        Domain -> number of queries, in the order of names.
    family : dict
        Domain -> its family.
    models : tuple of str
        Sorted by name.
    """

    n: Mapping[str, int]
    family: Mapping[str, str]
    models: tuple[str, ...]

    def families(self, at_least: int) -> list[str]:
        """Return a hold-out for each family with so many queries, the largest first: ``--ood_holdout`` of each."""
        size: dict[str, int] = {}
        for domain, n in self.n.items():
            size[self.family[domain]] = size.get(self.family[domain], 0) + n
        chosen = splits.large_families(size, at_least, "min_queries")
        return [",".join(splits.hold_out(name, self.family)) for name in chosen]

    def check_hold_out(self, prefixes: tuple[str, ...], where: str) -> None:
        """Refuse a hold-out without queries, or one that leaves none to train on."""
        try:
            held_out_domains(list(self.n), prefixes)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None


def facts_of(path: Path) -> TableFacts:
    """Read domains and models of a long table."""
    if matrix_store.is_store(path):
        found, counts = np.unique(matrix_store.read_axes(path)["domain"].astype(str), return_counts=True)
        stored = tuple(matrix_store.manifest_of(path)["models"])
        return _facts(dict(zip(found.tolist(), counts.tolist(), strict=True)), stored)
    table = read_parquet(path, ["domain", "model"])
    missing = [name for name in ("domain", "model") if name not in table.column_names]
    if missing:
        raise UserError(f"{path} is no long table: the column {missing[0]!r} is missing; see docs/files.md")
    models = sorted(pc.unique(table["model"]).cast("string").to_pylist())
    counted = pc.value_counts(table["domain"].cast("string")).to_pylist()
    return _facts({str(row["values"]): row["counts"] // len(models) for row in counted}, tuple(models))


def _facts(n: dict[str, int], models: tuple[str, ...]) -> TableFacts:
    names = sorted(n)
    family = {name: schema.family_of(name) for name in names}
    return TableFacts({name: n[name] for name in names}, family, models)


def local_copy(address: str, sha256: str | None = None, folder: Path | None = None) -> Path:
    """Return a local file with the content of ``address``; a URL is fetched once per machine.

    Parameters
    ----------
    address : str
        A path, or a URL such as ``s3://bucket/long.parquet`` or ``http://host/long.parquet``.
    sha256 : str, optional
        What the content must hash to: a table that changed while a sweep runs is refused.
    folder : Path, optional
        Where fetched tables are kept; by default a folder for temporary files.

    Raises
    ------
    UserError
        No such file, no such host, a protocol that needs a package, or other content.
    """
    if "://" not in address and matrix_store.is_store(address):
        path = Path(address)
    elif "://" not in address:
        path = files.existing_file(address, made_by="python scripts/prepare_routerbench.py")
    elif address.startswith("file://"):
        path = files.existing_file(address.removeprefix("file://"))
    else:
        folder = folder or Path(tempfile.gettempdir()) / f"dacr_tables_{os.getuid()}"
        path = folder / f"{sha256}.parquet"
        if sha256 is None or not path.is_file():
            path = _fetch(address, folder)
    if sha256 is not None and path.stem != sha256 and input_sum(path) != sha256:
        raise UserError(f"{address} has changed since the sweep began; put the table back or name another results_dir")
    return path


def _fetch(address: str, folder: Path) -> Path:
    """Download into a file that is called by its checksum."""
    import fsspec

    files.make_folder(folder)
    handle, name = tempfile.mkstemp(prefix=".fetch-", dir=folder)
    os.close(handle)
    try:
        with fsspec.open(address, "rb") as source, open(name, "wb") as target:
            while block := source.read(2**22):
                target.write(block)
        target_path = folder / f"{files.sha256(name)}.parquet"
        os.replace(name, target_path)
    except ImportError as error:
        raise UserError(
            f"{address}: {error}; pip install -r requirements-engines.txt, or the package it names"
        ) from None
    except Exception as error:  # fsspec's file systems raise whatever their libraries raise
        raise UserError(f"{address} can't be read: {type(error).__name__}: {error}") from None
    finally:
        Path(name).unlink(missing_ok=True)
    return target_path


def input_sum(path: Path) -> str:
    """Return the SHA-256 of a table's file; of a matrix store that of its manifest, which holds those of its files."""
    return files.sha256(path / matrix_store.MANIFEST if matrix_store.is_store(path) else path)


def make_sample(data: str, results_dir: Path) -> str:
    """Write the table that ``sample:N`` asks for into the results folder, unless it is there; return its path."""
    number = data.removeprefix(SAMPLE)
    if not number.isdigit():
        raise UserError(f"data: {data!r}: expected a number of queries, such as {SAMPLE}2000")
    path = results_dir / f"sample_{number}.parquet"
    about = {"stage": "sample", "n_query": int(number)}
    if not _is_whole(path):
        write_long(path, iter_chunks(int(number)), about)
    return str(path)


def _is_whole(path: Path) -> bool:
    try:
        return int(pq.read_metadata(path).num_rows) > 0
    except (OSError, ValueError):
        return False
