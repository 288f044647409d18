"""The client of the management API: paths, pages, and what refusals become."""

import socket
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from moorage.client.api import Api, path_of
from moorage.client.http import Answer, Connection, Place
from moorage.client.problems import refusal_of
from moorage.errors import Refused

JSON = {"content-type": "application/problem+json"}


class Scripted(Connection):
    """Answers what was written down, and remembers what was asked."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(Place(url="https://registry.example"))
        self.asked: list[tuple[str, str, bytes | None]] = []
        self._answers: Iterator[Answer] = iter(answers)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Answer:
        self.asked.append((method, path, body))
        return next(self._answers)


def page(*names: str, link: str = "") -> Answer:
    """Return a page."""
    body = msgspec.json.encode({"items": [{"name": name} for name in names]})
    return Answer(200, {"link": link} if link else {}, body)


@pytest.mark.parametrize(
    ("parts", "query", "path"),
    [
        (("accounts",), {}, "/api/v1/accounts"),
        (("repositories", "web/shop", "-", "grants"), {}, "/api/v1/repositories/web/shop/-/grants"),
        (
            ("namespaces", "web", "grants", "team", "web/dev"),
            {},
            "/api/v1/namespaces/web/grants/team/web%2Fdev",
        ),
        (("accounts", "a b?c#d"), {}, "/api/v1/accounts/a%20b%3Fc%23d"),
        (("x",), {"who": "a&b", "empty": ""}, "/api/v1/x?who=a%26b"),
    ],
)
def test_paths(parts: tuple[str, ...], query: dict[str, str], path: str) -> None:
    assert path_of(*parts, **query) == path


@pytest.mark.parametrize("part", ["", ".", "..", "a/../b", "/a", "a//b", "a/"])
def test_a_name_can_t_lead_elsewhere(part: str) -> None:
    with pytest.raises(Refused, match="is not a name"):
        path_of("accounts", part)


def test_all_pages_are_read() -> None:
    connection = Scripted(page("a", "b", link='</api/v1/accounts?after=b>; rel="next"'), page("c"))
    assert [each["name"] for each in Api(connection).items("accounts")] == ["a", "b", "c"]
    assert [path for _, path, _ in connection.asked] == [
        "/api/v1/accounts",
        "/api/v1/accounts?after=b",
    ]


def test_a_link_to_another_host_is_not_followed_there() -> None:
    connection = Scripted(page("a", link='<https://evil.example/x?y=1>; rel="next"'), page())
    list(Api(connection).items("accounts"))
    assert connection.asked[1][1] == "/x?y=1"


def test_an_answer_without_content_is_empty() -> None:
    assert Api(Scripted(Answer(204, {}, b""))).send("DELETE", "accounts", "a") == {}


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"\xff", b'"x"'])
def test_another_server_s_answer_is_refused(body: bytes) -> None:
    with pytest.raises(Refused, match="does not answer as Moorage does"):
        Api(Scripted(Answer(200, {}, body))).get("whoami")


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [
        (400, 2),
        (401, 4),
        (403, 4),
        (404, 3),
        (409, 9),
        (412, 9),
        (422, 2),
        (429, 1),
        (500, 1),
        (503, 8),
    ],
)
def test_exit_codes(status: int, exit_code: int) -> None:
    body = msgspec.json.encode({"title": "it is so", "code": "X", "request_id": "r"})
    refused = refusal_of(status, JSON, body, "registry.example")
    assert (refused.what, refused.exit_code) == ("It is so.", exit_code)
    assert (refused.code, refused.request_id, refused.status) == ("X", "r", status)


def test_three_sentences() -> None:
    body = msgspec.json.encode({"title": "what", "detail": "why", "do": "that"})
    refused = refusal_of(403, JSON, body, "registry.example")
    assert (refused.what, refused.why, refused.do) == ("What.", "Why.", "That.")


def test_who_is_not_signed_in_is_told_how() -> None:
    body = b'{"title": "no", "do": "Sign in with docker login"}'
    refused = refusal_of(401, JSON, body, "registry.example")
    assert refused.do == "Sign in: moorage login registry.example."


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-type": "text/html"}, b"<h1>Bad gateway</h1>"),
        (JSON, b"{"),
        (JSON, b"[]"),
        (JSON, b'{"title": 1}'),
        ({}, b""),
    ],
)
def test_a_proxy_s_refusal(headers: Mapping[str, Any], body: bytes) -> None:
    refused = refusal_of(502, headers, body, "registry.example")
    assert "status 502" in refused.what
    assert "proxy" in refused.why
    assert refused.exit_code == 8


def test_no_answer_has_an_exit_code_of_its_own() -> None:
    with pytest.raises(Refused, match="can't be reached") as refused:
        Connection(Place(url="http://127.0.0.1:1")).request("GET", "/")
    assert refused.value.exit_code == 8


def test_a_server_that_does_not_answer_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(Place(url=f"http://127.0.0.1:{listener.getsockname()[1]}"))
        connection.seconds = 0.05
        with pytest.raises(Refused, match="can't be reached") as refused:
            connection.request("GET", "/")
    assert refused.value.exit_code == 8
