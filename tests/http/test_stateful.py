"""Uploads and tags against a model: whatever the order of requests, the answers are the model's."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from registry import (
    OCI_MANIFEST,
    Answer,
    Registry,
    absent_digest,
    digest_of,
    encode,
    image_document,
    requirement,
    with_query,
)

BOUNDS = settings(
    max_examples=120,
    stateful_step_count=25,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
PIECES = st.binary(min_size=1, max_size=40)
NAMES = st.sampled_from(["a", "b", "latest"])


class Uploads(RuleBasedStateMachine):
    """Upload sessions of one repository; the model is the bytes that each session has received."""

    sessions = Bundle("sessions")

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.registry = registry
        self.repository = registry.repository()
        self.received: dict[str, bytes] = {}
        self.stored: set[bytes] = set()

    @rule(target=sessions)
    def post(self) -> str:
        """Open a session."""
        location = self.repository.begin()
        self.received[location] = b""
        return location

    def send(self, session: str, start: int, piece: bytes) -> Answer:
        """PATCH a piece that says its place."""
        headers = {"Content-Range": f"{start}-{start + len(piece) - 1}"}
        return self.registry.patch(session, piece, headers)

    @rule(session=sessions, piece=PIECES)
    def patch(self, session: str, piece: bytes) -> None:
        """Send the next piece."""
        answer = self.send(session, len(self.received[session]), piece).expect(202)
        self.received[session] += piece
        assert answer["Range"] == f"0-{len(self.received[session]) - 1}"

    @rule(session=sessions, piece=PIECES, chunked=st.booleans())
    def append(self, session: str, piece: bytes, chunked: bool) -> None:
        """Send a piece that does not say its place."""
        self.registry.patch(session, [piece] if chunked else piece).expect(202)
        self.received[session] += piece

    @rule(session=sessions, piece=PIECES, distance=st.integers(-50, 50).filter(bool))
    def patch_elsewhere(self, session: str, piece: bytes, distance: int) -> None:
        """Send a piece for another place."""
        size = len(self.received[session])
        start = max(0, size + distance)
        if start != size:
            answer = self.send(session, start, piece).expect(416, "RANGE_INVALID")
            assert answer["Range"] == f"0-{size - 1}"

    @rule(session=sessions)
    def status(self, session: str) -> None:
        """Ask where a session is."""
        answer = self.registry.get(session).expect(204)
        assert answer["Range"] == f"0-{len(self.received[session]) - 1}"

    @rule(session=sessions)
    def put_without_digest(self, session: str) -> None:
        """Forget the digest."""
        self.registry.put(session, b"").expect(400)

    @rule(session=consumes(sessions), rest=st.binary(max_size=40))
    def put(self, session: str, rest: bytes) -> None:
        """Finish with the rest."""
        content = self.received.pop(session) + rest
        target = with_query(session, digest=digest_of(content))
        self.registry.put(target, rest).expect(201)
        self.stored.add(content)
        path = self.repository.path(f"blobs/{digest_of(content)}")
        assert self.registry.get(path).expect(200).body == content
        self.registry.get(session).expect(404)

    @rule(session=consumes(sessions))
    def put_wrong_digest(self, session: str) -> None:
        """Finish with a digest that is not the content's."""
        content = self.received.pop(session)
        self.registry.put(with_query(session, digest=absent_digest()), b"").expect(400)
        if content not in self.stored:
            assert not self.repository.has_blob(digest_of(content))

    @rule(session=consumes(sessions))
    def cancel(self, session: str) -> None:
        """Give up."""
        del self.received[session]
        self.registry.delete(session).expect(204)
        self.registry.patch(session, b"x").expect(404)


