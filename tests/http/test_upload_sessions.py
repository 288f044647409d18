"""Upload sessions: their place, their end, and what happens when a client is cut off."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from process import Server
from registry import Answer, Registry, Repository, digest_of, requirement, unique, with_query

BLOCK = bytes(range(256)) * 4096


def place(start: int, content: bytes) -> dict[str, str]:
    """Return the header that says where a chunk goes."""
    return {"Content-Range": f"{start}-{start + len(content) - 1}"}


def patched(repository: Repository, content: bytes) -> str:
    """Open a session with some content and return its address."""
    return repository.registry.patch(repository.begin(), content).expect(202)["Location"]


def finished(repository: Repository, location: str, content: bytes, rest: bytes = b"") -> Answer:
    """Finish a session that should hold `content` with its `rest`."""
    return repository.registry.put(with_query(location, digest=digest_of(content)), rest)


def is_unmoved(repository: Repository, location: str, size: int) -> bool:
    """Return whether the session still holds exactly that many bytes."""
    return repository.registry.get(location).expect(204)["Range"] == f"0-{size - 1}"


@requirement("end-5", "Q-07")
def test_patch_answer(repository: Repository) -> None:
    """PATCH is 202 with Location, UUID and the range of the whole blob, written without a unit."""
    location = repository.begin()
    for start, end in ((0, 9), (10, 29)):
        piece = b"x" * (end - start + 1)
        answer = repository.registry.patch(location, piece, place(start, piece)).expect(202)
        assert answer["Range"] == f"0-{end}"
        assert answer["Content-Length"] == "0"
        assert answer["Docker-Upload-UUID"] in answer["Location"]
        location = answer["Location"]
        assert location.startswith("/v2/")


@requirement("end-5", "stream")
@pytest.mark.parametrize("chunked", [True, False])
def test_patch_without_a_place_appends(repository: Repository, chunked: bool) -> None:
    """Without Content-Range each PATCH appends."""
    location = repository.begin()
    for count in (1, 2, 3):
        answer = repository.registry.patch(location, [b"abc"] if chunked else b"abc").expect(202)
        assert answer["Range"] == f"0-{3 * count - 1}"
        location = answer["Location"]
    finished(repository, location, b"abcabcabc").expect(201)


@requirement("end-5")
def test_many_small_chunks(repository: Repository) -> None:
    """Fifty chunks of one byte are a blob."""
    location, content = repository.begin(), unique().encode().ljust(50, b"-")[:50]
    for number in range(50):
        piece = content[number : number + 1]
        answer = repository.registry.patch(location, piece, place(number, piece))
        location = answer.expect(202)["Location"]
    finished(repository, location, content).expect(201)


@requirement("end-5", "S-42")
@pytest.mark.parametrize("start", [0, 9, 11, 5, 100])
def test_out_of_order(repository: Repository, start: int) -> None:
    """A chunk for another place is 416 with Location and Range, and nothing is appended."""
    location = patched(repository, b"0123456789")
    chunk = b"0123456789"
    answer = repository.registry.patch(location, chunk, place(start, chunk))
    answer.expect(416, "RANGE_INVALID")
    assert answer["Range"] == "0-9"
    assert answer["Docker-Upload-UUID"] in answer["Location"]
    assert is_unmoved(repository, answer["Location"], 10)
    finished(repository, answer["Location"], b"0123456789").expect(201)


@requirement("end-5", "empty-session")
def test_out_of_order_on_an_empty_session(repository: Repository) -> None:
    """On a session without a byte the range of a 416 is `0--1`."""
    answer = repository.registry.patch(repository.begin(), b"abc", place(3, b"abc"))
    answer.expect(416, "RANGE_INVALID")
    assert answer["Range"] == "0--1"
    finished(repository, answer["Location"], b"abc", b"abc").expect(201)


@requirement("end-5", "S-46")
@pytest.mark.parametrize(
    "claim",
    ["0-9", "0-18446744073709551616", "0-" + "9" * 5000, "5-1", "abc", "0-", "-5", "-1-5", "0-5-9"],
)
@pytest.mark.parametrize("body", [b"x" * 20, b"x" * 5, [b"x" * 20], [b"x" * 5]], ids=str)
def test_lies_about_the_size(repository: Repository, claim: str, body: bytes | list[bytes]) -> None:
    """A Content-Range that is not the body's is 400 or 416, and the session does not move."""
    location = repository.begin()
    answer = repository.registry.patch(location, body, {"Content-Range": claim})
    answer.expect((400, 416))
    assert repository.registry.get(location).expect(204)["Range"] == "0--1"


@requirement("end-5")
def test_length_that_is_not_the_range(repository: Repository) -> None:
    """A length that differs from the range at the right place is 400 SIZE_INVALID."""
    location = patched(repository, b"0123456789")
    answer = repository.registry.patch(location, b"abc", {"Content-Range": "10-19"})
    answer.expect(400, "SIZE_INVALID")
    assert is_unmoved(repository, location, 10)


