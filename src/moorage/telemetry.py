"""Log lines, metrics and request ids.

Every worker has its own metrics; `/metrics` asks the others over a private socket and adds up
(`api/metrics.py`). Lines go to standard error through one thread, so that a reader that has
stopped reading can't stop the event loop.
"""

import asyncio
import logging
import os
import queue
import sys
import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

from moorage.clock import new_mark

_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
_QUEUE_LINES = 100_000
_LAG_INTERVAL = 0.1
_GATHER_SECONDS = 0.05
Style = Literal["auto", "json", "text"]


class LogSink:
    """Writes whole lines to standard error, from a thread of its own unless told otherwise."""

    def __init__(self, descriptor: int = 2, *, threaded: bool = True) -> None:
        """Begin with no thread: one is started by the first line, after any fork."""
        self._descriptor, self._threaded = descriptor, threaded
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def write(self, line: bytes) -> None:
        """Queue the line; when the reader has fallen far behind, lines are counted, not kept."""
        if not self._threaded:
            self._put([line])
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._drain, name="log", daemon=True)
            self._thread.start()
        if self._lines.qsize() > _QUEUE_LINES:
            self.dropped += 1
            return
        self._lines.put(line)

    def close(self) -> None:
        """Write what is queued."""
        if self._thread is not None:
            self._lines.put(None)
            self._thread.join(timeout=2)
            self._thread = None

    def _drain(self) -> None:
        while (line := self._lines.get()) is not None:
            lines = [line]
            while not self._lines.empty() and len(lines) < 1_000:
                following = self._lines.get()
                if following is None:
                    self._lines.put(None)
                    break
                lines.append(following)
            self._put(lines)

    def _put(self, lines: list[bytes]) -> None:
        data = b"".join(lines)
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:  # a full disk, a reader that went away: lines are lost, not the thread
            self.dropped += len(lines)


class Telemetry:
    """What one process tells of itself: a logger, an access log and metrics."""

    def __init__(self, worker: str, style: Style, *, access: bool) -> None:
        """Name the process; `auto` writes text to a terminal and JSON to anything else.

        Text is for people: lines begin with their time, and those of level `debug` are left out.
        """
        self.worker = worker
        self.sink = LogSink()
        self._access = access
        self._text = _is_text(style)
        self._pending: list[bytes] = []
        self._encode = msgspec.json.Encoder().encode
        self.log = _logger(self.sink, text=self._text).bind(worker=worker)
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=False)
        self.metrics = Metrics(self.registry, worker)

    def adopt_libraries(self) -> None:
        """Have what libraries log, from warnings on, come out as lines of ours.

        Otherwise it goes to standard error as bare text, in between lines of JSON. It is this whole
        process's setting, and so its entry's to make.
        """
        handler = _Adopting(self.log)
        logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)

    def access(self, line: dict[str, Any]) -> None:
        """Write one line of the access log; values are escaped, so a user's text stays a value.

        Lines are handed on together: waking the writing thread for each cost 30 µs of every
        request, most of it in the two threads' quarrel over the interpreter.
        """
        if not self._access:
            return
        if self._text:
            moment = datetime.fromtimestamp(line["time"], UTC)
            told = (
                f"{moment:%Y-%m-%dT%H:%M:%S.%fZ} {line['method']} {line['path']!a} "
                f"{line['status']} {line['bytes']} B {line['seconds'] * 1000:.1f} ms\n"
            )
            self._pending.append(told.encode())
        else:
            self._pending.append(self._encoded(line) + b"\n")
        if len(self._pending) == 1:
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self.flush)

    def _encoded(self, line: dict[str, Any]) -> bytes:
        try:
            return self._encode(line)
        except UnicodeEncodeError:  # a header that is not UTF-8
            return self._encode({key: _printable(value) for key, value in line.items()})

    def flush(self) -> None:
        """Hand the gathered lines of the access log to the writing thread."""
        lines, self._pending = self._pending, []
        if lines:
            self.sink.write(b"".join(lines))


class _Adopting(logging.Handler):
    """Hands the records of the standard library's logging to our logger."""

    def __init__(self, log: Any) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        tell = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        told = {"exc_info": record.exc_info} if record.exc_info else {}
        tell("library", library=record.name, message=record.getMessage(), **told)


def unbuffered_log(worker: str, style: Style) -> Any:
    """Return a logger for who starts no thread: its lines are written before it returns."""
    return _logger(LogSink(threaded=False), text=_is_text(style)).bind(worker=worker)


def _is_text(style: Style) -> bool:
    return style == "text" or (style == "auto" and sys.stderr.isatty())


def _printable(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "backslashreplace").decode()


def _logger(sink: LogSink, *, text: bool) -> Any:
    def emit(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> bytes:
        if text:
            if event["level"] == "debug":
                raise structlog.DropEvent
            first = (event.pop("timestamp"), event.pop("level"), event.pop("event"))
            told = " ".join((*first, *(f"{key}={value!r}" for key, value in event.items())))
            return f"{told}\n".encode()
        return msgspec.json.encode(event, enc_hook=repr) + b"\n"

    class Line:
        """structlog's last stop: hands the line to the sink."""

        def msg(self, message: bytes) -> None:
            sink.write(message)

        debug = info = warning = error = critical = msg

    return structlog.wrap_logger(
        Line(),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            emit,
        ],
        wrapper_class=structlog.BoundLogger,
    )


