"""What all answers have in common: envelopes, headers, caching."""

from __future__ import annotations

import json
import re
import time

import pytest

from registry import (
    OCI_MANIFEST,
    Answer,
    Registry,
    Repository,
    absent_digest,
    requirement,
    unique,
)

ZERO = absent_digest()
REFUSALS = [
    ("GET", "/v2/UPPER/tags/list", 400),
    ("GET", "/v2/{name}/blobs/sha256:abc", 400),
    ("GET", "/v2/{name}/tags/list?n=x", 400),
    ("PUT", "/v2/{name}/manifests/bad", 400),
    ("GET", f"/v2/{{name}}/manifests/{ZERO}", 404),
    ("GET", "/v2/{name}/manifests/absent", 404),
    ("GET", f"/v2/{{name}}/blobs/{ZERO}", 404),
    ("GET", "/v2/{name}/nothing/here", 404),
    ("GET", "/v2/unknown/{name}/tags/list", 404),
    ("GET", "/v2/{name}/blobs/uploads/5c1b9be0-6e5e-4b3c-9b0a-0d6a0c8e7f11", 404),
    ("DELETE", "/v2/{name}/manifests/absent", 404),
    ("DELETE", f"/v2/{{name}}/blobs/{ZERO}", 404),
    ("POST", "/v2/", 405),
    ("PATCH", "/v2/{name}/manifests/latest", 405),
]
SUCCESSES = [
    ("GET", "/v2/", 200),
    ("GET", "/v2/_catalog?n=1", 200),
    ("GET", "/v2/{name}/tags/list", 200),
    ("GET", "/v2/{name}/manifests/latest", 200),
    ("GET", "/v2/{name}/manifests/{manifest}", 200),
    ("GET", "/v2/{name}/blobs/{blob}", 200),
    ("GET", "/v2/{name}/referrers/{manifest}", 200),
    ("POST", "/v2/{name}/blobs/uploads/", 202),
    ("POST", "/v2/{name}/blobs/uploads/?mount={blob}&from={name}", 201),
]


@pytest.fixture(scope="module")
def filled(registry: Registry) -> dict[str, str]:
    """Return a repository's name, with the digests of an image tagged `latest` and of a blob."""
    repository = registry.repository()
    image = repository.push_image("latest")
    blob = repository.push_blob()
    return {"name": repository.name, "manifest": image.digest, "blob": blob["digest"]}


def check_always(answer: Answer) -> None:
    """Check what every answer has."""
    assert answer["Docker-Distribution-API-Version"] == "registry/2.0"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Request-Id"]
    assert answer.get("Content-Encoding") is None
    assert answer.get("Access-Control-Allow-Origin") is None


@requirement("errors")
@pytest.mark.parametrize(("method", "path", "status"), REFUSALS)
def test_envelope(
    registry: Registry, filled: dict[str, str], method: str, path: str, status: int
) -> None:
    """A refusal is JSON with codes and messages, and shows nothing from inside."""
    answer = registry.request(method, path.format(**filled)).expect(status)
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Length"] == str(len(answer.body))
    document = json.loads(answer.body)
    assert set(document) == {"errors"}
    for error in document["errors"]:
        assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", error["code"])
        assert isinstance(error["message"], str)
        assert len(error["message"]) > 5
    assert not re.search(rb"Traceback|\.py\b|sqlite|/home/|/tmp/", answer.body)


@requirement("errors", "Q-31")
@pytest.mark.parametrize(
    ("path", "status"), [(path, status) for method, path, status in REFUSALS if method == "GET"]
)
def test_refused_head_has_no_body(
    registry: Registry, filled: dict[str, str], path: str, status: int
) -> None:
    """A refused HEAD has the headers of the refused GET and no body: the next answer follows."""
    with registry.wire() as wire:
        registry.request("HEAD", path.format(**filled), wire=wire).expect(status)
        registry.request("GET", "/v2/", wire=wire).expect(200)


@requirement("headers")
@pytest.mark.parametrize(("method", "path", "status"), REFUSALS + SUCCESSES)
def test_common_headers(
    registry: Registry, filled: dict[str, str], method: str, path: str, status: int
) -> None:
    """Every answer names the API version, forbids sniffing and has a request id."""
    answer = registry.request(method, path.format(**filled), {"Accept-Encoding": "gzip, zstd"})
    check_always(answer.expect(status))


@requirement("headers")
@pytest.mark.parametrize("path", [path for method, path, _ in SUCCESSES if method == "GET"])
def test_head_of_everything(registry: Registry, filled: dict[str, str], path: str) -> None:
    """Where there is GET there is HEAD, with the same type and length."""
    target = path.format(**filled)
    got, head = registry.get(target), registry.head(target).expect(200)
    assert head["Content-Length"] == got["Content-Length"] == str(len(got.body))
    assert head["Content-Type"] == got["Content-Type"]


