"""The table of a sweep: a path, a URL that fsspec knows, or a sample; read by every worker from where it lies."""

import os
import tempfile
from pathlib import Path

from dacr.core import files
from dacr.core.errors import UserError
from dacr.data import matrix_store
from dacr.data.sample.schemas import write_long
from dacr.data.table import count_rows

SAMPLE = "sample:"


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
    if count_rows(path) == 0:
        write_long(path, int(number))
    return str(path)
