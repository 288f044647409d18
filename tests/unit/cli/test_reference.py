"""References may begin with the host of their registry, and a namespace is never taken for one."""

import pytest

from moorage.cli.reference import split_host

KNOWN = ("registry.example", "other")


@pytest.mark.parametrize(
    ("text", "host", "rest"),
    [
        ("web/shop:1.4", "", "web/shop:1.4"),
        ("web/shop@sha256:9f86d081", "", "web/shop@sha256:9f86d081"),
        ("shop", "", "shop"),
        (":1.4", "", ":1.4"),
        ("localhost/web/shop", "localhost", "web/shop"),
        ("localhost:5000/web/shop:1.4", "localhost:5000", "web/shop:1.4"),
        ("[::1]:5000/shop", "[::1]:5000", "shop"),
        ("registry.example/web/shop:1", "registry.example", "web/shop:1"),
        # Nobody is signed in there, and a namespace may have a dot in its name.
        ("team.a/shop:1", "", "team.a/shop:1"),
        # A namespace may be called as a host is that has no dot.
        ("other/shop:1", "", "other/shop:1"),
    ],
)
def test_hosts(text: str, host: str, rest: str) -> None:
    assert split_host(text, KNOWN.__contains__) == (host, rest)
