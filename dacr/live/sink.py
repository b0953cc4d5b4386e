"""Where decisions are told: JSON lines, and a Redis channel that can neither delay nor fail a call."""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from dacr.core import files
from dacr.core.errors import UserError

CHANNEL = "llm_router_metrics"
_log = logging.getLogger(__name__)


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
        for sink in self.sinks:
            try:
                sink.publish(event)
            except Exception as error:
                self.failures += 1
                _log.warning("metrics sink %s failed: %s", type(sink).__name__, type(error).__name__)

    def close(self) -> None:
        """Close every sink."""
        for sink in self.sinks:
            try:
                sink.close()
            except Exception as error:
                _log.warning("closing metrics sink %s failed: %s", type(sink).__name__, type(error).__name__)


class _Background:
    """Hands events to a thread; when it cannot keep up, the newest are dropped and counted."""

    def __init__(self, most_waiting: int) -> None:
        # Each is counted by one thread: two that add to one number may lose an addition.
        self._refused = self._lost = 0
        self._queue: queue.Queue[str | None] = queue.Queue(most_waiting)
        self._thread = threading.Thread(target=self._run, daemon=True)
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

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            try:
                self._write(line)
            except Exception as error:
                self._lost += 1
                _log.warning("metrics sink %s lost an event: %s", type(self).__name__, type(error).__name__)
        self._finish()

    def _write(self, line: str) -> None:
        raise NotImplementedError

    def _finish(self) -> None:
        raise NotImplementedError


class JsonlSink(_Background):
    """Appends each event to a file, one JSON object a line."""

    def __init__(self, path: str | Path, most_waiting: int = 10_000) -> None:
        files.make_folder(Path(path).parent)
        self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 (lives as long as the sink)
        super().__init__(most_waiting)

    def _write(self, line: str) -> None:
        self._file.write(line + "\n")

    def _finish(self) -> None:
        self._file.close()


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
            self._client = redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
        except ValueError as error:
            # The address may hold a password: it is not repeated.
            raise UserError(f"--redis_url should look like redis://127.0.0.1:6379/0 ({error})") from None
        super().__init__(most_waiting)

    def _write(self, line: str) -> None:
        self._client.publish(CHANNEL, line)

    def _finish(self) -> None:
        self._client.close()
