"""Which models a live request tries, and in what order: the chain's, the rules', or a trained router's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from dacr.live.catalogue import Catalogue, Entry
from dacr.live.chain import ChainResult, Link
from dacr.live.sink import JsonlSink
from dacr.replay.saved import Decided, SavedRouter
from dacr.routers.rules.engine import ModelOption, RuleEngine, TaskLedger
from dacr.types import Estimates, ModelSpec

_MOST_CACHED = 4096


class Selector(Protocol):
    """Orders models for a prompt."""

    name: str

    def prepare(self, prompt: str) -> None:
        """Compute what the decision reads (features); not counted as deciding."""

    def order(self, prompt: str) -> tuple[list[str], dict[str, Any]]:
        """Return the models to try in order, and why; none means that no call may be made."""

    def told(self, why: Mapping[str, Any], result: ChainResult) -> None:
        """Take what came of a decision."""

    def close(self) -> None:
        """Let go of files."""


class _Plain:
    """What a selector without features, memory or files does not do."""

    def prepare(self, prompt: str) -> None:
        """Need nothing."""

    def told(self, why: Mapping[str, Any], result: ChainResult) -> None:
        """Learn nothing."""

    def close(self) -> None:
        """Hold nothing."""


class ChainSelector(_Plain):
    """Always the chain's own order."""

    name = "chain"

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)

    def order(self, prompt: str) -> tuple[list[str], dict[str, Any]]:
        """Return the chain."""
        return list(self._names), {}


class RulesSelector(_Plain):
    """The rules' choice, then what they would choose next, as long as the task's limits allow for it.

    The money of all attempts is reserved before the first call: a fallback cannot break the cap either.

    Parameters
    ----------
    decision_log : path, optional
        One JSON line per decision, without any time: the same requests give the same bytes.
    """

    name = "rules"

    def __init__(self, engine: RuleEngine, most: int = 3, decision_log: Path | None = None) -> None:
        self.engine, self._most = engine, most
        self._log = None if decision_log is None else JsonlSink(decision_log)

    def close(self) -> None:
        """Write what the decision log still holds."""
        if self._log is not None:
            self._log.close()

    def order(self, prompt: str) -> tuple[list[str], dict[str, Any]]:
        """Return the chosen model and affordable fallbacks, and the decision as in the log."""
        ledger = self.engine.ledger()
        decision = self.engine.decide(prompt, ledger)
        self.engine.log.clear()  # it would grow without end
        if self._log is not None:
            self._log.publish(asdict(decision))
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


class SavedSelector(_Plain):
    """A router that an experiment trained and saved; estimates are cached by prompt.

    A learner is told the cost and the lateness of its choice when the call has ended. Quality it is not
    told: nobody rates live answers here.
    """

    def __init__(self, saved: SavedRouter, most: int = 3) -> None:
        self.name = saved.router.name
        self._saved, self._most = saved, most
        self._cache: OrderedDict[str, Estimates] = OrderedDict()
        self._open: OrderedDict[int, Decided] = OrderedDict()
        self._count = 0

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
        decided = self._saved.decide(self._cache[prompt], self._count)
        self._count += 1
        if self._saved.router.learns:
            self._open[decided.t] = decided
            if len(self._open) > _MOST_CACHED:  # calls that were cancelled never report
                self._open.popitem(last=False)
        return list(decided.names[: self._most]), {"t": decided.t, "propensity": decided.propensity}

    def told(self, why: Mapping[str, Any], result: ChainResult) -> None:
        """Tell a learner what its choice cost and whether it was late."""
        decided = self._open.pop(why["t"], None)
        if decided is None or not result.attempts:
            return
        first = result.attempts[0]
        self._saved.observe(decided, first.cost_usd, first.latency_ms / 1000)


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
