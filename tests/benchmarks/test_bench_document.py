"""What the benchmark makes of its measurements: exponents, tables, the figure, the document."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import cli
from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.experiment.stages import Stages
from tests.benchmarks import document, figure
from tests.benchmarks.exponents import exponents, growth, totals
from tests.benchmarks.scaling import benchmark

ROOT = Path(__file__).resolve().parents[2]


def made(exponent: float = 1.0, memory: float = 1.0) -> pd.DataFrame:
    """Two stages over sizes, one of known growth, one of milliseconds; below 10,000 nothing grows."""
    rows = []
    for n in (2_000, 10_000, 100_000, 1_000_000):
        for repeat in (0, 1):
            size = max(n, 10_000) / 10_000
            slow = {
                "processor_s": 2 * size**exponent,
                "wall_s": 3 * size**exponent,
                "peak_mib": 200 + 50 * size**memory,
            }
            quick = {"processor_s": 0.001 + 0.01 * repeat, "wall_s": 0.002, "peak_mib": 201.0}
            for name, taken in (("slow", slow), ("quick", quick)):
                rows.append({"stage": name, "n_query": n, "repeat": repeat, "start_mib": 200.0, **taken})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.7])
def test_exponents_are_found_from_ten_thousand_up(exponent: float) -> None:
    fitted = exponents(made(exponent, memory=1.2)).set_index(["stage", "quantity"])
    assert fitted.loc[("slow", "processor_s"), "exponent"] == pytest.approx(exponent)
    assert fitted.loc[("slow", "memory_mib"), "exponent"] == pytest.approx(1.2)
    assert np.isnan(fitted.loc[("quick", "processor_s"), "exponent"]), "milliseconds have no growth to speak of"
    whole = fitted.loc[("all stages", "processor_s")]
    assert whole["n_point"] == 6 and whole["exponent"] == pytest.approx(exponent, abs=0.01)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = generator("growth interval")
    n = np.array([1e4, 3e4, 1e5, 3e5, 1e6])
    hits = 0
    for _ in range(1000):
        fitted = growth(n, n**1.05 * np.exp(0.1 * rng.normal(size=5)))
        hits += fitted.low <= 1.05 <= fitted.high
    assert 930 <= hits <= 970
    assert np.isnan(growth(n[:1], n[:1]).exponent) and np.isnan(growth(n[:2], n[:2]).low)


def test_totals_add_times_and_take_the_largest_peak() -> None:
    whole = totals(made())
    first = whole[(whole["n_query"] == 100_000) & (whole["repeat"] == 0)].iloc[0]
    assert first["processor_s"] == pytest.approx(20.001) and first["peak_mib"] == 700


def test_the_tables_go_between_the_markers_and_again(tmp_path: Path) -> None:
    path = tmp_path / "doc.md"
    path.write_text(f"Above.\n{document.BEGIN}\nold\n{document.END}\nBelow.\n")
    stages = made()
    text = document.stage_table(stages, exponents(stages))
    assert "| slow | 2.00 | 2.00 | 20 | 200 | 1.00 [1.00, 1.00] | 1.00 [1.00, 1.00] |" in text
    assert "| peak memory, MiB | 250 | 250 | 700 | 5,200 | | |" in text
    rates = pd.DataFrame({"router": ["a", "b"], "per_second": [61_234.0, 5.25e6]})
    assert document.rate_table(rates).splitlines()[2:] == ["| b | 5.2 M |", "| a | 61,234 |"]
    document.insert(path, text)
    once = path.read_text()
    document.insert(path, text)
    assert (
        path.read_text() == once and once.startswith("Above.\n") and once.endswith("\nBelow.\n") and "old" not in once
    )
    path.write_text("no markers")
    with pytest.raises(UserError, match="should hold one line"):
        document.insert(path, text)
    assert path.read_text() == "no markers"


def test_the_figure_is_drawn_from_its_frame(tmp_path: Path) -> None:
    figure.save(made(), tmp_path / "f.png")
    assert (tmp_path / "f.png").read_bytes()[:4] == b"\x89PNG"
    shown = pd.read_csv(tmp_path / "f.csv")
    assert set(shown["stage"]) == {"slow", "quick", "all stages"} and len(shown) == 12
    quick = shown[(shown["stage"] == "quick") & (shown["n_query"] == 2_000)]
    assert quick["processor_s"].item() == pytest.approx(0.001), "the least of the repeats"


def test_stages_see_memory_and_time() -> None:
    told: list[str] = []
    stages = Stages(told.append)
    stages("large")
    np.ones(2**24).sum()  # 128 MiB
    stages("after")
    stages("large")
    taken = stages.frame().set_index("stage")
    assert list(taken.index) == ["table", "large", "after"] and told == ["large", "after", "large"]
    assert (taken[["wall_s", "processor_s"]] >= 0).all(axis=None) and taken.loc["large", "wall_s"] > 0
    if np.isfinite(taken["peak_mib"]).all():
        gap = taken.loc["large", "peak_mib"] - taken.loc["after", "peak_mib"]
        assert gap > 64, "the peak is that of the stage alone, not of the process so far"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--sizes", "100"], "--sizes: got 100"),
        (["--sizes", "1000,1000"], "distinct"),
        (["--repeats", "0"], "--repeats: got 0"),
        (["--learner_runs", "1"], "--learner_runs: got 1"),
        (["--document_file", "nowhere.md"], "no such file"),
    ],
)
def test_refusals_come_before_any_work(flags: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(benchmark, flags) == 2
    said = capsys.readouterr()
    assert says in said.err and said.err.count("\n") == 1 and not said.out


@pytest.mark.slow
def test_the_command_measures_every_stage(tmp_path: Path) -> None:
    path = tmp_path / "doc.md"
    path.write_text(f"{document.BEGIN}\n{document.END}\n")
    words = [
        "--sizes", "500,800", "--rate_queries", 2000, "--learner_queries", 100, "--learner_runs", 20,
        "--results_dir", tmp_path / "out", "--document_file", path, "--scratch", tmp_path,
    ]  # fmt: skip
    command = [sys.executable, "-m", "tests.benchmarks.scaling", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    stages = pd.read_csv(tmp_path / "out" / "stages.csv")
    known = {"generate", "convert to a store", "features", "predict_optimize", "dacr", "calibration tables", "checks"}
    assert all(known <= set(own["stage"]) for _, own in stages.groupby("n_query"))
    assert (stages["processor_s"] >= 0).all()
    rates = pd.read_csv(tmp_path / "out" / "rates.csv").set_index("router")["per_second"]
    assert (rates > 0).all() and {"predict_optimize", "dacr, 20 runs abreast"} <= set(rates.index)
    assert (tmp_path / "img" / "scaling_size.png").exists() and "| all stages |" in path.read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["doc.md", "img", "out"], "generated tables are removed"
