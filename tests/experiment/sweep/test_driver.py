"""Running, restarting, failing: what a sweep does with the cells that are there and with those that are not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dacr.core.errors import UserError
from dacr.core.registry import routers
from dacr.experiment.sweep import cell, folder

Cells = Callable[[Path], dict[str, dict[str, bytes]]]
Sweep = Callable[..., int]

PLUGIN = """
import os, pathlib
import numpy as np
from dacr.core.registry import routers
from dacr.routers.base import Router

@routers.register("faulty")
class Faulty(Router):
    def scores(self, requests):
        if pathlib.Path(os.environ["FAULTY"]).exists():
            raise ValueError("broken\\nfor now")
        return requests.p
"""


@pytest.fixture
def faulty(content: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Add a router that fails while a file exists; return that file."""
    monkeypatch.setattr(routers, "_parts", dict(routers.items()))  # later tests don't know the plugin
    (tmp_path / "faulty.py").write_text(PLUGIN, encoding="utf-8")
    content["settings"]["plugin"] = str(tmp_path / "faulty.py")
    content["grids"]["one"]["routers"] = ["faulty", "zero"]
    flag = tmp_path / "flag"
    flag.touch()
    monkeypatch.setenv("FAULTY", str(flag))
    return flag


def test_a_restart_does_nothing_twice(
    content: dict[str, Any], sweep: Sweep, cells_in: Cells, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    assert sweep(content) == 0
    made = cells_in(results)
    assert len(made) == 2
    stamps = {path: path.stat().st_mtime_ns for path in (results / "cells").rglob("*")}
    assert "2 cells: 2 done (0 of them before), 0 failed, 0 left" in capsys.readouterr().out
    assert sweep(content) == 0
    assert "2 cells: 2 done (2 of them before), 0 failed, 0 left" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    lost, cut = sorted((results / "cells").iterdir())
    shutil.rmtree(lost)
    assert sweep(content) == 0
    assert "2 cells: 2 done (1 of them before), 0 failed, 0 left" in capsys.readouterr().out
    assert cells_in(results) == made
    for spoil in (Path.unlink, lambda path: path.write_bytes(b"")):
        spoil(cut / "metrics.csv")
        (cut / ".new-1").mkdir()
        assert sweep(content) == 0
        assert "2 cells: 2 done (1 of them before), 0 failed, 0 left" in capsys.readouterr().out
        assert cells_in(results) == made, "what a killed worker left half-written is gone"


def test_another_grid_is_refused_and_nothing_is_lost(
    content: dict[str, Any], sweep: Sweep, cells_in: Cells, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    sweep(content)
    everything = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    content["settings"]["lambdas"] = "0,200"
    with pytest.raises(
        UserError, match=r"made from another grid or other input files: 2 cells there, 2 asked for, 0 in"
    ):
        sweep(content)
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == everything
    (results / "sweep.json").unlink()
    with pytest.raises(UserError, match=r"holds cells but no sweep\.json"):
        sweep(content)


def test_another_table_is_another_grid(content: dict[str, Any], sweep: Sweep, small_long: Path, tmp_path: Path) -> None:
    sweep(content)
    changed = tmp_path / "changed.parquet"
    changed.write_bytes(small_long.read_bytes() + b" ")
    frame = pd.read_parquet(small_long)
    frame.loc[0, "quality"] = 1 - frame.loc[0, "quality"]
    frame.to_parquet(changed)
    with pytest.raises(UserError, match="other input files"):
        sweep(content, data=str(changed))


def test_cells_of_other_code_are_refused_kept_or_done_again(
    content: dict[str, Any],
    sweep: Sweep,
    cells_in: Cells,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = tmp_path / "results"
    sweep(content)
    made = cells_in(results)
    for module in ("dacr.experiment.sweep.driver", "dacr.experiment.sweep.cell"):
        monkeypatch.setattr(f"{module}.cell_code", lambda: "other")
    with pytest.raises(UserError, match="2 cells were finished by other code"):
        sweep(content)
    assert sweep(content, stale="keep") == 0
    assert cells_in(results) == made
    capsys.readouterr()
    assert sweep(content, stale="rerun") == 0
    assert "2 done (0 of them before)" in capsys.readouterr().out
    assert {json.loads(path.read_text())["code"] for path in results.glob("cells/*/manifest.json")} == {"other"}


def test_a_cell_that_fails_is_told_and_tried_again(
    content: dict[str, Any], sweep: Sweep, faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "results"
    assert sweep(content) == 1
    assert "2 cells: 1 done (0 of them before), 1 failed, 0 left" in capsys.readouterr().out
    failures = pd.read_csv(results / "failures.csv")
    assert failures["reason"].tolist() == ["ValueError: broken for now"]
    assert failures["cell"].str.startswith("faulty-mbpp-").all()
    assert "in scores" in failures["details"][0]
    assert set(pd.read_csv(results / "metrics.csv")["policy"]) == {"zero"}
    cells = pd.read_csv(results / "cells.csv", keep_default_na=False).set_index("routers")["finished"]
    assert cells.to_dict() == {"faulty": False, "zero": True}
    faulty.unlink()
    assert sweep(content) == 0
    assert "2 done (1 of them before), 0 failed" in capsys.readouterr().out
    assert not (results / "failures.csv").exists()
    assert set(pd.read_csv(results / "metrics.csv")["policy"]) == {"faulty", "zero"}


def test_a_cell_that_the_driver_cannot_see_is_a_failure(
    content: dict[str, Any], sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell, "conduct", lambda *_, **__: None)
    assert sweep(content) == 1
    reasons = pd.read_csv(tmp_path / "results" / "failures.csv")["reason"]
    assert reasons.str.contains("has to be on storage that all share").all()


def test_a_worker_with_other_code_says_so(
    content: dict[str, Any], sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell, "cell_code", lambda: "older")
    assert sweep(content) == 1
    reasons = pd.read_csv(tmp_path / "results" / "failures.csv")["reason"]
    assert reasons.str.startswith("this worker has code older").all()


def test_a_folder_serves_one_sweep_at_a_time(content: dict[str, Any], sweep: Sweep, tmp_path: Path) -> None:
    with folder.locked(tmp_path / "results"), pytest.raises(UserError, match="another run is at work"):
        sweep(content)


def test_the_manifest_names_the_cell_alone(content: dict[str, Any], sweep: Sweep, tmp_path: Path) -> None:
    sweep(content)
    for path in (tmp_path / "results").glob("cells/*/manifest.json"):
        manifest = json.loads(path.read_text())
        assert set(manifest) == {"stage", "cell", "config", "manner", "inputs", "code", "files"}
        assert str(tmp_path) not in json.dumps(manifest)
        assert set(manifest["inputs"]) == {"data", "config_latency"}
        assert path.parent.name == manifest["cell"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"address": "tcp://127.0.0.1:1"}, "--address names a cluster"),
        ({"data": "nowhere.parquet"}, "no such file: 'nowhere.parquet'"),
        ({"data": "sample:x"}, "expected a number of queries"),
    ],
)
def test_flags_that_cannot_be_are_one_line(
    content: dict[str, Any], sweep: Sweep, flags: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as refused:
        sweep(content, **flags)
    assert message in str(refused.value)


def test_the_script_says_so_in_one_line(stage: Callable[..., Any], tmp_path: Path) -> None:
    config = tmp_path / "grid.yaml"
    config.write_text("data: sample:500\ngrids: {a: {routers: zreo}}\n", encoding="utf-8")
    done = stage("run_sweep.py", "--config", config, "--results_dir", tmp_path / "results")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "unknown router 'zreo'; did you mean 'zero'" in done.stderr
