"""What an experiment keeps of its routers: written down router by router, in bounded memory."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dacr.core import manifest
from dacr.data.refine import costs_said
from dacr.data.table import told_of
from dacr.estimates.estimator import Estimator
from dacr.experiment.acceptance import Acceptance
from dacr.experiment.calibration.beliefs import OnlineCalibration
from dacr.experiment.calibration.tables import unusable
from dacr.experiment.frontier_table import BRIER, FrontierTable, write_replicates
from dacr.experiment.manner import Entrant, Manner
from dacr.experiment.perfect_information import PerfectInformation
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.summary import summary_table
from dacr.experiment.writer import ResultsWriter, singles_table
from dacr.replay.entry import Entry
from dacr.replay.play import parts_of
from dacr.replay.settings import WorldSettings
from dacr.replay.setup import Setup
from dacr.replay.testbed import Testbed
from dacr.replay.world import World
from dacr.types import Played

REGRET, PERFECT = "regret.csv", "perfect_information.csv"
_QUEUES = "calls wait behind replicas, so what another model would have given depends on the calls before"


def left_out(settings: WorldSettings) -> dict[str, str]:
    """Return the reason for each table that an experiment can't give, by the name of its file.

    Examples
    --------
    >>> left_out(WorldSettings())
    {}
    >>> list(left_out(WorldSettings(replicas="2", decision_info="both")))
    ['regret.csv', 'perfect_information.csv']
    """
    if not settings.replicas:
        return {}
    names = [REGRET, *([PERFECT] if settings.decision_info == "both" else [])]
    return dict.fromkeys(names, _QUEUES)


class Record:
    """Decisions, metrics, beliefs, frontiers and regret of an experiment's routers.

    Parameters
    ----------
    folder : Path
        Where decisions are written as they come.
    world : World
        What all routers play in.
    entrants : dict
        Name in the results -> who plays under it, in the order of the tables.
    metadata : dict of bytes
        Kept in the file of decisions.
    """

    def __init__(
        self,
        folder: Path,
        bed: Testbed,
        setup: Setup,
        world: World,
        manner: Manner,
        entrants: Mapping[str, Entrant],
        metadata: dict[bytes, bytes],
    ) -> None:
        settings, table, test = setup.settings, bed.table, bed.test
        missing = left_out(settings)
        self._settings, self._world, self._manner, self._entrants = settings, world, manner, entrants
        self._folder = folder
        cache, named = setup.estimator.cache, (table.qid[test], table.domain[test], setup.arm_names)
        self._writer = ResultsWriter(folder, *named, settings.tau_seconds, metadata, cache=cache)
        self.online = OnlineCalibration(table.domain[test], setup.arm_names, cache)
        self._with_regret = REGRET not in missing and not manner.light
        wanted = settings.decision_info == "both" and PERFECT not in missing
        self.perfect = PerfectInformation(settings.tau_seconds) if wanted else None
        self._acceptance = Acceptance(setup)
        self._frontiers = FrontierTable(
            setup.truth,
            settings.sweep.lambda_late,
            settings.tau_seconds,
            manner.n_resample,
            manner.resample_seed,
            budgets=manner.compared,
        )
        self.singles = singles_table(bed, settings.tau_seconds)

    def add(self, entry: Entry, played: list[Played]) -> None:
        """Write what an entry did at each of its points; beliefs and regret of a learner along its frontier."""
        world, keep = self._world, self._manner.decisions
        for point, one in zip(entry.points, played, strict=True):
            self._writer.keep_decisions = keep == "all" or (keep == "frontiers" and not point.enforced)
            self._writer.add(entry.name, point, world.runs_of(point).seed, one, world.order_matters(point))
            if entry.learns and not point.enforced and self._with_regret:
                self._writer.add_regret(entry.name, point, one, world.offered(one.row))
        if self.perfect is not None:
            self.perfect.add(entry, world, played)
        if not self._manner.light:
            if entry.learns:
                pairs = zip(entry.points, played, strict=True)
                self.online.add(entry.name, {point.label: one for point, one in pairs if not point.enforced}, world)
            self._acceptance.add(entry, played)
        self._frontiers.add(entry, played, world)

    def add_calibrators(self, estimator: Estimator, names: Sequence[str]) -> None:
        """Replicate the Brier score of each calibrator on the test rows, mean over models."""
        truth = estimator.outcomes(estimator.test)
        for name in names:
            p = estimator.calibrated[self._settings.predictor, name, "test"]
            scored = truth.known(np.square(p - truth.quality))
            self._frontiers.add_mean(BRIER, name, np.nanmean(scored, axis=1))

    def close(self) -> dict[str, pd.DataFrame]:
        """Finish the file of decisions; return the tables by the stem of their file, rows in the order of routers."""
        metrics, by_seed, by_domain = (self._marked(self._in_order(frame)) for frame in self._writer.close())
        if self._manner.compared:
            write_replicates(self._folder / "replicates.parquet", self._frontiers.collected, list(self._entrants))
        frontier = self._frontiers.frame(by_seed, metrics, self.singles)
        tables = {
            "metrics": metrics,
            "metrics_by_seed": by_seed,
            "metrics_by_domain": by_domain,
            "singles": self.singles,
            "frontier": self._marked(self._in_order(frontier)),
            **self._writer.more_tables(),
            **{name: self._in_order(frame) for name, frame in self._acceptance.tables().items()},
        }
        tables["summary"] = summary_table(tables)
        return tables if self.perfect is None else {**tables, "perfect_information": self.perfect.frame()}

    def _in_order(self, frame: pd.DataFrame) -> pd.DataFrame:
        rank = {name: k for k, name in enumerate(self._entrants)}
        return frame.iloc[np.argsort(frame["policy"].map(rank), kind="stable")].reset_index(drop=True)

    def _marked(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Say in every row what kind of router it is of, and which information decisions were made on."""
        for flag in ("learns", "clairvoyant", "full_information"):
            marked = {name: bool(getattr(one.part, flag)) for name, one in self._entrants.items()}
            frame[flag] = frame["policy"].map(marked)
        info = "oracle" if self._settings.decision_info == "oracle" else "predicted"
        frame["decision_info"] = np.where(frame["clairvoyant"], "truth", info)
        return frame


def describe(settings: ExperimentSettings, bed: Testbed, entrants: Mapping[str, Entrant]) -> dict[str, Any]:
    """Return the manifest of this experiment."""
    inputs: dict[str, str | Path] = {"data": settings.data, "config_latency": settings.config_latency}
    for role in ("stream", "latency_log", "features", "plugin", "domain_labels"):
        path = getattr(settings, role)
        if path is not None:
            inputs[role] = path
    for part in settings.stream_protocol.parts:
        files_of = {name: part.params.get(name) for name in ("prices", "was")}
        inputs |= {f"{part.name}: {name}": path for name, path in files_of.items() if path}
    parts = {name: parts_of(one.part, settings) for name, one in entrants.items()}
    return manifest.build(
        "run_experiment",
        settings.as_dict(),
        inputs,
        held_out=list(bed.held_out),
        sources=bed.sources | {"costs": costs_said(told_of(settings.data))},
        protocol=str(settings.stream_protocol),
        routers={name: {"predictor": p, "calibrator": c} for name, (p, c) in parts.items()},
        left_out=left_out(settings) | unusable(settings),
    )
