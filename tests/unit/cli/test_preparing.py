"""What the start proposes as the name of the first account."""

import os
import pwd
import sys

import pytest

from moorage.cli.preparing import _own_name

DAEMON = pwd.getpwnam("daemon")


@pytest.mark.parametrize(
    ("number", "is_terminal", "name"),
    [
        (DAEMON.pw_uid, True, "daemon"),
        (DAEMON.pw_uid, False, ""),
        (0, True, ""),
        (2_000_000_000, True, ""),
    ],
)
def test_who_starts_it_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, number: int, name: str, *, is_terminal: bool
) -> None:
    """Not root, not a service's user, and not a number that has no name."""
    monkeypatch.setattr(os, "geteuid", lambda: number)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    assert _own_name() == name
