"""One request on its way and at its end: turns of models, the answer that is shipped, and what all of it cost."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from dacr.live.answers import Schema
from dacr.live.call import CallResult

NONE = "none"


@dataclass(frozen=True)
class ChainAttempt:
    """One model's turn: ``outcome`` is success, rejected, invalid or skipped.

    Attributes
    ----------
    reason : str
        A word of ours: an error's class, refusal, schema, cooldown, no_key, cancelled.
    detail : str
        More of it; may quote the server, and so the request or its answer.
    round : int
        Calls of one round of a request run at the same time.
    cost_at_most_usd : float or None
        What is booked where the cost is not known; None where no bound is known either.
    """

    model: str
    outcome: str
    reason: str
    latency_ms: float
    cost_usd: float | None = 0.0
    detail: str = ""
    round: int = 1
    cost_at_most_usd: float | None = 0.0

    def __str__(self) -> str:
        why = ": ".join(one for one in (self.reason, self.detail) if one)
        return f"{self.model}: {self.outcome} ({why}, {self.latency_ms:.0f} ms)"


@dataclass(frozen=True)
class ChainResult:
    """What came of one request.

    Attributes
    ----------
    model_used : str
        The model whose answer is shipped, "none" where none is.
    last : CallResult or None
        The call that gave it, else the last one.
    arm : str
        The model or the plan that answered.
    shipped : str
        Why this answer: ``alone`` (a single model's), ``settled`` (a plan's first round settled it), ``went_on`` (a
        later round did), ``left_over`` (the answer that the plan would ship failed, this is the best of its others),
        ``spend_cap`` (money ended before the plan did, likewise); where no answer is shipped, ``spend_cap`` or nothing.
    about : mapping
        What chose the order of the models, and why.
    """

    content: Any
    raw_text: str
    model_used: str
    attempts: tuple[ChainAttempt, ...]
    latency_ms: float
    succeeded: bool
    last: CallResult | None = None
    arm: str = ""
    shipped: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def called(self) -> tuple[ChainAttempt, ...]:
        """The attempts that were calls."""
        return tuple(attempt for attempt in self.attempts if attempt.outcome != "skipped")

    @property
    def cost_usd(self) -> float | None:
        """Cost of all attempts in USD, None where a price or a usage is not known."""
        known = [attempt.cost_usd for attempt in self.attempts if attempt.cost_usd is not None]
        return sum(known) if len(known) == len(self.attempts) else None

    @property
    def confidence(self) -> float | None:
        """The quality that the router expected of the arm that was gone, where it says one."""
        expected: float | None = self.about.get("expected_quality", {}).get(self.arm)
        return expected

    def to_dict(self, texts: bool = False) -> dict[str, Any]:
        """Return the result as JSON; without ``texts`` nothing in it quotes the request or its answer."""
        attempts = [asdict(attempt) for attempt in self.attempts]
        if not texts:
            for attempt in attempts:
                del attempt["detail"]
        told = {
            "model_used": self.model_used,
            "arm": self.arm,
            "shipped": self.shipped,
            "confidence": self.confidence,
            "attempts": attempts,
            "latency_ms": self.latency_ms,
            "cost_usd": self.cost_usd,
            "succeeded": self.succeeded,
        }
        return {**told, "content": self.content, "raw_text": self.raw_text} if texts else told


class ChainError(RuntimeError):
    """Every model failed. The text carries the attempt log as JSON; ``result`` is the whole record."""

    def __init__(self, result: ChainResult) -> None:
        capped = "the next call could pass --max_cost_usd" if result.shipped else ""
        why = "; ".join([*map(str, result.attempts), *filter(None, [capped])])
        why = why or result.about.get("decision", {}).get("reason", "none was called")
        log = json.dumps([asdict(attempt) for attempt in result.attempts], ensure_ascii=False)
        super().__init__(f"every model failed: {why}" + (f"; attempts: {log}" if result.attempts else ""))
        self.result = result


@dataclass(frozen=True)
class Turn:
    """An attempt with what it gave."""

    attempt: ChainAttempt
    call: CallResult | None = None
    content: Any = None

    @property
    def passed(self) -> bool:
        """Whether its answer may be shipped."""
        return self.attempt.outcome == "success"


@dataclass
class Request:
    """A request on its way.

    Attributes
    ----------
    resting : set of str
        Models that are left alone for now.
    turns : list of Turn
        So far.
    """

    messages: Sequence[Mapping[str, Any]]
    schema: Schema | None
    extra: Mapping[str, Any]
    about: Mapping[str, Any]
    resting: set[str] = field(default_factory=set)
    turns: list[Turn] = field(default_factory=list)
    n_round: int = 0
    started: float = field(default_factory=time.perf_counter)

    @property
    def text(self) -> str:
        """All that is billed as the prompt."""
        told = [str(message.get("content")) for message in self.messages]
        return "\n".join(told if self.schema is None else [*told, json.dumps(self.schema.response_format())])

    def result(self, best: Turn | None, arm: str, shipped: str) -> ChainResult:
        """Return what came of it, shipping the answer of ``best``."""
        calls = [turn.call for turn in self.turns if turn.call]
        told = calls if best is None or best.call is None else [best.call]
        return ChainResult(
            content=best.content if best else None,
            raw_text=next((call.text for call in reversed(told) if call.text), ""),
            model_used=best.attempt.model if best else NONE,
            attempts=tuple(turn.attempt for turn in self.turns),
            latency_ms=1000 * (time.perf_counter() - self.started),
            succeeded=best is not None,
            last=told[-1] if told else None,
            arm=arm if best else "",
            shipped=shipped,
            about=self.about,
        )
