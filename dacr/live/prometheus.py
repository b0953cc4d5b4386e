"""Counters and histograms of the gateway in Prometheus' text format."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from dacr.live.chain import ChainResult

_DECISION_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1)
_REQUEST_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


@dataclass
class Histogram:
    """Counts of values up to each bound, as Prometheus defines them."""

    bounds: tuple[float, ...]
    total: float = 0.0
    counts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def lines(self, name: str, about: str) -> list[str]:
        """Return the lines of this histogram."""
        out = [f"# HELP {name} {about}", f"# TYPE {name} histogram"]
        cumulative = 0
        for bound, count in zip((*map(repr, self.bounds), "+Inf"), self.counts, strict=True):
            cumulative += count
            out.append(f'{name}_bucket{{le="{bound}"}} {cumulative}')
        return [*out, f"{name}_sum {self.total!r}", f"{name}_count {cumulative}"]


class Metrics:
    """What the gateway has done since it started."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._requests: Counter[str] = Counter()
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._cost: Counter[str] = Counter()
        self._decision = Histogram(_DECISION_S)
        self._duration = Histogram(_REQUEST_S)

    def decision(self, seconds: float) -> None:
        """Count one decision."""
        self._decision.add(seconds)

    def request(self, result: ChainResult) -> None:
        """Count one finished request with its attempts."""
        self._requests["success" if result.succeeded else "failure"] += 1
        self._duration.add(result.latency_ms / 1000)
        for attempt in result.attempts:
            self._attempts[attempt.model, attempt.outcome] += 1
            self._cost[attempt.model] += attempt.cost_usd or 0.0  # type: ignore[assignment]

    def text(self) -> str:
        """Return everything in Prometheus' text format, version 0.0.4."""
        lines = ["# HELP dacr_requests_total Finished requests.", "# TYPE dacr_requests_total counter"]
        lines += [f'dacr_requests_total{{outcome="{name}"}} {n}' for name, n in sorted(self._requests.items())]
        lines += ["# HELP dacr_attempts_total Calls of models, by outcome.", "# TYPE dacr_attempts_total counter"]
        lines += [
            f'dacr_attempts_total{{model="{_escape(model)}",outcome="{outcome}"}} {n}'
            for (model, outcome), n in sorted(self._attempts.items())
        ]
        lines += ["# HELP dacr_cost_usd_total Known cost of calls.", "# TYPE dacr_cost_usd_total counter"]
        lines += [f'dacr_cost_usd_total{{model="{_escape(m)}"}} {cost!r}' for m, cost in sorted(self._cost.items())]
        lines += ["# HELP dacr_in_flight Requests being answered.", "# TYPE dacr_in_flight gauge"]
        lines += [f"dacr_in_flight {self.in_flight}"]
        lines += self._decision.lines("dacr_decision_seconds", "Time of the decision itself.")
        lines += self._duration.lines("dacr_request_seconds", "Time of a request with all its attempts.")
        return "\n".join(lines) + "\n"


def _escape(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
