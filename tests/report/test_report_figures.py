"""Every registered figure: drawn from its CSV alone, the same bytes twice, nothing cut off or overlapping."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from functools import cache
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from dacr.core.errors import UserError
from dacr.core.registry import figures
from dacr.metrics.budgets import one_per_budget
from dacr.report import make
from dacr.report.figure import save
from dacr.report.folder import Absent, Results

NAMES = figures.names()
Redrawn = Callable[[str], tuple[Path, Figure]]


def png(name: str, frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    save(figures.get(name)().picture(frame), buffer, "png")
    return buffer.getvalue()


def test_the_figures_are_found() -> None:
    assert set(NAMES) >= {
        "quality_cost", "quality_cost_by_family", "violations_cost", "latency_tail", "reliability", "budget_compliance",
        "regret", "duals", "model_share", "win_tie_loss",
    }  # fmt: skip


@pytest.fixture(scope="module")
def redrawn(drawn_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Redrawn:
    """Draw a figure again from its CSV alone; return where it is, and the picture."""
    folder = tmp_path_factory.mktemp("redrawn")

    @cache
    def draw(name: str) -> tuple[Path, Figure]:
        shutil.copy(drawn_folder / "figures" / f"{name}.csv", folder)
        before = dict(matplotlib.rcParams)
        picture = make.redraw(figures.get(name)(), folder / f"{name}.csv", folder)
        assert dict(matplotlib.rcParams) == before
        return folder, picture

    return draw


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_redrawn_from_its_csv_alone(name: str, drawn_folder: Path, redrawn: Redrawn) -> None:
    for kind in ("pdf", "png", "txt"):
        first, second = ((at / f"{name}.{kind}").read_bytes() for at in (drawn_folder / "figures", redrawn(name)[0]))
        assert len(first) > 50
        assert first == second, f"{name}.{kind} differs when drawn again"


@pytest.mark.parametrize("name", NAMES)
def test_paper_width_and_no_text_is_cut_off_or_overlaps(name: str, redrawn: Redrawn) -> None:
    folder, fig = redrawn(name)
    assert fig.get_size_inches()[0] in (pytest.approx(3.35), pytest.approx(6.9))
    assert 1 <= fig.get_size_inches()[1] <= 9
    assert (folder / f"{name}.txt").read_text().endswith(".\n")
    assert_readable(fig, name)


def assert_readable(fig: Figure, name: str) -> None:
    """Fail where a text is cut off by the figure's edge or overlaps another."""
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [text for text in _texts(fig) if text.get_visible() and text.get_text().strip()]
    assert len(texts) > 5
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    upright = [box for box, text in zip(boxes, texts, strict=True) if text.get_rotation() % 90 == 0]
    width, height = fig.canvas.get_width_height()
    for label, box in boxes:
        inside = box.x0 >= -0.5 and box.y0 >= -0.5 and box.x1 <= width + 0.5 and box.y1 <= height + 0.5
        assert inside, f"{label!r} is cut off in {name}"
    for (one, a), (two, b) in combinations(upright, 2):
        assert not a.padded(-1.0).overlaps(b.padded(-1.0)), f"{one!r} and {two!r} overlap in {name}"


def _texts(fig: Figure) -> list[Text]:
    """Everything written on the figure; tick labels outside their axis' limits exist but are not drawn."""
    out = [*fig.texts, *(text for legend in fig.legends for text in legend.get_texts())]
    for ax in fig.axes:
        out += [*ax.texts, ax.title, ax._left_title, ax._right_title, ax.xaxis.label, ax.yaxis.label]  # type: ignore[attr-defined]
        out += ax.get_legend().get_texts() if ax.get_legend() else []
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if low * 0.999999 - 1e-9 <= tick.get_loc() <= high * 1.000001 + 1e-9:
                    out.append(tick.label1)
    return out


def test_drawing_works_whatever_the_users_own_style(results: Results) -> None:
    frame = figures.get("quality_cost")().frame(results)
    plain = png("quality_cost", frame)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": True}):
        assert png("quality_cost", frame) == plain


