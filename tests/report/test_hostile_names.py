"""Many routers, models and domains, with long names full of signs: nothing is cut off, nothing overlaps."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import synthetic_results
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.font_manager import fontManager
from PIL import Image
from test_report_figures import assert_readable

from dacr.core.registry import figures
from dacr.core.values import StrList
from dacr.experiment.studies.calibration import write_summary
from dacr.report import make, style, tables
from dacr.report.across import write_across
from dacr.report.folder import Absent, Results, read_csv, short_names
from dacr.report.make import make_figures

SIGNS = r"_ % & # $ < > \ { } ~ ^ | ' é"
NAMES = figures.names()


def name(kind: str, k: int) -> str:
    """Return one of many names of 60 letters."""
    return f"_{kind}/{k:02d} {SIGNS} ".ljust(60, "n")


def folder_of(path: Path, n_model: int, n_domain: int, n_router: int, n: int) -> Path:
    rng = np.random.default_rng(n_model)
    models = {name("model", k): (rng.uniform(0.3, 0.8), 1e-4 * 1.1**k, rng.uniform(1, 8)) for k in range(n_model)}
    routers = {name("router", k): rng.uniform(0.2, 0.9) for k in range(max(n_router - 8, 0))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_results, "MODELS", models)
        patch.setattr(synthetic_results, "DOMAINS", [name("domain", k) for k in range(n_domain)])
        patch.setattr(synthetic_results, "NOISE", {**synthetic_results.NOISE, **routers})
        return synthetic_results.write(path, n)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("many") / "r", 40, 60, 25, 1500)


@pytest.mark.slow
@pytest.mark.parametrize("figure", NAMES)
def test_forty_models_sixty_domains_and_thirty_routers(figure: str, many: Path) -> None:
    made = figures.get(figure)()
    frame = made.frame(Results.open(many))
    assert_readable(made.picture(frame), figure)


@pytest.mark.slow
@pytest.mark.parametrize(("n_model", "n_domain"), [(1, 2), (2, 1)])
def test_one_model_or_one_domain(n_model: int, n_domain: int, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "r", n_model, n_domain, 0, 200)
    make_figures(results_dir=str(folder))
    drawn = {path.stem for path in (folder / "figures").glob("*.png")}
    assert {"quality_cost", "violations_cost", "latency_tail", "model_share", "reliability"} <= drawn
    assert "win_tie_loss" not in drawn
    for stem in drawn:
        assert_readable(figures.get(stem)().picture(read_csv(folder / "figures" / f"{stem}.csv")), stem)


@pytest.mark.slow
def test_the_rim_of_a_picture_is_white(many: Path, tmp_path: Path) -> None:
    """A label that is cut off leaves ink on the picture's last rows or columns."""
    results = Results.open(many)
    for figure in ("quality_cost", "model_share", "win_tie_loss", "regret"):
        make.write(figures.get(figure)(), results, tmp_path)
        pixels = np.asarray(Image.open(tmp_path / f"{figure}.png").convert("L"))
        rim = np.concatenate([pixels[:2].ravel(), pixels[-2:].ravel(), pixels[:, :2].ravel(), pixels[:, -2:].ravel()])
        assert rim.min() > 250, f"there is ink at the rim of {figure}"


def test_counting_wins_needs_five_domains(results: Results) -> None:
    frame = figures.get("win_tie_loss")().frame(results)
    assert set(frame["policy"]) == set(results.table("metrics.csv")["policy"])
    domains = pd.read_parquet(results.folder / "decisions.parquet")["domain"].nunique()
    assert frame["n_domain"].eq(domains).all() and domains == 5
    assert "over 5 domains" in figures.get("win_tie_loss")().picture(frame).texts[0].get_text()


