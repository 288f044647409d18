"""Blobs pushed in one go: every way, every algorithm, every lie about the digest."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry import (
    ALGORITHMS,
    Answer,
    Repository,
    absent_digest,
    digest_of,
    encode,
    requirement,
    unique,
    with_query,
)

CONTENTS = {"empty": b"", "object": b"{}", "70-KB": bytes(range(250)) * 280}


def by_post(repository: Repository, content: bytes, digest: str) -> Answer:
    """Push with one POST."""
    return repository.registry.post(repository.path(f"blobs/uploads/?digest={digest}"), content)


def by_put(repository: Repository, content: bytes, digest: str) -> Answer:
    """Push with POST and PUT."""
    return repository.registry.put(with_query(repository.begin(), digest=digest), content)


def by_hinted_put(repository: Repository, content: bytes, digest: str) -> Answer:
    """Push with a POST that names the algorithm, and PUT."""
    location = repository.begin(**{"digest-algorithm": digest.partition(":")[0]})
    return repository.registry.put(with_query(location, digest=digest), content)


def by_patch(repository: Repository, content: bytes, digest: str) -> Answer:
    """Push with one PATCH of a known length and an empty PUT."""
    location = repository.registry.patch(repository.begin(), content).expect(202)["Location"]
    return repository.registry.put(with_query(location, digest=digest), b"")


def by_stream(repository: Repository, content: bytes, digest: str) -> Answer:
    """Push with one PATCH in chunks of unknown number and an empty PUT."""
    pieces = [content[start : start + 999] for start in range(0, len(content), 999)]
    answer = repository.registry.patch(repository.begin(), pieces)
    location = answer.expect(202)["Location"]
    return repository.registry.put(with_query(location, digest=digest), b"")


def by_chunks(repository: Repository, content: bytes, digest: str) -> Answer:
    """Push with PATCHes that say their place, the last piece in the PUT."""
    location, middle = repository.begin(), len(content) // 2
    for start, piece in ((0, content[:middle]), (middle, content[middle:-1])):
        if piece:
            headers = {"Content-Range": f"{start}-{start + len(piece) - 1}"}
            location = repository.registry.patch(location, piece, headers).expect(202)["Location"]
    return repository.registry.put(with_query(location, digest=digest), content[-1:])


def by_chunked_put(repository: Repository, content: bytes, digest: str) -> Answer:
    """Push with POST and a PUT of unknown length."""
    return repository.registry.put(with_query(repository.begin(), digest=digest), [content])


Way = Callable[[Repository, bytes, str], Answer]
WAYS: list[Way] = [
    by_post,
    by_put,
    by_hinted_put,
    by_patch,
    by_stream,
    by_chunks,
    by_chunked_put,
]
BAD_DIGESTS = [
    "sha256:abc",
    "sha256:",
    "sha256",
    "md5:" + "0" * 32,
    "sha256:" + "A" * 64,
    "sha512:" + "0" * 64,
    "",
]


@requirement("end-4a", "end-4b", "end-4c", "end-5", "end-6", "emptyBlob", "emptyJSON")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("size", CONTENTS)
@pytest.mark.parametrize("way", WAYS)
def test_every_way(repository: Repository, way: Way, size: str, algorithm: str) -> None:
    """A blob can be pushed in every way under every algorithm, hinted or not, and be pulled."""
    content = CONTENTS[size]
    digest = digest_of(content, algorithm)
    answer = way(repository, content, digest).expect(201)
    assert answer["Docker-Content-Digest"] == digest
    assert answer["Content-Length"] == "0"
    assert repository.registry.get(answer["Location"]).expect(200).body == content
    path = repository.path(f"blobs/{digest}")
    assert repository.registry.head(path).expect(200)["Content-Length"] == str(len(content))


@requirement("end-6", "bad-digest", "S-45")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("way", WAYS)
def test_wrong_digest(repository: Repository, way: Way, algorithm: str) -> None:
    """Content that does not have the digest is 400 DIGEST_INVALID and is not stored."""
    content, wrong = unique().encode(), absent_digest(algorithm)
    way(repository, content, wrong).expect(400, "DIGEST_INVALID")
    assert not repository.has_blob(wrong)
    assert not repository.has_blob(digest_of(content, algorithm))


@requirement("end-6", "S-45")
@pytest.mark.parametrize("way", WAYS)
def test_digest_of_the_empty_blob(repository: Repository, way: Way) -> None:
    """The digest of nothing does not fit to something."""
    way(repository, b"something", digest_of(b"")).expect(400, "DIGEST_INVALID")


@requirement("end-4b", "end-6", "S-45")
@pytest.mark.parametrize("digest", BAD_DIGESTS)
@pytest.mark.parametrize("way", [by_post, by_put, by_patch])
def test_malformed_digest(repository: Repository, way: Way, digest: str) -> None:
    """A malformed or unsupported digest is 400 DIGEST_INVALID."""
    way(repository, b"content", digest).expect(400, "DIGEST_INVALID")


@requirement("end-6", "S-45")
def test_two_digests(repository: Repository) -> None:
    """Two different digests are refused, whichever of them is right."""
    content = unique().encode()
    right, wrong = digest_of(content), absent_digest()
    for first, second in ((right, wrong), (wrong, right)):
        target = with_query(with_query(repository.begin(), digest=first), digest=second)
        repository.registry.put(target, content).expect(400, "DIGEST_INVALID")
    assert not repository.has_blob(right)


@requirement("end-6")
def test_missing_digest_keeps_the_session(repository: Repository) -> None:
    """A PUT without digest is 400; the session is still there and can be finished."""
    content = unique().encode()
    location = repository.registry.patch(repository.begin(), content).expect(202)["Location"]
    repository.registry.put(location, b"").expect(400, "DIGEST_INVALID", "BLOB_UPLOAD_INVALID")
    status = repository.registry.get(location).expect(204)
    assert status["Range"] == f"0-{len(content) - 1}"
    target = with_query(status["Location"], digest=digest_of(content))
    repository.registry.put(target, b"").expect(201)


@requirement("end-4a", "Q-08", "Q-10")
@pytest.mark.parametrize("path", ["blobs/uploads/", "blobs/uploads"])
def test_post(repository: Repository, path: str) -> None:
    """POST is exactly 202 with a path-absolute Location that holds the UUID, and `Range: 0-0`."""
    answer = repository.registry.post(repository.path(path), b"").expect(202)
    assert answer["Location"].startswith(repository.path("blobs/uploads/"))
    assert answer["Docker-Upload-UUID"] in answer["Location"]
    assert answer["Range"] == "0-0"
    assert answer["Content-Length"] == "0"


@requirement("end-4a", "S-38")
def test_sessions_can_not_be_guessed(repository: Repository) -> None:
    """Upload identifiers are long and share nothing."""
    path = repository.path("blobs/uploads/")
    names = {repository.registry.post(path)["Docker-Upload-UUID"] for _ in range(20)}
    assert len(names) == 20
    assert all(len(name.replace("-", "")) >= 22 for name in names)
    assert len({name.replace("-", "")[-12:] for name in names}) == 20


@requirement("end-4a")
def test_smallest_chunk(repository: Repository) -> None:
    """OCI-Chunk-Min-Length is a number where it is given."""
    answer = repository.registry.post(repository.path("blobs/uploads/"), b"")
    assert re.fullmatch(r"\d+", answer.get("OCI-Chunk-Min-Length") or "0")


@requirement("end-4a")
@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream", "x/y"])
def test_post_with_a_content_type(repository: Repository, content_type: str) -> None:
    """An empty POST may carry any Content-Type, as crane's does."""
    headers = {"Content-Type": content_type}
    repository.registry.post(repository.path("blobs/uploads/"), b"", headers).expect(202)


