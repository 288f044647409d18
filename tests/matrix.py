"""Every route, asked by everybody, of a repository of every visibility: what must be answered.

The expected answers are data. `RIGHTS` says who may what where, `PROBES` what a route takes and how
it answers those who have it; all others are refused with 401, in one text for what is there and
what is not. A new route, also one of another front door, joins by its probes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cast import COMMON, NAMESPACE, PLACES, Cast
from conftest import check_answer
from registry import OCI_INDEX, Answer, Body, absent_digest, digest_of, encode, unique, with_query

# p(ull), w(rite), d(elete); of a private, an internal, a public repository, and one that is not
# there; and whether the credential is any good at all.
VISIBILITIES = (*PLACES, "missing")
RIGHTS: dict[str, tuple[str, str, str, str]] = {
    "anonymous": ("", "", "p", ""),
    "stranger": ("", "p", "p", ""),
    "stranger's token": ("", "p", "p", ""),
    "reader": ("p", "p", "p", "p"),
    "writer": ("pw", "pw", "pw", "pw"),
    "maintainer": ("pwd", "pwd", "pwd", "pwd"),
    "owner": ("pwd", "pwd", "pwd", "pwd"),
    "auditor": ("p", "p", "p", "p"),
    "administrator": ("pwd", "pwd", "pwd", "pwd"),
    "robot": ("pw", "pw", "pw", "pw"),
    "scoped": ("p", "p", "p", "p"),
    "token for elsewhere": ("", "", "", ""),
    "former": ("", "p", "p", ""),
    "guest": ("pwd", "p", "p", ""),
    "expired": ("", "", "", ""),
    "revoked": ("", "", "", ""),
    "disabled": ("", "", "", ""),
}
BAD = {"expired", "revoked", "disabled"}
SIGNED_IN = RIGHTS.keys() - BAD - {"anonymous"}
# A token that is confined to repositories is no ticket to the catalog.
CATALOG = SIGNED_IN - {"scoped", "token for elsewhere"}
# Who may push to the namespace that all share.
PUSHERS = SIGNED_IN - {"scoped", "former"}


@dataclass(frozen=True)
class Ask:
    """One cell of the matrix: who asks, of what; `content` is there only for this one."""

    cast: Cast
    who: str
    visibility: str
    name: str

    def send(self, method: str, rest: str, body: Body = None, media_type: str = "") -> Answer:
        """Send the request for something in the repository."""
        headers = {"Content-Type": media_type} if media_type else {}
        return self.raw(method, f"/v2/{self.name}/{rest}", body, headers)

    def raw(self, method: str, target: str, body: Body = None, headers: Any = ()) -> Answer:
        """Send the request."""
        return self.cast.asked_by[self.who].request(method, target, headers, body)

    @property
    def is_there(self) -> bool:
        """Whether there is such a repository."""
        return self.visibility != "missing"

    @property
    def digest(self) -> str:
        """The digest of the image in the repository."""
        return self.cast.images[self.visibility].digest if self.is_there else absent_digest()

    @property
    def blob(self) -> str:
        """The digest of the blob in the repository."""
        return self.cast.blobs[self.visibility] if self.is_there else absent_digest()

    def victim(self) -> tuple[str, str]:
        """Return the digests of a blob and of an image that names none, both to be deleted."""
        if not self.is_there:
            return absent_digest(), absent_digest()
        there = self.cast.asked_by["administrator"].repository(self.name)
        empty = there.push_manifest({**there.new_image(), "annotations": {"a": unique()}}, "victim")
        return str(there.push_blob()["digest"]), empty.digest

    def session(self, whose: str) -> str:
        """Return the address of a session; the administrator's where `whose` may have none."""
        target = f"/v2/{self.name}/blobs/uploads/"
        opened = self.cast.asked_by[whose].post(target)
        if opened.status == 202:
            return opened["Location"]
        opened = self.cast.asked_by["administrator"].post(target).expect(202)
        return opened["Location"]


