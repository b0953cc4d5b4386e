"""Replay mode of ``LLMRouter-v0``: the arms are a benchmark's models, the outcomes its recorded ones."""

from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dacr.core import files
from dacr.core.cli import check_known
from dacr.core.values import Above0, AtLeast1, Checked
from dacr.data.splits import Split, split_queries
from dacr.data.table import RoutingTable, load
from dacr.envs.fleet_config import RewardConfig
from dacr.envs.game import Game, Moved
from dacr.estimates.features.question import questions_of
from dacr.estimates.features.text import TextFeatures, hashed_counts
from dacr.types import Floats, Ints

Features = NDArray[np.float32]
N_COMPONENT = 32


class ArmNames(NamedTuple):
    """What an agent is told before an episode of recorded outcomes: the names of the models."""

    arms: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReplayConfig(Checked):
    """Settings of a replay; keyword arguments of ``gym.make("LLMRouter-v0", data=..., ...)``.

    Attributes
    ----------
    part : {"train", "test", "all"}
        Rows that episodes draw from.
    dearest_usd : float
        Mean scaled cost of the dearest model, in USD; .03 is that of the preset fleet.
    """

    where: ClassVar[str] = "LLMRouter-v0 on data: "

    reward_config: RewardConfig = RewardConfig()  # noqa: RUF009 (frozen)
    episode_length: AtLeast1 = 1000
    budget: Above0 = 10.0
    part: Literal["train", "test", "all"] = "train"
    split_seed: int = 0
    dearest_usd: Above0 = 0.03
    n_component: int = N_COMPONENT
    bankrupt_penalty: float = 0.0


class Replay(Game):
    """One episode over recorded queries, drawn without replacement until all were seen.

    The observation is the text features of the question (in [-1, 1], fitted on the training part alone)
    and nothing else: no queue, no clock, no money. Costs are multiplied by ``cost_scale`` so that the
    dearest model's mean is ``dearest_usd``: real prices of 1e-5 USD would vanish beside quality. Without
    recorded latencies the latency is NaN and its term is left out; it never counts as 0 s.

    Parameters
    ----------
    settings
        Fields of :class:`ReplayConfig`.
    """

    def __init__(self, table: RoutingTable, *, prepared: tuple[Split, Features] | None = None, **settings: Any) -> None:
        self.config = config = ReplayConfig(**settings)
        self.rules, self.reward, self.episode_length = (
            ArmNames(table.model),
            config.reward_config,
            config.episode_length,
        )
        split, self._x = prepared or prepare(table, config.split_seed, config.n_component)
        self._pool: Ints = {"train": split.train, "test": split.test, "all": np.arange(table.n_query)}[config.part]
        dearest = float(table.cost_usd[split.train].mean(axis=0).max())
        self.cost_scale = config.dearest_usd / dearest if dearest > 0 else 1.0
        self._cost: Floats = table.cost_usd * self.cost_scale
        self._quality, self._latency = table.quality, table.latency_s
        self.n_feature = int(self._x.shape[1])
        self.observation: NDArray[np.float32] = np.zeros((1, self.n_feature), dtype=np.float32)
        self.balance = np.full(1, config.budget)
        self._order, self._position = self._pool, 0
        self.steps = np.zeros(1, dtype=np.int64)

    def reset(self, rng: np.random.Generator, which: Ints | None = None) -> None:
        """Begin a new episode in a new order."""
        self._rng = rng
        self.balance[:] = self.config.budget
        self.steps[:] = 0
        self._order, self._position = rng.permutation(self._pool), 0
        self._observe()

    def step(self, action: Ints) -> Moved:
        """Look up what the chosen model gave on this query."""
        self.check(action)
        row = self._order[[self._position]]
        cost, quality, latency = self._cost[row, action], self._quality[row, action], self._latency[row, action]
        gained = self.reward.of(quality, cost, latency)
        np.maximum(0.0, self.balance - cost, out=self.balance)
        terminated = self.balance <= 1e-9
        gained = gained - self.config.bankrupt_penalty * terminated
        self.steps += 1
        self._position += 1
        if self._position == len(self._order):
            self._order, self._position = self._rng.permutation(self._pool), 0
        self._observe()
        truncated = (self.steps >= self.episode_length) & ~terminated
        return Moved(gained, cost, quality, latency, terminated, truncated)

    def _observe(self) -> None:
        self.observation[0] = self._x[self._order[self._position]]


def prepare(table: RoutingTable, split_seed: int, n_component: int) -> tuple[Split, Features]:
    """Return the split and the text features in [-1, 1], fitted on the training part: (n_query, n_component)."""
    split = split_queries(list(table.qid), list(table.domain), split_seed=split_seed)
    counts = hashed_counts(questions_of(table.prompt))
    features = TextFeatures(n_component=n_component).fit(counts[split.train]).transform(counts)
    return split, np.clip(features, -1.0, 1.0).astype(np.float32)


def replay_of(data: str | Path | RoutingTable, **settings: Any) -> Replay:
    """Read a long table if a path is given, and return its replay.

    What was read and prepared is kept: training makes a dozen environments of one file.
    """
    check_known("LLMRouter-v0 on data", settings, [field.name for field in fields(ReplayConfig)])
    if isinstance(data, RoutingTable):
        return Replay(data, **settings)
    path = files.existing_file(data, made_by="python scripts/prepare_routerbench.py")
    seed, width = int(settings.get("split_seed", 0)), int(settings.get("n_component", N_COMPONENT))
    table, prepared = _read(str(path), path.stat().st_mtime_ns, seed, width)
    return Replay(table, prepared=prepared, **settings)


@lru_cache(maxsize=2)
def _read(path: str, changed_ns: int, split_seed: int, n_component: int) -> tuple[RoutingTable, tuple[Split, Features]]:
    table = load(path, with_response=False)
    return table, prepare(table, split_seed, n_component)