@requirement("end-4c")
@pytest.mark.parametrize("name", ["md5", "sha1", "SHA-512", "sha256:", "../x", "sha3_512"])
def test_unknown_algorithm(repository: Repository, name: str) -> None:
    """A POST with a `digest-algorithm` that is not supported is 400."""
    path = repository.path(f"blobs/uploads/?digest-algorithm={name}")
    repository.registry.post(path, b"").expect(400)


@requirement("end-4c")
def test_hint_binds_nobody(repository: Repository) -> None:
    """A session opened for one algorithm can be finished with another."""
    content = unique().encode()
    location = repository.begin(**{"digest-algorithm": "sha512"})
    target = with_query(location, digest=digest_of(content))
    repository.registry.put(target, content).expect(201)


@requirement("end-6")
def test_query_of_a_session_has_no_order(repository: Repository) -> None:
    """The digest may come before what the Location has, and unknown parameters do no harm."""
    content = unique().encode()
    path, _, query = repository.begin().partition("?")
    target = f"{path}?ns=docker.io&digest={digest_of(content)}&{query}&unknown=1"
    repository.registry.put(target, content).expect(201)


@requirement("end-6")
def test_encoded_digest(repository: Repository) -> None:
    """The digest of a PUT may be percent-encoded."""
    content = unique().encode()
    location = repository.begin()
    digest = digest_of(content).replace(":", "%3A")
    target = f"{location}{'&' if '?' in location else '?'}digest={digest}"
    repository.registry.put(target, content).expect(201)


