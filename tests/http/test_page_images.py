"""The pages of one image: what it says of itself, how it is had, and what becomes of a deletion."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from browser import Browser
from cast import Cast
from registry import (
    OCI_CONFIG,
    Json,
    Manifest,
    Repository,
    describe,
    encode,
    image_document,
    index_document,
    unique,
)

pytestmark = pytest.mark.metadata


@pytest.fixture
def there(cast: Cast) -> Repository:
    """Return a repository of its owner's."""
    return cast.asked_by["owner"].repository(f"acme/{unique()}")


def push(there: Repository, tag: str, *, os: str = "linux", **config: object) -> Manifest:
    """Push an image that is configured so."""
    raw = encode({"architecture": "amd64", "os": os, "id": unique(), "config": config})
    there.push_blob(raw)
    layer: Json = there.push_blob()
    return there.push_manifest(image_document(describe(raw, OCI_CONFIG), [layer]), tag)


def overview(owner: Browser, there: Repository, image: Manifest) -> str:
    """Return the page of an image."""
    return owner.get(f"/r/{there.name}/-/d/{image.digest}").expect(200).body.decode()


def test_what_an_image_says_of_its_source_is_a_link_to_it(
    owner: Browser, there: Repository
) -> None:
    commit = "0123456789abcdef" * 2
    labels = {
        "org.opencontainers.image.source": "git@github.com:acme/shop.git",
        "org.opencontainers.image.revision": commit,
        "org.opencontainers.image.base.name": "docker.io/library/debian:12",
        "ci": "https://ci.example/job/7",
        "evil": "javascript:alert(1)",
        "worse": '"><script>alert(1)</script>',
    }
    page = overview(owner, there, push(there, "1.0", Labels=labels))
    outside = re.findall(r'<a href="(http[^"]*)" rel="nofollow noopener noreferrer">', page)
    assert set(outside) == {
        "https://github.com/acme/shop",
        f"https://github.com/acme/shop/commit/{commit}",
        "https://ci.example/job/7",
    }
    assert 'href="javascript' not in page
    assert "<script>alert" not in page
    assert "docker.io/library/debian:12" in page


@pytest.mark.parametrize(
    ("user", "os", "is_root"),
    [
        ("", "linux", True),
        ("root", "linux", True),
        ("0:0", "linux", True),
        ("root:staff", "linux", True),
        ("1000", "linux", False),
        ("shop", "linux", False),
        ("", "windows", False),
    ],
)
def test_who_runs_as_root_is_said(
    owner: Browser, there: Repository, user: str, os: str, is_root: bool
) -> None:
    image = push(there, "1.0", os=os, User=user)
    assert (">runs as root<" in overview(owner, there, image)) is is_root
    twin = owner.get(f"/r/{there.name}/-/d/{image.digest}.json").json()
    assert twin["is_root"] is is_root


def test_it_is_told_how_every_client_has_it(owner: Browser, there: Repository) -> None:
    image = push(there, "1.0")
    for page in (overview(owner, there, image), owner.get(f"/r/{there.name}").body.decode()):
        for text in ("docker pull", "podman pull", "crictl pull", "skopeo copy", "FROM "):
            assert text in page
        assert page.count(f"{there.name}@{image.digest}") >= 8
        assert "docker login " in page, "it is private"


def test_the_manifest_is_shown_so_that_it_can_be_read_and_its_digests_followed(
    owner: Browser, there: Repository
) -> None:
    image = push(there, "1.0")
    place = f"/r/{there.name}/-/d/{image.digest}"
    page = owner.get(f"{place}/raw").expect(200).body.decode()
    [text] = re.findall(r"<code>(\{\n.*?)</code>", page, re.DOTALL)
    led = re.findall(r'<a href="([^"]*)">sha256:', text)
    assert set(led) == {f"{place}/config", f"{place}/layers"}
    assert {owner.get(each).status for each in led} == {200}


