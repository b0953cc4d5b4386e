"""A table before it is written down: as LaTeX, as Markdown or as HTML, from the same cells."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

WIDE = 7
"""More columns than this take both columns of a paper, in small print."""

TIE = "≈"
"""Mark of a value that cannot be told apart from the best one."""


@dataclass(frozen=True)
class Cell:
    """One value as it is shown, and as it sorts.

    Attributes
    ----------
    best : bool
        Shown in bold.
    tie : bool
        Not told apart from the best: marked.
    """

    text: str
    sort: float | None = None
    best: bool = False
    tie: bool = False

    @classmethod
    def number(cls, value: float, form: str = ".3f", *, best: bool = False, tie: bool = False) -> Cell:
        """Return a number in a format; a dash where there is none."""
        if value != value:
            return cls("–")
        return cls(f"{value:{form}}".replace("-", "−"), float(value), best, tie)


@dataclass(frozen=True)
class Table:
    """Rows of cells under a head.

    Attributes
    ----------
    name : str
        File name without its ending.
    head : list of str
        One per column; the first column is text, the others numbers.
    groups : list of int
        Rows before which a rule is drawn.
    """

    name: str
    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    groups: Sequence[int] = field(default_factory=tuple)


def to_markdown(table: Table) -> str:
    """Write as Markdown, padded so that the source reads as a table too."""
    cells = [[_marked(cell, "**", "**") for cell in row] for row in table.rows]
    width = [max(3, *(len(row[i]) for row in [list(table.head), *cells])) for i in range(len(table.head))]

    def line(row: Sequence[str]) -> str:
        padded = [
            text.ljust(w) if i == 0 else text.rjust(w) for i, (text, w) in enumerate(zip(row, width, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(width)) + "|"
    lines = [f"**{table.title}**", "", line(table.head), rule, *map(line, cells), "", *table.notes]
    return "\n".join(lines).rstrip() + "\n"


def to_latex(table: Table) -> str:
    r"""Write as a LaTeX ``table`` that needs the package booktabs and nothing else."""
    wide = "*" if len(table.head) > WIDE else ""
    size = "\\centering\\scriptsize\\setlength{\\tabcolsep}{2.5pt}" if wide else "\\centering\\small"
    lines = [
        "% needs \\usepackage{booktabs}",
        f"\\begin{{table{wide}}}[t]",
        size,
        f"\\caption{{{tex(table.title)}. {' '.join(tex(note) for note in table.notes)}}}",
        f"\\label{{tab:{table.name.replace('_', '-')}}}",
        f"\\begin{{tabular}}{{l{'r' * (len(table.head) - 1)}}}",
        "\\toprule",
        " & ".join(tex(text) for text in table.head) + " \\\\",
        "\\midrule",
    ]
    for i, row in enumerate(table.rows):
        if i in table.groups:
            lines.append("\\midrule")
        lines.append(" & ".join(_tex_cell(cell) for cell in row) + " \\\\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", f"\\end{{table{wide}}}", ""])


def to_html(table: Table) -> str:
    """Write as an HTML table; cells carry the number that they sort by."""
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in table.head)
    body = []
    for row in table.rows:
        cells = []
        for i, cell in enumerate(row):
            text = html.escape(cell.text) + (f' <span class="tie">{TIE}</span>' if cell.tie else "")
            text = f"<strong>{text}</strong>" if cell.best else text
            sort = "" if cell.sort is None else f' data-sort="{cell.sort!r}"'
            cells.append(f'<th scope="row">{text}</th>' if i == 0 else f"<td{sort}>{text}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    notes = " ".join(html.escape(note) for note in table.notes)
    return (
        f'<div class="scroll"><table id="table-{html.escape(table.name)}" class="sortable"><caption>'
        f"{html.escape(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(body) + "\n</tbody>"
        f'</table></div>\n<p class="notes">{notes}</p>'
    )


_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "−": "$-$", "≈": r"$\approx$",
    "≥": r"$\geq$", "≤": r"$\leq$", "→": r"$\rightarrow$", "†": r"$\dagger$", "‡": r"$\ddagger$", "–": "--",
    "§": r"\S{}", "·": r"$\cdot$", "λ": r"$\lambda$", "Δ": r"$\Delta$",
}  # fmt: skip


def tex(text: str) -> str:
    r"""Escape text for LaTeX.

    Examples
    --------
    >>> print(tex("5 % of gpt_4"))
    5 \% of gpt\_4
    """
    return "".join(_TEX.get(letter, letter) for letter in text)


def _tex_cell(cell: Cell) -> str:
    text = tex(cell.text) + (r"\,$\approx$" if cell.tie else "")
    return f"\\textbf{{{text}}}" if cell.best else text


def _marked(cell: Cell, before: str, after: str) -> str:
    text = cell.text.replace("|", "\\|") + (f" {TIE}" if cell.tie else "")
    return f"{before}{text}{after}" if cell.best else text