def test_the_latency_tail_is_the_share_of_slower_answers(results: Results) -> None:
    frame = figures.get("latency_tail")().frame(results)
    decisions = pd.read_parquet(results.folder / "decisions.parquet")
    for policy in ("dacr", "cheapest", "knn"):
        if frame.loc[frame["policy"] == policy, "weight"].max() > 0:
            continue
        part = frame[frame["policy"] == policy]
        rows = (decisions["policy"] == policy) & (decisions["setting"] == part["setting"].iloc[0])
        latency = decisions.loc[rows, "latency_s"].to_numpy()
        slower = (latency[None, :] > part["latency_s"].to_numpy()[:, None]).mean(axis=1)
        np.testing.assert_array_less(slower, part["share_slower"].to_numpy() + 1e-9)
        np.testing.assert_allclose(slower, part["share_slower"], atol=0.51 / 100)


def test_an_objective_that_nobody_comes_near_stays_out_of_the_picture(results: Results) -> None:
    figure = figures.get("latency_tail")()
    assert_readable(figure.picture(figure.frame(results).assign(tau_s=1e4)), "latency_tail")


def test_points_under_an_enforced_budget_are_no_part_of_a_frontier(tmp_path: Path, results_folder: Path) -> None:
    folder = tmp_path / "budgets"
    shutil.copytree(results_folder, folder)
    plain = Results.open(results_folder)
    for name in ("metrics.csv", "metrics_by_domain.csv"):
        table = pd.read_csv(folder / name)
        bounded = table[table["setting"] == "lambda=1"].assign(
            setting="budget_cost=0.001, budget_late=0.1", lambda_cost=0, enforced=True
        )
        pd.concat([table, bounded.assign(mean_quality=1.0)]).to_csv(folder / name, index=False)
    for name in ("quality_cost", "quality_cost_by_family", "violations_cost", "model_share", "latency_tail"):
        figure = figures.get(name)()
        pd.testing.assert_frame_equal(figure.frame(Results.open(folder)), figure.frame(plain))


def test_one_row_per_budget_and_stream_order() -> None:
    table = pd.DataFrame(
        {
            "policy": "dacr",
            "setting": ["lambda_cost=0", "budget_cost=0.001, budget_late=0.1", "budget_cost=0.001, budget_late=0.2"]
            * 2,
            "lambda_cost": 0.0,
            "budget_cost": [0.005, 0.001, 0.001] * 2,
            "budget_late": [np.nan, 0.1, 0.2] * 2,
            "seed": [1, 1, 1, 2, 2, 2],
        }
    )
    kept = one_per_budget(table[table["setting"] != "lambda_cost=0"])
    assert kept["setting"].tolist() == ["budget_cost=0.001, budget_late=0.2"] * 2
    own = one_per_budget(table[table["setting"] == "lambda_cost=0"])
    assert own["seed"].tolist() == [1, 2]


def test_duals_show_the_middle_budget_and_regret_one_reference(tmp_path: Path, results_folder: Path) -> None:
    folder = tmp_path / "more"
    shutil.copytree(results_folder, folder)
    duals = pd.read_csv(folder / "duals.csv")
    parts = [duals.assign(budget_cost=b, budget_late=np.nan, setting=f"budget_cost={b}") for b in (0.001, 0.002, 0.003)]
    parts[1]["price_cost"] = 7.0
    pd.concat(parts).to_csv(folder / "duals.csv", index=False)
    regret = pd.read_csv(folder / "regret.csv")
    two = [
        regret.assign(reference="best fixed model", setting="lambda=5"),
        regret.assign(reference="oracle", regret_mean=9),
    ]
    pd.concat(two).fillna({"setting": "lambda=9"}).to_csv(folder / "regret.csv", index=False)
    results = Results.open(folder)
    frame = figures.get("duals")().frame(results)
    assert frame["budget_per_1000"].eq(2.0).all()
    assert frame["price_cost"].eq(7.0).all()
    frame = figures.get("regret")().frame(results)
    assert frame["reference"].eq("best fixed model").all()
    assert len(frame) == len(figures.get("regret")().frame(Results.open(results_folder)))