@requirement("headers")
def test_request_ids_differ(registry: Registry) -> None:
    """Every answer has an id of its own."""
    assert len({registry.get("/v2/")["X-Request-Id"] for _ in range(10)}) == 10


@requirement("headers", "S-114")
def test_request_id_of_a_client(registry: Registry) -> None:
    """An id that a client sends is not taken over when it could forge a log line."""
    forged = 'x" level="fatal'
    assert registry.get("/v2/", {"X-Request-Id": forged})["X-Request-Id"] != forged


@requirement("caching")
@pytest.mark.parametrize(("method", "path", "status"), [row for row in REFUSALS if row[2] == 404])
def test_unknown_is_not_cached(
    registry: Registry, filled: dict[str, str], method: str, path: str, status: int
) -> None:
    """A 404 is kept by no cache."""
    answer = registry.request(method, path.format(**filled)).expect(status)
    assert answer["Cache-Control"] == "no-store"


@requirement("caching")
@pytest.mark.parametrize(
    ("path", "caching"),
    [
        ("manifests/latest", "no-cache"),
        ("manifests/{manifest}", "private, max-age=31536000, immutable"),
        ("blobs/{blob}", "private, max-age=31536000, immutable"),
    ],
)
@pytest.mark.parametrize("matching", [False, True])
def test_caching(
    registry: Registry, filled: dict[str, str], path: str, caching: str, matching: bool
) -> None:
    """What a digest names may be kept, what a tag names must be asked for; a 304 says the same."""
    headers = {"If-None-Match": "*"} if matching else {}
    answer = registry.get(f"/v2/{filled['name']}/{path.format(**filled)}", headers)
    assert answer.expect(304 if matching else 200)["Cache-Control"] == caching


@requirement("S-102")
@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=" + "9" * 5000 + "-"},
        {"Range": "bytes=0-" + "9" * 5000},
        {"If-None-Match": '"' * 5000},
        {"If-None-Match": ", " * 5000},
        {"Accept": "a/b;q=" * 5000},
        {"Accept": "," * 10_000},
        {"If-Range": "W/" * 5000},
        {"Authorization": "Basic " + "A" * 8000},
        {"User-Agent": "\x1b[31m" + "x" * 4000},
        {"Accept-Language": "a-" * 5000},
    ],
    ids="+".join,
)
@pytest.mark.parametrize("kind", ["manifests/{manifest}", "blobs/{blob}"])
def test_absurd_header(
    registry: Registry, filled: dict[str, str], headers: dict[str, str], kind: str
) -> None:
    """An absurd header is answered at once and is never an internal error."""
    started = time.monotonic()
    path = f"/v2/{filled['name']}/{kind.format(**filled)}"
    with registry.wire() as wire:
        wire.send(registry.head_of("GET", path, headers))
        assert wire.answer().status < 500
    assert time.monotonic() - started < 1


@requirement("S-102")
@pytest.mark.parametrize("query", ["&".join(["a=b"] * 3000), "&" * 10_000, "%" * 9000, ";" * 9000])
@pytest.mark.parametrize(("method", "path", "status"), SUCCESSES)
def test_absurd_query(
    registry: Registry, filled: dict[str, str], method: str, path: str, status: int, query: str
) -> None:
    """A query that makes no sense is ignored or refused, and is never an internal error."""
    joint = "&" if "?" in path else "?"
    answer = registry.request(method, path.format(**filled) + joint + query)
    answer.expect((status, 400, 414))


@requirement("S-100")
@pytest.mark.parametrize("text", ["a-" * 4000, "a" * 8000 + "!", "a/" * 4000, "a." * 4000 + "."])
@pytest.mark.parametrize(
    "path", ["/v2/{}/tags/list", "/v2/x/manifests/{}", "/v2/x/blobs/sha256:{}"]
)
def test_absurd_path(registry: Registry, path: str, text: str) -> None:
    """An absurd name, tag or digest is refused at once."""
    started = time.monotonic()
    registry.get(path.format(text)).expect((400, 404, 414))
    assert time.monotonic() - started < 1


@requirement("errors")
def test_refused_manifest_is_told_why(repository: Repository) -> None:
    """A refused manifest says in words what is wrong with it."""
    headers = {"Content-Type": OCI_MANIFEST}
    path = repository.path("manifests/latest")
    answer = repository.registry.put(path, unique().encode(), headers)
    answer.expect(400, "MANIFEST_INVALID")
    assert "json" in answer.body.decode().lower()
