"""A table before it is written down: as LaTeX, as Markdown or as HTML, from the same text."""

import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.io.formats.style import Styler

WIDE = 7
"""More columns than this take both columns of a paper, in small print."""

MANY = 12
"""More columns than this have heads that stand upright in LaTeX."""

TIE = " ≈"
"""Mark of a value that cannot be told apart from the best one."""

NONE = "–"
"""What stands where there is no number."""


@dataclass(frozen=True)
class Table:
    """Text in rows under a head.

    Attributes
    ----------
    name : str
        File name without its ending.
    text : DataFrame of str
        What is shown; the first column names the rows, the others hold numbers. Names may occur twice.
    bold : (n_row, n_column) bool, optional
        What is shown in bold, the first column included.
    groups : list of int
        Rows before which a rule is drawn.
    """

    name: str
    title: str
    text: pd.DataFrame
    bold: NDArray[np.bool_] | None = None
    notes: Sequence[str] = ()
    groups: Sequence[int] = field(default_factory=tuple)


def number(value: float, form: str = ".3f") -> str:
    """Return a number in a format, with a true minus; a dash where there is none.

    Examples
    --------
    >>> number(-0.25), number(float("nan"))
    ('−0.250', '–')
    """
    return f"{value:{form}}".replace("-", "−") if value == value else NONE


def interval(value: float, low: float, high: float, form: str = ".3f") -> str:
    """Return a number with the interval it lies in, as far as there is one.

    Examples
    --------
    >>> interval(0.5, 0.25, 0.75), interval(0.5, float("nan"), float("nan"))
    ('0.500 [0.250, 0.750]', '0.500')
    """
    return number(value, form) + (f" [{number(low, form)}, {number(high, form)}]" if low == low else "")


def count(n: pd.Series) -> str:
    """Return whole numbers as one, or from the least to the most; nothing where there are none.

    Examples
    --------
    >>> count(pd.Series([3, 3])), stream_orders(pd.Series([1, 2])), stream_orders(pd.Series([1]))
    ('3', '1 to 2 stream orders', '1 stream order')
    """
    least_and_most = sorted({int(n.min()), int(n.max())}) if len(n) else []
    return " to ".join(map(str, least_and_most))


def stream_orders(n: pd.Series) -> str:
    """Return numbers of stream orders in words."""
    return f"{count(n)} stream order{'' if count(n) == '1' else 's'}"


def to_markdown(table: Table) -> str:
    """Write as Markdown."""
    rows = [
        [f"**{text}**" if bold else text for text, bold in zip(row, marks, strict=True)]
        for row, marks in zip(table.text.to_numpy().tolist(), _bold(table), strict=True)
    ]
    lines = [f"**{table.title}**", "", markdown(list(table.text.columns), rows), "", *table.notes]
    return "\n".join(lines).rstrip() + "\n"


def to_latex(table: Table) -> str:
    r"""Write as a LaTeX ``table``; one that is wider than its column is made smaller, so that nothing is cut off."""
    n_column = table.text.shape[1]
    styler = _styled(table, tex, _upright if n_column > MANY else tex)
    small = [("scriptsize", ":;"), ("setlength", r":{\tabcolsep}{2.5pt};")] if n_column > WIDE else [("small", ":;")]
    styler.set_table_styles([{"selector": name, "props": value} for name, value in small])
    lines = styler.to_latex(
        hrules=True, environment="table*" if n_column > WIDE else "table", position="t", position_float="centering",
        caption=f"{tex(table.title)}. {' '.join(map(tex, table.notes))}", label=f"tab:{table.name.replace('_', '-')}",
        column_format="l" + "r" * (n_column - 1), convert_css=True,
    ).splitlines()  # fmt: skip
    first = lines.index("\\midrule") + 1
    for row in sorted(table.groups, reverse=True):
        lines.insert(first + row, "\\midrule")
    begin, end = (f"\\{word}{{tabular}}" for word in ("begin", "end"))
    text = "\n".join(["% needs \\usepackage{booktabs,graphicx}", *lines, ""])
    return text.replace(begin, f"\\resizebox{{{_FIT}}}{{!}}{{%\n{begin}").replace(end, f"{end}}}")


