"""From a YAML file to cells: every combination of the values that a grid lists.

A grid's keys are flags of ``scripts/run_experiment.py``. A YAML *list* spreads a flag over cells, one for each of its
elements; text such as ``"0,20,100"`` is one value of one cell, whose points and runs are played abreast::

    data: sample:600                  # the embedded benchmark, or path or URL of a long table
    settings: {tau_seconds: 10}       # flags that all cells share
    grids:
      hold_outs:
        ood_holdout: [mbpp, ""]       # two cells: mbpp held out, and in distribution
        seeds: ["1,2", "3,4"]         # times two: runs 1 and 2 abreast, then 3 and 4
        routers: [dacr, static]       # times two; `all` means every registered router
        lambdas: "0,20,100"           # in all of them
        budget_grid: 3

``ood_holdout: each_family`` holds out every family of domains with at least ``min_queries`` queries in turn, alone.
``decisions: true`` keeps every decision along the frontiers, of which figures and intervals are made.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dacr.core import files, registry
from dacr.core.cli import IntList, StrList, did_you_mean, values_of
from dacr.core.errors import UserError
from dacr.experiment.sweep.cell import FILES, Cell, slug
from dacr.experiment.sweep.source import TableFacts
from dacr.replay.protocols.combined import parse
from dacr.replay.settings import ExperimentSettings

EACH_FAMILY = "each_family"
TOP_KEYS = ("data", "settings", "grids", "report")
OWN_KEYS: dict[str, tuple[type, Any]] = {"decisions": (bool, False), "min_queries": (int, 200)}
"""Keys of a grid that are no flags: type and default."""

RESERVED = {
    "data": "stands at the top of the file",
    "results_dir": "is a flag of run_sweep.py",
    "n_jobs": "is a flag of run_sweep.py",
    "no_cache": "is a flag of run_sweep.py",
    "orders": "follows from seeds: every seed names a run",
    "save_router": "belongs to run_experiment.py alone",
    "list": "belongs to run_experiment.py alone",
}
_NOTHING = {"ood_holdout": "in_distribution", "protocol": "plain"}
"""What an empty value is called."""


@dataclass(frozen=True)
class Group:
    """One experiment of a grid: the cells that differ in router and seeds alone.

    Attributes
    ----------
    grid, label : str
        Where its results lie: ``experiments/GRID/LABEL``.
    axes : dict
        Flag -> value, as text, of what the grid varies beside routers and seeds.
    settings : ExperimentSettings
        All routers and seeds of the group together.
    references : str
        Name of the cell with single models and calibration.
    cells : list of str
        In the order of routers, then seeds.
    """

    grid: str
    label: str
    axes: Mapping[str, str]
    settings: ExperimentSettings
    references: str
    cells: list[str]
    decisions: bool


@dataclass(frozen=True)
class Plan:
    """Everything that a sweep will do.

    Attributes
    ----------
    cells : dict
        Name -> cell, references first: they fill the cache with what the others of their split share.
    report : bool
        Draw figures and tables of every experiment whose decisions are kept.
    """

    cells: dict[str, Cell]
    groups: list[Group] = field(default_factory=list)
    report: bool = False


def read_grids(path: Path) -> dict[str, Any]:
    """Read a sweep's file and check its outline."""
    content = files.read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected the keys {', '.join(TOP_KEYS)}, got {type(content).__name__}")
    for key in content:
        if key not in TOP_KEYS:
            raise UserError(f"{path}: unknown key {key!r}{did_you_mean(str(key), TOP_KEYS)}")
    if not isinstance(content.get("data"), str) or not isinstance(content.get("grids"), dict) or not content["grids"]:
        raise UserError(
            f"{path}: expected data, a path, and grids, a mapping of names to grids; see configs/sweep.yaml"
        )
    if not isinstance(content.setdefault("settings", {}), dict):
        raise UserError(f"{path}: settings should be a mapping of flags to values, got {content['settings']!r}")
    if not isinstance(content.setdefault("report", False), bool):
        raise UserError(f"{path}: report should be true or false, got {content['report']!r}")
    for name, grid in content["grids"].items():
        where = f"{path}: grids: {name}"
        if not isinstance(grid, dict) or "routers" not in grid:
            raise UserError(f"{where}: expected a mapping of flags to values, with routers such as [dacr, static]")
        for key in (*grid, *content["settings"]):
            if key in RESERVED:
                raise UserError(f"{where}: {key} {RESERVED[key]}")
    return content


def input_files(content: Mapping[str, Any]) -> dict[str, Path]:
    """Return the files beside the table that cells read, by their text in the YAML file."""
    named = {str(ExperimentSettings.config_latency): ExperimentSettings.config_latency}
    for part in (content["settings"], *content["grids"].values()):
        for role in FILES:
            values = part.get(role) or []
            named |= {str(value): Path(value) for value in (values if isinstance(values, list) else [values]) if value}
    return {text: files.existing_file(path) for text, path in named.items()}


