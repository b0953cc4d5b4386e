"""The rule engine: a class, the smallest capable model, hard limits checked before the call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from dacr.core import files, money
from dacr.core.errors import UserError
from dacr.routers.rules.classes import classify

_SHOWN = 80
_HARD = ("complex", "critical")


@dataclass(frozen=True)
class ModelOption:
    """A model that the rules may choose.

    Attributes
    ----------
    spec : str
        ``provider:model``.
    cost_per_1k_tokens : float, USD
    avg_latency_s : float, seconds
    max_context : int, tokens
    capabilities : tuple of str
        ``reasoning`` or ``code`` makes it capable of complex and critical tasks.
    """

    spec: str
    is_local: bool = False
    cost_per_1k_tokens: float = 0.0
    avg_latency_s: float = 1.0
    max_context: int = 8192
    capabilities: tuple[str, ...] = ()

    @property
    def capable(self) -> bool:
        """Whether complex and critical tasks may be given to it."""
        return bool({"reasoning", "code"} & set(self.capabilities))


@dataclass(frozen=True)
class RulePolicy:
    """What the rules prefer, and the limits that no call may be estimated to break."""

    prefer_local: bool = True
    max_cost_per_task_usd: float = 0.10
    max_latency_per_call_s: float = 30.0
    max_tokens_per_task: int = 10_000
    allow_cloud_fallback: bool = True
    local_model: str = "ollama:qwen3:1.7b"
    cloud_model: str = "openrouter:meta-llama/llama-3.3-70b-instruct"
    fallback_model: str = "openrouter:meta-llama/llama-3.3-70b-instruct"
    expected_output_tokens: int = 512
    legacy: bool = False


@dataclass(frozen=True)
class RuleDecision:
    """One decision; ``model`` is None where no model fits the limits. It holds no time of day."""

    task: str
    task_class: str
    model: str | None
    reason: str
    estimated_cost_usd: float
    estimated_latency_s: float
    estimated_tokens: int

    def line(self) -> str:
        """Return it as one line of JSON, the same bytes for the same decision."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)


class TaskLedger:
    """Money (in whole nano-dollars) and tokens of one task, over all its calls.

    Examples
    --------
    >>> ledger = TaskLedger(limit_usd=0.10, limit_tokens=1000)
    >>> ledger.reserve(0.08, 600), ledger.reserve(0.03, 100)
    (True, False)
    >>> ledger.settle(0.08, 600, 0.12, 650)
    >>> ledger.overshoot_usd
    0.02
    """

    def __init__(self, limit_usd: float, limit_tokens: int) -> None:
        self._limit = (money.limit(limit_usd), limit_tokens)
        self._held = [0, 0]
        self._spent = [0, 0]

    def affords(self, cost_usd: float, tokens: int) -> str | None:
        """Return the limit that a call would break, or None."""
        asked = (money.bill(cost_usd), tokens)
        for name, limit, held, spent, more in zip(
            ("budget", "tokens"), self._limit, self._held, self._spent, asked, strict=True
        ):
            if held + spent + more > limit:
                return name
        return None

    def reserve(self, cost_usd: float, tokens: int) -> bool:
        """Set money and tokens aside for a call; say whether they were there."""
        if self.affords(cost_usd, tokens) is not None:
            return False
        self._held[0] += money.bill(cost_usd)
        self._held[1] += tokens
        return True

    def settle(self, reserved_usd: float, reserved_tokens: int, cost_usd: float, tokens: int) -> None:
        """Replace a reservation by what the call really took."""
        self._held[0] -= money.bill(reserved_usd)
        self._held[1] -= reserved_tokens
        self._spent[0] += money.bill(cost_usd)
        self._spent[1] += tokens

    @property
    def overshoot_usd(self) -> float:
        """Money spent beyond the limit: estimates can be wrong, the limit holds on them alone."""
        return max(0, self._spent[0] - self._limit[0]) / money.NANO_PER_USD


