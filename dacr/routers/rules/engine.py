"""The rule engine: a class, the smallest capable model, hard limits checked before the call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dacr.core import files, money
from dacr.core.errors import UserError
from dacr.core.values import AtLeast0, Whole, made_of
from dacr.routers.rules.classes import classify
from dacr.types import Bools, Floats, Ints

_SHOWN = 80
_HARD = ("complex", "critical")
_LOCAL_PROVIDERS = ("ollama",)


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
    is_local: bool = True
    cost_per_1k_tokens: AtLeast0 = 0.0
    avg_latency_s: AtLeast0 = 1.0
    max_context: Whole = 32_768
    capabilities: tuple[str, ...] = ()

    @property
    def capable(self) -> bool:
        """Whether complex and critical tasks may be given to it."""
        return bool({"reasoning", "code"} & set(self.capabilities))

    def cost_usd(self, tokens: int) -> float:
        """Return what a call of so many tokens costs in USD."""
        return self.cost_per_1k_tokens * tokens / 1000


@dataclass(frozen=True)
class RulePolicy:
    """What the rules prefer, and the limits that no call may be estimated to break.

    Attributes
    ----------
    local_model, cloud_model : str
        The model that comes first among the local models and among those of the cloud; '' leaves the order to size.
        Simple tasks go to the smallest model in any case.
    fallback_model : str
        The model that every decision tries second; '' for none.
    expected_output_tokens : int
        What the limits are checked with: the length of an answer is not known before the call.
    """

    prefer_local: bool = True
    max_cost_per_task_usd: AtLeast0 = 0.10
    max_latency_per_call_s: AtLeast0 = 30.0
    max_tokens_per_task: Whole = 10_000
    allow_cloud_fallback: bool = True
    local_model: str = "ollama:qwen3:1.7b"
    cloud_model: str = "openrouter:meta-llama/llama-3.3-70b-instruct"
    fallback_model: str = "openrouter:meta-llama/llama-3.3-70b-instruct"
    expected_output_tokens: Whole = 512

    def tokens(self, n_char: int | Ints) -> Any:
        """Return the tokens of a call whose prompt has so many characters."""
        return -(-n_char // 4) + self.expected_output_tokens

    def broken(
        self,
        cost_usd: float | Floats,
        latency_s: float | Floats,
        tokens: int | Ints,
        ledger: TaskLedger | None = None,
    ) -> dict[str, bool | Bools]:
        """Say which limits calls would break: the one place where the limits are written.

        A call that is free breaks no budget, however much its task has spent.

        Parameters
        ----------
        cost_usd, latency_s, tokens : number or array
            What is expected of each call; the shapes broadcast.
        ledger : TaskLedger, optional
            What earlier calls of the same task took.
        """
        ledger = ledger or TaskLedger()
        nano = money.bill(cost_usd) if isinstance(cost_usd, float) else money.to_nano(cost_usd)
        return {
            "latency": latency_s > self.max_latency_per_call_s,
            "budget": (nano > 0) & (ledger.nano + nano > money.limit(self.max_cost_per_task_usd)),
            "tokens": ledger.tokens + tokens > self.max_tokens_per_task,
        }


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


@dataclass
class TaskLedger:
    """What the calls of one task took or may yet take: whole nano-dollars, and tokens.

    Examples
    --------
    >>> ledger = TaskLedger()
    >>> ledger.book(0.08, 600)
    >>> ledger.settle(0.08, 600, 0.12, 650)
    >>> ledger.total_usd, ledger.tokens
    (0.12, 650)
    """

    nano: int = 0
    tokens: int = 0

    @property
    def total_usd(self) -> float:
        """Money in USD."""
        return self.nano / money.NANO_PER_USD

    def book(self, cost_usd: float, tokens: int = 0) -> None:
        """Set money and tokens aside for a call, or book what one took."""
        self.nano += money.bill(cost_usd)
        self.tokens += tokens

    def settle(self, reserved_usd: float, reserved_tokens: int, cost_usd: float, tokens: int) -> None:
        """Replace what was set aside for a call by what the call really took."""
        self.nano -= money.bill(reserved_usd)
        self.tokens -= reserved_tokens
        self.book(cost_usd, tokens)


@dataclass
class RuleEngine:
    """Decides by rule, for one task at a time until :meth:`reset_budget`.

    Parameters
    ----------
    policy : RulePolicy
    options : sequence of ModelOption, optional
        By default the policy's local and cloud models. Ties go to the earlier one.

    Attributes
    ----------
    decisions : list of RuleDecision
        In order.
    """

    policy: RulePolicy = field(default_factory=RulePolicy)
    options: Sequence[ModelOption] = ()
    decisions: list[RuleDecision] = field(default_factory=list)
    task: TaskLedger = field(default_factory=TaskLedger)
    _orders: dict[str, list[ModelOption]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.options:
            cloud = ModelOption(self.policy.cloud_model, False, 0.0004, 6.0, 131_072, ("chat", "reasoning", "code"))
            self.options = (ModelOption(self.policy.local_model, capabilities=("chat",)), cloud)

    @property
    def total_cost(self) -> float:
        """What the calls of the present task cost in USD, as far as they were recorded."""
        return self.task.total_usd

    def record_cost(self, usd: float, tokens: int = 0) -> None:
        """Book what a call of the present task took."""
        self.task.book(usd, tokens)

    def reset_budget(self) -> None:
        """Begin another task."""
        self.task = TaskLedger()

    def decide(self, task: str, ledger: TaskLedger | None = None, n_char: int | None = None) -> RuleDecision:
        """Choose a model for the next call of a task.

        Parameters
        ----------
        ledger : TaskLedger, optional
            What earlier calls of the same task took; by default what was recorded since :meth:`reset_budget`.
        n_char : int, optional
            Length of the whole prompt, where ``task`` is only the question in it.
        """
        name = classify(task)
        tokens = self.policy.tokens(len(task) if n_char is None else n_char)
        option, reason = self._choice(name, tokens, ledger or self.task)
        decision = RuleDecision(
            task=task[:_SHOWN],
            task_class=name,
            model=option.spec if option else None,
            reason=reason,
            estimated_cost_usd=round(option.cost_usd(tokens), 9) if option else 0.0,
            estimated_latency_s=option.avg_latency_s if option else 0.0,
            estimated_tokens=tokens,
        )
        self.decisions.append(decision)
        return decision

    def preference(self, task_class: str) -> list[ModelOption]:
        """Return the models for a class in the order in which they are tried, limits aside."""
        if task_class in self._orders:
            return self._orders[task_class]
        policy = self.policy
        named = () if task_class == "simple" else (policy.local_model, policy.cloud_model)
        by_size = sorted(
            (option for option in self.options if option.is_local or policy.allow_cloud_fallback),
            key=lambda option: (option.cost_per_1k_tokens, option.avg_latency_s),
        )
        first = sorted(by_size, key=lambda option: option.spec not in named)
        if task_class in _HARD:
            order = sorted(first, key=lambda option: (not option.capable, option.is_local))
        else:
            order = sorted(first, key=lambda option: not option.is_local) if policy.prefer_local else by_size
        second = [option for option in order[1:] if option.spec == policy.fallback_model]
        self._orders[task_class] = [*order[:1], *second, *(option for option in order[1:] if option not in second)]
        return self._orders[task_class]

    def broken_limit(self, option: ModelOption, tokens: int, ledger: TaskLedger) -> str | None:
        """Return the limit that a call is estimated to break, or None."""
        if tokens > option.max_context:
            return "context"
        broken = self.policy.broken(option.cost_usd(tokens), option.avg_latency_s, tokens, ledger)
        return next((limit for limit, breaks in broken.items() if breaks), None)

    def _choice(self, name: str, tokens: int, ledger: TaskLedger) -> tuple[ModelOption | None, str]:
        first = None
        for option in self.preference(name):
            broken = self.broken_limit(option, tokens, ledger)
            if broken is None:
                forced = f"{first}_exceeded: forced {'local' if option.is_local else 'another model'}"
                return option, forced if first else f"complexity={name}"
            first = first or broken
        return None, f"refused: {first}_exceeded for every model" if first else "refused: no model is allowed"


def load_rules(path: str | Path) -> RuleEngine:
    """Read ``configs/rules.yaml``: policy, and models (by default the two that the policy names).

    Raises
    ------
    UserError
        Not YAML, an unknown key, or a value of the wrong kind.
    """
    content = files.read_yaml(path) or {}
    if not isinstance(content, Mapping) or set(content) - {"policy", "models"} or not content:
        raise UserError(f"{path}: expected policy: {{...}} and models: [{{spec: 'provider:model', ...}}]")
    given = content.get("policy") or {}
    policy = made_of(RulePolicy, given, f"{path}: policy")
    options = []
    for item in content.get("models") or ():
        option = made_of(ModelOption, item, f"{path}: models")
        is_local = item.get("is_local", option.spec.partition(":")[0] in _LOCAL_PROVIDERS)
        options.append(replace(option, is_local=is_local))
    specs = [option.spec for option in options]
    for name in ("local_model", "cloud_model", "fallback_model"):
        if options and given.get(name) and given[name] not in specs:
            raise UserError(f"{path}: {name} {given[name]!r} is not one of the models {', '.join(specs)}")
    return RuleEngine(policy, options)
