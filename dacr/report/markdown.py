"""Tables as Markdown: one writer for reports, studies and environments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]], n_text: int = 1) -> str:
    r"""Return a Markdown table, padded so that its source reads as a table too; it ends without a line break.

    Parameters
    ----------
    head : list of str
        One name per column.
    rows : list of list of str
        As long as ``head``. A ``|`` is escaped, a line break becomes a space.
    n_text : int
        Columns at the left that hold text; the others hold numbers and are aligned at their right.

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
    signs = ["<" if i < n_text else ">" for i in range(len(head))]
    rule = [f":{'-' * (w + 1)}" if sign == "<" else f"{'-' * (w + 1)}:" for w, sign in zip(widths, signs, strict=True)]
    lines = [" | ".join(f"{t:{s}{w}}" for t, s, w in zip(row, signs, widths, strict=True)) for row in cells]
    return "\n".join([f"| {lines[0]} |", f"|{'|'.join(rule)}|", *(f"| {line} |" for line in lines[1:])])
