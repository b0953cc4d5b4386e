"""What is told of requests: counters of each model, its rest after failures, and sinks that take events.

A sink is a file or a Redis channel; it can neither delay nor fail a call.
"""

import json
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.values import AtLeast0, AtLeast1

CHANNEL = "llm_router_metrics"
_log = logging.getLogger(__name__)
_DECISION_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1)
_REQUEST_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Counters:
    """Attempts of each model: ``success``, ``fallback`` (failed, and another one succeeded), ``error``."""

    def __init__(self, models: Sequence[str]) -> None:
        self._by_model: dict[str, dict[str, int]] = {}
        for name in models:
            self._of(name)

    def book(self, called: Sequence[tuple[str, bool]], succeeded: bool) -> None:
        """Book one finished request: the models that were called and whether each gave an answer that passed."""
        for name, passed in called:
            self._of(name)["success" if passed else "fallback" if succeeded else "error"] += 1

    def success_rate(self, model: str) -> float | None:
        """Return the share of a model's attempts that succeeded; None before any."""
        counts = self._by_model.get(model, {})
        return counts["success"] / sum(counts.values()) if any(counts.values()) else None

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return a copy that can be sent as JSON."""
        return {name: {**counts, "success_rate": self.success_rate(name)} for name, counts in self._by_model.items()}

    def _of(self, name: str) -> dict[str, int]:
        return self._by_model.setdefault(name, {"success": 0, "fallback": 0, "error": 0})


@dataclass(frozen=True)
class CooldownRule:
    """When to leave a model alone: ``failures`` within the window, or more than ``share`` of ``least_calls``.

    Attributes
    ----------
    rest_s, window_s : float, seconds
    """

    rest_s: AtLeast0 = 5.0
    window_s: AtLeast0 = 60.0
    failures: AtLeast1 = 3
    share: AtLeast0 = 0.5
    least_calls: AtLeast1 = 5


@dataclass
class Cooldown:
    """Watches calls and says which models rest. Refusals and invalid answers are no failures of a server."""

    rule: CooldownRule
    clock: Callable[[], float] = time.monotonic
    _calls: dict[str, deque[tuple[float, bool]]] = field(default_factory=dict)
    _until: dict[str, float] = field(default_factory=dict)

    def rests(self, model: str) -> bool:
        """Say whether ``model`` is to be left alone now."""
        return self.clock() < self._until.get(model, float("-inf"))

    def book(self, model: str, failed: bool) -> None:
        """Book a finished call."""
        now = self.clock()
        calls = self._calls.setdefault(model, deque())
        calls.append((now, failed))
        while calls and calls[0][0] < now - self.rule.window_s:
            calls.popleft()
        bad = sum(one for _, one in calls)
        many = bad >= self.rule.failures
        most = len(calls) >= self.rule.least_calls and bad > self.rule.share * len(calls)
        if failed and (many or most):
            self._until[model] = now + self.rule.rest_s
            calls.clear()


class Sink(Protocol):
    """Takes events. ``publish`` returns at once; whatever it raises is logged and changes nothing."""

    def publish(self, event: Mapping[str, Any]) -> None:
        """Take one event."""

    def close(self) -> None:
        """Let go of files and connections."""


class Sinks:
    """Several sinks as one, each isolated from the others' failures."""

    def __init__(self, sinks: Sequence[Sink] = ()) -> None:
        self.sinks = list(sinks)
        self.failures = 0

    def publish(self, event: Mapping[str, Any]) -> None:
        """Offer an event to every sink."""
        self._each("publish", event)

    def close(self) -> None:
        """Close every sink."""
        self._each("close")

    def _each(self, what: str, *words: Any) -> None:
        for sink in self.sinks:
            try:
                getattr(sink, what)(*words)
            except Exception as error:
                self.failures += 1
                _log.warning("%s of metrics sink %s failed: %s", what, type(sink).__name__, type(error).__name__)


