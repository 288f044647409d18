"""Stopping in good order, workers that die alone, and what goes on where it was."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

from faults.invariants import SESSIONS, assert_sound
from faults.watching import is_alive, jobs_of, wait_for_workers, wait_until_gone, workers_of
from process import Server
from registry import Answer, Registry, Repository, Wire, digest_of, with_query

Start = Callable[..., Server]
MIB = 1 << 20
LEASE_MS = 120_000


def repository_of(server: Server) -> Repository:
    """Return a new repository on a server."""
    return Registry(server.url).repository()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_an_upload_goes_on_after_a_restart(server: Start, how: str) -> None:
    """What a session acknowledged is there in the next process, which can finish it."""
    running = server()
    repository = repository_of(running)
    registry = repository.registry
    content = secrets.token_bytes(3 * MIB)
    session = repository.begin()
    registry.patch(session, content[:MIB]).expect(202)
    if how == "kill":
        running.kill()
        running.start()
    else:
        running.restart()
    assert registry.get(session).expect(204)["Range"] == f"0-{MIB - 1}"
    headers = {"Content-Range": f"{MIB}-{2 * MIB - 1}"}
    registry.patch(session, content[MIB : 2 * MIB], headers).expect(202)
    running.restart()
    target = with_query(session, digest=digest_of(content))
    registry.put(target, content[2 * MIB :]).expect(201)
    path = repository.path(f"blobs/{digest_of(content)}")
    assert registry.get(path).expect(200).body == content


def begin_slow_pull(repository: Repository, digest: str) -> Wire:
    """Ask for a blob and read no more than the head of the answer."""
    wire = repository.registry.wire()
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    wire.send(repository.registry.head_of("GET", repository.path(f"blobs/{digest}")))
    assert wire.socket.recv(12, socket.MSG_PEEK) == b"HTTP/1.1 200"
    return wire


def begin_slow_push(repository: Repository, content: bytes, sent: int) -> Wire:
    """Begin to push a blob in one request, of which only some bytes are sent."""
    target = with_query(repository.begin(), digest=digest_of(content))
    wire = repository.registry.wire()
    headers = {"Content-Length": str(len(content))}
    wire.send(repository.registry.head_of("PUT", target, headers, b"") + content[:sent])
    return wire


def wait_until_refused(port: int) -> None:
    """Return when no connection is accepted any more."""
    deadline = time.monotonic() + 5
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            return
        assert time.monotonic() < deadline, "new connections are still accepted"
        time.sleep(0.02)


def test_a_stop_lets_requests_finish(server: Start) -> None:
    """A pull and a push that are under way end well; nobody new is let in; the exit code is 0."""
    running = server()
    repository = repository_of(running)
    content, other = secrets.token_bytes(24 * MIB), secrets.token_bytes(4 * MIB)
    repository.push_blob(content)
    with (
        begin_slow_pull(repository, digest_of(content)) as pull,
        begin_slow_push(repository, other, 3 * MIB) as push,
    ):
        time.sleep(0.2)
        running.terminate()
        wait_until_refused(running.port)
        time.sleep(0.5)
        assert running.is_running()
        push.send(other[3 * MIB :])
        push.answer("PUT").expect(201)
        assert pull.answer().expect(200).body == content
    assert running.wait() == 0
    running.start()
    path = repository.path(f"blobs/{digest_of(other)}")
    assert repository.registry.get(path).expect(200).body == other


def ask_anew(running: Server) -> Answer:
    """Return the answer to a request by a connection of its own."""
    with Registry(running.url).wire() as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return wire.answer().expect(200)


def test_a_stop_answers_who_was_on_the_way(server: Start) -> None:
    """Connections are not reset while a proxy can't know yet; each is closed with its answer."""
    running = server()
    answered = []
    with Registry(running.url).wire() as kept:
        running.terminate()
        began = time.monotonic()
        while time.monotonic() < began + 0.1:
            answered.append(ask_anew(running))
        is_told = False
        while not is_told:  # the signal may not have come yet
            kept.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            is_told = kept.answer().expect(200)["Connection"] == "close"
        while time.monotonic() < began + 0.3:
            answered.append(ask_anew(running))
    assert len(answered) > 10
    # The first ones may have been answered before the signal had come.
    assert all(each["Connection"] == "close" for each in answered[-5:])
    assert running.wait() == 0


