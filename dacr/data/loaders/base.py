"""A loader turns a data set's own shape into rows of the long table."""

import hashlib
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data import schema
from dacr.data.loaders import frames
from dacr.data.loaders.json_records import JSON, paths, records
from dacr.data.loaders.texts import get, masked_column, number, text_of, texts
from dacr.data.sources import Member, members

ROWS, CHARACTERS = 20_000, 16 * 2**20
"""Of a chunk that is made of records: it is full at either."""
_LOOKED_AT = 64
SAMPLE_QUALITY = {
    ("Question q0?", "m0"): 1.0, ("Question q0?", "m1"): 0.25, ("Question q1?", "m0"): 0.0, ("Question q1?", "m1"): 0.5,
}  # fmt: skip
"""What :func:`sample_rows` say of each prompt and model."""


class Loader:
    """What every loader inherits: read the file in parts, then :meth:`convert` each.

    Subclass, decorate with ``@loaders.register("mine")``, and write ``convert`` (or ``load``, which returns the whole
    table of a path). It returns the columns ``qid, prompt, domain, model, response, quality, cost`` (further ones may
    follow) in any row order; outcomes that the data set lacks may be NaN or absent.

    Parameters
    ----------
    quality_suffix : str
        The flag of that name, for RouterBench's tables, which record several qualities.
    quality_metric : str or None
        The flag of that name, for other data sets that record several.
    domain_from : str or None
        Field that the domain is read from, ``FIELD`` or ``FIELD:SEPARATOR``; None leaves it to the loader.

    Attributes
    ----------
    sample_quality : mapping of (prompt, model) to float
        What the rows of :meth:`sample` say: the contract of loaders compares it with what is read.
    recorded : str
        Day of the newest call that was read, such as 2026-01-31; '' where the source does not tell.
    known_by : tuple of sets of str
        A file that has all columns of one of these sets is this loader's; see :meth:`matches`.
    by_chunks : bool
        Whether :meth:`convert` gives the same rows for a part of the file as for the whole, so that files of any
        size can be converted part by part.
    """

    name: ClassVar[str] = ""
    sample_quality: ClassVar[Mapping[tuple[str, str], float]] = SAMPLE_QUALITY
    known_by: ClassVar[tuple[Set[str], ...]] = ()
    by_chunks: ClassVar[bool] = False

    def __init__(
        self, quality_suffix: str = "performance", quality_metric: str | None = None, domain_from: str | None = None
    ) -> None:
        self.quality_suffix, self.quality_metric, self.domain_from = quality_suffix, quality_metric, domain_from
        self.recorded = ""

    @classmethod
    def matches(cls, columns: Collection[str]) -> bool:
        """Say whether a file with these columns is one of this loader's.

        Of a JSON file the columns are the paths of its first record's values, such as ``usage.input_tokens``.
        """
        return any(names <= set(columns) for names in cls.known_by)

    @classmethod
    def sample(cls) -> pd.DataFrame:
        """Return a few rows as the source has them: two queries and two models or more, with ``sample_quality``."""
        raise TypeError(f"{cls.__name__} has to define sample, a few rows of its source; dacr.contracts reads them")

    @classmethod
    def write_sample(cls, folder: Path) -> Path:
        """Write sample rows into a folder as the source would have it, and return what :meth:`load` is given.

        They are the files in ``samples/NAME/``, or else a table of :meth:`sample`.
        """
        kept = Path(__file__).with_name("samples") / cls.name
        if not kept.is_dir():
            cls.sample().to_parquet(folder / "sample.parquet")
            return folder / "sample.parquet"
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        found = list(folder.iterdir())
        return found[0] if len(found) == 1 else folder

    def reads(self, member: Member) -> bool:
        """Say which files of a source hold outcomes."""
        return True

    def load(self, path: str | Path) -> pd.DataFrame:
        """Read what ``path`` names and return it as one long table."""
        return pd.concat(list(self.chunks(members(path))), ignore_index=True)

    def chunks(self, source: Sequence[Member]) -> Iterator[pd.DataFrame]:
        """Yield the long table of some files in parts."""
        if type(self).load is not Loader.load:
            for path in dict.fromkeys(member.path for member in source):
                yield self.load(path)
            return
        for member in source:
            for frame in frames.frames(member, self.by_chunks):
                yield self._with_domain(self.convert(frame))

    def convert(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Turn the file's own frame, or a part of it, into rows of the long table."""
        raise TypeError(f"{type(self).__name__} has to define convert or load")

    def domain_of(self, record: Mapping[str, Any], otherwise: Any) -> str:
        """Return a record's domain by ``--domain_from``, else the one given."""
        if self.domain_from is None:
            return text_of(otherwise)
        field, _, separator = self.domain_from.partition(":")
        value = text_of(get(record, field))
        if not value:
            raise UserError(f"--domain_from {field!r}: a record has no such field; it has {sorted(record)[:12]}")
        return value.split(separator, 1)[0] if separator else value

    def chosen(self, scores: Mapping[str, Any], where: str, name: str | None = None) -> Any:
        """Return the score that ``--quality_metric`` names; it may be left out where there is but one.

        Parameters
        ----------
        where : str
            What the record calls its scores, to be named in an error.
        name : str or None
            The metric, where the flag says more than its name.
        """
        name = name or self.quality_metric or (next(iter(scores)) if len(scores) == 1 else None)
        if name is None:
            raise UserError(f"{where} are several: {sorted(scores)[:20]}; choose one with --quality_metric NAME")
        if name not in scores:
            raise UserError(
                f"--quality_metric {name!r}: a record has no such score; its {where} are {sorted(scores)[:20]}"
            )
        return scores[name]

    def _with_domain(self, long: pd.DataFrame) -> pd.DataFrame:
        if self.domain_from is None:
            return long
        field, _, separator = self.domain_from.partition(":")
        if field not in long.columns:
            raise UserError(f"--domain_from {field!r}: the table has no such column; it has {list(long.columns)}")
        domain = texts(long[field])
        return long.assign(domain=domain.str.split(separator, n=1, regex=False).str[0] if separator else domain)


class Records(Loader):
    """A loader of JSON records: write :meth:`rows`.

    Attributes
    ----------
    prefix : str
        Where the records stand in a document (``records.item``); JSON lines have one a line.
    trials : bool
        Whether rows carry ``trial``: several of one query and model are averaged.
    further : tuple of str
        Other texts that rows carry.
    by_text : bool
        A row without ``qid`` is told by its prompt.
    """

    prefix: ClassVar[str] = "item"
    trials: ClassVar[bool] = False
    further: ClassVar[tuple[str, ...]] = ()
    by_text: ClassVar[bool] = False

    def reads(self, member: Member) -> bool:
        """Say which files of a source hold records."""
        return member.suffix in JSON

    def begin(self, member: Member, source: Sequence[Member]) -> None:
        """Prepare for the records of a file: read what stands beside them."""

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """Yield the outcomes of one record: keys of the long table; what is absent stays unknown."""
        raise TypeError(f"{type(self).__name__} has to define rows")

    def read(self, source: Sequence[Member]) -> Iterator[dict[str, Any]]:
        """Yield all outcomes."""
        for member in source:
            if self.reads(member):
                self.begin(member, source)
                record: dict[str, Any] | None = None
                for record in records(member, self.prefix):
                    try:
                        yield from self.rows(record, member)
                    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
                        raise UserError(
                            f"{member.name}: a record is not in the format {self.name!r} ({type(error).__name__}: "
                            f"{error}); its keys are {sorted(record)[:12]}"
                        ) from None
                if record is None:
                    raise UserError(f"{member.name} holds no records of the format {self.name!r}; leave it out")

    def chunks(self, source: Sequence[Member]) -> Iterator[pd.DataFrame]:
        """Gather outcomes into frames of bounded size."""
        rows: list[dict[str, Any]] = []
        size = 0
        for row in self.read(source):
            rows.append(row)
            size += len(str(row.get("prompt"))) + len(str(row.get("response")))
            if len(rows) >= ROWS or size >= CHARACTERS:
                yield self._frame(rows)
                rows, size = [], 0
        if rows:
            yield self._frame(rows)

    def _frame(self, rows: list[dict[str, Any]]) -> pd.DataFrame:
        names = [*schema.COLUMNS, *schema.COUNTED, *(["trial"] if self.trials else []), *self.further]
        columns: dict[str, Any] = {}
        for name in names:
            values = [row.get(name) for row in rows]
            if name in ("quality", "cost", *schema.COUNTED):
                columns[name] = np.array([self._number(value, name) for value in values], dtype=np.float64)
                if name == "latency_s":  # 0 stands for what was not measured
                    columns[name][~(columns[name] > 0)] = np.nan
            else:
                columns[name] = pd.Series([text_of(value) for value in values], dtype=object)
        frame = pd.DataFrame(columns)
        unknown = (frame["qid"] == "").to_numpy()
        if self.by_text and unknown.any():
            frame.loc[unknown, "qid"] = prompt_ids(frame.loc[unknown, "prompt"].tolist())
        return frame

    def _number(self, value: Any, name: str) -> float:
        try:
            return number(value)
        except (TypeError, ValueError):
            raise UserError(f"the {name} of a record is {str(value)[:80]!r}, not in the format {self.name!r}") from None


def sample_rows(**columns: str) -> pd.DataFrame:
    """Return the long table of two queries and two models, some columns under other names: ``quality="score"``."""
    rows = [
        (prompt[9:11], prompt, "mbpp", model, f"Answer {model}", value, 1e-4)
        for (prompt, model), value in SAMPLE_QUALITY.items()
    ]
    return pd.DataFrame(rows, columns=list(schema.COLUMNS)).rename(columns=columns)


def prompt_ids(prompts: Sequence[str]) -> list[str]:
    """Return ids of queries that have none: of their texts without secrets and the white space around; '' of ''."""
    clean = masked_column(pd.Series(list(prompts), dtype=object))
    return [hashlib.sha256(text.strip().encode()).hexdigest()[:16] if text else "" for text in clean]


def prompt_id(prompt: str) -> str:
    """Return the id of one query; of many :func:`prompt_ids` is faster."""
    return prompt_ids([prompt])[0]


def columns_of(member: Member) -> Collection[str]:
    """Return a file's columns, or the paths of its first record, without reading it whole; none where it has none."""
    if member.suffix in JSON:
        return paths(member)
    return frames.columns(member)


def detect(columns: Collection[str], source: str) -> str:
    """Return the name of the one loader that knows a file with these columns."""
    for name, loader in loaders.items():
        if loader.matches(columns):
            return name
    raise UserError(
        f"{source}: no loader knows a table with the columns {', '.join(sorted(map(str, columns))[:8])}, ...; "
        f"name one with --loader: {', '.join(loaders.names())}"
    )


def detect_source(source: Sequence[Member], name: str) -> str:
    """Return the loader of the first file that one knows."""
    first: UserError | None = None
    for member in source[:_LOOKED_AT]:
        try:
            return detect(columns_of(member), member.name if len(source) > 1 else name)
        except UserError as error:
            first = first or error
    assert first is not None
    raise first
