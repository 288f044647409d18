"""What is hidden looks like what is not there: by its answer, and by the time that takes."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator

import pytest

from cast import COMMON, PLACES, Cast
from moorage.v2.app import _ROUTES
from registry import (
    OCI_INDEX,
    Answer,
    Headers,
    Registry,
    Wire,
    absent_digest,
    digest_of,
    encode,
    next_link,
    requirement,
    unique,
    with_query,
)

pytestmark = pytest.mark.metadata

HIDDEN = PLACES["private"]
# Of one length, so that answers which repeat them have one length as well.
ABSENT = ("acme/missing", "gone/private", "gone/missing")
OUTSIDERS = ("anonymous", "stranger", "stranger's token", "token for elsewhere", "former")
ENDED = ("expired", "revoked", "disabled")
INDEX = encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})
VARIES = {"x-request-id", "date"}
# What a session's address and id are, where an outsider opens one of its own.
SESSION = re.compile(rb"(uploads/)?[\w-]{40,}")
METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture(scope="module")
def cast() -> Iterator[Cast]:
    """Return the registry with everybody in it, and a large manifest in what is hidden."""
    with Cast() as running:
        there = running.asked_by["administrator"].repository(HIDDEN)
        large = {**there.new_image(), "annotations": {"text": "x" * 3_000_000}}
        there.push_manifest(large, "large")
        yield running


def targets(cast: Cast, name: str) -> Iterator[str]:
    """Yield addresses of every kind below the name; what they name is in the hidden one."""
    image, blob = cast.images["private"].digest, cast.blobs["private"]
    absent = digest_of(b"absent")
    session = cast.asked_by["administrator"].repository(name).begin().rpartition("/")[2]
    for rest in (
        "tags/list",
        "tags/list?n=1",
        "tags/list?n=x",
        "_oci/ext/discover",
        f"referrers/{image}",
        f"referrers/{image}?artifactType=a/b",
        "manifests/latest",
        "manifests/gone",
        f"manifests/{image}",
        f"manifests/{absent}",
        f"manifests/{absent}?tag=latest",
        "manifests/sha256:short",
        f"blobs/{blob}",
        f"blobs/{absent}",
        "blobs/sha256:short",
        "blobs/uploads/",
        f"blobs/uploads/?digest={blob}",
        f"blobs/uploads/?mount={blob}",
        f"blobs/uploads/?mount={blob}&from={HIDDEN}",
        "blobs/uploads/none",
        f"blobs/uploads/{session}",
        f"blobs/uploads/{session}?digest={blob}",
    ):
        yield f"/v2/{name}/{rest}"


def seen(answer: Answer, name: str) -> tuple[int, list[tuple[str, bytes]], bytes]:
    """Return the answer without what differs between any two, and without the name."""

    def plain(text: bytes) -> bytes:
        return SESSION.sub(b"SESSION", text).replace(name.encode(), b"NAME")

    headers = [
        (key.lower(), plain(value.encode("latin-1")))
        for key, value in answer.headers
        if key.lower() not in VARIES
    ]
    return answer.status, headers, plain(answer.body)


def ask(cast: Cast, who: str, method: str, target: str, headers: Headers = ()) -> Answer:
    """Send a request that has a body where the method takes one."""
    given = [("Content-Type", OCI_INDEX), *headers] if method == "PUT" else list(headers)
    body = INDEX if method in ("PUT", "PATCH", "POST") else None
    return cast.asked_by[who].request(method, target, given, body)


@requirement("S-13", "S-14", "S-15")
@pytest.mark.parametrize("who", [*OUTSIDERS, *ENDED])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_hidden_answers_as_what_is_not_there(cast: Cast, who: str, method: str) -> None:
    """Every address of a private repository, asked with every method."""
    hidden = [seen(ask(cast, who, method, each), HIDDEN) for each in targets(cast, HIDDEN)]
    assert not any(status < 400 for status, _, _ in hidden)
    for name in ABSENT:
        absent = [seen(ask(cast, who, method, each), name) for each in targets(cast, name)]
        for target, one, other in zip(targets(cast, name), hidden, absent, strict=True):
            assert one == other, target


def test_every_method_of_a_route_is_asked() -> None:
    assert {method for methods in _ROUTES.values() for method in methods} <= set(METHODS)


@requirement("S-14")
@pytest.mark.parametrize("who", OUTSIDERS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions_and_ranges_tell_nothing(cast: Cast, who: str, method: str) -> None:
    """A 304, 206 or 416 would tell that there is something to compare or to cut."""
    image, blob = cast.images["private"].digest, cast.blobs["private"]
    for rest, headers in (
        ("manifests/latest", {"If-None-Match": f'"{image}"'}),
        (f"manifests/{image}", {"If-None-Match": f'"{image}"'}),
        (f"blobs/{blob}", {"If-None-Match": f'"{blob}"'}),
        (f"blobs/{blob}", {"Range": "bytes=0-1"}),
        (f"blobs/{blob}", {"Range": "bytes=99999-"}),
    ):
        pair = [
            seen(ask(cast, who, method, f"/v2/{name}/{rest}", headers.items()), name)
            for name in (HIDDEN, ABSENT[0])
        ]
        assert pair[0] == pair[1]
        is_silent = method == "HEAD" and rest.startswith("blobs/") and who != "anonymous"
        assert pair[0][0] == (404 if is_silent else 401)


@requirement("S-13", "S-14", "S-18")
@pytest.mark.parametrize("who", ["stranger", "stranger's token", "token for elsewhere"])
def test_a_blob_is_not_had_through_a_repository_of_ones_own(cast: Cast, who: str) -> None:
    """Neither asked for, nor mounted, nor sent for short: others' content is as if absent."""
    mine = cast.asked_by[who].repository(f"{COMMON}/{unique()}")
    mine.push_blob()
    blob, image = cast.blobs["private"], cast.images["private"].digest
    for kind, digest in (("blobs", blob), ("manifests", image), ("referrers", image)):
        for method in ("GET", "HEAD"):
            pair = [
                seen(ask(cast, who, method, mine.path(f"{kind}/{each}")), each)
                for each in (digest, absent_digest())
            ]
            assert pair[0] == pair[1]
    wanted = [(blob, f"&from={HIDDEN}"), (blob, "")]
    wanted += [(absent_digest(), f"&from={name}") for name in (HIDDEN, *ABSENT)]
    wanted += [(blob, f"&from={name}") for name in ABSENT] + [(absent_digest(), "")]
    answers = []
    for digest, source in wanted:
        target = mine.path(f"blobs/uploads/?mount={digest}{source}")
        answers.append(seen(ask(cast, who, "POST", target), digest))
    assert answers[0][0] == 202
    assert all(answer == answers[0] for answer in answers)
    assert not mine.has_blob(blob)
    # All bytes of what others have are asked for, and a part of them is not enough.
    target = with_query(mine.begin(), digest=blob)
    mine.registry.put(target, b"content").expect(400, "DIGEST_INVALID")
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [cast.images["private"].descriptor()],
        "annotations": {"who": unique()},
    }
    mine.push_manifest(document, "pointing")
    assert mine.registry.get(mine.path(f"manifests/{image}")).status == 404


