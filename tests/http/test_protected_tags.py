"""Rules for tags as clients meet them: refused in words on every path, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cast import NAMESPACE, PLACES, Cast
from moorage.db import rules
from moorage.db.engine import Tx
from moorage.db.repositories import find_repository
from moorage.model.patterns import TagPattern
from moorage.model.tag_rules import Needs, TagRule
from moorage.oci.names import RepositoryName
from registry import (
    Answer,
    Repository,
    digest_of,
    encode,
    index_document,
    requirement,
    unique,
)

pytestmark = pytest.mark.metadata

SHOP = PLACES["private"]


async def make(tx: Tx) -> None:
    """Make releases immutable in the namespace, but for candidates."""
    repository = await find_repository(tx, RepositoryName(SHOP))
    assert repository is not None
    exceptions = (TagPattern.parse("*-rc?"),)
    pattern, number = TagPattern.parse("v*"), repository.namespace_id
    await rules.add_rule(
        tx, TagRule(0, number, 0, pattern, exceptions, Needs.immutable(), 1, "owner")
    )


@pytest.fixture(scope="module")
def cast() -> Iterator[Cast]:
    """Return a registry whose people push what they had before there was the rule."""
    with Cast() as running:
        running.change(make)
        yield running


def repository(cast: Cast, who: str) -> Repository:
    """Return the repository as that person sees it."""
    return cast.asked_by[who].repository(SHOP)


def refused(answer: Answer, tag: str) -> None:
    """Check that the refusal names the tag, the rule and a way out."""
    answer.expect(403, "DENIED")
    assert f"{SHOP}:{tag}" in answer.message
    assert "v*" in answer.message
    assert f"namespace {NAMESPACE}" in answer.message
    assert "Use another tag" in answer.message
    assert answer.json()["errors"][0]["detail"]["tag"] == tag
    assert answer.get("WWW-Authenticate") is None


def put(there: Repository, tag: str) -> Answer:
    """Push another image to the tag."""
    document = index_document([], annotations={"a": unique()})
    raw = there.push_manifest(document).raw
    media_type = {"Content-Type": document["mediaType"]}
    return there.registry.put(there.path(f"manifests/{tag}"), raw, media_type)


@requirement("S-82")
@pytest.mark.parametrize("who", ["writer", "robot", "maintainer", "owner", "administrator"])
def test_an_immutable_tag_is_pushed_once(cast: Cast, who: str) -> None:
    """And the same image again, as often as a client likes."""
    there, tag = repository(cast, who), unique("v")
    image = there.push_image(tag)
    refused(put(there, tag), tag)
    for condition in ({"If-Match": f'"{image.digest}"'}, {"If-Match": "*"}):
        document = index_document([], annotations={"a": unique()})
        other = there.push_manifest(document)
        headers = {"Content-Type": other.media_type, **condition}
        refused(there.registry.put(there.path(f"manifests/{tag}"), other.raw, headers), tag)
    headers = {"Content-Type": image.media_type}
    there.registry.put(there.path(f"manifests/{tag}"), image.raw, headers).expect(201)
    assert there.tagged(tag) == image.digest


@requirement("S-82")
@pytest.mark.parametrize("who", ["writer", "owner", "administrator"])
@pytest.mark.parametrize("source", [SHOP, PLACES["public"]])
def test_an_immutable_tag_is_not_set_by_hand(cast: Cast, who: str, source: str) -> None:
    """Neither to another image of the repository nor to one that is copied; a new one is."""
    there, tag, other = repository(cast, who), unique("v"), unique("w")
    image = there.push_image(tag)
    cast.asked_by["administrator"].repository(source).push_image(other)
    asked = encode({"reference": other, "source": source})
    kind = {"Content-Type": "application/json"}
    place = f"/api/v1/repositories/{SHOP}/-/tags"
    answer = there.registry.put(f"{place}/{tag}", asked, kind)
    assert (answer.status, answer.json()["code"]) == (403, "DENIED")
    assert "v*" in answer.json()["detail"]
    assert there.tagged(tag) == image.digest
    there.registry.put(f"{place}/{unique('v')}", asked, kind).expect(200)


@requirement("S-82")
def test_several_tags_move_all_or_none(cast: Cast) -> None:
    there, fixed, free = repository(cast, "writer"), unique("v"), unique("w")
    image = there.push_image(fixed)
    there.push_manifest(image.raw, free, image.media_type)
    other = there.new_image()
    raw = encode(other)
    target = there.path(f"manifests/{digest_of(raw)}?tag={free}&tag={fixed}&tag=another")
    refused(there.registry.put(target, raw, {"Content-Type": other["mediaType"]}), fixed)
    assert there.tagged(fixed) == there.tagged(free) == image.digest
    assert there.tagged("another") is None
    there.registry.get(there.path(f"manifests/{digest_of(raw)}")).expect(404)


@requirement("S-83")
@pytest.mark.parametrize("who", ["maintainer", "owner", "administrator"])
def test_an_immutable_tag_is_not_deleted(cast: Cast, who: str) -> None:
    """Neither by its name nor with its manifest, whatever other tags that has."""
    there, tag = repository(cast, who), unique("v")
    image = there.push_image(tag)
    also = unique("a")
    there.push_manifest(image.raw, also, image.media_type)
    refused(there.registry.delete(there.path(f"manifests/{tag}")), tag)
    refused(there.registry.delete(there.path(f"manifests/{image.digest}")), tag)
    assert there.tagged(tag) == there.tagged(also) == image.digest
    there.registry.delete(there.path(f"manifests/{also}")).expect(202)


@requirement("S-93")
@pytest.mark.parametrize("tag", ["V1", "1v", "x-v1", "v1-rc1"])
def test_a_tag_that_only_looks_alike_is_free(cast: Cast, tag: str) -> None:
    """Patterns are for whole tags, in the case that they are written in."""
    there = repository(cast, "writer")
    there.push_image(tag)
    put(there, tag).expect(201)


@requirement("S-93")
@pytest.mark.parametrize("tag", ["v", "v1-rc", "v1-rc10", "v-", "v..", "v" * 128])
def test_what_the_pattern_is_for_stays(cast: Cast, tag: str) -> None:
    """To the last character, and to the longest tag."""
    there = repository(cast, "writer")
    there.push_image(tag)
    refused(put(there, tag), tag)