def test_layers_lead_to_the_repositories_that_have_them(
    owner: Browser, there: Repository, cast: Cast
) -> None:
    other = cast.asked_by["owner"].repository(f"acme/{unique()}")
    shared, own = b"shared" + unique().encode(), b"own" + unique().encode()
    raw = encode({"architecture": "amd64", "os": "linux", "id": unique()})
    for each in (there, other):
        each.push_blob(raw)
        each.push_blob(shared)
    image = there.push_manifest(
        image_document(describe(raw, OCI_CONFIG), [there.push_blob(shared), there.push_blob(own)]),
        "1.0",
    )
    other.push_manifest(image_document(describe(raw, OCI_CONFIG), [other.push_blob(shared)]), "1.0")
    place = f"/r/{there.name}/-/d/{image.digest}"
    assert owner.get(f"{place}.json").json()["own_size"] == len(own)
    page = owner.get(f"{place}/layers").body.decode()
    assert page.count(f'<a href="/r/{other.name}">') == 1


def test_tags_of_one_image_are_a_group_and_newer_ones_are_compared_with_it(
    owner: Browser, there: Repository
) -> None:
    image = push(there, "1.0")
    there.push_manifest(image.raw, "1", image.media_type)
    push(there, "2.0.json")
    rows = owner.get(f"/r/{there.name}/-/tags.json").json()["tags"]
    told = [(each["name"], each["is_grouped"], each["is_last"], each["before"]) for each in rows]
    assert told == [
        ("2.0.json", False, True, "1"),
        ("1", True, False, ""),
        ("1.0", True, True, ""),
    ]
    page = owner.get(f"/r/{there.name}").body.decode()
    [compared] = re.findall(r'href="([^"]*/-/compare/[^"]*\.\.\.[^"]*)"', page)
    assert "Compare 1 " in owner.get(compared).expect(200).body.decode()


def test_whoever_reads_is_led_to_the_history_of_each_tag(cast: Cast, there: Repository) -> None:
    push(there, "1.0")
    page = Browser(cast).sign_in("reader").get(f"/r/{there.name}").expect(200).body.decode()
    assert f'<a href="/r/{there.name}/-/history?tag=1.0">' in page
    assert "Delete the tag" not in page


def test_a_deletion_is_undone_where_it_leads_with_all_tags(
    owner: Browser, there: Repository
) -> None:
    image = push(there, "1.0")
    there.push_manifest(image.raw, "latest", image.media_type)
    place = f"/r/{there.name}/-/d/{image.digest}"
    answer = owner.post(place, {"do": "delete"})
    assert answer.status == 303
    led = answer["Location"] or ""
    assert led.startswith(f"{place}?was=1.0&was=latest")
    page = owner.get(led)
    assert page.status == 404
    text = page.body.decode()
    assert "This image was deleted" in text
    assert ">Undo<" in text
    tags = re.findall(r'name="tag" value="([^"]*)"', text)
    answer = owner.post(place, {"do": "undo", "tag": tags})
    assert (answer.status, answer["Location"]) == (303, f"{place}?done=restored")
    assert {there.tagged(each) for each in ("1.0", "latest")} == {image.digest}
    assert owner.get(place).status == 200


def test_undoing_leaves_alone_what_is_of_another_image(owner: Browser, there: Repository) -> None:
    """The address has the tags, and whoever made it may have written any."""
    image, _ = push(there, "1.0"), push(there, "other")
    place = f"/r/{there.name}/-/d/{image.digest}"
    assert owner.post(f"/r/{there.name}", {"do": "delete-tag", "tag": "other"}).status == 303
    assert owner.post(place, {"do": "delete"}).status == 303
    newer = push(there, "1.0")
    answer = owner.post(place, {"do": "undo", "tag": ["1.0", "other"]})
    assert answer.status == 200
    assert "2 tags did not come back" in answer.body.decode()
    assert there.tagged("1.0") == newer.digest
    assert there.tagged("other") is None
    assert owner.get(place).status == 200