def to_html(table: Table) -> str:
    """Write as an HTML table."""
    styler = _styled(table, html.escape).set_caption(html.escape(table.title))
    notes = " ".join(map(html.escape, table.notes))
    made = styler.set_table_attributes('class="sortable"').to_html()
    return f'<div class="scroll">{made}</div>\n<p class="notes">{notes}</p>'


def _upright(text: str) -> str:
    return rf"\rotatebox{{90}}{{{tex(text)}}}"


_FIT = r"\ifdim\width>\linewidth \linewidth\else\width\fi"


def _styled(table: Table, escape: Callable[[str], str], name_of: Callable[[str], str] | None = None) -> Styler:
    """Return the cells with their bold face; rows and columns are numbered, so that their names may occur twice.

    ``name_of`` writes the names of columns, like cells by default.
    """
    shown = table.text.map(escape)
    head = [escape(str(shown.columns[0])), *((name_of or escape)(str(name)) for name in shown.columns[1:])]
    body = pd.DataFrame(shown.iloc[:, 1:].to_numpy(), columns=pd.RangeIndex(len(head) - 1, name=head[0]))
    faces = np.where(_bold(table)[:, 1:], "font-weight: bold;", "")
    styler = Styler(body, uuid=table.name, cell_ids=False).apply(lambda _: faces, axis=None)
    # Names are format strings to the Styler.
    rows, columns = (
        [name.replace("{", "{{").replace("}", "}}") for name in names] for names in (shown.iloc[:, 0], head[1:])
    )
    return styler.relabel_index(rows, axis=0).relabel_index(columns, axis=1)


def _bold(table: Table) -> NDArray[np.bool_]:
    return np.zeros(table.text.shape, dtype=bool) if table.bold is None else table.bold


_TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "−": "$-$", "≈": r"$\approx$",
    "≥": r"$\geq$", "≤": r"$\leq$", "→": r"$\rightarrow$", "†": r"$\dagger$", "‡": r"$\ddagger$", "–": "--",
    "§": r"\S{}", "·": r"$\cdot$", "λ": r"$\lambda$", "Δ": r"$\Delta$",
}  # fmt: skip


def tex(text: str) -> str:
    r"""Escape text for LaTeX; a line break becomes a space.

    Examples
    --------
    >>> print(tex("5 % of gpt_4"))
    5 \% of gpt\_4
    """
    return "".join(_TEX.get(letter, letter) for letter in " ".join(text.split()))


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Return a Markdown table, padded so that its source reads as a table too.

    The first column holds text, the others numbers, aligned at their right. It ends without a line break.

    Parameters
    ----------
    head : list of str
        One name per column.
    rows : list of list of str
        As long as ``head``. A ``|`` is escaped, a line break becomes a space.

    Examples
    --------
    >>> print(markdown(["router", "quality"], [["a|b", "0.5"], ["dacr", "**0.61**"]]))
    | router |  quality |
    |:-------|---------:|
    | a\|b   |      0.5 |
    | dacr   | **0.61** |
    """
    cells = [[" ".join(text.split()).replace("|", "\\|") for text in row] for row in [head, *rows]]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    signs = ["<", *">" * (len(head) - 1)]
    rule = [f":{'-' * (w + 1)}" if sign == "<" else f"{'-' * (w + 1)}:" for w, sign in zip(widths, signs, strict=True)]
    lines = [" | ".join(f"{t:{s}{w}}" for t, s, w in zip(row, signs, widths, strict=True)) for row in cells]
    return "\n".join([f"| {lines[0]} |", f"|{'|'.join(rule)}|", *(f"| {line} |" for line in lines[1:])])