def test_four_domains_are_too_few_to_count_wins(results_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(results_folder, tmp_path / "r")
    path = tmp_path / "r" / "decisions.parquet"
    decisions = pd.read_parquet(path)
    decisions["domain"] = decisions["domain"].astype(str).replace({"winogrande": "mbpp"})
    decisions.to_parquet(path, index=False)
    with pytest.raises(Absent, match="4 domains have enough queries"):
        figures.get("win_tie_loss")().frame(Results.open(tmp_path / "r"))


@pytest.mark.parametrize("free", [1, 0])
def test_models_that_cost_nothing(free: int, results_folder: Path, drawn_folder: Path, tmp_path: Path) -> None:
    """Some models of one's own, or all: a cost of 0 has no logarithm."""
    folder = tmp_path / "r"
    shutil.copytree(results_folder, folder)
    for csv in ("metrics.csv", "metrics_by_domain.csv", "metrics_by_seed.csv", "singles.csv"):
        table = pd.read_csv(folder / csv)
        cheap = table["mean_cost"] < table["mean_cost"].quantile(0.3)
        table.assign(mean_cost=table["mean_cost"].where(~cheap, 0.0) * free).to_csv(folder / csv, index=False)
    make_figures(results_dir=str(folder), figures=StrList(["quality_cost"]))
    assert (folder / "report.html").is_file()
    results = Results.open(folder)
    for stem in NAMES:
        figure = figures.get(stem)()
        frame = figure.frame(results)
        if frame.to_csv(index=False) == (drawn_folder / "figures" / f"{stem}.csv").read_text():
            continue  # the numbers of a picture that is drawn already
        fig = figure.picture(frame)
        if stem in ("quality_cost", "violations_cost", "quality_cost_by_family"):
            assert (frame["cost_per_1000"] == 0).any()
            assert_readable(fig, stem)
            labels = " ".join(ax.get_xlabel() for ax in fig.axes)
            assert ("every call is free" in labels) == (not free)


def test_letters_without_a_font_are_shown_by_their_code(monkeypatch: pytest.MonkeyPatch, results: Results) -> None:
    monkeypatch.setattr(style, "families", lambda: ("DejaVu Sans",))
    style._letters.cache_clear()
    figure = figures.get("violations_cost")()
    frame = figure.frame(results)
    frame["label"] = frame["label"].str.replace("gpt-4-1106-preview", "模型\nA")
    fig = figure.picture(frame)
    FigureCanvasAgg(fig).draw()  # a missing letter would warn
    assert "[6A21][578B] A" in " ".join(text.get_text().replace("\n", "") for text in fig.axes[0].texts)
    style._letters.cache_clear()


def font_of(letters: str, family: str, path: Path) -> Path:
    """Write a font that has these letters alone, each a square."""
    pen = TTGlyphPen(None)
    for to, corner in ((pen.moveTo, (100, 0)), *((pen.lineTo, xy) for xy in ((100, 800), (900, 800), (900, 0)))):
        to(corner)
    pen.closePath()
    names = [".notdef", *(f"u{ord(letter):04X}" for letter in letters)]
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder(names)
    font.setupCharacterMap({ord(letter): name for letter, name in zip(letters, names[1:], strict=True)})
    font.setupGlyf(dict.fromkeys(names, pen.glyph()))
    font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 100)))
    font.setupHorizontalHeader(ascent=880, descent=-120)
    font.setupNameTable({"familyName": family, "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(path)
    return path


@pytest.mark.parametrize(("family", "is_listed"), [(style.EAST_ASIAN[0], True), (style.EAST_ASIAN[-1], False)])
def test_letters_that_a_font_has_are_drawn_with_it(
    family: str, is_listed: bool, monkeypatch: pytest.MonkeyPatch, results: Results, tmp_path: Path
) -> None:
    """Also with a font that was installed after Matplotlib wrote its list, beside a file that is none."""
    monkeypatch.setattr(fontManager, "ttflist", [one for one in fontManager.ttflist if one.name == "DejaVu Sans"])
    font = font_of("模型가あ", family, tmp_path / "font.ttf")
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(style, "findSystemFonts", lambda: [str(tmp_path / "broken.ttf"), str(font)])
    if is_listed:
        fontManager.addfont(font)
    for cached in (style.families, style._letters):
        cached.cache_clear()
    figure = figures.get("violations_cost")()
    frame = figure.frame(results)
    frame["label"] = frame["label"].str.replace("gpt-4-1106-preview", "模型 가あ é 語")
    fig = figure.picture(frame)
    FigureCanvasAgg(fig).draw()  # a missing letter would warn
    for kind in ("pdf", "png"):
        fig.savefig(tmp_path / f"x.{kind}")
    assert "模型 가あ é [8A9E]" in " ".join(text.get_text() for text in fig.axes[0].texts)
    monkeypatch.undo()
    fontManager._findfont_cached.cache_clear()
    for cached in (style.families, style._letters):
        cached.cache_clear()


def test_providers_and_slashes() -> None:
    assert short_names(["a/", "b/x", "/", "c"]) == {"a/": "a/", "b/x": "x", "/": "/", "c": "c"}


def test_selectors_of_the_page_hold_any_name() -> None:
    names = [name("router", k) for k in range(3)] + ["dacr", "a.b", "a b", "a-b", "a_b"]
    slugs = [style.slug(each) for each in names]
    assert len(set(slugs)) == len(names)
    assert all(c.isalnum() or c in "_-." for slug in slugs for c in slug)


@pytest.mark.slow
def test_tables_compile_and_none_is_wider_than_its_column(many: Path, tmp_path: Path) -> None:
    """Every .tex that is written: tables of results, of a grid of a sweep, and of the study of calibrators."""
    if shutil.which("pdflatex") is None:
        pytest.skip("there is no pdflatex here: apt-get install texlive-latex-recommended")
    shutil.copytree(many, tmp_path / "r")
    tables.write(Results.open(tmp_path / "r"))
    (tmp_path / "sweep").mkdir()
    grid = pd.MultiIndex.from_product(
        [[name("domain", k) for k in range(9)], [name("router", k) for k in range(4)]],
        names=["axis_hold_out", "policy"],
    ).to_frame(index=False)
    numbers = {"n_seed": 3, "area": 0.5, "area_sd": 0.1, "budget_quality": 0.25, "budget_quality_sd": 0.1}
    grid.assign(grid="g", experiment=grid["axis_hold_out"], **numbers).to_csv(
        tmp_path / "sweep/across.csv", index=False
    )
    write_across(tmp_path / "sweep")
    pairs = [(f"calibrator {k}", name("hold out", h)) for k in range(4) for h in range(6)]
    study = pd.DataFrame(pairs, columns=["calibrator", "holdout"])
    (tmp_path / "study").mkdir()
    write_summary(tmp_path / "study", study.assign(stage="offline", ece=0.1, ece_null=0.05, ece_debiased=0.08))
    written = sorted(tmp_path.rglob("*.tex"))
    assert len(written) == 9 + 2 + 1
    inputs = "\n".join(f"\\input{{{each}}}\\clearpage" for each in written)
    head = "\\documentclass[twocolumn]{article}\\usepackage[utf8]{inputenc}\\usepackage{booktabs,graphicx}"
    (tmp_path / "all.tex").write_text(f"{head}\\begin{{document}}{inputs}\\end{{document}}")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"], cwd=tmp_path, capture_output=True,
        text=True, errors="replace",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull \\hbox" not in done.stdout, done.stdout