class _Background:
    """Hands events to a thread; when it cannot keep up, the newest are dropped and counted."""

    def __init__(self, write: Callable[[str], Any], finish: Callable[[], Any], most_waiting: int) -> None:
        # Each is counted by one thread: two that add to one number may lose an addition.
        self._refused = self._lost = 0
        self._queue: queue.Queue[str | None] = queue.Queue(most_waiting)
        self._thread = threading.Thread(target=self._run, args=(write, finish), daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Events that were not written: no room in the queue, or writing failed."""
        return self._refused + self._lost

    def publish(self, event: Mapping[str, Any]) -> None:
        """Queue one event; never waits."""
        try:
            self._queue.put_nowait(json.dumps(event, ensure_ascii=False, default=str))
        except queue.Full:
            self._refused += 1

    def close(self) -> None:
        """Write what is queued, waiting at most a few seconds."""
        try:
            self._queue.put(None, timeout=2)
        except queue.Full:
            return
        self._thread.join(5)

    def _run(self, write: Callable[[str], Any], finish: Callable[[], Any]) -> None:
        while (line := self._queue.get()) is not None:
            try:
                write(line)
            except Exception as error:
                self._lost += 1
                _log.warning("metrics sink %s lost an event: %s", type(self).__name__, type(error).__name__)
        finish()


class JsonlSink(_Background):
    """Appends each event to a file, one JSON object a line."""

    def __init__(self, path: str | Path, most_waiting: int = 10_000) -> None:
        files.make_folder(Path(path).parent)
        file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 (lives as long as the sink)
        super().__init__(lambda line: file.write(line + "\n"), file.close, most_waiting)


class RedisSink(_Background):
    """Publishes each event on the channel ``llm_router_metrics``.

    The server may be away, slow or hanging: a thread waits for it, the caller never does.

    Raises
    ------
    UserError
        The redis client is not installed, or the address is none.
    """

    def __init__(self, url: str, most_waiting: int = 10_000, timeout_s: float = 2.0) -> None:
        try:
            import redis
        except ImportError:
            raise UserError("--redis_url needs the redis client: pip install -r requirements-live.txt") from None
        try:
            client = redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
        except ValueError as error:
            # The address may hold a password: it is not repeated.
            raise UserError(f"--redis_url should look like redis://127.0.0.1:6379/0 ({error})") from None
        super().__init__(lambda line: client.publish(CHANNEL, line), client.close, most_waiting)


class Metrics:
    """A sink that counts for Prometheus what the gateway has done since it started."""

    def __init__(self) -> None:
        import prometheus_client as prometheus

        self._generate = prometheus.generate_latest
        self.registry = prometheus.CollectorRegistry()
        kept: dict[str, Any] = {"registry": self.registry}
        self.in_flight = prometheus.Gauge("dacr_in_flight", "Requests being answered.", **kept)
        self._requests = prometheus.Counter("dacr_requests", "Finished requests.", ["outcome"], **kept)
        self._attempts = prometheus.Counter("dacr_attempts", "Turns of models.", ["model", "outcome"], **kept)
        self._cost = prometheus.Counter("dacr_cost_usd", "Known cost of calls.", ["model"], **kept)
        self._decision = prometheus.Histogram(
            "dacr_decision_seconds", "Time of the decision itself.", buckets=_DECISION_S, **kept
        )
        self._duration = prometheus.Histogram(
            "dacr_request_seconds", "Time of a request with all its attempts.", buckets=_REQUEST_S, **kept
        )

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return self._generate(self.registry)

    def publish(self, event: Mapping[str, Any]) -> None:
        """Count one finished request with its attempts."""
        self._requests.labels("success" if event["succeeded"] else "failure").inc()
        self._decision.observe(event["decision_ms"] / 1000)
        self._duration.observe(event["latency_ms"] / 1000)
        for attempt in event["attempts"]:
            self._attempts.labels(attempt["model"], attempt["outcome"]).inc()
            self._cost.labels(attempt["model"]).inc(attempt["cost_usd"] or 0.0)

    def close(self) -> None:
        """Hold nothing."""