def test_a_single_model_under_every_policy_is_named_by_its_role(results: Results) -> None:
    frame = figures.get("quality_cost")().frame(results)
    roles = frame.loc[frame["kind"] == "single"].set_index("label")["role"]
    assert roles["mistral-7b-chat"] == "cheapest"
    assert "strongest" in roles["gpt-4-1106-preview"]


def test_one_policy_one_setting_and_no_single_models(tmp_path: Path, results_folder: Path) -> None:
    folder = tmp_path / "small"
    shutil.copytree(results_folder, folder)
    (folder / "singles.csv").unlink()
    metrics = pd.read_csv(folder / "metrics.csv")
    metrics[metrics["policy"] == "random"].assign(setting="fixed").to_csv(folder / "metrics.csv", index=False)
    small = Results.open(folder)
    for name in ("quality_cost", "violations_cost", "latency_tail"):
        figure = figures.get(name)()
        assert figure.picture(figure.frame(small)) is not None


def test_a_picture_is_laid_out_once_whatever_it_is_saved_as(results: Results) -> None:
    figure = figures.get("violations_cost")()
    frame = figure.frame(results)
    one, other = figure.picture(frame), figure.picture(frame)
    save(one, io.BytesIO(), "png")
    saved = [io.BytesIO(), io.BytesIO()]
    for fig, buffer in zip((one, other), saved, strict=True):
        save(fig, buffer, "svg")
    assert saved[0].getvalue() == saved[1].getvalue()


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_panels_of_families_fill_the_figure(n: int, results: Results) -> None:
    figure = figures.get("reliability_by_family")()
    frame = figure.frame(results)
    names = frame["label"].unique().tolist()
    more = frame[frame["label"] == names[0]].assign(label="one more")
    frame = pd.concat([frame[frame["label"].isin(names[:n])], *([more] if n > len(names) else [])])
    fig = figure.picture(frame)
    canvas = FigureCanvasAgg(fig)
    canvas.draw()
    width, _ = fig.canvas.get_width_height()
    assert len(fig.axes) == n
    assert max(ax.get_window_extent().x1 for ax in fig.axes) > 0.96 * width
    for text in _texts(fig):
        assert text.get_window_extent(canvas.get_renderer()).x1 <= width + 0.5, text.get_text()


def test_models_stand_in_the_order_of_their_calibration_error(results: Results) -> None:
    frame = figures.get("reliability")().frame(results)
    used = frame[frame["kind"] == "calibrated"]
    gap = (used["n"] * (used["mean_p"] - used["mean_q"]).abs()).groupby(used["label"]).sum()
    error = (gap / used["n"].groupby(used["label"]).sum())[frame["label"].unique()]
    assert error.index[-1] == "all models"
    assert len(error) > 5 and error.iloc[:-1].is_monotonic_decreasing


def test_reliability_by_family_shows_the_largest_families_before_and_after(results: Results, tmp_path: Path) -> None:
    figure = figures.get("reliability_by_family")()
    frame = figure.frame(results)
    assert set(frame["label"]) == {"grade-school-math", "mbpp", "mmlu", "winogrande"}
    assert frame["label"].iloc[0] == "mmlu"  # two domains of five
    assert list(dict.fromkeys(frame["kind"])) == ["raw", "calibrated", "online"]
    assert (frame["mean_q_low"] <= frame["mean_q"]).all() and (frame["mean_q"] <= frame["mean_q_high"]).all()
    assert "platt" in figure.caption(frame) and "not shown" not in figure.caption(frame)
    folder = tmp_path / "r"
    shutil.copytree(results.folder, folder)
    table = results.table("reliability.csv")
    table[table["domain"] == "all"].to_csv(folder / "reliability.csv", index=False)
    with pytest.raises(Absent, match="families"):
        figure.frame(Results(folder, results.manifest))
    table.drop(columns="mean_q_low").to_csv(folder / "reliability.csv", index=False)
    with pytest.raises(UserError, match="mean_q_low"):
        figure.frame(Results(folder, results.manifest))
