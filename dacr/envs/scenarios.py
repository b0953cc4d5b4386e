"""Scenarios of ``BudgetRouter-v0``: who fails, when, and how much money there is.

They live in ``configs/scenarios.yaml``. A *variant* (``shuffled``, ``flapping``) replaces fixed onsets
and targets by hidden draws; ``shuffled_hard_multi`` is the variant ``shuffled`` of ``hard_multi``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from dacr.core import files
from dacr.core.errors import UserError, unknown
from dacr.core.values import made_of

CONFIG = files.CONFIGS / "scenarios.yaml"

BASE = ("easy", "medium", "hard", "hard_multi")
SEED_SETS: dict[str, range] = {
    "development": range(0, 10),
    "heldout": range(100, 110),
    "fresh": range(200, 210),
    "heldout_100": range(100, 200),
}
"""Ten seeds a set, as published; they tell differences of about .09 apart (sd .13). ``heldout_100`` tells .03."""


@dataclass(frozen=True)
class Provider:
    """One arm: its price in USD per call and its base latency in milliseconds."""

    name: str
    cost_usd: float
    latency_ms: float


@dataclass(frozen=True)
class Degradation:
    """Provider ``target`` loses ``rate`` of reliability a step from ``onset`` (+- ``jitter``) on."""

    target: int
    onset: int
    rate: float
    jitter: int = 0


@dataclass(frozen=True)
class Variant:
    """Hidden draws that replace fixed onsets and targets (see the comments in the configuration)."""

    name: str
    onset: tuple[int, int]
    lasts: tuple[int, int] = (0, 0)
    rate: float = 0.0
    recovery_rate: float = 0.0
    down: tuple[int, int] = (0, 0)
    up: tuple[int, int] = (0, 0)
    down_health: float = 0.0

    @property
    def flaps(self) -> bool:
        """Whether providers go down and up again at once, rather than little by little."""
        return self.down[1] > 0


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What an agent is told before an episode: prices and rules, nothing about reliability.

    Attributes
    ----------
    horizon : int
        Steps of an episode.
    window : int
        Number of last outcomes that a status averages.
    profile, strategy : str
        What an LLM is told of this run, and, in its mode ``objective_feedback``, what to do early, middle and late.
    """

    name: str
    providers: tuple[Provider, ...]
    budget_usd: float
    horizon: int = 20
    sla_ms: float = 500.0
    window: int = 5
    profile: str = ""
    strategy: str = ""
    retries: ClassVar[bool] = True

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the actions: one route per provider, then ``shed_load``."""
        return (*(f"route_to_{provider.name.lower()}" for provider in self.providers), "shed_load")

    @property
    def arms(self) -> tuple[str, ...]:
        """Short names of the actions, as in ``always_a``."""
        return (*(provider.name.lower() for provider in self.providers), "shed")

    @property
    def n_model(self) -> int:
        """Number of providers."""
        return len(self.providers)

    @property
    def n_feature(self) -> int:
        """Length of an observation."""
        return len(self.providers) + 4

    @property
    def shed(self) -> int:
        """Index of the action ``shed_load``."""
        return len(self.providers)


@dataclass(frozen=True, kw_only=True)
class Scenario(Brief):
    """Everything that is fixed about an episode before its seed is known.

    Attributes
    ----------
    reliability : tuple of float
        Success probability of each provider at the start.
    noise_ms : float
        Standard deviation of the latency noise.
    schedule : str
        The open-loop baseline for it, such as "A5 B15".
    """

    reliability: tuple[float, ...]
    noise_ms: float
    degradations: tuple[Degradation, ...]
    variant: Variant | None = None
    queue_cap: int = 10
    schedule: str = ""

    @property
    def base(self) -> str:
        """Name of the scenario without its variant."""
        return self.name if self.variant is None else self.name.removeprefix(f"{self.variant.name}_")

    def brief(self) -> Brief:
        """Return what an agent may know of this scenario."""
        return Brief(**{field.name: getattr(self, field.name) for field in fields(Brief)})


def seeds_of(name: str) -> range:
    """Return the seeds of a seed set."""
    if name not in SEED_SETS:
        raise UserError(f"unknown seed set {name!r}; expected one of {', '.join(SEED_SETS)}")
    return SEED_SETS[name]


def names(config: str | Path = CONFIG) -> list[str]:
    """Return the names of all scenarios: the base ones, then each variant of those that degrade."""
    path = files.existing_file(config)
    raw = _parsed(path, path.stat().st_mtime_ns)
    degrading = [name for name, spec in raw["scenarios"].items() if spec["degradations"]]
    return [*raw["scenarios"], *(f"{variant}_{name}" for variant in raw.get("variants", {}) for name in degrading)]


def scenario(name: str, config: str | Path = CONFIG) -> Scenario:
    """Return the scenario called ``name``.

    Raises
    ------
    UserError
        No such scenario (the nearest name is told), or a configuration that cannot be read.

    Examples
    --------
    >>> scenario("hard_multi").budget_usd, scenario("shuffled").name
    (1.1, 'shuffled_hard_multi')
    """
    path = files.existing_file(config)
    changed_ns = path.stat().st_mtime_ns
    raw = _parsed(path, changed_ns)
    if name in raw.get("variants", {}):
        name = f"{name}_hard_multi"
    known = names(config)
    if name not in known:
        raise unknown("unknown scenario", name, known)
    return _build(name, path, changed_ns)


@lru_cache(maxsize=8)
def _parsed(path: Path, changed_ns: int) -> dict[str, Any]:
    raw = files.read_yaml(path)
    if not isinstance(raw, dict) or "scenarios" not in raw or "providers" not in raw:
        raise UserError(f"{path} should hold the keys 'providers' and 'scenarios'")
    return raw


@lru_cache(maxsize=32)
def _build(name: str, path: Path, changed_ns: int) -> Scenario:
    raw, where = _parsed(path, changed_ns), f"{path}: scenario {name!r}"
    arms = [made_of(Provider, one, f"{where}: providers").name for one in raw["providers"]]
    variant = next(
        (v for v in raw.get("variants", {}) if name.startswith(f"{v}_") and name not in raw["scenarios"]), None
    )
    base_name = name if variant is None else name.removeprefix(f"{variant}_")
    spec, schedules = raw["scenarios"][base_name], raw.get("open_loop", {})
    for one in spec["degradations"]:
        if not isinstance(one, Mapping) or one.get("target") not in arms:
            raise UserError(f"{where}: the target of {one} should be one of the providers {', '.join(arms)}")
    given = {
        **(spec | raw.get("untold", {}) if variant else raw.get("untold", {}) | spec),
        "name": name,
        "providers": raw["providers"],
        "degradations": [{**one, "target": arms.index(one["target"])} for one in spec["degradations"]],
        "schedule": schedules.get(name, schedules.get(base_name)),
        "variant": variant and {"name": variant, **raw["variants"][variant]},
        **raw.get("rules", {}),
    }
    made = made_of(Scenario, given, where)
    if len(made.reliability) != len(made.providers):
        raise UserError(f"{where}: {len(made.reliability)} reliabilities for {len(made.providers)} providers")
    return made
