"""Every figure and table of a results folder."""

from pathlib import Path

from matplotlib.figure import Figure as Canvas

from dacr.core import files, memory
from dacr.core.cli import StrList
from dacr.core.registry import figures as registered
from dacr.core.registry import load_plugin
from dacr.report import html, tables
from dacr.report.figure import Figure
from dacr.report.figure import write as write_picture
from dacr.report.folder import Absent, Results, read_csv


def make_figures(
    *,
    results_dir: str = "results_dacr",
    figures: StrList = StrList(),  # noqa: B008 - immutable
    routers: StrList = StrList(),  # noqa: B008
    plugin: str = "",
) -> None:
    """Draw every figure of a results folder (PDF, PNG, CSV), write its tables (LaTeX, Markdown) and report.html.

    Parameters
    ----------
    results_dir : str
        Folder that run_experiment wrote; pictures go to its subfolder figures/.
    figures : list of str
        Names of figures to draw, as in "quality_cost,latency_tail"; all by default.
    routers : list of str
        Routers that are shown, as in "dacr,static"; all by default.
    plugin : str
        Python file that registers further figures or routers.

    Raises
    ------
    UserError
        No results folder, an unreadable table, an unknown figure, or a router that the folder does not have.
    """
    if plugin:
        load_plugin(plugin)
    results = Results.open(results_dir, routers)
    names = list(figures) or registered.names()
    chosen = [registered.get(name)() for name in names]
    folder = results.folder / "figures"
    with memory.uncollected():  # Matplotlib's objects are many, and stay until the page is written
        pictures = {}
        for figure in chosen:
            try:
                pictures[figure.name] = write(figure, results, folder)
            except Absent as reason:
                print(f"skipped {figure.name}: {reason}")
        named = tables.write(results)
        page = html.write(results, pictures)
    print(f"tables (LaTeX and Markdown each): {', '.join(named)}; report: {page}")
    print(f"{len(pictures)} of {len(chosen)} figures (PDF, PNG, CSV and caption each) are in {folder}")


def write(figure: Figure, results: Results, folder: Path) -> Canvas:
    """Write NAME.csv, NAME.pdf, NAME.png and the caption NAME.txt; the pictures are drawn from the CSV.

    Drawing from the file that was just read back, not from the numbers in memory, is what makes sure
    that the CSV alone gives the same picture.

    Raises
    ------
    Absent
        The folder lacks what this figure needs, or has not one number of it.
    """
    numbers = figure.frame(results)
    if numbers.empty:
        raise Absent(f"{results.folder} has no numbers for it")
    csv = folder / f"{figure.name}.csv"
    with files.atomic_path(csv) as temporary:
        numbers.to_csv(temporary, index=False, lineterminator="\n")
    return redraw(figure, csv, folder)


def redraw(figure: Figure, csv: Path, folder: Path) -> Canvas:
    """Write the PDF, the PNG and the caption of a figure from its CSV alone."""
    frame = read_csv(csv)
    picture = figure.picture(frame)
    write_picture(picture, folder / figure.name)
    files.write_text(folder / f"{figure.name}.txt", figure.caption(frame) + "\n")
    return picture