@requirement("S-16", "S-17")
@pytest.mark.parametrize("who", ["stranger", "stranger's token", "former"])
def test_pages_of_names_leave_no_gap_for_what_is_hidden(cast: Cast, who: str) -> None:
    """Names come page by page as if there were no others; no link leads to an empty page."""
    target: str | None = "/v2/_catalog?n=1"
    found = []
    while target:
        answer = cast.asked_by[who].get(target).expect(200)
        names = answer.json()["repositories"]
        assert len(names) == 1
        found += names
        target = next_link(answer)
        assert target is None or HIDDEN not in target
    assert HIDDEN not in found
    assert {PLACES["internal"], PLACES["public"]} <= set(found)


ROUNDS = 400
WARM = 20
# What a difference of rows costs is less than this, and a network hides it from anybody.
NOTHING = 15e-6


def spent(wire: Wire, head: bytes, method: str) -> float:
    """Return the seconds that one request takes on a connection that stands."""
    began = time.perf_counter()
    wire.send(head)
    answer = wire.answer(method)
    took = time.perf_counter() - began
    assert answer.get("Connection") != "close"
    return took


def tells(registry: Registry, method: str, one: str, other: str, rounds: int) -> bool:
    """Tell whether the two take different times, beyond what chance makes of as many.

    They take turns on one connection, so that whatever else the machine does meets both.
    """
    heads = [registry.head_of(method, target) for target in (one, other)]
    differences = []
    with registry.wire() as wire:
        for number in range(rounds + WARM):
            order = (0, 1) if number % 2 else (1, 0)
            took = {each: spent(wire, heads[each], method) for each in order}
            differences.append(took[1] - took[0])
    differences = differences[WARM:]
    middle = statistics.median(differences)
    spread = statistics.median(abs(each - middle) for each in differences)
    # Five standard errors of a median, from the spread of the middle half.
    chance = 5 * 1.2533 * 1.4826 * spread / rounds**0.5
    return abs(middle) > chance + NOTHING


