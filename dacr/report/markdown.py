"""Tables as Markdown: one writer for reports, studies and environments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


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
