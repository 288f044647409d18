"""Tags as they are and were, over the management API and the command line."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from api import Api, problem
from cli import Person
from process import Server
from registry import Registry, Repository, requirement, unique

pytestmark = pytest.mark.metadata


@pytest.fixture
def shop(admin: Api, administrator: Registry) -> Repository:
    """Return a repository of an organisation."""
    return administrator.repository(f"{admin.organisation()}/shop")


def now() -> str:
    """Return a moment behind all that was answered before, as the API takes it."""
    time.sleep(0.005)
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def tags_of(shop: Repository) -> str:
    return f"/repositories/{shop.name}/-/tags"


def test_a_tag_tells_where_it_has_been(admin: Api, shop: Repository) -> None:
    first, second = shop.push_image("latest"), shop.push_image("latest")
    shop.registry.delete(shop.path("manifests/latest")).expect(202)
    moves = admin.items(f"{tags_of(shop)}/latest/history?limit=1")
    told = [(m["version"], m["before"], m["after"], m["by"]["through"]) for m in moves]
    assert told == [
        (3, second.digest, None, "delete"),
        (2, first.digest, second.digest, "push"),
        (1, None, first.digest, "push"),
    ]
    assert {each["by"]["actor"] for each in moves} == {"admin"}
    answer = admin.get(f"{tags_of(shop)}/latest/history?after=2").expect(200)
    assert [each["version"] for each in answer.json()["items"]] == [1]
    assert answer.get("Link") is None


def test_tags_at_any_time(admin: Api, shop: Repository) -> None:
    first = shop.push_image("a")
    shop.push_manifest(first.raw, "b")
    early = now()
    second = shop.push_image("a")
    shop.registry.delete(shop.path("manifests/b")).expect(202)
    later = now()

    def told(query: str) -> dict[str, str]:
        return {each["name"]: each["digest"] for each in admin.items(tags_of(shop) + query)}

    assert told(f"?as_of={early}&limit=1") == {"a": first.digest, "b": first.digest}
    assert told(f"?as_of={later}") == told("") == {"a": second.digest}
    assert told("?as_of=2001-01-01T00:00:00Z") == {}
    east = early.replace("Z", "%2B00:00")
    assert told(f"?as_of={east}") == told(f"?as_of={early}")


def test_tags_that_were_deleted(admin: Api, shop: Repository) -> None:
    gone, _ = shop.push_image("gone"), shop.push_image("kept")
    shop.push_image("anew")
    for tag in ("gone", "anew"):
        shop.registry.delete(shop.path(f"manifests/{tag}")).expect(202)
    shop.push_image("anew")
    [told] = admin.items(f"{tags_of(shop)}?deleted=true")
    assert (told["name"], told["digest"], told["version"]) == ("gone", gone.digest, 2)
    assert told["by"]["through"] == "delete"
    names = {each["name"] for each in admin.items(f"{tags_of(shop)}?deleted=false")}
    assert names == {"anew", "kept"}
    problem(admin.get(f"{tags_of(shop)}?deleted=1"), 422, "INVALID")
    problem(admin.get(f"{tags_of(shop)}?deleted=true&as_of={now()}"), 422, "INVALID")


@pytest.mark.parametrize(
    "moment",
    [
        *("", "yesterday", "2026-01-01", "2026-01-01T00:00:00", "1767225600"),
        *("2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T24:01:00Z"),
        "2026-01-01T00:00:00%00Z",
    ],
)
def test_what_is_no_time(admin: Api, shop: Repository, moment: str) -> None:
    shop.push_image("latest")
    problem(admin.get(f"{tags_of(shop)}?as_of={moment}"), 422, "INVALID")


@requirement("S-20")
def test_what_is_not_there_and_what_is_hidden_look_alike(admin: Api, shop: Repository) -> None:
    shop.push_image("latest")
    _, stranger = admin.account()
    texts = []
    for name in (shop.name, f"{shop.name.partition('/')[0]}/none", f"{unique('o')}/none"):
        for rest in ("", "/latest/history", "/none/history"):
            told = problem(stranger.get(f"/repositories/{name}/-/tags{rest}"), 404, "NOT_FOUND")
            del told["request_id"]
            texts.append(told)
    assert all(each == texts[0] for each in texts)
    told = problem(admin.get(f"{tags_of(shop)}/none/history"), 404, "NOT_FOUND")
    assert "never had" in told["detail"]


def test_a_tag_that_can_t_be(admin: Api, shop: Repository) -> None:
    shop.push_image("latest")
    problem(admin.get(f"{tags_of(shop)}/-a/history"), 400, "TAG_INVALID")


def test_the_commands(host: Person, opened: Server) -> None:
    registry = Registry(opened.url)
    shop = registry.repository()
    first = shop.push_image("latest")
    early = now()
    second = shop.push_image("latest")
    found = host("tag", "list", shop.name, "-o", "json").json()
    assert [(each["name"], each["digest"]) for each in found] == [("latest", second.digest)]
    found = host("tag", "list", shop.name, "--as-of", early, "-o", "json").json()
    assert [(each["name"], each["digest"]) for each in found] == [("latest", first.digest)]
    assert host("tag", "list", shop.name, "--as-of", "2001-01-01").out == "There are none.\n"
    assert host("tag", "list", shop.name, "--deleted").out == "There are none.\n"
    shop.push_image("gone")
    shop.registry.delete(shop.path("manifests/gone")).expect(202)
    table = host("tag", "list", shop.name, "--deleted").out.splitlines()
    assert table[0].split() == ["TAG", "NAMED", "DELETED", "BY"]
    assert [each.split()[0] for each in table[1:]] == ["gone"]
    assert host.run("tag", "list", shop.name, "--deleted", "--newest").code == 2
    untagged = host("manifest", "untagged", shop.name, "-o", "json").json()
    digests = {each["digest"] for each in untagged}
    assert first.digest in digests
    assert second.digest not in digests
    table = host("tag", "history", f"{shop.name}:latest").out.splitlines()
    assert table[0].split() == ["VERSION", "WHEN", "FROM", "TO", "THROUGH", "BY"]
    assert first.digest[:19] in table[1]
    assert first.digest not in table[1]
    assert second.digest[:19] in table[1]
    plain = host("tag", "history", f"{shop.name}:latest", "-o", "plain").out.splitlines()
    assert plain[0].split("\t")[2:4] == [first.digest, second.digest]
    assert host.run("tag", "history", shop.name).code == 2
    assert host.run("tag", "list", shop.name, "--as-of", "soon").code == 2
    assert host.run("tag", "history", f"{shop.name}:none").code == 3