@requirement("end-13", "Q-08")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("size", "shown"), [(0, "0--1"), (1, "0-0"), (2, "0-1"), (1000, "0-999")])
def test_status(repository: Repository, method: str, size: int, shown: str) -> None:
    """The status of a session is 204 with Location, UUID and Range; `0--1` when it is empty."""
    location = patched(repository, b"x" * size) if size else repository.begin()
    answer = repository.registry.request(method, location).expect(204)
    assert answer["Range"] == shown
    assert answer["Docker-Upload-UUID"] in answer["Location"]


@requirement("end-6")
@pytest.mark.parametrize("with_range", [True, False])
def test_put_with_the_last_chunk(repository: Repository, with_range: bool) -> None:
    """PUT may bring the last chunk, and may say where it goes."""
    location, rest = patched(repository, b"0123456789"), b"abcde"
    headers = place(10, rest) if with_range else {}
    target = with_query(location, digest=digest_of(b"0123456789abcde"))
    repository.registry.put(target, rest, headers).expect(201)


@requirement("end-6", "spec-590")
@pytest.mark.parametrize("claim", ["0-4", "9-13", "11-15", "100-104"])
def test_put_out_of_order(repository: Repository, claim: str) -> None:
    """A last chunk for another place is 416, is not appended, and the session goes on."""
    location = patched(repository, b"0123456789")
    target = with_query(location, digest=digest_of(b"0123456789abcde"))
    answer = repository.registry.put(target, b"abcde", {"Content-Range": claim})
    answer.expect(416, "RANGE_INVALID")
    assert is_unmoved(repository, location, 10)
    finished(repository, location, b"0123456789abcde", b"abcde").expect(201)


@requirement("end-14")
def test_cancel(repository: Repository) -> None:
    """DELETE of a session is 204, and the session is gone."""
    location = patched(repository, b"abc")
    repository.registry.delete(location).expect(204)
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        target = with_query(location, digest=digest_of(b"abc")) if method == "PUT" else location
        repository.registry.request(method, target).expect(404, "BLOB_UPLOAD_UNKNOWN")
    assert not repository.has_blob(digest_of(b"abc"))