@dataclass(frozen=True)
class Probe:
    """How a route is asked, what right it takes, and what it answers who has that.

    `found` and `missing` are the statuses where the repository is there and where it is not.
    """

    kind: str
    method: str
    right: str
    found: int
    missing: int
    send: Callable[[Ask], Answer]
    note: str = ""

    @property
    def title(self) -> str:
        """Its name in reports."""
        return f"{self.method} {self.kind} {self.note}".strip()

    def expected(self, ask: Ask) -> int:
        """Return the status that must be answered."""
        may = RIGHTS[ask.who][VISIBILITIES.index(ask.visibility)]
        if self.right == "mount":
            # Into a repository of one's own; the blob comes along only from where one may pull.
            taken = self.found if "p" in may and ask.is_there else self.missing
            return taken if ask.who in PUSHERS else 401
        everywhere = {
            "ping": SIGNED_IN,
            "catalog": CATALOG,
            "search": CATALOG | {"anonymous"},
        }
        allowed = ask.who in everywhere.get(self.right, ()) or self.right in may
        if not allowed:
            # Whoever is signed in is told by the request that follows: a HEAD has no words.
            is_silent = (self.kind, self.method) == ("blob", "HEAD") and ask.who in SIGNED_IN
            return 404 if is_silent else 401
        return self.found if ask.is_there else self.missing


