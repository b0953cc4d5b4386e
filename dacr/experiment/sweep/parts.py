"""A part: the tables of one cell in one Parquet file, with the manifest of the cell inside it.

Tables of different shape stand below each other; the column ``table`` says which one a row belongs to, and the file's
metadata which columns that table has. The bytes follow from the tables and the manifest alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dacr.core import files
from dacr.core.manifest import from_metadata, to_metadata

TABLE = "table"
_COLUMNS_KEY = b"dacr_tables"


def write_part(path: Path, tables: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> None:
    """Write a part, whole or not at all.

    Parameters
    ----------
    tables : dict
        Name -> frame; empty frames are left out. Numbers, booleans and text.
    """
    kept = {name: _plain(frame) for name, frame in tables.items() if len(frame)}
    arrow = []
    for name, frame in kept.items():
        made = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
        arrow.append(made.add_column(0, TABLE, pa.array([name] * len(frame)).dictionary_encode()))
    together = pa.concat_tables(arrow, promote_options="permissive").combine_chunks()
    columns = {name: {column: str(kind) for column, kind in frame.dtypes.items()} for name, frame in kept.items()}
    metadata = {**to_metadata(manifest), _COLUMNS_KEY: json.dumps(columns).encode()}
    with files.atomic_path(path) as temporary:
        pq.write_table(
            together.replace_schema_metadata(metadata), temporary, compression="zstd", write_page_checksum=True
        )


def read_part(path: Path) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Return the manifest and the tables of a part, as they were written.

    Raises
    ------
    OSError or pyarrow.ArrowException
        The file is cut short or damaged.
    """
    whole = pq.read_table(path, page_checksum_verification=True)
    metadata = whole.schema.metadata or {}
    columns: dict[str, dict[str, str]] = json.loads(metadata.get(_COLUMNS_KEY, b"{}"))
    frame = whole.to_pandas()
    tables = {
        name: frame.loc[frame[TABLE] == name, list(kinds)].reset_index(drop=True).astype(kinds)
        for name, kinds in columns.items()
    }
    return from_metadata(metadata), tables


def is_finished(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Say whether ``path`` is a readable part of exactly this cell."""
    return manifest_of(path) == manifest


def manifest_of(path: Path) -> dict[str, Any] | None:
    """Return the manifest of a part all of whose pages can be read, else None."""
    try:
        whole = pq.read_table(path, page_checksum_verification=True)
        return from_metadata(whole.schema.metadata) if whole.num_rows else None
    except (OSError, pa.ArrowException, ValueError):
        return None


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with text where columns hold Python objects; None and NaN stay missing."""
    frame = frame.copy()
    for name in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            known = frame[name].notna()
            frame[name] = frame[name].astype(object).where(~known, frame[name].astype(str)).where(known, None)
    return frame
