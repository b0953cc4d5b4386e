"""The page of methods names every part that can be chosen by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from dacr.core import registry

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "methods.md", *DOCS.glob("methods/*.md"))}
KINDS = ("routers", "predictors", "calibrators", "protocols")


@pytest.mark.parametrize("kind", KINDS)
def test_every_registered_part_is_described(kind: str) -> None:
    names = registry.ALL[kind].names()
    assert len(names) > 5
    rows = [line for page in PAGES.values() for line in page.splitlines() if line.startswith("| `")]
    described = {word.strip("` ") for row in rows for word in row.split("|")[1].replace(" (default)", "").split(",")}
    assert not set(names) - described, f"no row of a table in docs/methods.md or docs/methods/ begins with these {kind}"


@pytest.mark.parametrize("name", registry.routers.names())
def test_a_router_has_a_rule(name: str) -> None:
    """One row in methods.md whose second cell says what it does."""
    [row] = [
        line
        for line in PAGES["methods.md"].splitlines()
        if line.startswith("| `") and f"`{name}`" in line.split("|")[1] and len(line.split("|")) == 5
        and "p becomes" not in line
    ][-1:]  # fmt: skip
    assert len(row.split("|")[2].strip()) >= 5, row


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_page_is_linked(page: str) -> None:
    assert page == "methods.md" or f"(methods/{page})" in PAGES["methods.md"]