@dataclass
class RuleEngine:
    """Decides by rule. Decisions are logged in order in :attr:`log`.

    Parameters
    ----------
    policy : RulePolicy
    options : sequence of ModelOption
        Local models first where there are any; ties go to the earlier one.
    """

    policy: RulePolicy
    options: Sequence[ModelOption]
    log: list[RuleDecision] = field(default_factory=list)

    def ledger(self) -> TaskLedger:
        """Return a fresh ledger for one task."""
        return TaskLedger(self.policy.max_cost_per_task_usd, self.policy.max_tokens_per_task)

    def decide(self, task: str, ledger: TaskLedger | None = None, n_char: int | None = None) -> RuleDecision:
        """Choose a model for the next call of a task.

        Parameters
        ----------
        ledger : TaskLedger, optional
            What earlier calls of the same task took; a fresh one by default.
        n_char : int, optional
            Length of the whole prompt, where ``task`` is only the question in it.
        """
        name = classify(task, self.policy.legacy)
        tokens = -(-(len(task) if n_char is None else n_char) // 4) + self.policy.expected_output_tokens
        if self.policy.legacy:
            option, reason = self._legacy_choice(name, tokens)
        else:
            option, reason = self._choice(name, tokens, ledger or self.ledger())
        decision = RuleDecision(
            task=task[:_SHOWN],
            task_class=name,
            model=option.spec if option else None,
            reason=reason,
            estimated_cost_usd=round(_cost(option, tokens), 9) if option else 0.0,
            estimated_latency_s=option.avg_latency_s if option else 0.0,
            estimated_tokens=tokens,
        )
        self.log.append(decision)
        return decision

    def preference(self, task_class: str) -> list[ModelOption]:
        """Return the models for a class in the order in which they are tried, limits aside."""
        by_size = sorted(self.options, key=lambda option: (option.cost_per_1k_tokens, option.avg_latency_s))
        local = [option for option in by_size if option.is_local]
        cloud = [option for option in by_size if not option.is_local and self.policy.allow_cloud_fallback]
        if task_class in _HARD:
            capable = [option for option in (*cloud, *local) if option.capable]
            order = [*capable, *(option for option in (*cloud, *local) if not option.capable)]
        elif self.policy.prefer_local:
            order = [*local, *cloud]
        else:
            order = [option for option in by_size if option in local or option in cloud]
        last = [option for option in order if option.spec == self.policy.fallback_model]
        return [*order, *last]

    def broken_limit(self, option: ModelOption, tokens: int, ledger: TaskLedger) -> str | None:
        """Return the limit that a call is estimated to break, or None."""
        if tokens > option.max_context:
            return "context"
        if option.avg_latency_s > self.policy.max_latency_per_call_s:
            return "latency"
        return ledger.affords(_cost(option, tokens), tokens)

    def _choice(self, name: str, tokens: int, ledger: TaskLedger) -> tuple[ModelOption | None, str]:
        first = None
        for option in self.preference(name):
            broken = self.broken_limit(option, tokens, ledger)
            if broken is None:
                if first is None:
                    return option, f"complexity={name}"
                return option, f"{first}_exceeded: forced {'local' if option.is_local else 'another model'}"
            first = first or broken
        return None, f"refused: {first}_exceeded for every model" if first else "refused: no model is allowed"

    def _legacy_choice(self, name: str, tokens: int) -> tuple[ModelOption | None, str]:
        local = [option for option in self.options if option.is_local]
        cloud = [option for option in self.options if not option.is_local]
        candidates = [*local, *cloud] if local and self.policy.prefer_local else list(self.options)
        if not candidates:
            return None, "refused: no model is allowed"
        if name == "simple":
            option = min(local or candidates, key=lambda one: one.cost_per_1k_tokens)
        elif name in _HARD:
            capable = [one for one in candidates if one.capable]
            option = cloud[0] if cloud and self.policy.allow_cloud_fallback else (capable or candidates)[0]
        else:
            option = candidates[0]
        if _cost(option, tokens) > self.policy.max_cost_per_task_usd and local:
            return local[0], "budget_exceeded: forced local"
        return option, f"complexity={name}"


def _cost(option: ModelOption, tokens: int) -> float:
    return option.cost_per_1k_tokens * tokens / 1000


def load_rules(path: str | Path, legacy: bool = False) -> RuleEngine:
    """Read ``configs/rules.yaml``: policy and models.

    Raises
    ------
    UserError
        Not YAML, an unknown key, a value of the wrong kind, or no models.
    """
    content = files.read_yaml(path) or {}
    if not isinstance(content, Mapping) or not content.get("models"):
        raise UserError(f"{path} has no 'models:' list; expected models: [{{spec: 'provider:model', ...}}]")
    policy = _build(RulePolicy, content.get("policy") or {}, f"{path}: policy")
    options = [_build(ModelOption, item, f"{path}: models") for item in content["models"]]
    if legacy:
        policy = RulePolicy(**{**asdict(policy), "legacy": True})
    return RuleEngine(policy, options)


def _build(kind: Any, values: Any, what: str) -> Any:
    if not isinstance(values, Mapping):
        raise UserError(f"{what}: expected a mapping, got {values!r}")
    known = {one.name: one for one in fields(kind)}
    unknown = set(values) - set(known)
    if unknown:
        raise UserError(f"{what}: unknown keys {sorted(unknown)}; known: {', '.join(known)}")
    given = dict(values)
    for name, value in given.items():
        expected = str(known[name].type)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if (expected in ("int", "float") and (not number or value < 0)) or (
            expected == "bool" and not isinstance(value, bool)
        ):
            raise UserError(f"{what}: {name} should be a {expected} of at least 0, got {value!r}")
    if "capabilities" in given:
        given["capabilities"] = tuple(given["capabilities"])
    try:
        return kind(**given)
    except TypeError:
        raise UserError(f"{what}: lacks 'spec' (provider:model)") from None
