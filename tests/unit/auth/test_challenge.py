"""Challenges: where clients are sent, and what a person reads."""

from typing import Any, cast

import pytest
from multidict import CIMultiDict

from moorage.auth.address import address_of
from moorage.auth.challenge import challenge
from moorage.config import Config
from moorage.errors import NotPermitted, Unauthorized
from moorage.web.request import Request


class Asked:
    """A request as far as its address is concerned."""

    def __init__(self, host: str | None = "r.example:5000", *, tls: bool = False) -> None:
        self.headers = CIMultiDict({"Host": host} if host is not None else {})
        self.is_tls = tls

    def connection(self, name: str) -> object:
        return ("::1", 5000, 0, 0) if name == "sockname" else None


def asked(host: str | None = "r.example:5000", *, tls: bool = False) -> Request:
    return cast("Request", Asked(host, tls=tls))


def challenged(refused: Unauthorized | NotPermitted, **settings: Any) -> str:
    challenge(Config(**settings), asked(), refused)
    return refused.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("host", "tls", "base"),
    [
        ("r.example", False, "http://r.example"),
        ("R.Example:5000", True, "https://r.example:5000"),
        ("127.0.0.1:5000", False, "http://127.0.0.1:5000"),
        ("[::1]:5000", False, "http://[::1]:5000"),
        ("localhost", False, "http://localhost"),
    ],
)
def test_the_address_is_that_of_the_request(host: str, *, tls: bool, base: str) -> None:
    found = address_of(Config(), asked(host, tls=tls))
    assert found.base == base
    assert found.realm == f"{base}/token"
    assert found.service == base.partition("://")[2]


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        'r.example",error="x',
        "r.example/evil",
        "r.example@evil.example",
        "user:pass@evil.example",
        "r.example:",
        "r.example:0",
        "r.example:123456",
        "-r.example",
        "r..example-",
        "a b",
        "[::1",
        "r.example\\",
        "r\u0131.example",
        "r" * 300,
    ],
)
def test_a_host_that_is_none_reaches_no_answer(host: str | None) -> None:
    assert address_of(Config(), asked(host)).base == "http://[::1]:5000"


def test_the_setting_comes_before_the_request() -> None:
    config = Config(url="https://registry.example")
    assert address_of(config, asked("evil.example")).realm == "https://registry.example/token"


def test_a_challenge_is_one_line_for_machines() -> None:
    assert challenged(Unauthorized()) == (
        'Bearer realm="http://r.example:5000/token",service="r.example:5000"'
    )
    told = challenged(Unauthorized(scope="repository:a/b:pull", error="insufficient_scope"))
    assert told.endswith(',scope="repository:a/b:pull",error="insufficient_scope"')
    assert "basic" not in told.lower()


def test_whoever_has_not_the_right_reads_so() -> None:
    refused = NotPermitted("ann has no push right on a/b", scope="repository:a/b:pull,push")
    assert challenged(refused).endswith(
        ',scope="repository:a/b:pull,push",error="ann has no push right on a/b"'
    )


def test_a_text_can_not_end_the_quotes_or_the_line() -> None:
    told = challenged(NotPermitted('a"b\\c\r\nX: y\tz\x7fé\u2028' + "w" * 200, scope='"x'))
    assert told.partition('error="')[2] == "a?b?c??X: y?z???" + "w" * 104 + '"'
    assert 'scope="?x"' in told
    assert told.isascii()
    assert told.isprintable()
