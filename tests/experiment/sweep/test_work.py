"""A cell: the same numbers as an experiment, whatever was run before it in the process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from dacr.core.cache import code_version
from dacr.core.cli import FloatList, IntList, StrList
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.sweep import cell, driver
from dacr.experiment.sweep.cell import NOT_IN_A_CELL, Outcome, Task, cell_code, run_task
from dacr.experiment.sweep.engines import EngineStopped
from dacr.experiment.sweep.grid import read_grids

Sweep = Callable[..., int]


def tasks_of(content: dict[str, Any], tmp_path: Path) -> dict[str, Task]:
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    plan, where = driver.prepare(path, read_grids(path), tmp_path / "results")
    targets = tmp_path / "results" / "cells"
    return {name: Task(cell, where, targets / name, cell_code()) for name, cell in plan.cells.items()}


def test_an_experiment_of_a_sweep_is_that_of_run_experiment(
    content: dict[str, Any], sweep: Sweep, small_long: Path, tmp_path: Path
) -> None:
    """In every run: whatever keeps a budget plays the same orders in both, and so does the rest under a protocol."""
    content["grids"]["one"] |= {"seeds": "1,2,3", "decisions": True, "protocol": "drift", "decision_info": "both"}
    assert sweep(content) == 0
    settings = ExperimentSettings(
        data=small_long,
        results_dir=tmp_path / "one",
        ood_holdout=StrList(["mbpp"]),
        lambdas=FloatList([0.0, 100.0]),
        predictor="base_rate",
        budget_grid=2,
        seeds=IntList([1, 2, 3]),
        orders=3,
        protocol="drift",
        decision_info="both",
        routers=StrList(["dacr", "zero"]),
    )
    run_experiment(settings)
    mine = tmp_path / "results" / "experiments" / "one" / "all"
    theirs = tmp_path / "one"
    same = ("singles", "calibration_ece", "reliability", "regret", "frontier")
    for name in same:
        assert (mine / f"{name}.csv").read_bytes() == (theirs / f"{name}.csv").read_bytes(), name
    # A finding of several routers at once stands once for each cell that has some of them.
    a, b = (pd.read_csv(folder / "checks.csv")[["code", "status"]].drop_duplicates() for folder in (mine, theirs))
    assert a.to_numpy().tolist() == b.to_numpy().tolist()
    for name in ("metrics", "metrics_by_seed", "metrics_by_domain", "budgets", "duals", "perfect_information"):
        a, b = (_by_policy(pd.read_csv(folder / f"{name}.csv")) for folder in (mine, theirs))
        assert len(a) > 0
        pd.testing.assert_frame_equal(a, b, check_like=True)  # params of whoever is written first come first
    a, b = (pd.read_parquet(folder / "decisions.parquet") for folder in (mine, theirs))
    assert not a["setting"].str.startswith("budget").any()  # kept along frontiers alone
    b = b[~b["setting"].str.startswith("budget")]
    a, b = (f[f["seed"] == 1].assign(policy=f["policy"].astype(str)) for f in (a, b))
    a, b = (f.sort_values("policy", kind="stable").reset_index(drop=True) for f in (a, b))
    assert len(a) > 0
    pd.testing.assert_frame_equal(a, b, check_categorical=False, check_dtype=False)


def _by_policy(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("policy", kind="stable").reset_index(drop=True)


def test_cells_do_not_depend_on_those_before_them(
    content: dict[str, Any], cells_in: Callable[[Path], dict[str, dict[str, bytes]]], tmp_path: Path
) -> None:
    content["grids"]["one"] |= {
        "ood_holdout": ["mbpp", "hellaswag"],
        "protocol": ["", "late_joiner:model=gpt-4-1106-preview"],
        "routers": ["dacr", "zero"],
        "budget_grid": 0,
    }
    made = []
    for order in (1, -1):
        tasks = tasks_of(content, tmp_path / str(order)) if (tmp_path / str(order)).mkdir() is None else {}
        cell._table.cache_clear()
        outcomes = [run_task(*named) for named in list(tasks.items())[::order]]
        assert [one.error for one in outcomes] == [""] * 8
        made.append(cells_in(tmp_path / str(order) / "results"))
    assert made[0] == made[1]


def test_a_cell_imports_nothing_that_its_code_version_leaves_out() -> None:
    code = (
        "import sys, dacr.experiment.sweep.cell, dacr.core.registry as r\n"
        "[parts.names() for kind, parts in r.ALL.items() if kind != 'figures']\n"
        f"out = {tuple('dacr.' + name.replace('/', '.') for name in NOT_IN_A_CELL)!r}\n"
        "print([name for name in sys.modules if name.startswith(out)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_code_version_follows_the_sources_of_cells(tmp_path: Path) -> None:
    for name in ("play.py", "report/style.py", "routers/mine.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1", encoding="utf-8")
    before = code_version(tmp_path, NOT_IN_A_CELL)
    (tmp_path / "report/style.py").write_text("2", encoding="utf-8")
    assert code_version(tmp_path, NOT_IN_A_CELL) == before
    (tmp_path / "routers/mine.py").write_text("2", encoding="utf-8")
    assert code_version(tmp_path, NOT_IN_A_CELL) != before


class _Engine:
    """Runs tasks in order until a task that kills its worker; ``lost`` kills the whole cluster."""

    def __init__(self, killers: set[str], lost: bool = False) -> None:
        self.killers, self.lost, self.rounds = killers, lost, 0

    def __call__(self, work: driver.Work, tasks: list[tuple[str, Task]]) -> Any:
        self.rounds += 1
        for name, _ in tasks:
            if name in self.killers:
                raise EngineStopped("died", fatal=self.lost)
            yield Outcome(name)


@pytest.fixture
def progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> driver.Progress:
    monkeypatch.setattr(Task, "finished", True)
    return driver.Progress(tmp_path, 2, set())


def test_a_cell_that_kills_its_workers_fails_alone(
    content: dict[str, Any], tmp_path: Path, progress: driver.Progress
) -> None:
    tasks = tasks_of(content, tmp_path)
    names = list(tasks)
    killer = names[0]
    driver.work_off(tasks, _Engine({killer}), progress)
    assert [one.name for one in progress.failed] == [killer]
    assert "its worker died while it ran alone: died" in progress.failed[0].error
    assert progress.done == set(names[1:])
    assert progress.left == 0


def test_a_lost_cluster_ends_the_sweep_at_once(
    content: dict[str, Any], tmp_path: Path, progress: driver.Progress
) -> None:
    tasks = tasks_of(content, tmp_path)
    names = list(tasks)
    engine = _Engine({names[1]}, lost=True)
    with pytest.raises(EngineStopped):
        driver.work_off(tasks, engine, progress)
    assert engine.rounds == 1
    assert progress.done == {names[0]}
    assert progress.left == 1