def make_plan(path: Path, content: Mapping[str, Any], data: str, sums: Mapping[str, str], facts: TableFacts) -> Plan:
    """Return the cells of all grids. Whatever can be refused is refused here, before any cell is run.

    Parameters
    ----------
    path : Path
        Named in errors.
    data : str
        Where the table lies.
    sums : dict
        Path, as text -> SHA-256: of the table, and of the files that the settings name.

    Raises
    ------
    UserError
        Unknown or unfit keys, values, parts, domains or models.
    """
    references: dict[str, Cell] = {}
    cells: dict[str, Cell] = {}
    groups = []
    for name, grid in content["grids"].items():
        given = {**content["settings"], **grid}
        for group, reference, members in _groups(str(name), given, f"{path}: grids: {name}", data, sums, facts):
            references.setdefault(reference.name, reference)
            for cell in members:
                if cell.name not in cells or cell.decisions:  # asked for twice: once with its decisions
                    cells[cell.name] = cell
            groups.append(group)
    return Plan(references | cells, groups, content["report"])


def _groups(
    name: str, given: Mapping[str, Any], where: str, data: str, sums: Mapping[str, str], facts: TableFacts
) -> Iterator[tuple[Group, Cell, list[Cell]]]:
    own = {key: _own(key, given.get(key, default), where) for key, (_, default) in OWN_KEYS.items()}
    axes = {
        key: _axis(key, value, where, facts, own["min_queries"]) for key, value in given.items() if key not in OWN_KEYS
    }
    routers, runs = axes.pop("routers"), axes.pop("seeds", [ExperimentSettings.seeds])
    every_seed = [seed for seeds in runs for seed in seeds]
    if len(set(every_seed)) < len(every_seed):
        raise UserError(f"{where}: seeds names a seed twice: {', '.join(map(str, every_seed))}")
    varied = [key for key, values in axes.items() if len(values) > 1]
    for combination in itertools.product(*axes.values()):
        values = {"data": Path(data), **dict(zip(axes, combination, strict=True))}
        together = {"routers": StrList(routers), "seeds": IntList(every_seed), "orders": len(every_seed)}
        group = _settings({**values, **together}, where)
        facts.check_hold_out(tuple(group.ood_holdout), where)
        cold = parse(group.protocol).effects(1000, facts.models, every_seed[0]).cold
        members = []
        for router, seeds in itertools.product(routers, runs):
            one = replace(group, routers=StrList([router]), seeds=seeds, orders=len(seeds))
            members.append(Cell.play(one, sums, own["decisions"]))
        # Training that has never seen a model gives other calibration; other protocols leave training as it is.
        reference = Cell.references(group if cold is not None else replace(group, protocol=""), sums)
        texts = {key: _text(values[key]) for key in varied}
        label = "-".join(slug(text or _NOTHING.get(key, f"no_{key}")) for key, text in texts.items()) or "all"
        names = list(dict.fromkeys(cell.name for cell in members))
        yield Group(name, label, texts, group, reference.name, names, own["decisions"]), reference, members


def _own(key: str, value: Any, where: str) -> Any:
    kind, _ = OWN_KEYS[key]
    if type(value) is not kind:
        raise UserError(f"{where}: {key} should be {'true or false' if kind is bool else 'a number'}, got {value!r}")
    return value


def _axis(key: str, value: Any, where: str, facts: TableFacts, min_queries: int) -> list[Any]:
    """Return the values that a flag takes, each checked."""
    elements = value if isinstance(value, list) else [value]
    if not elements:
        raise UserError(f"{where}: {key} is an empty list; give it a value or leave it out")
    if key == "ood_holdout":
        elements = [one for e in elements for one in (facts.families(min_queries) if e == EACH_FAMILY else [e])]
    if key == "routers":
        elements = [one for e in elements for one in (registry.routers.names() if e == "all" else str(e).split(","))]
    made = [values_of(ExperimentSettings, {key: element}, where)[key] for element in elements]
    if key == "routers":
        made = [router for (router,) in made]
    if len({repr(one) for one in made}) < len(made):
        raise UserError(f"{where}: {key} names a value twice: {', '.join(_text(one) for one in made)}")
    known = {"routers": registry.routers, "predictor": registry.predictors, "calibrator": registry.calibrators}
    for one in made if key in known else ():
        try:
            reason = getattr(known[key].get(one), "unavailable", lambda: "")()
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        if reason:
            raise UserError(f"{where}: {reason}")
    return made


def _settings(values: Mapping[str, Any], where: str) -> ExperimentSettings:
    try:
        settings = ExperimentSettings(**values, n_jobs=1)
        parse(settings.protocol)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return settings


def _text(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value)
    return "" if value is None else str(value)
