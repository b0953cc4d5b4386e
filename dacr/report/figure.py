"""The Figure contract: numbers apart from drawing."""

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, Literal

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.legend import Legend

from dacr.core import files
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
    beside : str
        Column whose values a legend beside the axes names: the figure grows with them.
    layout : str or None
        How matplotlib makes room for labels and legends; None where a figure does it by itself.
    """

    name: ClassVar[str] = ""
    size_in: ClassVar[tuple[float, float]] = (style.COLUMN_IN, 2.6)
    beside: ClassVar[str] = ""
    layout: ClassVar[Literal["constrained"] | None] = "constrained"

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
        """Return the height for these numbers; small multiples and long legends need more."""
        names = frame[self.beside].unique().tolist() if self.beside else []
        labels = [style.look(name).label if self.beside == "policy" else name for name in names]
        lines = [fold(f"{label} §").count("\n") + 1 for label in labels]
        return max(self.size_in[1], 1.15 + 0.118 * sum(lines))

    def picture(self, frame: pd.DataFrame) -> Canvas:
        """Return the drawn figure, in the paper's style, without pyplot's global state."""
        names = frame.select_dtypes(["object", "string"]).columns
        drawable = {text: style.drawable(text) for name in names for text in frame[name].dropna().unique()}
        frame = frame.assign(**{name: frame[name].map(drawable) for name in names})
        with style.paper():
            fig = Canvas(figsize=(self.width_in(frame), self.height_in(frame)), layout=self.layout)
            self.draw(frame, fig)
            if (engine := fig.get_layout_engine()) is not None:
                engine.execute(fig)
            fig.set_layout_engine(None)  # laid out once: all formats are one picture ("none" would draw each twice)
            for ax in fig.axes:  # room was made for a legend as part of its axes; it is the figure's
                if (made := ax.get_legend()) is not None:
                    ax.legend_ = None
                    fig.legends.append(made)
        return fig


def headline(fig: Canvas, title: str, setting: str) -> float:
    """Write the title and, in grey under it, the setting; return the height left, as a fraction of ``fig``.

    Whatever is laid out by matplotlib keeps to that height.
    """
    width, height = fig.get_size_inches()
    lines = textwrap.wrap(setting, int(width / 0.0525))
    fig.text(0.05 / width, 1 - 0.05 / height, title, va="top", fontsize=8, fontweight="bold", color="#111111")
    fig.text(
        0.05 / width, 1 - 0.19 / height, "\n".join(lines), va="top", fontsize=6.2, color="#555555", linespacing=1.15
    )
    top = float(1 - (0.22 + 0.105 * len(lines)) / height)
    engine = fig.get_layout_engine()
    if engine is not None:
        engine.set(rect=(0.0, 0.0, 1.0, top))  # type: ignore[call-arg]
    return top


LETTERS = 30
"""Letters of a name in a line: longer names take several lines."""


def fold(name: str, letters: int = LETTERS) -> str:
    """Return a name in lines that are short enough, broken within words where that is the only way.

    Examples
    --------
    >>> print(fold("provider/a-model-with-a-name", 12))
    provider/a-
    model-with-
    a-name
    """
    return "\n".join(textwrap.wrap(name, letters))


def legend(ax: Axes, handles: Sequence[Artist], **kwargs: Any) -> None:
    """Write a legend at the right of the axes, with dacr in bold; the layout makes room for it."""
    where: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "alignment": "left"}
    _bold(ax.legend(handles=_folded(handles), **where | kwargs))


def legend_below(fig: Canvas, handles: Sequence[Artist], ncols: int) -> None:
    """Write a legend below everything else, with dacr in bold; the layout makes room for it."""
    letters = max(int(fig.get_size_inches()[0] / ncols / 0.0525) - 8, 8)
    _bold(fig.legend(handles=_folded(handles, letters), loc="outside lower center", ncols=ncols))


def _folded(handles: Sequence[Artist], letters: int = LETTERS) -> list[Artist]:
    for handle in handles:
        label = fold(str(handle.get_label()), letters)
        handle.set_label(f" {label}" if label.startswith("_") else label)  # matplotlib leaves out what begins so
    return list(handles)


def _bold(made: Legend) -> None:
    for text in made.get_texts():
        if text.get_text().removesuffix(" §") == style.look("dacr").label:
            text.set_fontweight("bold")


def panels(fig: Canvas, n: int, columns: int) -> list[Axes]:
    """Return the axes of ``n`` small multiples in rows of ``columns``; the rest of the last row stays empty."""
    axes = fig.subplots(-(-n // columns), columns, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.remove()
    return list(axes[:n])


def write(picture: Canvas, stem: Path) -> None:
    """Write STEM.pdf and STEM.png, each whole or not at all."""
    for kind in ("pdf", "png"):
        with files.atomic_path(stem.with_name(f"{stem.name}.{kind}")) as temporary:
            save(picture, temporary, kind)


def save(picture: Canvas, target: Path | IO[bytes], kind: str) -> None:
    """Save as ``pdf``, ``png`` or ``svg`` without dates, so that equal pictures are equal bytes."""
    with style.paper():
        picture.savefig(target, format=kind, metadata=_NO_DATE[kind])
