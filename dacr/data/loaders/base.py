"""A loader turns a data set's own shape into rows of the long table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

import pandas as pd

from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data import pickles, schema

SAMPLE_QUALITY = {
    ("Question q0?", "m0"): 1.0, ("Question q0?", "m1"): 0.25, ("Question q1?", "m0"): 0.0, ("Question q1?", "m1"): 0.5,
}  # fmt: skip
"""What :func:`sample_rows` say of each prompt and model."""


class Loader:
    """What every loader inherits: read the file, then :meth:`convert` it.

    Subclass, decorate with ``@loaders.register("mine")``, and write ``convert``. It returns the columns
    ``qid, prompt, domain, model, response, quality, cost`` (further ones may follow) in any row order;
    outcomes that the data set lacks may be NaN or absent, :func:`dacr.data.complete.complete` deals with them.

    Parameters
    ----------
    quality_suffix : str
        The flag of that name, for data sets that record several qualities.

    Attributes
    ----------
    sample_quality : mapping of (prompt, model) to float
        What the rows of :meth:`sample` say: the contract of loaders compares it with what is read.
    by_chunks : bool
        Whether :meth:`convert` gives the same rows for a part of the file as for the whole, so that files of any
        size can be converted part by part.
    """

    name: ClassVar[str] = ""
    sample_quality: ClassVar[Mapping[tuple[str, str], float]] = SAMPLE_QUALITY
    by_chunks: ClassVar[bool] = False

    def __init__(self, quality_suffix: str = "performance") -> None:
        self.quality_suffix = quality_suffix

    @staticmethod
    def matches(columns: Collection[str]) -> bool:
        """Say whether a file with these columns is one of this loader's."""
        return False

    @classmethod
    def sample(cls) -> pd.DataFrame:
        """Return a few rows as the source has them: two queries and two models or more, with ``sample_quality``."""
        raise TypeError(f"{cls.__name__} has to define sample, a few rows of its source; dacr.contracts reads them")

    @classmethod
    def write_sample(cls, folder: Path) -> Path:
        """Write :meth:`sample` into a folder as the source would have it, and return what :meth:`load` is given."""
        cls.sample().to_parquet(folder / "sample.parquet")
        return folder / "sample.parquet"

    def load(self, path: str | Path) -> pd.DataFrame:
        """Read ``path`` (pickle, Parquet or CSV) and return it as a long table."""
        return self.convert(read_frame(path))

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Turn the file's own frame into a long table."""
        raise TypeError(f"{type(self).__name__} has to define convert or load")


def sample_rows(**columns: str) -> pd.DataFrame:
    """Return the long table of two queries and two models, some columns under other names: ``quality="score"``."""
    rows = [
        (prompt[9:11], prompt, "mbpp", model, f"Answer {model}", value, 1e-4)
        for (prompt, model), value in SAMPLE_QUALITY.items()
    ]
    return pd.DataFrame(rows, columns=list(schema.COLUMNS)).rename(columns=columns)


def read_frame(path: str | Path) -> pd.DataFrame:
    """Read a table by what the file is: Parquet by its first bytes, CSV by its name, else a pickle."""
    path = files.existing_file(path)
    with open(path, "rb") as file:
        start = file.read(4)
    try:
        if start == b"PAR1":
            return pd.read_parquet(path)
        if path.suffix.lower() == ".csv":
            return pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} can't be read, truncated? ({error}); download or write it again") from None
    return pickles.load(path)


def detect(columns: Collection[str], source: str) -> str:
    """Return the name of the one loader that knows a file with these columns."""
    for name, loader in loaders.items():
        if loader.matches(columns):
            return name
    raise UserError(
        f"{source}: no loader knows a table with the columns {', '.join(map(str, list(columns)[:8]))}, ...; "
        f"name one with --loader: {', '.join(loaders.names())}"
    )