def always_tells(
    registry: Registry, method: str, one: str, other: str, rounds: int = ROUNDS
) -> bool:
    """Tell whether they do each time: what a busy machine does to one trial isn't there again."""
    return all(tells(registry, method, one, other, rounds) for _ in range(3))


@requirement("S-15")
@pytest.mark.parametrize("who", ["anonymous", "stranger", "stranger's token"])
@pytest.mark.parametrize("kind", ["latest", "large", "image", "blob", "tags", "uploads"])
def test_what_is_hidden_takes_as_long_as_what_is_not_there(cast: Cast, who: str, kind: str) -> None:
    """Also where much would have to be read, and in a namespace that is not there either."""
    method, rest = {
        "latest": ("GET", "manifests/latest"),
        "large": ("GET", "manifests/large"),
        "image": ("HEAD", f"manifests/{cast.images['private'].digest}"),
        "blob": ("HEAD", f"blobs/{cast.blobs['private']}"),
        "tags": ("GET", "tags/list"),
        "uploads": ("POST", "blobs/uploads/"),
    }[kind]
    for name in ABSENT:
        one, other = f"/v2/{HIDDEN}/{rest}", f"/v2/{name}/{rest}"
        assert not always_tells(cast.asked_by[who], method, one, other), name


@requirement("S-13", "S-18")
@pytest.mark.parametrize("who", ["stranger", "stranger's token"])
def test_a_mount_takes_as_long_whoever_has_the_blob(cast: Cast, who: str) -> None:
    """From a hidden repository, from none, and from wherever it is: also from many."""
    blob, shared, absent = cast.blobs["private"], b"what many have", absent_digest()
    for number in range(50):
        holder = cast.asked_by["administrator"].repository(f"acme/holder-{number}")
        many = str(holder.push_blob(shared)["digest"])
    target = f"/v2/{COMMON}/{unique()}/blobs/uploads/?mount="
    for one, other in (
        (f"{blob}&from={HIDDEN}", f"{blob}&from={ABSENT[0]}"),
        (f"{blob}&from={HIDDEN}", f"{blob}&from={ABSENT[1]}"),
        (f"{blob}&from={HIDDEN}", f"{absent}&from={HIDDEN}"),
        (blob, absent),
        (many, absent),
    ):
        assert not always_tells(cast.asked_by[who], "POST", target + one, target + other), one


def test_a_difference_of_time_is_noticed(cast: Cast) -> None:
    """The measurement itself, on what does differ: a manifest to read, and none."""
    one, other = (f"/v2/{HIDDEN}/manifests/{each}" for each in ("large", "gone"))
    assert always_tells(cast.asked_by["reader"], "GET", one, other, rounds=60)