class CollectionMetrics:
    """What the process of jobs tells of collection."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register all of them."""
        self.removed = Counter(
            "moorage_collection_removed",
            "What collection removed, by kind.",
            ["kind"],
            registry=registry,
        )
        self.freed = Counter(
            "moorage_collection_freed_bytes",
            "Bytes of objects that were deleted from the store.",
            registry=registry,
        )
        self.kept = Counter(
            "moorage_collection_kept",
            "Candidates that collection looked at and left, by why.",
            ["reason"],
            registry=registry,
        )
        self.missed = Counter(
            "moorage_collection_missed",
            "What a sweep found that no queue had; it should be none.",
            registry=registry,
        )
        self.paused = Gauge(
            "moorage_collection_paused",
            "Whether collection has stopped, and why is to be looked at.",
            registry=registry,
        )
        self.waiting = Gauge(
            "moorage_collection_waiting_seconds",
            "How long the candidate waits that waits longest, when it was last looked for.",
            registry=registry,
        )


class VerificationMetrics:
    """What is told of blobs whose bytes are looked at."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register all of them."""
        self.verified = Counter(
            "moorage_verified_objects", "Objects that were read to the end.", registry=registry
        )
        self.read = Counter(
            "moorage_verified_bytes", "Bytes that were read to verify them.", registry=registry
        )
        self.damaged = Counter(
            "moorage_damaged_objects",
            "Blobs that were found to be damaged or gone, by why.",
            ["why"],
            registry=registry,
        )
        self.lost = Gauge(
            "moorage_lost_blobs",
            "Blobs that are damaged or gone and wait for a push, up to 1,000.",
            registry=registry,
        )
        self.age = Gauge(
            "moorage_scrub_age_seconds",
            "How long ago the object was verified that was not for the longest.",
            registry=registry,
        )
        self.stopped = Gauge(
            "moorage_scrub_stopped",
            "Whether the scrub has stopped because so much was missing.",
            registry=registry,
        )


class JobMetrics:
    """What the process of jobs tells of its own work."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register all of them."""
        self.ended = Counter(
            "moorage_jobs", "Jobs run, by name and outcome.", ["name", "outcome"], registry=registry
        )
        self.dead = Gauge(
            "moorage_jobs_dead", "Jobs that were given up, up to 1,000.", registry=registry
        )
        self.late = Gauge(
            "moorage_jobs_late_seconds",
            "By how much the job is late that has been due longest.",
            registry=registry,
        )


class BackupMetrics:
    """What the process of jobs tells of backups."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register it."""
        self.age = Gauge(
            "moorage_backup_age_seconds",
            "How old the last complete backup is; infinite without one.",
            registry=registry,
        )


class Metrics:
    """The metrics of one process; labels come from fixed sets, never from a user's text."""

    def __init__(self, registry: CollectorRegistry, worker: str) -> None:
        """Register all of them."""
        self._requests = Counter(
            "moorage_http_requests",
            "Requests answered, by what was asked and the status.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "moorage_http_request_seconds",
            "Seconds from the end of a request's headers to the end of its answer.",
            ["route"],
            buckets=_FAST,
            registry=registry,
        )
        bytes_moved = Counter(
            "moorage_http_bytes", "Bytes of bodies.", ["direction"], registry=registry
        )
        self._received = bytes_moved.labels("received")
        self._sent = bytes_moved.labels("sent")
        self.in_flight = Gauge(
            "moorage_http_in_flight", "Requests being answered.", ["worker"], registry=registry
        ).labels(worker)
        self._commits = Counter(
            "moorage_commits", "Commits of the database.", ["worker"], registry=registry
        ).labels(worker)
        self._commit_seconds = Histogram(
            "moorage_commit_seconds",
            "Seconds of a commit, with the wait for the right to write.",
            buckets=_FAST,
            registry=registry,
        )
        self._commit_requests = Counter(
            "moorage_commit_requests", "Requests that commits carried.", registry=registry
        )
        self._lag = Histogram(
            "moorage_event_loop_lag_seconds",
            "By how much the event loop was late.",
            buckets=_FAST,
            registry=registry,
        )
        self.jobs = JobMetrics(registry)
        self.refusals = Counter(
            "moorage_refusals", "Requests refused to callers without the right.", registry=registry
        )
        self.backups = BackupMetrics(registry)
        self.collection = CollectionMetrics(registry)
        self.verification = VerificationMetrics(registry)
        self._request_children: dict[tuple[str, str, int], Any] = {}
        self._second_children: dict[str, Any] = {}

    def committed(self, requests: int, seconds: float) -> None:
        """Count one commit of that many requests."""
        self._commits.inc()
        self._commit_requests.inc(requests)
        self._commit_seconds.observe(seconds)

    def answered(
        self, method: str, route: str, status: int, seconds: float, *, received: int, sent: int
    ) -> None:
        """Count one request."""
        key = (method, route, status)
        child = self._request_children.get(key)
        if child is None:
            child = self._request_children[key] = self._requests.labels(method, route, str(status))
        child.inc()
        timer = self._second_children.get(route)
        if timer is None:
            timer = self._second_children[route] = self._seconds.labels(route)
        timer.observe(seconds)
        if received:
            self._received.inc(received)
        if sent:
            self._sent.inc(sent)

    async def watch_loop(self) -> None:
        """Measure for ever how late the event loop wakes a sleeper."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_INTERVAL
            await asyncio.sleep(_LAG_INTERVAL)
            self._lag.observe(max(0.0, loop.time() - due))


def request_id(given: str | None) -> str:
    """Return the caller's own request id if it is harmless, else a new one."""
    if given and len(given) <= 64 and given.isascii() and given.replace("-", "").isalnum():
        return given
    return new_mark()
