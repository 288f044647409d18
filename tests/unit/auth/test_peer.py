"""Whose socket is at the other end, by both ways of asking the kernel."""

import os
import socket
import sys
from collections.abc import Callable

import pytest

from moorage.auth import peer

Ask = Callable[[tuple[str, int], tuple[str, int]], int | None]

# Only Linux can be asked; elsewhere the peer's user is not one of the conditions.
WAYS: list[Ask] = (
    [peer._by_netlink, peer._by_proc, peer.peer_uid] if sys.platform == "linux" else []
)


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_our_own(ask: Ask, family: socket.AddressFamily, host: str) -> None:
    with (
        socket.create_server((host, 0), family=family) as listener,
        socket.socket(family) as client,
    ):
        client.connect(listener.getsockname()[:2])
        with listener.accept()[0] as server:
            own, other = server.getsockname()[:2], client.getsockname()[:2]
            assert ask(other, own) == os.getuid()
            client.close()
            assert ask(other, own) is None


@pytest.mark.parametrize("ask", WAYS)
def test_nobodys(ask: Ask) -> None:
    assert ask(("127.0.0.1", 1), ("127.0.0.1", 2)) is None
