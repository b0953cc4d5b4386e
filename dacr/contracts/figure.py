"""What a figure has to keep: numbers apart from drawing, and a picture that is really there."""

import inspect
import tempfile
import warnings
from pathlib import Path

from dacr.contracts.results import small_results
from dacr.contracts.rules import Rule, described, keep, require
from dacr.report.figure import Figure, save
from dacr.report.folder import Absent, Results, read_csv
from dacr.report.make import write

Part = type[Figure]


def it_keeps_numbers_apart_from_drawing(part: Part) -> None:
    """``draw`` gets the frame and an empty figure, and no results."""
    require(issubclass(part, Figure) and not inspect.isabstract(part), "a figure defines frame, draw and caption")
    given = list(inspect.signature(part.draw).parameters)
    require(
        given == ["self", "frame", "fig"], f"draw takes {given}, expected self, frame, fig: the frame alone is drawn"
    )
    require(part.size_in[0] > 0 and part.size_in[1] > 0, f"size_in is {part.size_in}, expected inches above 0")


def it_is_drawn(part: Part) -> None:
    """From a results folder, with something on it, a caption, and no warning; and again from its CSV, byte for byte."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = Path(folder) / "1", Path(folder) / "again.png"
        first.mkdir()
        try:
            picture = write(part(), Results.open(small_results()), first)
        except Absent as reason:
            require(False, f"it can't be made of an ordinary results folder: {reason}")
        shown = [artist for ax in picture.axes for artist in (*ax.lines, *ax.collections, *ax.patches, *ax.images)]
        require(shown or any(ax.texts for ax in picture.axes), "nothing is drawn on its axes")
        again = part().picture(read_csv(first / f"{part.name}.csv"))
        save(again, second, "png")
        require(
            (first / f"{part.name}.png").read_bytes() == second.read_bytes(),
            "drawn again from its CSV it is another picture",
        )
        caption = (first / f"{part.name}.txt").read_text(encoding="utf-8").strip()
        require(caption.endswith("."), f"a caption is sentences that say how to read the picture, got {caption!r}")


RULES: tuple[Rule, ...] = (described, it_keeps_numbers_apart_from_drawing, it_is_drawn)


def check_figure(part: Part) -> None:
    """Hold a registered figure class to its contract; an AssertionError names the rule that it breaks."""
    keep(part, RULES)