def manifest_of(ask: Ask) -> bytes:
    """Return an index that names nothing: anybody with the right can push it anywhere."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [],
        "annotations": {"for": f"{ask.who} {unique()}"},
    }
    return encode(document)


def put_by_tag(ask: Ask) -> Answer:
    return ask.send("PUT", "manifests/pushed", manifest_of(ask), OCI_INDEX)


def put_by_digest(ask: Ask) -> Answer:
    raw = manifest_of(ask)
    return ask.send("PUT", f"manifests/{digest_of(raw)}?tag=pushed&tag=also", raw, OCI_INDEX)


def finish(ask: Ask, whose: str | None = None) -> Answer:
    target = with_query(ask.session(whose or ask.who), digest=digest_of(b"bytes"))
    return ask.raw("PUT", target, b"bytes")


def monolithic(ask: Ask) -> Answer:
    return ask.send("POST", f"blobs/uploads/?digest={digest_of(b'whole')}", b"whole")


def mount(ask: Ask) -> Answer:
    target = f"/v2/{COMMON}/{unique()}/blobs/uploads/?mount={ask.blob}&from={ask.name}"
    return ask.raw("POST", target)


def at_session(method: str, whose: str | None = None) -> Callable[[Ask], Answer]:
    """Return what asks a session, one's own or somebody else's."""
    body = b"some" if method == "PATCH" else None
    return lambda ask: ask.raw(method, ask.session(whose or ask.who), body)


def at(method: str, text: str) -> Callable[[Ask], Answer]:
    """Return what asks a path of the repository."""
    return lambda ask: ask.send(method, text.format(digest=ask.digest, blob=ask.blob))


def pages(method: str, target: str) -> Callable[[Ask], Answer]:
    """Return what asks a path that no repository has."""
    return lambda ask: ask.raw(method, target)


def probes() -> Iterator[Probe]:
    """Yield the probes of `/v2`."""
    for method in ("GET", "HEAD"):
        yield Probe("base", method, "ping", 200, 200, pages(method, "/v2/"))
        yield Probe("catalog", method, "catalog", 200, 200, pages(method, "/v2/_catalog?n=1000"))
        search = pages(method, f"/v1/search?q={NAMESPACE}&n=100")
        yield Probe("search", method, "search", 200, 200, search)
        everywhere = pages(method, "/v2/_oci/ext/discover")
        yield Probe("discover", method, "ping", 200, 200, everywhere, "of all")
        yield Probe("discover", method, "p", 200, 404, at(method, "_oci/ext/discover"))
        yield Probe("tags", method, "p", 200, 404, at(method, "tags/list"))
        yield Probe("referrers", method, "p", 200, 200, at(method, "referrers/{digest}"))
        yield Probe("manifest", method, "p", 200, 404, at(method, "manifests/latest"), "by tag")
        yield Probe(
            "manifest", method, "p", 200, 404, at(method, "manifests/{digest}"), "by digest"
        )
        yield Probe("manifest", method, "p", 404, 404, at(method, "manifests/gone"), "of no tag")
        yield Probe("blob", method, "p", 200, 404, at(method, "blobs/{blob}"))
        yield Probe("upload", method, "w", 204, 204, at_session(method))
        other = at_session(method, "administrator")
        yield Probe("upload", method, "w", 404, 404, other, "of another")
    yield Probe("manifest", "PUT", "w", 201, 201, put_by_tag, "by tag")
    yield Probe("manifest", "PUT", "w", 201, 201, put_by_digest, "by digest")
    yield Probe("manifest", "DELETE", "d", 202, 404, delete_tag, "tag")
    yield Probe("manifest", "DELETE", "d", 202, 404, delete_manifest, "digest")
    yield Probe("blob", "DELETE", "d", 202, 404, delete_blob)
    yield Probe("uploads", "POST", "w", 202, 202, at("POST", "blobs/uploads/"))
    yield Probe("uploads", "POST", "w", 201, 201, monolithic, "whole")
    yield Probe("uploads", "POST", "mount", 201, 202, mount, "mount")
    yield Probe("upload", "PATCH", "w", 202, 202, at_session("PATCH"))
    yield Probe("upload", "PUT", "w", 201, 201, finish)
    yield Probe("upload", "DELETE", "w", 204, 204, at_session("DELETE"))
    for method in ("PATCH", "DELETE"):
        other = at_session(method, "administrator")
        yield Probe("upload", method, "w", 404, 404, other, "of another")
    of_another = lambda ask: finish(ask, "administrator")  # noqa: E731 - as the lines above
    yield Probe("upload", "PUT", "w", 404, 404, of_another, "of another")


def delete_tag(ask: Ask) -> Answer:
    ask.victim()
    return ask.send("DELETE", "manifests/victim")


def delete_manifest(ask: Ask) -> Answer:
    return ask.send("DELETE", f"manifests/{ask.victim()[1]}")


def delete_blob(ask: Ask) -> Answer:
    return ask.send("DELETE", f"blobs/{ask.victim()[0]}")


PROBES = list(probes())


def expect(probe: Probe, ask: Ask) -> str:
    """Ask, and return what is wrong with the answer; empty if it is as expected."""
    where = f"{probe.title}, {ask.who}, {ask.visibility}"
    try:
        answer = probe.send(ask)
    except OSError as error:
        return f"{where}: no whole answer: {error!r}"
    wanted = probe.expected(ask)
    # What one may ask with somebody else's session is one's own where one is that somebody.
    if probe.note == "of another" and ask.who == "administrator":
        wanted = {"GET": 204, "HEAD": 204, "PATCH": 202, "DELETE": 204, "PUT": 201}[probe.method]
    if answer.status != wanted:
        return f"{where}: {answer.status} instead of {wanted}: {answer.body[:200]!r}"
    if answer.status == 401 and not answer.get("WWW-Authenticate"):
        return f"{where}: no challenge"
    if answer.status == 401 and any(each in answer.body for each in told_of(ask)):
        return f"{where}: the refusal tells what is there: {answer.body!r}"
    check_answer(f"/v2/{ask.name}/", answer)
    if probe.kind in ("catalog", "search") and answer.status == 200 and answer.body:
        return names_of(where, ask, answer)
    return ""


def told_of(ask: Ask) -> list[bytes]:
    """Return what no refusal may name."""
    return [ask.digest.encode(), ask.blob.encode(), b"visibility"] if ask.is_there else []


def names_of(where: str, ask: Ask, answer: Answer) -> str:
    """Return what is wrong with a list of names."""
    told = json.loads(answer.body)
    if "results" in told:
        told = {"repositories": [each["name"] for each in told["results"]]}
    shown = {name for name in told["repositories"] if name in PLACES.values()}
    may = dict(zip(VISIBILITIES, RIGHTS[ask.who], strict=True))
    wanted = {name for place, name in PLACES.items() if "p" in may[place]}
    return "" if shown == wanted else f"{where}: shows {sorted(shown)} instead of {sorted(wanted)}"


def holes(cast: Cast, chosen: list[Probe]) -> Iterator[str]:
    """Yield what is not as it must be."""
    for probe in chosen:
        for visibility in VISIBILITIES:
            for who in RIGHTS:
                name = PLACES.get(visibility, f"{NAMESPACE}/{unique()}")
                found = expect(probe, Ask(cast, who, visibility, name))
                if found:
                    yield found
