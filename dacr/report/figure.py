"""The Figure contract: numbers apart from drawing."""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, ClassVar

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from dacr.report import style
from dacr.report.folder import Results

_NO_DATE = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}


class Figure(ABC):
    """One figure: ``frame`` computes its numbers, ``draw`` turns those numbers alone into a picture.

    Everything that the picture shows, titles included, is in the frame: it is written as a CSV beside
    the picture, and the picture can be drawn again from that file.

    Attributes
    ----------
    size_in : (width, height) in inches
    """

    name: ClassVar[str] = ""
    size_in: ClassVar[tuple[float, float]] = (style.COLUMN_IN, 2.6)

    @abstractmethod
    def frame(self, results: Results) -> pd.DataFrame:
        """Return the numbers; raise :class:`~dacr.report.folder.Absent` where the folder lacks them."""

    @abstractmethod
    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw ``frame`` on an empty ``fig`` of any size."""

    @abstractmethod
    def caption(self, frame: pd.DataFrame) -> str:
        """Return one to three sentences that say how to read the picture."""

    def width_in(self, frame: pd.DataFrame) -> float:
        """Return the width for these numbers: one column of a paper, or both."""
        return self.size_in[0]

    def height_in(self, frame: pd.DataFrame) -> float:
        """Return the height for these numbers; small multiples need more with more panels."""
        return self.size_in[1]

    def picture(self, frame: pd.DataFrame) -> Canvas:
        """Return the drawn figure, in the paper's style, without pyplot's global state."""
        with style.paper():
            fig = Canvas(figsize=(self.width_in(frame), self.height_in(frame)))
            self.draw(frame, fig)
        return fig


def headline(fig: Canvas, title: str, setting: str) -> float:
    """Write the title and, in grey under it, the setting; return the height left, as a fraction of ``fig``."""
    width, height = fig.get_size_inches()
    letters = int(width / 0.0525)
    lines = textwrap.wrap(setting, letters)
    fig.text(0.05 / width, 1 - 0.05 / height, title, va="top", fontsize=8, fontweight="bold", color="#111111")
    fig.text(
        0.05 / width, 1 - 0.19 / height, "\n".join(lines), va="top", fontsize=6.2, color="#555555", linespacing=1.15
    )
    return float(1 - (0.22 + 0.105 * len(lines)) / height)


def box(fig: Canvas, left: float, bottom: float, right: float, top: float) -> Axes:
    """Add axes with margins in inches (``top`` from the upper edge of the figure)."""
    width, height = fig.get_size_inches()
    return fig.add_axes((left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height))


def save(picture: Canvas, target: Path | IO[bytes], kind: str) -> None:
    """Save as ``pdf``, ``png`` or ``svg`` without dates, so that equal pictures are equal bytes."""
    with style.paper():
        picture.savefig(target, format=kind, metadata=_NO_DATE[kind])
