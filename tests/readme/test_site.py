"""The documentation as a site: it builds without a warning, its links lead, and it asks no network for anything."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
NEEDED = ("mkdocs", "material", "mkdocstrings", "nbclient", "nbconvert", "ipykernel")
FETCHED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src")}


class Page(HTMLParser):
    """Where a page's links lead, what it fetches, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            if (tag, name) in FETCHED and value:
                self.fetched.append(value)
            if (tag, name) == ("a", "href") and value:
                self.links.append(value)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the site, and what the build said."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; pip install -r requirements-docs.txt")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, done.stderr


@pytest.fixture(scope="module")
def pages(built: tuple[Path, str]) -> dict[Path, Page]:
    return {path: Page(path) for path in built[0].rglob("*.html")}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_committed_without_outputs(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 4
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


@pytest.mark.slow
def test_it_builds_without_a_warning_and_every_notebook_is_shown(built: tuple[Path, str]) -> None:
    folder, said = built
    assert "WARNING" not in said and "ERROR" not in said, said
    took = dict(re.findall(r"(\S+\.ipynb) took (\d+) s", said))
    assert set(took) == {path.name for path in NOTEBOOKS} and len(took) == 3
    assert all(0 < int(seconds) < 60 for seconds in took.values()), took
    for path in NOTEBOOKS:
        page = (folder / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
        assert "data:image/png;base64," in page and 'class="dataframe"' in page


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(built: tuple[Path, str], pages: dict[Path, Page]) -> None:
    assert len(pages) > 30
    for path, page in pages.items():
        outside = [target for target in page.fetched if re.match(r"(https?:)?//", target)]
        assert not outside, f"{path.name} fetches {outside}"
    for path in built[0].rglob("*.css"):
        assert not re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", path.read_text(encoding="utf-8")), path.name


@pytest.mark.slow
def test_links_within_the_site_lead_somewhere(pages: dict[Path, Page]) -> None:
    checked = 0
    for path, page in pages.items():
        if path.name == "404.html":  # served from any address, so its links begin at the root
            continue
        for link in page.links:
            if re.match(r"\w+:", link):
                continue
            target, _, anchor = link.partition("#")
            file = (path.parent / unquote(target)).resolve() if target else path
            assert file.is_file(), f"{path.name} links to {link}"
            known = pages[file].anchors if file in pages else {anchor}
            assert not anchor or unquote(anchor) in known, f"{path.name} links to {link}: no such anchor"
            checked += 1
    assert checked > 1000


@pytest.mark.slow
def test_pages_are_readable_at_two_widths_and_searched_without_a_network(built: tuple[Path, str]) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if binary is None:
        pytest.skip("there is no Chromium here")
    folder = built[0]
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        asked: list[str] = []
        wrong: list[str] = []
        for width in (1280, 390):
            page = browser.new_page(viewport={"width": width, "height": 844})
            page.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            for path in sorted(folder.rglob("*.html")):
                page.goto(path.as_uri())
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{path.name} is {wide} pixels wide on a screen of {width}"
        page = browser.new_page(viewport={"width": 1280, "height": 844})
        page.goto((folder / "faq.html").as_uri())
        page.keyboard.press("f")
        page.keyboard.type("isotonic")
        page.wait_for_selector(".md-search-result__item")
        found = page.text_content(".md-search-result__list") or ""
        browser.close()
    assert "Calibration" in found
    assert not wrong, wrong
    outside = {url for url in asked if not url.startswith(("file:", "data:", "about:"))}
    assert not outside, outside
