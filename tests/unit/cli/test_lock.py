"""The lock on a data directory, against this host and against another one."""

import os
import threading
import time
from pathlib import Path

import pytest

from moorage.cli import lock
from moorage.cli.lock import DataLock
from moorage.errors import Refused

OTHER = "elsewhere 0123456789abcdef0123456789abcdef"


def leave(directory: Path, beat: int) -> None:
    """Write what a server of another host writes, where `flock` does not reach."""
    text = f"{OTHER}\n17 {beat}\n".encode().ljust(512)
    descriptor = os.open(directory / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(descriptor, text, 0)
    os.close(descriptor)


def test_a_second_server_of_this_host_is_refused(tmp_path: Path) -> None:
    held = DataLock.acquire(tmp_path)
    with pytest.raises(Refused, match="Another server"):
        DataLock.acquire(tmp_path)
    held.release()
    DataLock.acquire(tmp_path).release()


def test_another_host_that_goes_on_is_noticed(tmp_path: Path) -> None:
    leave(tmp_path, 1)
    stop = threading.Event()

    def beat() -> None:
        number = 1
        while not stop.wait(0.2):
            number += 1
            leave(tmp_path, number)

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        with pytest.raises(Refused, match="elsewhere"):
            DataLock.acquire(tmp_path)
    finally:
        stop.set()
        beating.join()


def test_another_host_that_has_stopped_is_succeeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_WATCH_SECONDS", 0.6)
    leave(tmp_path, 1)
    began = time.monotonic()
    held = DataLock.acquire(tmp_path)
    assert time.monotonic() - began >= 0.6
    assert OTHER.encode() not in (tmp_path / "server.lock").read_bytes()
    held.release()


def test_a_server_that_ended_well_is_succeeded_at_once(tmp_path: Path) -> None:
    DataLock.acquire(tmp_path).release()
    assert (tmp_path / "server.lock").read_bytes() == b""


def test_a_crash_of_this_host_costs_no_wait(tmp_path: Path) -> None:
    held = DataLock.acquire(tmp_path)
    os.close(held.descriptor)  # as the end of a process does, which says nothing
    began = time.monotonic()
    DataLock.acquire(tmp_path).release()
    assert time.monotonic() - began < 0.5


def test_each_beat_changes_the_file(tmp_path: Path) -> None:
    held = DataLock.acquire(tmp_path)
    before = (tmp_path / "server.lock").read_bytes()
    held.beat()
    assert (tmp_path / "server.lock").read_bytes() != before
    held.release()