def test_what_was_deleted_says_so_to_whoever_reads(cast: Cast, there: Repository) -> None:
    image = push(there, "1.0")
    there.registry.delete(there.path(f"manifests/{image.digest}")).expect(202)
    reader = Browser(cast).sign_in("reader")
    place = f"/r/{there.name}/-/d/{image.digest}"
    page = reader.get(place)
    assert page.status == 404
    assert "This image was deleted" in page.body.decode()
    assert "Whoever may delete here may restore it." in page.body.decode()
    assert 'value="undo"' not in page.body.decode()
    told = reader.get(f"{place}.json").json()
    assert (told["status"], told["digest"], told["until"][:4] >= "2024") == (
        404,
        image.digest,
        True,
    )
    assert (
        "can be restored until"
        in reader.get(f"/r/{there.name}/-/compare/{image.digest}...{image.digest}").body.decode()
    )
    assert "was deleted" in reader.get(f"/r/{there.name}/-/t/1.0").body.decode()
    assert reader.get(f"/r/{there.name}/-/t/none").status == 404
    assert reader.get(f"/r/{there.name}/-/d/sha256:{'0' * 64}").status == 404
    for who in ("stranger", "former"):
        hidden = cast.asked_by[who].get(place, {"Accept": "text/html"})
        assert b"was deleted" not in hidden.body
    again = quote(image.digest, safe=":")
    there.registry.post(f"/api/v1/repositories/{there.name}/-/manifests/{again}/restore").expect(
        200
    )
    assert reader.get(place).status == 200


def test_images_that_no_tag_names_are_listed(owner: Browser, there: Repository, cast: Cast) -> None:
    lone, moved, _ = there.push_image(), push(there, "1.0"), push(there, "1.0")
    platform = {"os": "linux", "architecture": "amd64"}
    part, orphan = there.push_image(), there.push_image()
    there.push_manifest(index_document([part.descriptor(platform=platform)]), "multi")
    ended = there.push_manifest(index_document([orphan.descriptor(platform=platform)]), "ended")
    there.push_artifact(moved.descriptor(), "application/vnd.example.sbom")
    trashed = there.push_image()
    for each in (ended, trashed):
        there.registry.delete(there.path(f"manifests/{each.digest}")).expect(202)
    place = f"/r/{there.name}/-/untagged"
    expected = {lone.digest, moved.digest, orphan.digest}
    told = owner.get(f"{place}.json").expect(200).json()["images"]
    assert {each["digest"] for each in told} == expected
    assert {owner.get(each["image"]).status for each in told} == {200}
    page = owner.get(place).body.decode()
    assert all(f'href="/r/{there.name}/-/d/{each}"' in page for each in expected)
    assert f'href="{place}"' in owner.get(f"/r/{there.name}").body.decode()
    assert page.count(">Delete</button>") == 3
    assert ">Delete</button>" not in Browser(cast).sign_in("reader").get(place).body.decode()
    api = f"/api/v1/repositories/{there.name}/-/untagged?limit=1"
    found: list[Json] = []
    while api:
        answer = there.registry.get(api).expect(200)
        found += answer.json()["items"]
        link = re.search(r"<([^>]*)>", answer.get("Link") or "")
        api = link[1] if link else ""
    digests = [each["digest"] for each in found]
    assert digests == sorted(expected)
    assert found[0]["content_size"] > 0


def test_a_repository_without_tags_says_how_each_client_pushes_there(
    owner: Browser, there: Repository
) -> None:
    there.push_blob()
    page = owner.get(f"/r/{there.name}").expect(200).body.decode()
    commands = re.findall(r'<pre title="([^"]*)">', page)
    host = owner.origin.partition("://")[2]
    for each in (
        f"docker login {host}",
        f"docker push {host}/{there.name}:1.0",
        f"podman push --tls-verify=false my-image {host}/{there.name}:1.0",
        f"helm push --plain-http chart-1.0.0.tgz oci://{host}/acme",
        f"oras push --plain-http {host}/{there.name}:1.0 notes.txt:text/plain",
    ):
        assert each in commands, commands
    assert "Nothing was pulled in these 30 days." in (
        owner.get(f"/r/{there.name}/-/usage").body.decode()
    )
