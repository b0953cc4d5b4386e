"""``dacr.run`` and its results as a notebook shows them: tables as data frames, figures where the cell stands."""

import base64
import html
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from matplotlib.figure import Figure as Canvas

from dacr.core import files
from dacr.core.cli import values_of
from dacr.core.errors import UserError, did_you_mean
from dacr.core.registry import figures
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.report import comparison, words
from dacr.report.figure import save
from dacr.report.folder import Absent, Results
from dacr.report.main_table import main_results
from dacr.report.table import to_html

PICTURES = ("pdf", "png", "svg")


@dataclass(frozen=True)
class InlineFigure:
    """A figure that shows itself, with its caption, where a notebook evaluates it.

    Attributes
    ----------
    frame : DataFrame
        Every number that the picture shows.
    picture : matplotlib.figure.Figure
    caption : str
        How to read it.
    """

    name: str
    frame: pd.DataFrame
    picture: Canvas
    caption: str

    def save(self, path: str | Path) -> None:
        """Write the picture; the ending of ``path`` says how: .pdf, .png or .svg."""
        kind = Path(path).suffix.lstrip(".")
        if kind not in PICTURES:
            raise UserError(f"got {str(path)!r}, expected a file that ends in .{' or .'.join(PICTURES)}")
        with files.atomic_path(path) as temporary:
            save(self.picture, temporary, kind)

    def _repr_html_(self) -> str:
        png = io.BytesIO()
        save(self.picture, png, "png")
        source = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
        width = round(144 * self.picture.get_figwidth())  # CSS pixels; the size of print, 96, is small on a screen
        image = f'<img src="{source}" alt="{self.name}" style="width: {width}px; max-width: 100%">'
        return f'<figure style="margin: 0">{image}<figcaption>{html.escape(self.caption)}</figcaption></figure>'


class ExperimentResults(Results):
    """A results folder with what people ask of it in a notebook; every number is read from its files.

    Examples
    --------
    >>> results = dacr.ExperimentResults.open("results_dacr")  # doctest: +SKIP
    >>> results.compare()  # doctest: +SKIP
    """

    def compare(self) -> pd.DataFrame:
        """Return every router against the reference at equal money, at each cost that was fixed before any played.

        Returns
        -------
        DataFrame
            cost (USD per request), name, reference, difference in net quality (name - reference) with its 95 % interval
            (low, high), p, p_holm (over all rows), verdict (of name), dearer (name can't keep to the cost).

        Raises
        ------
        Absent
            The folder has no decisions to resample.
        """
        return comparison.compare(self).everywhere.copy()

    def figure(self, name: str) -> InlineFigure:
        """Return a registered figure of these results, such as "quality_cost"; it shows itself.

        Raises
        ------
        UserError
            No figure has that name.
        Absent
            The folder lacks what the figure needs; the message says what.
        """
        figure = figures.get(name)()
        frame = figure.frame(self)
        return InlineFigure(name, frame, figure.picture(frame), figure.caption(frame))

    def to_pandas(self, name: str = "summary") -> pd.DataFrame:
        """Return a table of the folder by the stem of its file; docs/files.md lists the columns of each.

        Parameters
        ----------
        name : str
            summary (a row per router), metrics, metrics_by_domain, frontier, budgets, decisions and so on.
        """
        kinds = {
            path.stem: path.suffix for path in sorted(self.folder.iterdir()) if path.suffix in (".csv", ".parquet")
        }
        if name not in kinds:
            raise UserError(
                f"no table {name!r} in {self.folder}{did_you_mean(name, list(kinds))}; it has {', '.join(kinds)}"
            )
        return (
            self.table(f"{name}.csv")
            if kinds[name] == ".csv"
            else pq.read_table(self.folder / f"{name}.parquet").to_pandas()
        )

    def _repr_html_(self) -> str:
        try:
            told = [words.what_was_run(self)[0], *words.answer(self)]
            table = to_html(main_results(self))
        except Absent as reason:
            told, table = [f"{self.folder}: {reason}"], ""
        return f"<p>{html.escape(' '.join(told))}</p>{table}"


CALM = {"draw": False, "n_jobs": 1}
"""Defaults of keywords that differ from the flags': a notebook draws what it shows, and a script without a
``__main__`` guard could not start processes."""


def run(settings: ExperimentSettings | None = None, **flags: Any) -> ExperimentResults:
    """Run one experiment, write its results folder, and open it.

    Parameters
    ----------
    settings : ExperimentSettings, optional
        What to do. Without it keywords say so.
    flags
        Flags of ``scripts/run_experiment.py`` by name, with values as a YAML file has them: ``ood_holdout="mbpp"``,
        ``lambdas=[0, 50]``. Figures are written with ``draw=True`` alone. All is done in this process unless ``n_jobs``
        says more: a script then needs ``if __name__ == "__main__"``. The numbers are the same for any ``n_jobs``.

    Returns
    -------
    ExperimentResults
        The folder ``results_dir``, which anything else that reads results reads too.

    Raises
    ------
    UserError
        A keyword that is no flag, a value that does not fit, or whatever the command would tell in one line.

    Examples
    --------
    >>> dacr.run(data="data/long.parquet", ood_holdout="mbpp", routers="dacr,zero")  # doctest: +SKIP
    """
    if settings is not None and flags:
        raise UserError(f"dacr.run takes settings or keywords, got both: settings and {', '.join(flags)}")
    if settings is None:
        settings = ExperimentSettings(**values_of(ExperimentSettings, CALM | flags, "dacr.run"))
    run_experiment(settings, quiet=True)
    return ExperimentResults.open(settings.results_dir)
