from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.report.folder import Results, read_csv, short_names
from dacr.report.make import make_figures

Script = Callable[..., "subprocess.CompletedProcess[str]"]


def sums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_command_writes_the_same_bytes_under_any_hash_seed(
    results_folder: Path, tmp_path: Path, stage: Script, script: Script, hash_seed: str
) -> None:
    folder = tmp_path / "results"
    shutil.copytree(results_folder, folder)
    arguments = ("--results_dir", folder, "--figures", "quality_cost,win_tie_loss")
    first = stage("make_figures.py", *arguments)
    assert first.returncode == 0, first.stderr
    made = sums(folder)
    for name in ("quality_cost", "win_tie_loss"):
        for kind in ("pdf", "png", "csv", "txt"):
            assert f"figures/{name}.{kind}" in made
    for name in ("main_results", "by_domain", "calibration"):
        assert {f"{name}.tex", f"{name}.md"} <= set(made)
    assert "report.html" in made
    again = script("make_figures.py", *arguments, PYTHONHASHSEED=hash_seed)
    assert again.returncode == 0, again.stderr
    assert sums(folder) == made


def test_a_figure_without_its_input_says_so_and_is_skipped(
    results_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(results_folder, tmp_path / "r")
    (tmp_path / "r" / "reliability.csv").unlink()
    make_figures(results_dir=str(tmp_path / "r"), figures=StrList(["quality_cost", "reliability"]))
    out = capsys.readouterr().out
    assert "skipped reliability: there is no reliability.csv" in out
    assert (tmp_path / "r" / "figures" / "quality_cost.pdf").is_file()
    assert not (tmp_path / "r" / "figures" / "reliability.pdf").exists()


def test_a_figure_that_another_version_drew_is_one_line(results_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "r"
    shutil.copytree(results_folder, folder)
    (folder / "figures").mkdir()
    (folder / "figures" / "budget_compliance.csv").write_text("policy,n_order\ndacr,1\n")
    with pytest.raises(UserError, match="another version drew it"):
        make_figures(results_dir=str(folder), figures=StrList(["quality_cost"]))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--results_dir", "results_dcar"], "no such folder"),
        (["--figures", "quality_cots"], "did you mean 'quality_cost'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], expected: str, results_folder: Path, stage: Script
) -> None:
    if "--results_dir" not in arguments:
        arguments = ["--results_dir", str(results_folder), *arguments]
    done = stage("make_figures.py", *arguments)
    assert done.returncode == 2
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_folder_that_is_no_results_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run_experiment"):
        Results.open(tmp_path)


def test_a_table_without_a_column_and_a_broken_manifest(results_folder: Path, tmp_path: Path) -> None:
    shutil.copy(results_folder / "manifest.json", tmp_path)
    pd.read_csv(results_folder / "metrics.csv").drop(columns="mean_cost").to_csv(tmp_path / "metrics.csv", index=False)
    with pytest.raises(UserError, match="lacks the column 'mean_cost'"):
        Results.open(tmp_path).table("metrics.csv")
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        Results.open(tmp_path)
    (tmp_path / "metrics.csv").write_text("")
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(UserError, match="not a readable CSV"):
        Results.open(tmp_path).table("metrics.csv")


def test_a_csv_comes_back_as_it_was_written(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"model": ["7", "NA", ""], "label": ["none", "null", "1e3"], "y": [0.1 + 0.2, float("nan"), 1e-17]}
    )
    table.astype({"model": object, "label": object}).to_csv(tmp_path / "t.csv", index=False)
    back = read_csv(tmp_path / "t.csv")
    assert back["model"].tolist() == ["7", "NA", ""]
    assert back["label"].tolist() == ["none", "null", "1e3"]
    assert back["y"].iloc[0] == 0.1 + 0.2
    assert back["y"].iloc[2] == 1e-17


def test_the_setting_in_words(results: Results) -> None:
    assert results.setting == "unseen domains: grade-school-math, mbpp · 300 queries · latency objective 10 s"
    assert not results.clairvoyant


def test_short_names_stay_distinct() -> None:
    names = short_names(["a/x", "b/x", "c/y"])
    assert sorted(names.values()) == ["a/x", "b/x", "y"]
