"""The page, read as text and, where there is a Chromium, in a real browser."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dacr.core.cli import StrList
from dacr.report import html, words
from dacr.report.folder import Results
from dacr.report.make import make_figures


@pytest.fixture(scope="module")
def folder(drawn_folder: Path) -> Path:
    return drawn_folder


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return (folder / "report.html").read_text()


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(page)
    return parser.found


def test_the_page_is_self_contained(page: str) -> None:
    for tag, attributes in elements(page):
        assert tag not in ("link", "iframe", "img", "object", "embed"), tag
        for name, value in attributes.items():
            if name in ("src", "href", "xlink:href", "action", "data"):
                assert value is not None and value.startswith("#"), (tag, name, value)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_ids_are_unique_and_every_reference_has_its_target(page: str) -> None:
    ids = Counter(a["id"] for _, a in elements(page) if a.get("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    for _, attributes in elements(page):
        for name in ("href", "xlink:href"):
            target = attributes.get(name)
            if target:
                assert target[1:] in ids, target
    for target in re.findall(r"url\(#([^)]+)\)", page):
        assert target in ids


def test_every_figure_and_table_is_in_it(page: str, folder: Path) -> None:
    ids = {a.get("id") for _, a in elements(page)}
    for csv in (folder / "figures").glob("*.csv"):
        assert f"figure-{csv.stem}" in ids
    assert {"T_main_results", "T_by_domain", "T_calibration", "T_budgets"} <= ids
    assert "DACR002" in page
    assert page.count("<title>") > 30  # one for the page, one for each mark of the frontier
    assert "kNN, lambda=5: quality 0." in page


def test_the_same_folder_gives_the_same_bytes(folder: Path, page: str) -> None:
    html.write(Results.open(folder))
    assert (folder / "report.html").read_text() == page


def test_names_are_escaped(results_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "r"
    shutil.copytree(results_folder, copy)
    for name in ("singles.csv", "calibration_ece.csv"):
        path = copy / name
        path.write_text(path.read_text().replace("claude-v2", "<img onerror=x>"))
    make_figures(results_dir=str(copy), figures=StrList(["quality_cost"]))
    assert "&lt;img onerror=x&gt;" in (copy / "report.html").read_text()
    assert "<img onerror" not in (copy / "report.html").read_text()


def test_the_answer_is_three_sentences_with_numbers(results: Results) -> None:
    first, second, third = words.answer(results)
    own = results.table("metrics.csv").query("policy == 'dacr'")
    assert re.match(r"DACR reaches a mean quality of 0\.\d{3} \[0\.\d{3}, 0\.\d{3}\] at", first)
    assert any(f"{value:.3f}" in first for value in own["mean_quality"])
    assert re.search(r"it (beats|ties with)", second)
    assert "oracle (clairvoyant) " in third


def test_what_was_run_in_words(results: Results) -> None:
    text = " ".join(words.what_was_run(results))
    assert "11 models for 300 test queries from domains that training never saw (grade-school-math, mbpp)" in text
    assert "routers ran in 3 stream orders; elsewhere it plays no part, and they ran 3 times" in text
    assert "30 % never come" in text


def test_many_findings_of_one_kind_are_counted_and_the_gravest_come_first(tmp_path: Path) -> None:
    kept = [("DACR007", "", "passed", "", ""), ("DACR001", "", "not decidable", "", "")]
    rows = [("DACR008", "warning", "found", "w", "y"), *(("DACR006", "error", "found", str(i), "x") for i in range(30))]
    table = pd.DataFrame([*kept, *rows], columns=["code", "severity", "status", "message", "fix"])
    table.to_csv(tmp_path / "checks.csv", index=False)
    shown = html._checks(Results(tmp_path, {}))
    assert [row["message"] for row in shown] == ["0", "1", "2", "3", "and 26 more like these", "w", "", ""]
    assert [row["fix"] for row in shown] == ["x"] * 4 + ["", "y", "", ""]
    assert [row["code"] for row in shown[-2:]] == ["DACR007", "DACR001"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if binary is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=binary, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_in_a_browser_sorting_switches_and_hovering_work_without_a_network(chromium: Any, folder: Path) -> None:
    tab = chromium.new_page(viewport={"width": 1200, "height": 1000})
    asked: list[str] = []
    said: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(f"file://{folder / 'report.html'}")
    assert len(asked) == 1
    line = tab.locator("#quality-cost-router-dacr")
    assert line.is_visible()
    tab.locator('.switches input[value="dacr"]').uncheck()
    assert not line.is_visible()
    tab.locator('.switches input[value="dacr"]').check()

    head = tab.locator("#T_main_results thead th")
    cost = head.all_inner_texts().index("USD / 1,000")
    for direction, reverse in (("descending", True), ("ascending", False)):
        head.nth(cost).locator("button").click()
        assert head.nth(cost).get_attribute("aria-sort") == direction
        cells = tab.locator(f"#T_main_results tbody td:nth-child({cost + 1})").all_inner_texts()
        values = [float(text) for text in cells]
        assert values == sorted(values, reverse=reverse)
        assert len(values) == 15

    tab.locator("#quality-cost-router-knn use").first.hover()
    tip = tab.locator(".tip")
    assert tip.is_visible()
    assert re.search(r", .+: quality 0\.\d{3} at [\d.]+ USD per 1,000 requests", tip.inner_text())
    assert said == []
    assert len(asked) == 1
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    tab.close()


def test_in_a_browser_figures_tables_and_switches_stay_without_scripts(chromium: Any, folder: Path) -> None:
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 420, "height": 900})
    tab = context.new_page()
    tab.goto(f"file://{folder / 'report.html'}")
    drawn = len(list((folder / "figures").glob("*.png")))
    assert drawn >= 10 and tab.locator("figure svg").count() == drawn
    assert all(figure.is_visible() for figure in tab.locator("figure svg").all())
    assert tab.locator("#T_main_results tbody tr").count() == 15
    assert tab.locator("#T_main_results").is_visible()
    tab.locator('.switches input[value="dacr"]').uncheck()
    assert not tab.locator("#quality-cost-router-dacr").is_visible()
    assert tab.locator("#quality-cost-router-knn use title").count() > 0
    context.close()
