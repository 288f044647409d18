"""Connections: kept, pipelined, closed after a refusal, and asked before a body is sent."""

from __future__ import annotations

import time

import pytest

from registry import (
    OCI_MANIFEST,
    Registry,
    Repository,
    digest_of,
    framed,
    requirement,
    unique,
    with_query,
)

CLOSING = {"Connection": "close"}
UNKNOWN = "blobs/uploads/5c1b9be0-6e5e-4b3c-9b0a-0d6a0c8e7f11"


@requirement("connections")
def test_connection_is_kept(registry: Registry) -> None:
    """Many requests go over one connection."""
    with registry.wire() as wire:
        for _ in range(50):
            registry.request("GET", "/v2/", wire=wire).expect(200)


@requirement("connections")
def test_connection_is_closed_when_asked(registry: Registry) -> None:
    """`Connection: close` is obeyed."""
    with registry.wire() as wire:
        answer = registry.request("GET", "/v2/", CLOSING, wire=wire).expect(200)
        assert answer["Connection"].lower() == "close"
        assert wire.is_closed()


@requirement("connections")
def test_pipelining(repository: Repository) -> None:
    """Requests sent without waiting are answered in their order."""
    registry = repository.registry
    image, content = repository.push_image("latest"), unique().encode()
    blob = repository.push_blob(content)["digest"]
    targets = [
        ("GET", "/v2/"),
        ("HEAD", repository.path("manifests/latest")),
        ("GET", repository.path("manifests/latest")),
        ("GET", repository.path("manifests/absent")),
        ("HEAD", repository.path(f"blobs/{blob}")),
        ("GET", repository.path(f"blobs/{blob}")),
        ("GET", repository.path("tags/list")),
    ]
    with registry.wire() as wire:
        wire.send(b"".join(registry.head_of(*target) for target in targets))
        answers = [wire.answer(method) for method, _ in targets]
    assert [answer.status for answer in answers] == [200, 200, 200, 404, 200, 200, 200]
    assert answers[2].body == image.raw
    assert answers[5].body == content


@requirement("connections")
def test_pipelined_push(repository: Repository) -> None:
    """A whole push can be sent at once over one connection, in both framings of bodies."""
    registry, contents = repository.registry, [unique().encode() for _ in range(4)]
    with registry.wire() as wire:
        for number, content in enumerate(contents):
            target = repository.path(f"blobs/uploads/?digest={digest_of(content)}")
            body = [content] if number % 2 else content
            wire.send(registry.head_of("POST", target, (), body) + framed(body))
        for _ in contents:
            wire.answer("POST").expect(201)
    assert all(repository.has_blob(digest_of(content)) for content in contents)


@requirement("connections", "drain")
@pytest.mark.parametrize("size", [1, 1000, 65_536])
@pytest.mark.parametrize("chunked", [False, True])
def test_small_rest_is_drained(repository: Repository, size: int, chunked: bool) -> None:
    """After a refusal that leaves at most 64 KiB unread the connection can be used again."""
    registry, body = repository.registry, b"x" * size
    with registry.wire() as wire:
        target = repository.path(UNKNOWN)
        sent = [body] if chunked else body
        registry.request("PATCH", target, (), sent, wire).expect(404, "BLOB_UPLOAD_UNKNOWN")
        registry.request("GET", "/v2/", wire=wire).expect(200)


@requirement("connections", "drain")
def test_small_rest_may_be_late(repository: Repository) -> None:
    """A small rest that comes a little later is drained too; a refusal does not wait for ever."""
    registry, body = repository.registry, b"x" * 30_000
    with registry.wire(10) as wire:
        wire.send(registry.head_of("PATCH", repository.path(UNKNOWN), (), body))
        time.sleep(0.2)
        wire.send(body)
        wire.answer("PATCH").expect(404, "BLOB_UPLOAD_UNKNOWN")
        registry.request("GET", "/v2/", wire=wire).expect(200)
        wire.send(registry.head_of("PATCH", repository.path(UNKNOWN), (), body))
        wire.answer("PATCH").expect(404, "BLOB_UPLOAD_UNKNOWN")