@requirement("end-6")
def test_push_again(repository: Repository) -> None:
    """Pushing what is there already is 201."""
    content = unique().encode()
    for way in (by_put, by_post, by_stream):
        way(repository, content, digest_of(content)).expect(201)


@requirement("end-6")
def test_one_content_has_several_digests(repository: Repository) -> None:
    """The same content pushed under each algorithm is served under each."""
    content = unique().encode()
    for algorithm in ALGORITHMS:
        by_put(repository, content, digest_of(content, algorithm)).expect(201)
    for algorithm in ALGORITHMS:
        path = repository.path(f"blobs/{digest_of(content, algorithm)}")
        answer = repository.registry.get(path).expect(200)
        assert answer.body == content
        assert answer["Docker-Content-Digest"] == digest_of(content, algorithm)


@requirement("S-18")
@pytest.mark.parametrize("way", WAYS)
def test_content_known_elsewhere_must_be_sent(repository: Repository, way: Way) -> None:
    """Naming the digest of a blob of another repository is not having it."""
    known = repository.registry.repository().push_blob()["digest"]
    way(repository, b"", known).expect(400, "DIGEST_INVALID")
    assert not repository.has_blob(known)


@requirement("S-57")
@pytest.mark.parametrize("method", ["PATCH", "PUT", "POST"])
def test_content_encoding_is_refused(repository: Repository, method: str) -> None:
    """A body with a Content-Encoding is refused, never decoded, and nothing of it is kept."""
    raw = unique().encode()
    body, headers = gzip.compress(raw), {"Content-Encoding": "gzip"}
    target = with_query(repository.begin(), digest=digest_of(body))
    if method == "POST":
        target = repository.path(f"blobs/uploads/?digest={digest_of(body)}")
    repository.registry.request(method, target, headers, body).expect((400, 415))
    assert not repository.has_blob(digest_of(body))
    assert not repository.has_blob(digest_of(raw))


@requirement("Q-22")
def test_two_sessions_of_one_digest(repository: Repository) -> None:
    """Two sessions that finish the same content are both 201."""
    content = unique().encode()
    first, second = repository.begin(), repository.begin()
    for location in (first, second):
        target = with_query(location, digest=digest_of(content))
        repository.registry.put(target, content).expect(201)


@requirement("Q-22", "Q-29")
def test_identical_pushes_at_once(repository: Repository) -> None:
    """Eight clients that push the same image at the same time all succeed."""
    layer, config = unique().encode() * 4000, encode({"id": unique()})
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    document = {**repository.new_image(), "annotations": {"id": unique()}}

    def push(_: int) -> str:
        by_patch(repository, layer, digest).expect(201)
        repository.push_blob(config)
        return repository.push_manifest(document, "latest").digest

    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(push, range(8)))
    assert digests == {repository.tagged("latest")}
    path = repository.path(f"blobs/{digest}")
    assert repository.registry.get(path).body == layer
