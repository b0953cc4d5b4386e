"""Which models a live request tries, and in what order: the chain's, the rules', or a trained router's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from dacr.live.catalogue import Catalogue, Entry
from dacr.live.chain import Link
from dacr.live.saved import SavedRouter
from dacr.routers.rule_policy import ModelOption, RuleEngine, TaskLedger
from dacr.types import Estimates, ModelSpec

_MOST_CACHED = 4096


class Selector(Protocol):
    """Orders models for a prompt."""

    name: str

    def prepare(self, prompt: str) -> None:
        """Compute what the decision reads (features); not counted as deciding."""

    def order(self, prompt: str) -> tuple[list[str], dict[str, Any]]:
        """Return the models to try in order, and why; none means that no call may be made."""


class ChainSelector:
    """Always the chain's own order."""

    name = "chain"

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)

    def prepare(self, prompt: str) -> None:
        """Need nothing."""

    def order(self, prompt: str) -> tuple[list[str], dict[str, Any]]:
        """Return the chain."""
        return list(self._names), {}


class RulesSelector:
    """The rules' choice, then what they would choose next, as long as the task's limits allow for it.

    The money of all attempts is reserved before the first call: a fallback cannot break the cap either.
    """

    name = "rules"

    def __init__(self, engine: RuleEngine, most: int = 3) -> None:
        self.engine, self._most = engine, most

    def prepare(self, prompt: str) -> None:
        """Need nothing."""

    def order(self, prompt: str) -> tuple[list[str], dict[str, Any]]:
        """Return the chosen model and affordable fallbacks, and the decision as in the log."""
        ledger = self.engine.ledger()
        decision = self.engine.decide(prompt, ledger)
        self.engine.log.clear()  # the event carries the decision; the log would grow without end
        if decision.model is None:
            return [], {"decision": asdict(decision)}
        ledger.reserve(decision.estimated_cost_usd, decision.estimated_tokens)
        names = [decision.model]
        if not self.engine.policy.legacy:
            for option in self.engine.preference(decision.task_class):
                if len(names) < self._most and option.spec not in names and self._fits(option, decision, ledger):
                    names.append(option.spec)
        return names, {"decision": asdict(decision)}

    def _fits(self, option: ModelOption, decision: Any, ledger: TaskLedger) -> bool:
        tokens = decision.estimated_tokens
        if self.engine.broken_limit(option, tokens, ledger) is not None:
            return False
        return ledger.reserve(option.cost_per_1k_tokens * tokens / 1000, tokens)


class SavedSelector:
    """A router that an experiment trained and saved; estimates are cached by prompt."""

    def __init__(self, saved: SavedRouter, most: int = 3) -> None:
        self.name = saved.router.name
        self._saved, self._most = saved, most
        self._cache: OrderedDict[str, Estimates] = OrderedDict()

    def prepare(self, prompt: str) -> None:
        """Compute the estimates of a prompt unless they are cached."""
        if prompt in self._cache:
            self._cache.move_to_end(prompt)
            return
        self._cache[prompt] = self._saved.estimates([prompt])
        if len(self._cache) > _MOST_CACHED:
            self._cache.popitem(last=False)

    def order(self, prompt: str) -> tuple[list[str], dict[str, Any]]:
        """Return the router's choice and the next best models."""
        if prompt not in self._cache:
            self.prepare(prompt)
        return self._saved.order(self._cache[prompt])[: self._most], {}


def rule_links(engine: RuleEngine, catalogue: Catalogue) -> tuple[list[Link], Catalogue]:
    """Return the rules' models as links, and a catalogue that has them under their specs.

    A spec is ``provider:model``; the rule's price per thousand tokens holds for input and output alike
    unless the catalogue knows the model.
    """
    models: dict[str, Entry] = dict(catalogue.models)
    for option in engine.options:
        provider, _, model = option.spec.partition(":")
        per_million = 1000 * option.cost_per_1k_tokens
        spec = ModelSpec(option.spec, provider, per_million, per_million)
        models[option.spec] = Entry(spec, model or provider)
    links = [Link(option.spec, max(engine.policy.max_latency_per_call_s, 0.001)) for option in engine.options]
    return links, Catalogue(models, catalogue.providers, catalogue.source)


def last_user_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of the last message of the user: what a router decides on."""
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
            return str(content or "")
    return ""
