"""A cell: one experiment of a sweep, and what it is known by."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from dacr.core.cli import StrList
from dacr.core.registry import routers
from dacr.replay.play import parts_of
from dacr.replay.settings import ExperimentSettings

PLAY = "play"
REFERENCES = "references"

FILES = ("data", "stream", "latency_log", "features", "plugin", "domain_labels", "config_latency")
"""Settings that name a file: a cell is known by its checksum, not by where it lies."""

ELSEWHERE = ("results_dir", "save_router", "no_cache", "n_jobs", "list")
"""Settings that change no number."""

OF_PLAYING = (
    ("routers", "seeds", "orders", "protocol", "decision_info", "horizon", "miss_depends_on", "delay_s")
    + ("lambdas", "lambda_lat", "budget_cost", "budget_late", "budget_grid")
    + ("dacr_lambda_lat", "dacr_budget_cost", "dacr_budget_viol", "dacr_floor", "dacr_mu_lr", "dacr_cal_lr")
    + ("dacr_delay", "dacr_p_miss")
)
"""Settings that the split, its single models and its calibration do not depend on. Any other, new ones too, counts."""


_NOT_OF_REFERENCES = tuple(name for name in OF_PLAYING if name != "protocol")


@dataclass(frozen=True)
class Cell:
    """One router on one split in some runs, or (``references``) the split's single models and calibration.

    Attributes
    ----------
    kind : {"play", "references"}
    settings : ExperimentSettings
        Of this cell alone; where its files lie is no part of what it is.
    inputs : dict
        Role -> SHA-256 of each file that the settings name.
    decisions : bool
        Whether every decision is kept.
    """

    kind: str
    settings: ExperimentSettings
    inputs: Mapping[str, str]
    decisions: bool = False

    @classmethod
    def play(cls, settings: ExperimentSettings, sums: Mapping[str, str], decisions: bool = False) -> Cell:
        """Return the cell of one router; the predictor and calibrator are those that it really reads."""
        (router,) = settings.routers
        predictor, calibrator = parts_of(routers.get(router), settings)
        settings = replace(settings, predictor=predictor, calibrator=calibrator, calibrators=StrList())
        return cls(PLAY, settings, _inputs(settings, sums), decisions)

    @classmethod
    def references(cls, settings: ExperimentSettings, sums: Mapping[str, str]) -> Cell:
        """Return the cell of the split's single models and calibration.

        Its protocol counts: it is for the caller to leave it empty where training knows every model.
        """
        return cls(REFERENCES, settings, _inputs(settings, sums))

    @cached_property
    def config(self) -> dict[str, Any]:
        """Every setting that bears on the numbers, defaults included."""
        left_out = {*FILES, *ELSEWHERE, *(_NOT_OF_REFERENCES if self.kind == REFERENCES else ())}
        plain = {name: value for name, value in asdict(self.settings).items() if name not in left_out}
        config: dict[str, Any] = json.loads(json.dumps(plain))
        return config if self.kind == REFERENCES else {**config, "decisions": self.decisions}

    @cached_property
    def name(self) -> str:
        """A name that tells what it is, made unique by a hash of configuration and inputs."""
        numbers = {name: value for name, value in self.config.items() if name != "decisions"}
        content = json.dumps([self.kind, numbers, dict(self.inputs)], sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()[:12]
        router = self.settings.routers[0] if self.kind == PLAY else REFERENCES
        return "-".join([router, slug(",".join(self.settings.ood_holdout) or "in_distribution", 24), digest])

    @property
    def split_key(self) -> str:
        """What cells have in common that can share one split with its estimates."""
        left_out = {*ELSEWHERE, *OF_PLAYING, "predictor", "calibrator", "calibrators"}
        plain = {name: str(value) for name, value in asdict(self.settings).items() if name not in left_out}
        return json.dumps([plain, dict(self.inputs)], sort_keys=True)

    def manifest(self, code: str) -> dict[str, Any]:
        """Return what is embedded in the cell's part: nothing of where, when, by whom or on what it was run."""
        return {
            "stage": "sweep",
            "cell": self.name,
            "kind": self.kind,
            "config": self.config,
            "inputs": dict(self.inputs),
            "code": code,
        }


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


def _inputs(settings: ExperimentSettings, sums: Mapping[str, str]) -> dict[str, str]:
    named = {role: getattr(settings, role) for role in FILES}
    return {role: sums[str(path)] for role, path in named.items() if path is not None}
