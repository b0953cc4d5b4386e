"""A cell: one experiment of a grid, or some of its routers, and what it is known by."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from dacr.core.cache import code_version
from dacr.experiment.manner import Manner
from dacr.experiment.settings import ExperimentSettings

FILES = ("data", "stream", "latency_log", "features", "plugin", "domain_labels", "config_latency")
"""Settings that name a file: a cell is known by its checksum, not by where it lies."""

ELSEWHERE = ("results_dir", "save_router", "no_cache", "n_jobs", "draw", "draw_routers", "track")
"""Settings that change no number."""

NOT_IN_A_CELL = ("report", "live", "envs", "experiment/verify", "experiment/studies")
"""Packages that no cell imports: a change to a figure makes no cell old."""


@dataclass(frozen=True)
class Cell:
    """An experiment that can be conducted anywhere.

    Attributes
    ----------
    settings : ExperimentSettings
        Where its files lie is no part of what it is.
    inputs : dict
        Role -> SHA-256 of each file that the settings name.
    manner : Manner
    """

    settings: ExperimentSettings
    inputs: Mapping[str, str]
    manner: Manner = Manner(compared=True)  # noqa: RUF009 - immutable

    @classmethod
    def of(cls, settings: ExperimentSettings, sums: Mapping[str, str], manner: Manner) -> Cell:
        """Return the cell of an experiment, given the checksum of every file by its path."""
        named = {role: getattr(settings, role) for role in FILES}
        return cls(settings, {role: sums[str(path)] for role, path in named.items() if path is not None}, manner)

    @cached_property
    def config(self) -> dict[str, Any]:
        """Every setting that bears on the numbers, defaults included."""
        plain = {name: value for name, value in asdict(self.settings).items() if name not in (*FILES, *ELSEWHERE)}
        return json.loads(json.dumps(plain))

    @cached_property
    def name(self) -> str:
        """A name that tells what it is, made unique by a hash of all that its numbers depend on."""
        manner = {**asdict(self.manner), "decisions": ""}
        content = json.dumps([self.config, manner, dict(self.inputs)], sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()[:12]
        routers = ",".join(self.manner.entrants or self.settings.routers) or "all"
        return "-".join([slug(routers, 24), slug(",".join(self.settings.ood_holdout) or "in_distribution", 24), digest])

    def manifest(self, code: str) -> dict[str, Any]:
        """Return the manifest of the cell's folder: nothing of where, when, by whom or on what it was run."""
        made = {
            "stage": "sweep",
            "cell": self.name,
            "config": self.config,
            "manner": asdict(self.manner),
            "inputs": {role: {"sha256": value} for role, value in self.inputs.items()},
            "code": code,
        }
        return json.loads(json.dumps(made))


@functools.cache
def cell_code() -> str:
    """Return a hash over the sources that cells may run, as they were when this process first asked.

    A commit would not do: a changed file is not in it, and an installed package or a worker's copy has none.
    """
    return code_version(without=NOT_IN_A_CELL)


def slug(text: str, longest: int = 60) -> str:
    """Return text that is fit for a file name; what is too long is cut and ends in a hash.

    Examples
    --------
    >>> slug("degrade:model=gpt-4,factor=0.6")
    'degrade_model_gpt-4_factor_0.6'
    """
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", text).strip("_.")
    if len(plain) <= longest:
        return plain
    return f"{plain[: longest - 7]}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"