class Tags(RuleBasedStateMachine):
    """Tags of one repository; the model is what each tag points to."""

    images = Bundle("images")

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.registry = registry
        self.repository = registry.repository()
        self.tags: dict[str, bytes] = {}

    @initialize(target=images)
    def make_images(self) -> object:
        """Push the blob that all images share, and make the images."""
        config = self.repository.push_blob(b"{}")
        documents = [image_document(config, [], annotations={"n": str(n)}) for n in range(4)]
        return multiple(*(encode(document) for document in documents))

    def push(self, reference: str, image: bytes, **conditions: str) -> Answer:
        """PUT a manifest under conditions."""
        headers = {name.replace("_", "-"): value for name, value in conditions.items()}
        path = self.repository.path(f"manifests/{reference}")
        return self.registry.put(path, image, {"Content-Type": OCI_MANIFEST, **headers})

    @rule(tag=NAMES, image=images)
    def put(self, tag: str, image: bytes) -> None:
        """Move a tag."""
        self.push(tag, image).expect(201)
        self.tags[tag] = image

    @rule(tags=st.lists(NAMES, min_size=1, unique=True), image=images)
    def put_several(self, tags: list[str], image: bytes) -> None:
        """Move several tags."""
        query = "&".join(f"tag={tag}" for tag in tags)
        self.push(f"{digest_of(image)}?{query}", image).expect(201)
        self.tags.update(dict.fromkeys(tags, image))

    @rule(tag=NAMES, image=images, seen=images)
    def swap(self, tag: str, image: bytes, seen: bytes) -> None:
        """Move a tag if it is what was seen; a swap that has happened already is done."""
        answer = self.push(tag, image, If_Match=f'"{digest_of(seen)}"')
        held = self.tags.get(tag)
        if held is not None and held in (seen, image):
            answer.expect(201)
            self.tags[tag] = image
        else:
            answer.expect(412)

    @rule(tag=NAMES, image=images)
    def create(self, tag: str, image: bytes) -> None:
        """Make a tag that must not be there, or be so already."""
        answer = self.push(tag, image, If_None_Match="*")
        answer.expect(201 if self.tags.get(tag, image) == image else 412)
        self.tags.setdefault(tag, image)

    @rule(tag=NAMES)
    def delete(self, tag: str) -> None:
        """Delete a tag."""
        answer = self.registry.delete(self.repository.path(f"manifests/{tag}"))
        answer.expect(202 if tag in self.tags else 404)
        self.tags.pop(tag, None)

    @rule(tag=NAMES, seen=images)
    def delete_seen(self, tag: str, seen: bytes) -> None:
        """Delete a tag if it is what was seen."""
        headers = {"If-Match": f'"{digest_of(seen)}"'}
        answer = self.registry.delete(self.repository.path(f"manifests/{tag}"), headers)
        if self.tags.get(tag) == seen:
            answer.expect(202)
            del self.tags[tag]
        else:
            answer.expect(412 if tag in self.tags else (404, 412))

    @precondition(lambda self: self.tags)
    @rule(data=st.data())
    def delete_image(self, data: st.DataObject) -> None:
        """Delete a manifest with all its tags."""
        image = data.draw(st.sampled_from(sorted(set(self.tags.values()))))
        path = self.repository.path(f"manifests/{digest_of(image)}")
        self.registry.delete(path).expect(202)
        self.tags = {tag: held for tag, held in self.tags.items() if held != image}

    @rule(tag=NAMES)
    def get(self, tag: str) -> None:
        """Pull a tag."""
        answer = self.registry.get(self.repository.path(f"manifests/{tag}"))
        if tag in self.tags:
            assert answer.expect(200).body == self.tags[tag]
            assert answer["Docker-Content-Digest"] == digest_of(self.tags[tag])
        else:
            answer.expect(404)

    @invariant()
    def listed(self) -> None:
        """The list of tags is that of the model."""
        assert self.repository.tags() == sorted(self.tags)


@requirement("end-4a", "end-5", "end-6", "end-13", "end-14")
def test_uploads(registry: Registry) -> None:
    """Sessions hold exactly what they have acknowledged, in every order of requests."""
    run_state_machine_as_test(lambda: Uploads(registry), settings=BOUNDS)


@requirement("end-7a", "end-7b", "end-8a", "end-9", "if-match", "if-none-match")
def test_tags(registry: Registry) -> None:
    """Tags are exactly what the last successful request made them, in every order of requests."""
    run_state_machine_as_test(lambda: Tags(registry), settings=BOUNDS)
