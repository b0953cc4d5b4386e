"""From a YAML file to cells: every combination of the values that a grid lists.

A grid's keys are flags of ``scripts/run_experiment.py``. A YAML *list* spreads a flag over cells, one for each of its
elements; text such as ``"0,20,100"`` or ``"dacr,static"`` is one value of one cell, whose points, runs and routers are
played together::

    data: sample:600                  # the embedded benchmark, or path or URL of a long table
    settings: {tau_seconds: 10}       # flags that all cells share
    grids:
      hold_outs:
        ood_holdout: [mbpp, ""]       # two cells: mbpp held out, and in distribution
        routers: [dacr, "static,zero"]  # times two: dacr alone, and the two others; `all` means every router
        seeds: "1,2,3,4"              # in all of them: four runs, abreast
        lambdas: "0,20,100"
        budget_grid: 3

``ood_holdout: each_family`` holds out every family of domains with at least ``min_queries`` queries in turn, alone.
``decisions: true`` keeps every decision along the frontiers, of which figures and intervals are made.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dacr.core import files, registry
from dacr.core.cli import StrList, values_of
from dacr.core.errors import UserError, did_you_mean
from dacr.data import splits
from dacr.data.table import RoutingTable
from dacr.experiment.groups import hold_outs
from dacr.experiment.manner import Manner
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.sweep.cell import FILES, Cell, slug

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
    "draw": "is `report: true` at the top of the file",
    "draw_routers": "belongs to run_experiment.py alone",
    "track": "belongs to run_experiment.py alone",
}
_NOTHING = {"ood_holdout": "in_distribution", "protocol": "plain"}
"""What an empty value is called."""


@dataclass(frozen=True)
class Group:
    """One experiment of a grid: the cells that differ in their routers alone.

    Attributes
    ----------
    grid, label : str
        Where its results lie: ``experiments/GRID/LABEL``.
    axes : dict
        Flag -> value, as text, of what the grid varies beside routers.
    settings : ExperimentSettings
        All routers of the group together.
    cells : list of str
        In the order of routers.
    """

    grid: str
    label: str
    axes: Mapping[str, str]
    settings: ExperimentSettings
    cells: list[str]
    decisions: bool


@dataclass(frozen=True)
class SweepPlan:
    """Everything that a sweep will do.

    Attributes
    ----------
    cells : dict
        Name -> cell.
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


def make_plan(
    path: Path, content: Mapping[str, Any], data: str, sums: Mapping[str, str], table: RoutingTable
) -> SweepPlan:
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
    cells: dict[str, Cell] = {}
    groups = []
    for name, grid in content["grids"].items():
        given = {**content["settings"], **grid}
        for group, members in _groups(str(name), given, f"{path}: grids: {name}", data, sums, table):
            for cell in members:
                if cell.name not in cells or group.decisions:  # asked for twice: once with its decisions
                    cells[cell.name] = cell
            groups.append(group)
    return SweepPlan(cells, groups, content["report"])


def _groups(
    name: str, given: Mapping[str, Any], where: str, data: str, sums: Mapping[str, str], table: RoutingTable
) -> Iterator[tuple[Group, list[Cell]]]:
    own = {key: _own(key, given.get(key, default), where) for key, (_, default) in OWN_KEYS.items()}
    axes = {
        key: _axis(key, value, where, table, own["min_queries"]) for key, value in given.items() if key not in OWN_KEYS
    }
    routers, runs = axes.pop("routers"), axes.pop("seeds", [ExperimentSettings.seeds])
    if len(runs) > 1:
        raise UserError(f'{where}: seeds is a list; the runs of a cell are played abreast, so write one text: "1,2,3"')
    seeds = runs[0]
    every = [router for some in routers for router in some]
    if len(set(every)) < len(every):
        raise UserError(f"{where}: routers names a value twice: {', '.join(every)}")
    varied = [key for key, values in axes.items() if len(values) > 1]
    for combination in itertools.product(*axes.values()):
        values = {"data": Path(data), **dict(zip(axes, combination, strict=True))}
        together = {"routers": StrList(every), "seeds": seeds, "orders": len(seeds)}
        group = _settings({**values, **together}, where)
        try:
            splits.held_out_domains(list(table.domain), group.ood_holdout)
        except UserError as error:
            raise UserError(f"{where}: {error}") from None
        group.stream_protocol.effects(1000, table.model, seeds[0])  # refuses models that the table does not have
        manner = Manner(compared=True, decisions="frontiers" if own["decisions"] else "none")
        members = [Cell.of(replace(group, routers=some), sums, manner) for some in routers]
        texts = {key: _text(values[key]) for key in varied}
        label = "-".join(slug(text or _NOTHING.get(key, f"no_{key}")) for key, text in texts.items()) or "all"
        yield Group(name, label, texts, group, [cell.name for cell in members], own["decisions"]), members


def _own(key: str, value: Any, where: str) -> Any:
    kind, _ = OWN_KEYS[key]
    if type(value) is not kind:
        raise UserError(f"{where}: {key} should be {'true or false' if kind is bool else 'a number'}, got {value!r}")
    return value


def _axis(key: str, value: Any, where: str, table: RoutingTable, min_queries: int) -> list[Any]:
    """Return the values that a flag takes, each checked."""
    elements = value if isinstance(value, list) else [value]
    if not elements:
        raise UserError(f"{where}: {key} is an empty list; give it a value or leave it out")
    if key == "ood_holdout" and EACH_FAMILY in elements:
        families = [",".join(held) for held in hold_outs(table, (), min_queries, ("", "min_queries")).values()]
        elements = [one for e in elements for one in (families if e == EACH_FAMILY else [e])]
    if key == "routers":
        elements = [",".join(registry.routers.names()) if e == "all" else e for e in elements]
    made = [values_of(ExperimentSettings, {key: element}, where)[key] for element in elements]
    if len({repr(one) for one in made}) < len(made):
        raise UserError(f"{where}: {key} names a value twice: {', '.join(_text(one) for one in made)}")
    known = {"routers": registry.routers, "predictor": registry.predictors, "calibrator": registry.calibrators}
    for one in itertools.chain.from_iterable(made) if key == "routers" else made if key in known else ():
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
        settings.stream_protocol  # noqa: B018 (a protocol that is none is refused here)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return settings


def _text(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value)
    return "" if value is None else str(value)