@requirement("connections", "drain")
@pytest.mark.parametrize(
    ("method", "rest", "status"),
    [
        ("PATCH", UNKNOWN, 404),
        ("PUT", f"{UNKNOWN}?digest={digest_of(b'')}", 404),
        ("PUT", "manifests/.bad", 400),
        ("POST", "tags/list", 405),
        ("POST", "blobs/uploads/?digest=sha256:abc", 400),
    ],
)
def test_large_rest_closes(repository: Repository, method: str, rest: str, status: int) -> None:
    """A refusal that leaves more than 64 KiB unread comes at once and closes the connection."""
    registry = repository.registry
    headers = {"Content-Length": str(1 << 30), "Content-Type": OCI_MANIFEST}
    with registry.wire(10) as wire:
        wire.send(registry.head_of(method, repository.path(rest), headers) + b"x" * 100_000)
        answer = wire.answer(method).expect(status)
        assert answer["Connection"].lower() == "close"


@requirement("connections", "drain")
def test_connection_with_a_rest_ends(repository: Repository) -> None:
    """The connection of a refusal that left a body unread does end, whatever is sent on it."""
    registry = repository.registry
    with registry.wire(10) as wire:
        headers = {"Content-Length": str(1 << 30)}
        wire.send(registry.head_of("PATCH", repository.path(UNKNOWN), headers))
        wire.answer("PATCH").expect(404)
        wire.send(registry.head_of("GET", "/v2/"))
        received = wire.rest(30)
        assert wire.is_closed(1)
    assert b"HTTP/1.1" not in received


@requirement("connections", "100-continue")
def test_continue_before_a_body(repository: Repository) -> None:
    """A body that is waited for is asked for with 100."""
    registry, content = repository.registry, unique().encode() * 1000
    target = with_query(repository.begin(), digest=digest_of(content))
    with registry.wire(10) as wire:
        wire.send(registry.head_of("PUT", target, {"Expect": "100-continue"}, content))
        assert wire.interim() == 100
        wire.send(content)
        wire.answer("PUT").expect(201)


@requirement("connections", "100-continue")
def test_no_continue_when_the_body_comes_anyway(repository: Repository) -> None:
    """A client that does not wait for the 100 is served all the same."""
    registry, content = repository.registry, unique().encode()
    target = with_query(repository.begin(), digest=digest_of(content))
    with registry.wire(10) as wire:
        wire.send(registry.head_of("PUT", target, {"Expect": "100-continue"}, content) + content)
        wire.answer("PUT").expect(201)
        registry.request("GET", "/v2/", wire=wire).expect(200)


@requirement("connections", "100-continue")
@pytest.mark.parametrize(
    ("rest", "length", "status"),
    [
        (f"{UNKNOWN}?digest={digest_of(b'')}", 100, 404),
        ("manifests/latest", 1_000_000_000, 413),
        ("manifests/.bad", 100, 400),
    ],
)
def test_no_continue_before_a_refusal(
    repository: Repository, rest: str, length: int, status: int
) -> None:
    """What is refused anyway is refused without a 100."""
    registry = repository.registry
    headers = {
        "Expect": "100-continue",
        "Content-Length": str(length),
        "Content-Type": OCI_MANIFEST,
    }
    with registry.wire(10) as wire:
        wire.send(registry.head_of("PUT", repository.path(rest), headers))
        assert wire.answer("PUT").expect(status).interim == ()


@requirement("connections", "100-continue", "S-58")
@pytest.mark.parametrize("authorization", [None, "Basic YWRtaW46d3Jvbmc="])
def test_no_continue_before_authorisation(
    administered: Registry, administrator: Registry, authorization: str | None
) -> None:
    """Without rights it is 401 and no byte of the body is asked for; with them it is 100."""
    location = administrator.repository().begin()
    headers = {
        "Expect": "100-continue",
        "Content-Length": "1000000",
        "Authorization": authorization,
    }
    with administered.wire(10) as wire:
        wire.send(administered.head_of("PATCH", location, headers))
        assert wire.answer("PATCH").expect(401).interim == ()
    headers["Authorization"] = administrator.authorization
    with administered.wire(10) as wire:
        wire.send(administered.head_of("PATCH", location, headers))
        assert wire.interim() == 100


@requirement("connections", "drain", "S-58")
def test_refused_body_is_not_awaited(administered: Registry) -> None:
    """Without rights a large body is not read: 401 at once, and the connection closes."""
    path = f"/v2/{unique()}/blobs/uploads/?digest={digest_of(b'')}"
    with administered.wire(10) as wire:
        started = time.monotonic()
        wire.send(administered.head_of("POST", path, {"Content-Length": str(1 << 30)}))
        answer = wire.answer("POST").expect(401)
        assert time.monotonic() - started < 3
        assert answer["Connection"].lower() == "close"
