"""One request through a router and the chain: which models to try in what order, the calls, what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dacr.live.answers import Schema
from dacr.live.chain import Chain
from dacr.live.request import ChainAttempt, ChainError, ChainResult
from dacr.live.telemetry import JsonlSink
from dacr.routers.plans.base import Plan
from dacr.routers.rules.engine import RuleEngine, TaskLedger

if TYPE_CHECKING:  # most gateways serve no saved router, and start without what it needs
    from dacr.replay.saved import Decided, SavedRouter

_MOST_KEPT = 4096
_MOST_TRIED = 3


@dataclass(frozen=True)
class Order:
    """Models and plans to try for one request, in order; none means that no call may be made.

    Attributes
    ----------
    why : mapping
        Joins the event.
    done : callable
        Is told what came of it, or None where the request was given up.
    """

    names: Sequence[str | Plan]
    why: Mapping[str, Any]
    done: Callable[[ChainResult | None], None] = lambda _: None


class Selector:
    """Orders models and plans for a prompt; this one always in the same order."""

    def __init__(self, names: Sequence[str | Plan], name: str = "chain") -> None:
        self.name, self.names = name, list(names)

    def prepare(self, prompt: str) -> None:
        """Compute what the decision reads (features); not counted as deciding."""

    def order(self, prompt: str, task: str | None = None) -> Order:
        """Return the models to try, and why.

        Parameters
        ----------
        task : str, optional
            Requests of one name belong to one task, whose limits hold over all of them.
        """
        return Order(self.names, {})

    def close(self) -> None:
        """Let go of files."""


class RulesSelector(Selector):
    """The rules' choice, then what they would choose next, as long as the task's limits allow for it.

    The money of all attempts is reserved before the first call: a fallback cannot break the cap either. What the calls
    really took replaces it afterwards, so that the cap holds over the requests of one task.

    Parameters
    ----------
    decision_log : path, optional
        One JSON line per decision, without any time: the same requests give the same bytes.
    sink_texts : bool
        The log holds the beginning of the prompt too.
    """

    def __init__(self, engine: RuleEngine, decision_log: Path | None = None, sink_texts: bool = False) -> None:
        super().__init__([option.spec for option in engine.options], "rules")
        self.engine, self._sink_texts = engine, sink_texts
        self._log = None if decision_log is None else JsonlSink(decision_log)
        self._ledger = lru_cache(_MOST_KEPT)(lambda task: TaskLedger())  # one for each task, of those asked for last

    def order(self, prompt: str, task: str | None = None) -> Order:
        """Return the chosen model and affordable fallbacks, and the decision as in the log."""
        ledger = TaskLedger() if task is None else self._ledger(task)
        decision = self.engine.decide(prompt, ledger)
        self.engine.decisions.clear()  # they would grow without end
        told = dict(vars(decision))
        if self._log is not None:
            self._log.publish(told if self._sink_texts else {k: v for k, v in told.items() if k != "task"})
        tokens, reserved = decision.estimated_tokens, dict[str, float]()
        candidates = self.engine.preference(decision.task_class) if decision.model else []
        for option in sorted(candidates, key=lambda option: option.spec != decision.model):
            if len(reserved) < _MOST_TRIED and self.engine.broken_limit(option, tokens, ledger) is None:
                reserved[option.spec] = option.cost_usd(tokens)
                ledger.book(reserved[option.spec], tokens)

        def done(result: ChainResult | None) -> None:
            if result is not None:  # what was given up may have cost all that was reserved for it
                costs = {one.model: one.cost_usd for one in result.called}
                for spec, held in reserved.items():
                    cost = costs.get(spec, 0.0)
                    ledger.settle(held, tokens, held if cost is None else cost, tokens if spec in costs else 0)

        return Order(list(reserved), {"decision": told}, done)

    def close(self) -> None:
        """Write what the decision log still holds."""
        if self._log is not None:
            self._log.close()


class SavedSelector(Selector):
    """A router that an experiment trained and saved; estimates are cached by prompt.

    A learner is told the cost and the lateness of its choice when all of its calls have ended, and of a plan whether
    its models agreed. Quality it is not told: nobody rates live answers here.
    """

    def __init__(self, saved: SavedRouter) -> None:
        super().__init__(saved.arms, saved.router.name)
        self._saved, self._count = saved, 0
        self._estimates = lru_cache(_MOST_KEPT)(lambda prompt: saved.estimates([prompt]))

    def prepare(self, prompt: str) -> None:
        """Compute the estimates of a prompt unless they are cached."""
        self._estimates(prompt)

    def order(self, prompt: str, task: str | None = None) -> Order:
        """Return the router's choice and the next best models."""
        decided = self._saved.decide(self._estimates(prompt), self._count)
        self._count += 1

        def done(result: ChainResult | None) -> None:
            if result is not None:
                self._tell(decided, [one for one in result.attempts if one.model in decided.members], result.shipped)

        tried = decided.order[:_MOST_TRIED]
        expected = {
            one if isinstance(one, str) else one.spec: round(p, 4)
            for one, p in zip(tried, decided.expected, strict=False)
        }
        return Order(tried, {"t": decided.t, "propensity": decided.propensity, "expected_quality": expected}, done)

    def _tell(self, decided: Decided, attempts: Sequence[ChainAttempt], shipped: str) -> None:
        called = [one for one in attempts if one.outcome != "skipped"]
        if not called:
            return
        longest = {one.round: 0.0 for one in called}
        for one in called:
            longest[one.round] = max(longest[one.round], one.latency_ms / 1000)
        # What a call that failed would have cost is not known, and it says nothing of who agrees.
        costs = [one.cost_usd for one in called if one.cost_usd or one.outcome == "success"]
        known = len(costs) == len(attempts) and None not in costs and shipped != "spend_cap"
        first = [one.outcome == "success" for one in attempts if one.round == min(longest)]
        agreed = float(shipped == "settled") if len(decided.members) > 1 and all(first) else None
        self._saved.observe(decided, sum(filter(None, costs)) if known else None, sum(longest.values()), agreed)


class Gateway:
    """Routes requests: a selector decides, the chain calls."""

    def __init__(self, selector: Selector, chain: Chain) -> None:
        self.selector, self.chain = selector, chain

    async def answer(
        self,
        messages: Sequence[Mapping[str, Any]],
        schema: Schema | None = None,
        extra: Mapping[str, Any] | None = None,
        task: str | None = None,
    ) -> ChainResult:
        """Return the first answer that passes.

        Raises
        ------
        ChainError
            Every model failed, or no model may be called.
        """
        prompt = last_user_text(messages)
        self.selector.prepare(prompt)
        started = time.perf_counter()
        order = self.selector.order(prompt, task)
        decision_ms = 1000 * (time.perf_counter() - started)
        about = {"router": self.selector.name, "decision_ms": decision_ms, **order.why}
        result = None
        try:
            result = await self.chain.route(messages, schema, order=order.names, extra=extra, about=about)
        except ChainError as error:
            result = error.result
            raise
        finally:
            order.done(result)
        return result

    async def aclose(self) -> None:
        """Release connections and write what the sinks still hold."""
        await self.chain.close()
        self.selector.close()


def describe(result: ChainResult) -> dict[str, Any]:
    """Return a result as the JSON that is printed: who answered, after which attempts, cost and latency."""
    told = {name: value for name, value in result.to_dict(texts=True).items() if name != "raw_text"}
    return {**told, **result.about}


def last_user_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of the last message of the user: what a router decides on."""
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, list):
                return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
            return str(content or "")
    return ""
