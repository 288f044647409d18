"""The load generator's reading half: wrk for small GETs, epoll loops for what wrk cannot do.

Every function runs in a process of the pool, apart from the sampling of memory, takes only what
can be pickled, and returns the work done with the client's own CPU time.
"""

import json
import random
import resource
import select
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench import tools, wire
from bench.tools import BenchError
from bench.wire import Endpoint

PULL_BUFFER = 1 << 20
# Requests between two looks at the clock, a tenth of a second.
_A_WHILE = 1_000

WRK_DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nREPORT {"requests": %d, "microseconds": %d, "failed": %d, "p99": %d}\\n',
    summary.requests, summary.duration, e.status + e.connect + e.read + e.timeout,
    latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Work:
    """What one run of load did: operations in seconds, and the latencies where they matter."""

    operations: float
    seconds: float
    client_cpu: float
    waits: tuple[float, ...] = ()


class Stopwatch:
    """Wall and CPU time of this process since the watch was made."""

    def __init__(self) -> None:
        """Start."""
        self._wall = time.perf_counter()
        self._cpu = time.process_time()

    @property
    def seconds(self) -> float:
        """The wall time so far."""
        return time.perf_counter() - self._wall

    def work(self, operations: float, waits: Sequence[float] = ()) -> Work:
        """Return what was done since the start."""
        return Work(operations, self.seconds, time.process_time() - self._cpu, tuple(waits))


