"""Markdown prose is wrapped at 100 characters; tables, code and what cannot be broken are exempt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
WIDTH = 100
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "data").glob("*.md"), *(ROOT / "docs").rglob("*.md")])

CODE_OR_LINK = re.compile(r"`[^`]+`|!?\[[^\]]*\]\([^)]*\)")
MARKER = re.compile(r"^\s*(?:(?:[-*+>]|\d+\.)\s+)?")


def too_long(text: str) -> list[int]:
    """Return the numbers of the lines of prose that are longer than ``WIDTH`` and could be broken."""
    found, fenced = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced and len(line) > WIDTH and not line.startswith("    ") and not line.lstrip().startswith("|"):
            words = CODE_OR_LINK.sub("x", MARKER.sub("", line)).split()
            if len(words) > 1:
                found.append(number)
    return found


def test_there_are_pages() -> None:
    assert ROOT / "README.md" in PAGES and ROOT / "docs" / "methods" / "budgets.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_is_wrapped(page: Path) -> None:
    assert not too_long(page.read_text(encoding="utf-8")), f"{page}: wrap these lines at {WIDTH} characters"


def test_what_counts_as_prose_by_hand() -> None:
    long = "word " * 30
    assert too_long(f"{long}\n\n- {long}\n") == [1, 3]
    exempt = [f"| {long} |", f"    {long}", f"```\n{long}\n```", f"- [{long}](page.md)", f"`{long}`"]
    assert all(not too_long(text) for text in exempt)