@requirement("end-13", "S-38")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "session", ["5c1b9be0-6e5e-4b3c-9b0a-0d6a0c8e7f11", "abc", "x" * 300, "0", "%00"]
)
def test_unknown_session(repository: Repository, method: str, session: str) -> None:
    """A session that is not there is 404 BLOB_UPLOAD_UNKNOWN."""
    repository.push_blob()
    target = repository.path(f"blobs/uploads/{session}")
    if method == "PUT":
        target = with_query(target, digest=digest_of(b""))
    answer = repository.registry.request(method, target)
    statuses = (400, 404) if session == "%00" else 404
    answer.expect(statuses, "BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "NAME_INVALID")


@requirement("end-13", "S-37")
@pytest.mark.parametrize("method", ["GET", "PATCH", "PUT", "DELETE"])
def test_session_of_another_repository(repository: Repository, method: str) -> None:
    """A session can be used under its own repository only, and is not touched by attempts."""
    location = patched(repository, b"abc")
    other = repository.registry.repository()
    other.push_blob()
    target = location.replace(f"/v2/{repository.name}/", f"/v2/{other.name}/")
    if method == "PUT":
        target = with_query(target, digest=digest_of(b"abc"))
    answer = repository.registry.request(method, target, (), b"x" if method == "PATCH" else b"")
    answer.expect(404, "BLOB_UPLOAD_UNKNOWN")
    assert is_unmoved(repository, location, 3)
    finished(repository, location, b"abc").expect(201)


@requirement("end-6", "S-44")
def test_finished_session_is_gone(repository: Repository) -> None:
    """After its PUT a session is unknown."""
    content = unique().encode()
    location = patched(repository, content)
    finished(repository, location, content).expect(201)
    repository.registry.get(location).expect(404, "BLOB_UPLOAD_UNKNOWN")
    repository.registry.patch(location, b"x").expect(404, "BLOB_UPLOAD_UNKNOWN")
    finished(repository, location, content).expect(404, "BLOB_UPLOAD_UNKNOWN")
    assert repository.has_blob(digest_of(content))


@requirement("end-5", "S-42")
def test_replayed_chunk(repository: Repository) -> None:
    """A chunk sent again after a lost answer is 416, and the PUT after it still succeeds."""
    content = unique().encode()
    location = repository.begin()
    repository.registry.patch(location, content, place(0, content)).expect(202)
    again = repository.registry.patch(location, content, place(0, content)).expect(416)
    assert again["Range"] == f"0-{len(content) - 1}"
    finished(repository, again["Location"], content).expect(201)


@requirement("end-13", "Q-30")
@pytest.mark.parametrize("cut", ["FIN", "RST"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_resume_after_a_lost_connection(repository: Repository, cut: str, framing: str) -> None:
    """What came before the connection broke is kept, and the client goes on from there."""
    registry, location, half = repository.registry, repository.begin(), len(BLOCK) // 2
    with registry.wire() as wire:
        if framing == "length":
            wire.send(registry.head_of("PATCH", location, place(0, BLOCK), BLOCK) + BLOCK[:half])
        else:
            wire.send(registry.head_of("PATCH", location, (), []))
            wire.send(b"%x\r\n%b\r\n" % (half, BLOCK[:half]))
        time.sleep(0.3)
        wire.reset() if cut == "RST" else wire.finish()
    deadline = time.monotonic() + 10
    kept = -1
    while kept < half - 1 and time.monotonic() < deadline:
        status = registry.get(location).expect(204)
        kept = int(status["Range"].partition("-")[2])
        time.sleep(0.1)
    assert 0 < kept < half
    rest = BLOCK[kept + 1 :]
    assert not repository.has_blob(digest_of(BLOCK))
    answer = registry.patch(status["Location"], rest, place(kept + 1, rest)).expect(202)
    assert answer["Range"] == f"0-{len(BLOCK) - 1}"
    finished(repository, answer["Location"], BLOCK).expect(201)


@requirement("end-6", "Q-30")
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_truncated_put_is_never_stored(repository: Repository, framing: str) -> None:
    """A PUT whose body ends early publishes nothing, not even under the digest of what came."""
    registry = repository.registry
    part = unique().encode() * 100
    target = with_query(repository.begin(), digest=digest_of(part))
    with registry.wire() as wire:
        if framing == "length":
            wire.send(registry.head_of("PUT", target, (), part + b"more") + part)
        else:
            wire.send(registry.head_of("PUT", target, (), []))
            wire.send(b"%x\r\n%b\r\n" % (len(part), part))
        wire.finish()
        assert b" 201 " not in wire.rest(3)
    assert not repository.has_blob(digest_of(part))


@pytest.mark.on("directory")  # which holds the session; a store that fences lets the later one win
@requirement("end-5", "S-44")
def test_second_writer(repository: Repository) -> None:
    """While a PATCH is being received another one is 416, and the first is not hurt."""
    registry, location = repository.registry, repository.begin()
    with registry.wire() as first:
        first.send(registry.head_of("PATCH", location, place(0, BLOCK), BLOCK) + BLOCK[:300_000])
        time.sleep(0.3)
        registry.patch(location, b"intruder").expect(416)
        first.send(BLOCK[300_000:])
        answer = first.answer("PATCH").expect(202)
    finished(repository, answer["Location"], BLOCK).expect(201)


@requirement("end-4a", "S-56")
def test_too_many_sessions(shared_server: Callable[..., Server]) -> None:
    """Begun sessions beyond a repository's limit are 429 with Retry-After, until one ends."""
    started = shared_server(MOORAGE_LIMITS__UPLOADS_PER_REPOSITORY="5")
    repository = Registry(started.url).repository()
    locations = [patched(repository, b"begun") for _ in range(5)]
    further = repository.begin()  # takes nothing yet, so it is given out
    refused = repository.registry.patch(further, b"one more").expect(429, "TOOMANYREQUESTS")
    assert int(refused["Retry-After"]) > 0
    repository.registry.delete(locations[0]).expect(204)
    repository.registry.patch(further, b"one more").expect(202)
    repository.registry.repository().begin()


@requirement("end-6", "S-44")
def test_two_puts_at_once(repository: Repository) -> None:
    """Of several PUTs of one session exactly one is 201."""
    content = unique().encode() * 5000
    for _ in range(5):
        location = patched(repository, content)
        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(finished, repository, location, content) for _ in range(4)]
        statuses = sorted(job.result().status for job in jobs)
        assert statuses[0] == 201
        assert set(statuses[1:]) <= {404, 409, 416}, statuses


@requirement("end-14", "S-44")
def test_cancel_during_put(repository: Repository) -> None:
    """A cancel that races a PUT leaves a whole blob or none."""
    for _ in range(8):
        content = unique().encode() * 3000
        location = patched(repository, content)
        with ThreadPoolExecutor(2) as pool:
            put = pool.submit(finished, repository, location, content)
            cancel = pool.submit(repository.registry.delete, location)
        assert put.result().status in (201, 404, 409, 416)
        assert cancel.result().status in (204, 404, 409, 416)
        if put.result().status == 201:
            path = repository.path(f"blobs/{digest_of(content)}")
            assert repository.registry.get(path).expect(200).body == content