def wrk(
    target: tuple[Endpoint, str],
    script: Path,
    seconds: int,
    connections: int = 16,
    accept: str | None = None,
    lua: str = "",
) -> Work:
    """Run wrk with one thread; `lua` is added to the script that reports."""
    endpoint, path = target
    script.write_text(lua + WRK_DONE)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    headers = ["-H", f"Accept: {accept}"] if accept else []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = tools.run([*command, *headers, "-s", str(script), endpoint.url + path], seconds + 60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = json.loads(output.rpartition("REPORT ")[2])
    if report["failed"] or not report["requests"]:
        raise BenchError(f"wrk: {report['failed']} of {report['requests']} requests failed")
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Work(report["requests"], report["microseconds"] / 1e6, cpu, (report["p99"] / 1e6,))


def ping(endpoint: Endpoint, message: bytes, connections: int, seconds: float) -> Work:
    """Repeat a HEAD request on every connection; wrk would wait for the body it announces."""
    poll = select.epoll()
    sockets = {}
    for _ in range(connections):
        sock = endpoint.connect()
        sockets[sock.fileno()] = sock
        poll.register(sock, select.EPOLLIN)
    heads: dict[int, bytes] = {}
    count = 0
    watch = Stopwatch()
    for sock in sockets.values():
        sock.send(message)
    while watch.seconds < seconds:
        for number, _ in poll.poll(1.0):
            sock = sockets[number]
            data = heads.pop(number, b"") + sock.recv(8192)
            if not data.endswith(b"\r\n\r\n"):
                heads[number] = data
                continue
            if not data.startswith(b"HTTP/1.1 200"):
                raise BenchError(f"answered {data[:200]!r}")
            count += 1
            sock.send(message)
    work = watch.work(count)
    for sock in sockets.values():
        sock.close()
    return work


def in_turns(
    endpoint: Endpoint, messages: Mapping[str, bytes], turns: int, connections: int, requests: int
) -> dict[str, list[Work]]:
    """Repeat each kind of GET for some hundredths of a second at a time, in an order of its own.

    Each kind keeps its connections, of which one turn after another sends `requests`. What disturbs
    the machine for longer than that disturbs all kinds alike.
    """
    order = random.Random(0)
    kinds = {kind: Repeated(endpoint, message, connections) for kind, message in messages.items()}
    found: dict[str, list[Work]] = {kind: [] for kind in messages}
    for number in range(turns + 1):
        for kind in order.sample(sorted(kinds), len(kinds)):
            work = kinds[kind].repeat(requests)
            if number:  # the first turn makes the server know who asks
                found[kind].append(work)
    for repeated in kinds.values():
        repeated.close()
    return found


class Repeated:
    """One GET, whose answers have one length, on connections of its own."""

    def __init__(self, endpoint: Endpoint, message: bytes, connections: int) -> None:
        """Open the connections, and send nothing yet."""
        self._message = message
        self._size = 0
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(connections):
            sock = endpoint.connect()
            self._sockets[sock.fileno()] = sock
            self._poll.register(sock, select.EPOLLIN)

    def repeat(self, requests: int) -> Work:
        """Send that many, as many at once as there are connections, and await the answers."""
        got = dict.fromkeys(self._sockets, 0)
        watch = Stopwatch()
        for sock in self._sockets.values():
            sock.send(self._message)
        left, waiting = requests - len(self._sockets), requests
        while waiting:
            for number, _ in self._poll.poll(1.0):
                data = self._sockets[number].recv(1 << 16)
                if not got[number] or not data:
                    self._look(data)
                got[number] += len(data)
                if got[number] < self._size:
                    continue
                got[number] = 0
                waiting -= 1
                if left > 0:
                    left -= 1
                    self._sockets[number].send(self._message)
        return watch.work(requests)

    def repeat_for(self, seconds: float) -> Work:
        """Repeat it until the time is up."""
        watch = Stopwatch()
        count = 0.0
        while watch.seconds < seconds:
            count += self.repeat(_A_WHILE).operations
        return watch.work(count)

    def close(self) -> None:
        """Close the connections."""
        for sock in self._sockets.values():
            sock.close()
        self._poll.close()

    def _look(self, data: bytes) -> None:
        """Refuse what is no answer with 200, and know its length from the first one."""
        if not data.startswith(b"HTTP/1.1 200"):
            raise BenchError(f"answered {data[:200]!r}")
        if not self._size:
            head, mark, _ = data.partition(b"\r\n\r\n")
            length = wire.Answer(200, head, b"").header("Content-Length")
            if not mark or length is None:
                raise BenchError(f"answered without a length: {data[:200]!r}")
            self._size = len(head) + len(mark) + int(length)


def try_in_vain(endpoint: Endpoint, messages: Sequence[bytes], seconds: float) -> Work:
    """Send every message once a second on a connection of its own; each must be refused."""
    watch = Stopwatch()
    sent: list[float] = []

    def attempt(place: int) -> None:
        connection = wire.Connection(endpoint)
        due = place / len(messages)
        while due < seconds:
            time.sleep(max(0.0, due - watch.seconds))
            begun = watch.seconds
            connection.exchange(messages[place]).expect(401, 429)
            sent.append(watch.seconds - begun)
            due += 1.0
        connection.close()

    with ThreadPoolExecutor(len(messages)) as pool:
        list(pool.map(attempt, range(len(messages))))
    return watch.work(len(sent), sent)


class _Download:
    """One GET on a connection of its own, read as it comes and thrown away."""

    def __init__(self, endpoint: Endpoint, message: bytes) -> None:
        self.sock = endpoint.connect()
        self.sock.sendall(message)
        self.sock.setblocking(False)
        self.got = 0
        self.size: int | None = None
        self._head = b""

    def read(self, buffer: bytearray) -> bool:
        """Take what has arrived; False when the body is complete."""
        try:
            count = self.sock.recv_into(buffer)
            while isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
                self._count(buffer, count)
                count = self.sock.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        if count == 0:
            raise BenchError(f"the body ended after {self.got} of {self.size} bytes")
        self._count(buffer, count)
        return self.size is None or self.got < self.size

    def _count(self, buffer: bytearray, count: int) -> None:
        if self.size is not None:
            self.got += count
            return
        self._head += buffer[:count]
        head, mark, body = self._head.partition(b"\r\n\r\n")
        if mark:
            answer = wire.Answer(int(head[9:12]), head, body).expect(200)
            self.size = int(answer.header("Content-Length") or -1)
            self.got = len(body)


def pull(endpoint: Endpoint, message: bytes, connections: int) -> Work:
    """GET one blob on several connections at once; operations are bytes received."""
    buffer = bytearray(PULL_BUFFER)
    poll = select.epoll()
    watch = Stopwatch()
    running = {}
    for _ in range(connections):
        download = _Download(endpoint, message)
        running[download.sock.fileno()] = download
        poll.register(download.sock, select.EPOLLIN)
    total = 0
    while running:
        ready = poll.poll(wire.PATIENCE)
        if not ready:
            raise BenchError(f"no byte came for {wire.PATIENCE} s")
        for number, _ in ready:
            if not running[number].read(buffer):
                download = running.pop(number)
                total += download.got
                poll.unregister(number)
                download.sock.close()
    return watch.work(total)


def pull_for(endpoint: Endpoint, message: bytes, connections: int, seconds: float) -> Work:
    """Repeat a pull until the time is up; operations are bytes received."""
    watch = Stopwatch()
    total = 0.0
    while watch.seconds < seconds:
        total += pull(endpoint, message, connections).operations
    return watch.work(total)


def walk(endpoint: Endpoint, messages: Sequence[bytes], seconds: float) -> Work:
    """Send requests one after another on one connection until they or the time run out."""
    connection = wire.Connection(endpoint)
    watch = Stopwatch()
    waits: list[float] = []
    for message in messages:
        begun = watch.seconds
        connection.exchange(message).expect(200)
        waits.append(watch.seconds - begun)
        if watch.seconds > seconds:
            break
    work = watch.work(len(waits), waits)
    connection.close()
    return work


def together(parts: Sequence[Work]) -> Work:
    """Return runs that went on side by side as one."""
    waits = tuple(wait for part in parts for wait in part.waits)
    longest = max(part.seconds for part in parts)
    return Work(
        sum(part.operations for part in parts),
        longest,
        sum(part.client_cpu for part in parts),
        waits,
    )
