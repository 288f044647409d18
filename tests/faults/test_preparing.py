"""What a server does before it serves is done in a process apart: how both of them end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.watching import wait_until_gone
from moorage.config import Config
from moorage.web.private import find
from process import Server, is_listening


@pytest.fixture
def preparing(tmp_path: Path) -> Iterator[tuple[Server, int]]:
    """Return a server whose preparation waits for a password that nobody writes, and its pid."""
    pipe = tmp_path / "password"
    os.mkfifo(pipe, 0o600)
    env = {
        "MOORAGE_ADMIN_SOCKET": "on",
        "MOORAGE_ADMIN_USER": "root",
        "MOORAGE_ADMIN_PASSWORD_FILE": str(pipe),
    }
    begun = Server(data=tmp_path / "data", env=env)
    try:
        begun.launch()
        until = time.monotonic() + 20
        while not ((begun.data / "moorage.db").exists() and begun.children()):
            assert begun.is_running(), begun.stderr_tail()
            assert time.monotonic() < until
            time.sleep(0.02)
        (pid,) = begun.children()
        yield begun, pid
    finally:
        begun.close()


def test_who_can_connect_finds_the_admin_socket(preparing: tuple[Server, int]) -> None:
    """So that whoever has waited for the address may go on with an account's link."""
    server, _ = preparing
    assert is_listening(server.port)
    assert find(Config(data=str(server.data))) is not None


def test_a_killed_one_is_told(preparing: tuple[Server, int]) -> None:
    """The server ends with it, says why, and listens no more."""
    server, pid = preparing
    os.kill(pid, signal.SIGKILL)
    assert server.wait() == 1
    assert "The data could not be prepared." in server.stderr_tail()
    assert "signal 9" in server.stderr_tail()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_server(preparing: tuple[Server, int], how: signal.Signals) -> None:
    """A second start finds nobody who still changes the schema."""
    server, pid = preparing
    os.kill(server.pid, how)
    assert server.wait() == -how
    wait_until_gone([pid])
    again = Server(data=server.data)
    try:
        again.start()
    finally:
        again.close()


def told_after_its_name(server: Server) -> list[str]:
    """Return the lines that the server has written, without those that say what it serves."""
    name, settings, *others = server.stderr_tail().splitlines()
    assert name.endswith(f"data in {server.data}")
    assert settings.strip().startswith("settings of ")
    return others


def test_the_keyboard_ends_both(preparing: tuple[Server, int]) -> None:
    server, pid = preparing
    os.killpg(server.pid, signal.SIGINT)
    assert server.wait() == 130
    wait_until_gone([pid])
    assert told_after_its_name(server) == []


def test_the_keyboard_may_end_it_first(preparing: tuple[Server, int]) -> None:
    """The terminal's signal reaches both, in no order: neither is told as one that was killed."""
    server, pid = preparing
    os.kill(pid, signal.SIGINT)
    assert server.wait() == 130
    assert told_after_its_name(server) == []


def test_what_it_refuses_is_told_once(tmp_path: Path) -> None:
    """It tells, with the exit code that the server then ends with as well; nothing stays held."""
    env = {
        "MOORAGE_ADMIN_SOCKET": "on",
        "MOORAGE_ADMIN_USER": "root",
        "MOORAGE_ADMIN_PASSWORD_FILE": str(tmp_path / "none"),
    }
    refused = Server(data=tmp_path / "data", env=env)
    try:
        refused.launch()
        assert refused.wait() == 2
        assert refused.stderr_tail().count("can't be read") == 1
        assert "Traceback" not in refused.stderr_tail()
        assert (refused.data / "server.lock").read_bytes() == b""
        assert find(Config(data=str(refused.data))) is None
    finally:
        refused.close()
