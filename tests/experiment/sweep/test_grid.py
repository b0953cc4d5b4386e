"""What a grid is turned into, and what is refused before any cell is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dacr.core.errors import UserError
from dacr.core.registry import routers
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.sweep.cell import ELSEWHERE, FILES, Cell
from dacr.experiment.sweep.driver import prepare
from dacr.experiment.sweep.grid import SweepPlan, read_grids

ROOT = Path(__file__).resolve().parents[3]


def plan_of(content: dict[str, Any], tmp_path: Path) -> SweepPlan:
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return prepare(path, read_grids(path), tmp_path / "results")[0]


def test_a_list_spreads_and_text_stays_together(content: dict[str, Any], tmp_path: Path) -> None:
    content["grids"]["one"] |= {
        "ood_holdout": ["mbpp", "grade-school-math", ""],
        "routers": ["dacr", "zero,static"],
    }
    plan = plan_of(content, tmp_path)
    assert len(plan.cells) == 3 * 2
    assert {tuple(cell.settings.routers) for cell in plan.cells.values()} == {("dacr",), ("zero", "static")}
    assert {tuple(cell.settings.seeds) for cell in plan.cells.values()} == {(1, 2)}
    assert {cell.settings.orders for cell in plan.cells.values()} == {2}
    assert {tuple(cell.settings.lambdas) for cell in plan.cells.values()} == {(0.0, 100.0)}
    assert [group.label for group in plan.groups] == ["mbpp", "grade-school-math", "in_distribution"]
    assert all(len(group.cells) == 2 for group in plan.groups)
    assert all(list(group.settings.routers) == ["dacr", "zero", "static"] for group in plan.groups)


def test_all_routers_are_one_cell_or_one_among_several(content: dict[str, Any], tmp_path: Path) -> None:
    content["grids"]["one"]["routers"] = "all"
    (cell,) = plan_of(content, tmp_path).cells.values()
    assert list(cell.settings.routers) == routers.names()


def test_names_follow_from_what_a_cell_is_and_not_from_its_place_in_the_file(
    content: dict[str, Any], tmp_path: Path
) -> None:
    content["grids"]["one"]["ood_holdout"] = ["mbpp", "grade-school-math"]
    there = plan_of(content, tmp_path)
    grid = content["grids"]["one"]
    content["grids"] = {"renamed": dict(reversed(grid.items())) | {"ood_holdout": ["grade-school-math", "mbpp"]}}
    content["grids"]["renamed"]["routers"] = ["zero", "dacr"]
    assert plan_of(content, tmp_path).cells.keys() == there.cells.keys()
    content["settings"]["tau_seconds"] = 5
    assert not plan_of(content, tmp_path).cells.keys() & there.cells.keys()


def test_decisions_are_kept_if_any_grid_asks_for_them(content: dict[str, Any], tmp_path: Path) -> None:
    plain = content["grids"]["one"]
    for grids in ({"a": plain, "b": plain | {"decisions": True}}, {"a": plain | {"decisions": True}, "b": plain}):
        plan = plan_of(content | {"grids": grids}, tmp_path)
        assert len(plan.cells) == 2
        assert {cell.manner.decisions for cell in plan.cells.values()} == {"frontiers"}


def test_each_family_holds_out_every_large_one(content: dict[str, Any], tmp_path: Path) -> None:
    content["grids"]["one"] |= {"ood_holdout": "each_family", "min_queries": 20, "routers": "zero"}
    held = [",".join(group.settings.ood_holdout) for group in plan_of(content, tmp_path).groups]
    assert held[0] == "mmlu"
    assert {"mmlu", "hellaswag", "grade-school-math"} <= set(held)
    content["grids"]["one"]["min_queries"] = 10**6
    with pytest.raises(UserError, match="a family needs 1000000 queries"):
        plan_of(content, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"routers": ["dacr", "zreo"]}, "unknown router 'zreo'; did you mean 'zero'"),
        ({"predictor": "logistics"}, "unknown predictor 'logistics'; did you mean 'logistic'"),
        ({"calibrator": "plat"}, "unknown calibrator 'plat'; did you mean 'platt'"),
        ({"protocol": "drifft"}, "unknown protocol 'drifft'; did you mean 'drift'"),
        ({"protocol": "degrade:model=gpt-5"}, "gpt-5"),
        ({"ood_holdout": ["mbpp", "mpbb"]}, "'mpbb' matches no domain; the nearest is 'mbpp'"),
        ({"lambdaz": 3}, "unknown key 'lambdaz'; did you mean 'lambdas'"),
        ({"lambdas": "1,x"}, "'x' is not a number"),
        ({"lambdas": "-1"}, "expected prices of at least 0"),
        ({"seeds": ["1,2", 3]}, 'write one text: "1,2,3"'),
        ({"seeds": "1,2,2"}, "expected each seed once"),
        ({"routers": ["dacr,zero", "zero"]}, "routers names a value twice: dacr, zero, zero"),
        ({"tau_seconds": [5, 5]}, "tau_seconds names a value twice"),
        ({"budget_grid": []}, "budget_grid is an empty list"),
        ({"orders": 3}, "orders follows from seeds"),
        ({"n_jobs": 3}, "n_jobs is a flag of run_sweep.py"),
        ({"decisions": "yes please"}, "decisions should be true or false"),
        ({"latency_log": "nowhere.jsonl"}, "no such file: 'nowhere.jsonl'"),
    ],
)
def test_what_is_wrong_is_refused_before_any_cell_is_run(
    content: dict[str, Any], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    content["grids"]["one"] |= change
    with pytest.raises(UserError) as refused:
        plan_of(content, tmp_path)
    assert message in str(refused.value)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: [", "is not YAML"),
        ("- 1", "expected the keys data, settings, grids, report, got list"),
        ("data: x\ngrid: {}", "unknown key 'grid'; did you mean 'grids'"),
        ("data: x", "expected data, a path, and grids"),
        ("data: x\ngrids: {a: {seeds: 1}}", "grids: a: expected a mapping of flags to values, with routers"),
        ("data: x\ngrids: {a: {routers: zero}}\nreport: 3", "report should be true or false"),
        ("data: x\ngrids: {a: {routers: zero}}\nsettings: 3", "settings should be a mapping"),
    ],
)
def test_the_outline_of_the_file_is_checked(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "grid.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as refused:
        read_grids(path)
    assert message in str(refused.value)


def test_every_setting_is_either_part_of_a_cell_or_said_not_to_be() -> None:
    names = set(ExperimentSettings().as_dict())
    assert {*FILES, *ELSEWHERE} <= names
    assert set(Cell(ExperimentSettings(), {}).config) == names - {*FILES, *ELSEWHERE}


@pytest.mark.parametrize(("name", "least"), [("sweep", 6), ("leave_one_domain_out", 5), ("paper", 40)])
def test_the_grids_that_ship_are_sound(name: str, least: int, tmp_path: Path) -> None:
    path = ROOT / "configs" / f"{name}.yaml"
    plan, _ = prepare(path, read_grids(path) | {"data": "sample:8000"}, tmp_path)
    assert len(plan.cells) >= least
    assert {group.grid for group in plan.groups} == set(read_grids(path)["grids"])
    assert all(cell in plan.cells for group in plan.groups for cell in group.cells)
