"""Conditional pushes and deletions of tags: compare and swap for pipelines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from registry import (
    OCI_MANIFEST,
    Answer,
    Manifest,
    Repository,
    absent_digest,
    digest_of,
    encode,
    requirement,
)


def put(repository: Repository, reference: str, raw: bytes, **conditions: str) -> Answer:
    """PUT a manifest under conditions; underscores in the names of headers are dashes."""
    headers = {name.replace("_", "-"): value for name, value in conditions.items()}
    path = repository.path(f"manifests/{reference}")
    return repository.registry.put(path, raw, {"Content-Type": OCI_MANIFEST, **headers})


def two(repository: Repository) -> tuple[Manifest, bytes]:
    """Return an image that is tagged `latest` and another that is not pushed yet."""
    return repository.push_image("latest"), encode(repository.new_image())


@requirement("if-match")
@pytest.mark.parametrize("form", ['"{0}"', "*", '"x", "{0}"', "{0}"])
def test_if_match(repository: Repository, form: str) -> None:
    """A tag moves when it is still what the client last saw."""
    old, new = two(repository)
    put(repository, "latest", new, If_Match=form.format(old.digest)).expect(201)
    assert repository.tagged("latest") == digest_of(new)


@requirement("if-match")
@pytest.mark.parametrize("condition", [f'"{absent_digest()}"', '"x"', '"x", "y"', '""'])
def test_if_match_of_something_else(repository: Repository, condition: str) -> None:
    """A tag that is something else stays, and the answer is 412."""
    old, new = two(repository)
    put(repository, "latest", new, If_Match=condition).expect(412)
    assert repository.tagged("latest") == old.digest


@requirement("if-match")
@pytest.mark.parametrize("condition", ["*", f'"{absent_digest()}"'])
def test_if_match_of_nothing(repository: Repository, condition: str) -> None:
    """A tag that is not there matches nothing."""
    _, new = two(repository)
    put(repository, "other", new, If_Match=condition).expect(412)
    assert repository.tagged("other") is None


@requirement("if-match")
def test_if_match_compares_identities(repository: Repository) -> None:
    """A tag pushed by sha512 matches the sha256 of its manifest as well as its own digest."""
    raw = encode(repository.new_image())
    for algorithm in ("sha256", "sha512"):
        put(repository, f"{digest_of(raw, 'sha512')}?tag=latest", raw).expect(201)
        new = encode(repository.new_image())
        condition = f'"{digest_of(raw, algorithm)}"'
        put(repository, "latest", new, If_Match=condition).expect(201)
        assert repository.tagged("latest") == digest_of(new)


@requirement("if-match")
def test_replayed_swap(repository: Repository) -> None:
    """A swap that is sent again after a lost answer is 201: all is as asked."""
    old, new = two(repository)
    for _ in range(2):
        put(repository, "latest", new, If_Match=f'"{old.digest}"').expect(201)
    assert repository.tagged("latest") == digest_of(new)


@requirement("if-match")
def test_swap_is_atomic(repository: Repository) -> None:
    """Of eight clients that swap from the same state exactly one wins."""
    old = repository.push_image("latest")
    news = [encode(repository.new_image()) for _ in range(8)]
    condition = f'"{old.digest}"'
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(put, repository, "latest", new, If_Match=condition) for new in news]
    statuses = [job.result().status for job in jobs]
    assert sorted(statuses) == [201] + [412] * 7
    assert repository.tagged("latest") == digest_of(news[statuses.index(201)])


@requirement("if-none-match")
def test_create_only(repository: Repository) -> None:
    """`If-None-Match: *` makes a tag and never moves one."""
    _, new = two(repository)
    put(repository, "new", new, If_None_Match="*").expect(201)
    other = encode(repository.new_image())
    put(repository, "new", other, If_None_Match="*").expect(412)
    assert repository.tagged("new") == digest_of(new)
    put(repository, "new", new, If_None_Match="*").expect(201)


@requirement("if-none-match", "S-82")
def test_creation_is_atomic(repository: Repository) -> None:
    """Of eight clients that make the same tag exactly one wins."""
    news = [encode(repository.new_image()) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(put, repository, "new", new, If_None_Match="*") for new in news]
    statuses = [job.result().status for job in jobs]
    assert sorted(statuses) == [201] + [412] * 7
    assert repository.tagged("new") == digest_of(news[statuses.index(201)])


@requirement("if-none-match")
def test_if_none_match_of_a_digest(repository: Repository) -> None:
    """A tag does not move from the digest that If-None-Match names, but from others."""
    old, new = two(repository)
    put(repository, "latest", new, If_None_Match=f'"{old.digest}"').expect(412)
    put(repository, "latest", new, If_None_Match=f'"{absent_digest()}"').expect(201)


@requirement("if-match", "end-7b")
@pytest.mark.parametrize("condition", ['"{0}"', "*"])
def test_several_tags_match_together(repository: Repository, condition: str) -> None:
    """Several tags move together, or none does when one does not match."""
    old, new = two(repository)
    repository.push_manifest(old.raw, "also")
    target = f"{digest_of(new)}?tag=latest&tag="
    refused = put(repository, target + "absent", new, If_Match=condition.format(old.digest))
    refused.expect(412)
    assert repository.tagged("latest") == old.digest
    assert repository.tagged("absent") is None
    put(repository, target + "also", new, If_Match=condition.format(old.digest)).expect(201)
    assert repository.tagged("latest") == repository.tagged("also") == digest_of(new)


@requirement("if-none-match", "end-7b")
def test_several_tags_are_made_together(repository: Repository) -> None:
    """With `If-None-Match: *` one tag that is there already refuses all."""
    old, new = two(repository)
    target = f"{digest_of(new)}?tag=one&tag=two"
    put(repository, f"{target}&tag=latest", new, If_None_Match="*").expect(412)
    assert repository.tags() == ["latest"]
    assert repository.tagged("latest") == old.digest
    put(repository, target, new, If_None_Match="*").expect(201)
    assert repository.tags() == ["latest", "one", "two"]


@requirement("if-match", "end-9")
@pytest.mark.parametrize("form", ['"{0}"', "*"])
def test_delete_if_match(repository: Repository, form: str) -> None:
    """A tag is deleted when it is still what the client last saw."""
    old, _ = two(repository)
    path = repository.path("manifests/latest")
    repository.registry.delete(path, {"If-Match": f'"{absent_digest()}"'}).expect(412)
    assert repository.tagged("latest") == old.digest
    repository.registry.delete(path, {"If-Match": form.format(old.digest)}).expect(202)
    assert repository.tagged("latest") is None
    assert repository.tagged(old.digest) == old.digest


@requirement("if-none-match", "end-9")
def test_delete_if_none_match(repository: Repository) -> None:
    """A tag is not deleted while it is what If-None-Match names."""
    old, _ = two(repository)
    path = repository.path("manifests/latest")
    repository.registry.delete(path, {"If-None-Match": f'"{old.digest}"'}).expect(412)
    repository.registry.delete(path, {"If-None-Match": f'"{absent_digest()}"'}).expect(202)


@requirement("if-match")
def test_refusal_says_why(repository: Repository) -> None:
    """A 412 has the envelope of a refusal, and the manifest is not left behind untagged by it."""
    _, new = two(repository)
    answer = put(repository, "latest", new, If_Match='"x"').expect(412)
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["errors"][0]["message"]
    assert repository.tagged(digest_of(new)) is None