def test_a_stop_waits_no_longer_than_it_was_told(server: Start) -> None:
    """A client that does not read is left after `drain_seconds`; its push is not acknowledged."""
    running = server(env={"MOORAGE_LIMITS__DRAIN_SECONDS": "1"})
    repository = repository_of(running)
    content = secrets.token_bytes(MIB)
    with begin_slow_push(repository, content, MIB // 2) as push:
        time.sleep(0.2)
        began = time.monotonic()
        running.terminate()
        running.wait()
        assert 0.5 < time.monotonic() - began < 8
        assert b" 201 " not in push.rest(1)[:20]
    running.start()
    assert not repository.has_blob(digest_of(content))


def test_a_worker_that_dies_is_replaced(server: Start) -> None:
    """Killed alone, it is started again, and meanwhile the other one answers everybody."""
    running = server()
    wait_for_workers(running)
    repository = repository_of(running)
    digest = repository.push_image("latest").digest
    first = workers_of(running)[0]
    os.kill(first, signal.SIGKILL)
    wait_until_gone([first])
    deadline = time.monotonic() + 15
    while len(running.children()) < 3:
        assert repository.tagged("latest") == digest
        repository.push_blob()
        assert time.monotonic() < deadline, running.stderr_tail()
    wait_for_workers(running)
    assert "process 0 ended, starting it again" in running.log.read_text()
    assert first not in running.children()
    assert running.stop() == 0
    assert_sound(running.data)


class Unheard(Server):
    """A server whose log is on a disk that is full."""

    @property
    def command(self) -> list[str]:
        """The command line."""
        return ["sh", "-c", 'exec "$@" > /dev/full 2>&1', "serve", *super().command]


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    """What ends is started again, although nothing can be told of it."""
    with Unheard(data=tmp_path / "data") as running:
        wait_for_workers(running)
        for ended in running.children():
            os.kill(ended, signal.SIGKILL)
            wait_until_gone([ended])
            deadline = time.monotonic() + 15
            while len(running.children()) < 3:
                assert running.is_running()
                assert time.monotonic() < deadline
                time.sleep(0.05)
        wait_for_workers(running)
        repository_of(running).push_image("latest")
        assert running.stop() == 0
    assert_sound(running.data)


def test_one_data_directory_has_one_server(server: Start) -> None:
    """A second server is refused in words, and does not disturb the first."""
    running = server()
    second = Server(data=running.data)
    done = subprocess.run(second.command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1, done
    assert f"Another server is using the data directory {running.data}" in done.stderr
    assert "Traceback" not in done.stderr
    repository_of(running).push_image("still-there")


def add_ended_sessions(data: Path, count: int) -> None:
    """Give a server that does not run so many ended sessions that their removal takes a while."""
    connection = apsw.Connection(str(data / "moorage.db"))
    with connection:
        connection.execute("UPDATE job_schedule SET next_at = 0 WHERE name = 'uploads.expire'")
        kind = connection.execute(SESSIONS).fetchall()[0][0][:-32]
        connection.executemany(
            "INSERT INTO upload (id, repository_id, owner, algorithm, state, offset, prefix, epoch,"
            " created_at, expires_at) VALUES (?, 1, 'local', 'sha256', ?, 0, x'', 1, 1, 2)",
            ((f"ended-{number}", kind + b"%032x" % number) for number in range(count)),
        )
    connection.close()


def job_of(data: Path, name: str) -> dict[str, int | str]:
    """Return the newest job of a name."""
    columns = ("state", "attempts", "epoch", "lease_until")
    connection = apsw.Connection(str(data / "moorage.db"), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(5_000)
    statement = f"SELECT {', '.join(columns)} FROM job WHERE name = ? ORDER BY id DESC LIMIT 1"
    rows = connection.execute(statement, (name,)).fetchall()
    connection.close()
    return dict(zip(columns, rows[0], strict=True)) if rows else {}


def wait_for_job(data: Path, **wanted: object) -> dict[str, int | str]:
    """Return the job that ends sessions once it is as wanted."""
    deadline = time.monotonic() + 20
    while not wanted.items() <= (job := job_of(data, "uploads.expire")).items():
        assert time.monotonic() < deadline, job
        time.sleep(0.005)
    return job


def test_a_job_whose_process_dies_is_run_again(server: Start) -> None:
    """It stays claimed until its lease is over, and then it is claimed under a higher epoch."""
    running = server()
    repository = repository_of(running)
    repository.registry.patch(repository.begin(), b"unfinished").expect(202)
    wait_for_job(running.data, state="done")
    assert running.stop() == 0
    add_ended_sessions(running.data, 3_000)
    running.start()
    began = wait_for_job(running.data, state="running")
    jobs = jobs_of(running)
    os.kill(jobs, signal.SIGKILL)
    wait_until_gone([jobs])
    left = job_of(running.data, "uploads.expire")
    assert (left["state"], left["attempts"]) == ("running", began["attempts"])
    assert 0 < int(left["lease_until"]) - time.time_ns() // 1_000_000 <= LEASE_MS
    repository_of(running).push_image("meanwhile")
    running.kill()
    connection = apsw.Connection(str(running.data / "moorage.db"))
    connection.execute("UPDATE job SET lease_until = 1 WHERE state = 'running'")
    connection.close()
    running.start()
    ended = wait_for_job(running.data, state="done")
    assert ended["epoch"] == int(left["epoch"]) + 1
    assert running.stop() == 0
    connection = apsw.Connection(str(running.data / "moorage.db"))
    statement = "SELECT count(*) FROM upload WHERE id LIKE 'ended-%'"
    assert connection.execute(statement).fetchall() == [(0,)]
    connection.close()


def test_requests_go_on_while_workers_die_in_turn(server: Start) -> None:
    """A client that asks again when its connection breaks gets everything done."""
    running = server()
    wait_for_workers(running)
    repository = repository_of(running)
    made: list[str] = []

    def push_all() -> None:
        for number in range(40):
            for _ in range(20):
                try:
                    made.append(repository.push_image(f"n{number}").digest)
                    break
                except ConnectionError:
                    time.sleep(0.05)
            else:
                pytest.fail("twenty tries")

    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(push_all)
        for place in (0, 1):
            time.sleep(0.3)
            worker = workers_of(running)[place]
            if is_alive(worker):
                os.kill(worker, signal.SIGKILL)
        pushing.result(60)
    assert [repository.tagged(f"n{number}") for number in range(40)] == made
