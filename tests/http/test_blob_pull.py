"""Blobs pulled: headers, ranges, conditions."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry import (
    ALGORITHMS,
    Answer,
    Registry,
    Repository,
    absent_digest,
    digest_of,
    requirement,
    unique,
)

CONTENT = bytes(range(256)) * 4
SIZE = len(CONTENT)
VOLATILE = {"date", "x-request-id"}
SATISFIABLE = [
    ("bytes=0-0", 0, 0),
    ("bytes=5-99", 5, 99),
    ("bytes=1000-", 1000, SIZE - 1),
    ("bytes=-24", SIZE - 24, SIZE - 1),
    ("bytes=1000-99999", 1000, SIZE - 1),
    ("bytes=-99999", 0, SIZE - 1),
    ("bytes=0-", 0, SIZE - 1),
    ("BYTES=5-99", 5, 99),
]
UNSATISFIABLE = ["bytes=500-0", f"bytes={SIZE}-", f"bytes={SIZE + 5}-{SIZE + 9}", "bytes=-0"]
MATCHING = ['"{0}"', "{0}", 'W/"{0}"', '"x", "{0}"', 'W/"x", W/"{0}"', "x,{0}", "*"]
MULTIPLE = [
    ("bytes=0-9,20-29", [(0, 9), (20, 29)]),
    ("bytes=0-0, 1022-, -1", [(0, 0), (1022, SIZE - 1), (SIZE - 1, SIZE - 1)]),
    ("bytes=100-199,5000-6000,0-9", [(100, 199), (0, 9)]),
]


@pytest.fixture(scope="module")
def stored(registry: Registry) -> Repository:
    """Return a repository that has CONTENT and the empty blob."""
    repository = registry.repository()
    repository.push_blob(CONTENT)
    repository.push_blob(b"")
    return repository


def pull(
    repository: Repository,
    content: bytes = CONTENT,
    algorithm: str = "sha256",
    method: str = "GET",
    **headers: str,
) -> Answer:
    """Ask for a blob, pushed by that algorithm before; underscores in header names are dashes."""
    if algorithm != "sha256":
        repository.push_blob(content, algorithm)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    digest = digest_of(content, algorithm)
    return repository.registry.request(method, repository.path(f"blobs/{digest}"), named)


def parts_of(answer: Answer) -> list[tuple[int, int, bytes]]:
    """Return the ranges of a multipart answer, checking its framing and its unquoted boundary."""
    match = re.fullmatch(r"multipart/byteranges; boundary=([A-Za-z0-9:-]+)", answer["Content-Type"])
    assert match, answer["Content-Type"]
    assert answer["Content-Length"] == str(len(answer.body))
    opening, closing = f"--{match[1]}\r\n".encode(), f"\r\n--{match[1]}--".encode()
    body = answer.body.removeprefix(b"\r\n")
    assert body.startswith(opening)
    assert body.rstrip(b"\r\n").endswith(closing)
    parts = []
    for part in body.rpartition(closing)[0].removeprefix(opening).split(b"\r\n" + opening):
        head, _, content = part.partition(b"\r\n\r\n")
        place = re.search(rb"(?i)content-range: bytes (\d+)-(\d+)/(\d+)", head)
        assert place, head
        assert int(place[3]) == SIZE
        parts.append((int(place[1]), int(place[2]), content))
    return parts


@requirement("end-2", "Q-27")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_headers(stored: Repository, method: str, algorithm: str) -> None:
    """GET and HEAD answer type, length, the digest asked for, ETag and Accept-Ranges."""
    answer = pull(stored, algorithm=algorithm, method=method).expect(200)
    digest = digest_of(CONTENT, algorithm)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Length"] == str(SIZE)
    assert answer["Docker-Content-Digest"] == digest
    assert answer["ETag"] == f'"{digest}"'
    assert answer["Accept-Ranges"] == "bytes"
    assert answer.body == (CONTENT if method == "GET" else b"")


@requirement("end-2")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_caching(stored: Repository, method: str) -> None:
    """A blob never changes: caches of one user may keep it for ever."""
    answer = pull(stored, method=method)
    assert answer["Cache-Control"] == "private, max-age=31536000, immutable"


@requirement("end-2")
@pytest.mark.parametrize("algorithm", ["sha512", "blake3"])
def test_sha256_is_always_an_address(repository: Repository, algorithm: str) -> None:
    """A blob pushed by another algorithm is there by its sha256 too."""
    content = unique().encode()
    repository.push_blob(content, algorithm)
    answer = pull(repository, content).expect(200)
    assert answer.body == content
    assert answer["Docker-Content-Digest"] == digest_of(content)


@requirement("end-2", "Q-15", "Q-31")
def test_head_has_the_headers_of_get(stored: Repository) -> None:
    """HEAD carries every header of GET and no body."""
    got, head = pull(stored), pull(stored, method="HEAD")
    steady = [
        {(name.lower(), value) for name, value in answer.headers if name.lower() not in VOLATILE}
        for answer in (got, head)
    ]
    assert steady[0] == steady[1]


@requirement("end-2", "emptyBlob", "emptyJSON")
@pytest.mark.parametrize("content", [b"", b"{}"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_tiny_blobs(repository: Repository, content: bytes, algorithm: str) -> None:
    """The empty blob and the empty object are blobs like any other."""
    repository.push_blob(content, algorithm)
    for method in ("GET", "HEAD"):
        answer = pull(repository, content, algorithm, method).expect(200)
        assert answer["Content-Length"] == str(len(content))
        assert answer.body == (content if method == "GET" else b"")


@requirement("end-2")
@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537, 3 * 1024 * 1024 + 1])
def test_sizes(repository: Repository, size: int) -> None:
    """A blob comes back as it went, whatever its size."""
    content = (unique().encode() * (size // 16 + 1))[:size]
    repository.push_blob(content)
    assert pull(repository, content).expect(200).body == content


@requirement("S-70")
def test_blob_is_nothing_for_a_browser(repository: Repository) -> None:
    """A blob opened in a browser is a download without any rights."""
    content = b"<html><script>alert(1)</script>"
    repository.push_blob(content)
    answer = pull(repository, content)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]


@requirement("end-2", "range")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("value", "first", "last"), SATISFIABLE)
def test_range(stored: Repository, algorithm: str, value: str, first: int, last: int) -> None:
    """A range that the blob has is 206 with its place and its length."""
    answer = pull(stored, algorithm=algorithm, Range=value).expect(206)
    assert answer["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer["Content-Length"] == str(last - first + 1)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Docker-Content-Digest"] == digest_of(CONTENT, algorithm)
    assert answer.body == CONTENT[first : last + 1]


@requirement("end-2", "range")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("value", UNSATISFIABLE)
def test_unsatisfiable_range(stored: Repository, algorithm: str, value: str) -> None:
    """A range that the blob does not have is 416 with the size."""
    answer = pull(stored, algorithm=algorithm, Range=value).expect(416)
    assert answer["Content-Range"] == f"bytes */{SIZE}"


@requirement("end-2", "range")
@pytest.mark.parametrize("value", ["bytes=0-0", "bytes=0-", "bytes=-1", "bytes=5-9"])
def test_range_of_the_empty_blob(stored: Repository, value: str) -> None:
    """The empty blob has no range: 416, or the whole of nothing."""
    answer = pull(stored, b"", Range=value).expect((200, 416))
    if answer.status == 416:
        assert answer["Content-Range"] == "bytes */0"
    else:
        assert answer.body == b""


@requirement("end-2", "range")
@pytest.mark.parametrize(
    "value", ["items=0-5", "bytes", "bytes=", "bytes=a-b", "0-5", "bytes=-", ""]
)
def test_range_that_is_none(stored: Repository, value: str) -> None:
    """What is not a range of bytes is ignored, or refused; it never fails."""
    answer = pull(stored, Range=value).expect((200, 400, 416))
    assert answer.status != 200 or answer.body == CONTENT


@requirement("end-2", "multi-range")
@pytest.mark.parametrize(("value", "places"), MULTIPLE)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_several_ranges(
    stored: Repository, algorithm: str, value: str, places: list[tuple[int, int]]
) -> None:
    """Several ranges are one multipart answer with a boundary that is a plain token."""
    answer = pull(stored, algorithm=algorithm, Range=value).expect(206)
    expected = [(first, last, CONTENT[first : last + 1]) for first, last in places]
    assert parts_of(answer) == expected


@requirement("end-2", "multi-range")
def test_several_ranges_of_which_none_is_there(stored: Repository) -> None:
    """Several ranges beyond the end are 416."""
    answer = pull(stored, Range="bytes=2000-3000,4000-").expect(416)
    assert answer["Content-Range"] == f"bytes */{SIZE}"


@requirement("end-2", "multi-range", "S-100")
@pytest.mark.parametrize("value", ["0-", "0-0", "-1", "5-1"])
def test_very_many_ranges(stored: Repository, value: str) -> None:
    """Thousands of overlapping ranges cost neither time nor traffic."""
    started = time.monotonic()
    answer = pull(stored, Range="bytes=" + ",".join([value] * 3000))
    answer.expect((200, 206, 400, 416))
    assert len(answer.body) <= 64 * SIZE
    assert time.monotonic() - started < 2


@requirement("end-2", "if-range")
@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('"{0}"', 206),
        ('"x"', 200),
        ('W/"{0}"', 200),
        ("Mon, 23 Nov 2020 00:00:00 GMT", 200),
    ],
)
def test_if_range(stored: Repository, condition: str, status: int) -> None:
    """A range on the condition of another ETag is the whole blob."""
    value = condition.format(digest_of(CONTENT))
    answer = pull(stored, Range="bytes=0-9", If_Range=value).expect(status)
    assert answer.body == (CONTENT[:10] if status == 206 else CONTENT)


@requirement("end-2", "conditional")
@pytest.mark.parametrize("form", MATCHING)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_not_modified(stored: Repository, form: str, method: str) -> None:
    """If-None-Match in all its forms is 304 with ETag and Docker-Content-Digest, without a body."""
    digest = digest_of(CONTENT)
    answer = pull(stored, method=method, If_None_Match=form.format(digest)).expect(304)
    assert answer["ETag"] == f'"{digest}"'
    assert answer["Docker-Content-Digest"] == digest


@requirement("end-2", "conditional")
@pytest.mark.parametrize("form", ['"x"', "nonsense", '"{0}x"', ""])
def test_modified(stored: Repository, form: str) -> None:
    """If-None-Match of something else is the blob."""
    value = form.format(digest_of(CONTENT))
    assert pull(stored, If_None_Match=value).expect(200).body == CONTENT


@requirement("end-2", "conditional")
def test_condition_comes_before_range(stored: Repository) -> None:
    """If-None-Match is looked at before Range."""
    digest = digest_of(CONTENT)
    pull(stored, Range="bytes=0-9", If_None_Match=f'"{digest}"').expect(304)


@requirement("end-2")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_unknown_blob(stored: Repository, method: str, algorithm: str) -> None:
    """What is not there is 404 BLOB_UNKNOWN and is not cached."""
    path = stored.path(f"blobs/{absent_digest(algorithm)}")
    answer = stored.registry.request(method, path).expect(404, "BLOB_UNKNOWN")
    assert answer["Cache-Control"] == "no-store"


@requirement("end-2")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_unknown_repository(repository: Repository, method: str) -> None:
    """In a repository that is not there it is 404 too."""
    path = repository.path(f"blobs/{absent_digest()}")
    repository.registry.request(method, path).expect(404, "NAME_UNKNOWN", "BLOB_UNKNOWN")


@requirement("end-2", "S-14")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_blob_of_another_repository(repository: Repository, method: str) -> None:
    """A blob is there only where it has been pushed or mounted."""
    content = unique().encode()
    repository.push_blob(content)
    other = repository.registry.repository()
    other.push_blob()
    pull(other, content, method=method).expect(404, "BLOB_UNKNOWN")


@requirement("end-2", "invalid-digest-format")
@pytest.mark.parametrize(
    "digest",
    [
        "sha256:abc",
        "sha256:" + "A" * 64,
        "sha256:" + "z" * 64,
        "sha256:" + "0" * 65,
        "sha512:" + "0" * 64,
        "md5:" + "0" * 32,
        "SHA256:" + "0" * 64,
        "latest",
        "sha256:",
        ":" + "0" * 64,
        "sha256-" + "0" * 64,
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_malformed_digest(stored: Repository, method: str, digest: str) -> None:
    """A malformed or unsupported digest is 400 DIGEST_INVALID."""
    path = stored.path(f"blobs/{digest}")
    stored.registry.request(method, path).expect(400, "DIGEST_INVALID")


@requirement("S-57")
@pytest.mark.parametrize("coding", ["gzip", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5", "*"])
@pytest.mark.parametrize("value", [None, "bytes=0-99"])
def test_blob_is_never_encoded(stored: Repository, coding: str, value: str | None) -> None:
    """Accept-Encoding never makes the registry compress a blob."""
    headers = {"Accept_Encoding": coding} | ({"Range": value} if value else {})
    answer = pull(stored, **headers).expect((200, 206))
    assert answer.get("Content-Encoding") is None
    assert answer.body == (CONTENT[:100] if value else CONTENT)


@requirement("end-2", "range")
def test_parallel_ranges(repository: Repository) -> None:
    """Pieces of one blob can be fetched at the same time."""
    content = bytes(range(256)) * 8192
    repository.push_blob(content)
    step = 1 << 18
    starts = range(0, len(content), step)

    def piece(start: int) -> bytes:
        return pull(repository, content, Range=f"bytes={start}-{start + step - 1}").expect(206).body

    with ThreadPoolExecutor(8) as pool:
        assert b"".join(pool.map(piece, starts)) == content
