"""What pages do and show besides single things, by the API: many tags at once, pushes, sessions."""

from __future__ import annotations

from typing import Any

import pytest

from api import Api
from browser import Browser
from cast import PASSWORD, Cast
from registry import Repository, unique

pytestmark = pytest.mark.metadata


@pytest.fixture
def there(cast: Cast) -> Repository:
    """Return a new repository of the owner's."""
    return cast.asked_by["owner"].repository(f"acme/{unique()}")


@pytest.fixture
def owner(cast: Cast) -> Api:
    """Return the API as the owner asks it."""
    return Api(cast.server.url, ("owner", PASSWORD))


def ends(api: Api, place: str, tags: list[Any]) -> dict[str, dict[str, Any]]:
    """Ask for several tags, and return what becomes of each."""
    found = api.post(place, {"tags": tags}).expect(200).json()["items"]
    return {each["name"]: each for each in found}


def test_many_tags_go_and_come_back(owner: Api, there: Repository) -> None:
    image = there.push_image("1.0")
    there.push_manifest(image.raw, "latest", image.media_type)
    second = there.push_image("2.0").digest
    place = f"/repositories/{there.name}/-/tags/-/delete"
    told = ends(owner, f"{place}/preview", ["1.0", "2.0", "none"])
    assert (told["1.0"]["why"], told["1.0"]["others"]) == ("", ["latest"])
    assert (told["2.0"]["digest"], told["2.0"]["others"]) == (second, [])
    assert "not there" in told["none"]["why"]
    assert there.tags() == ["1.0", "2.0", "latest"]
    moved = there.push_image("2.0").digest
    chosen = [{"name": "1.0", "digest": image.digest}, {"name": "2.0", "digest": second}]
    gone = ends(owner, place, chosen)
    assert gone["1.0"]["why"] == ""
    assert "another image since" in gone["2.0"]["why"]
    assert there.tags() == ["2.0", "latest"]
    failed = ends(owner, f"{place}/undo", ["1.0", "2.0"])
    assert list(failed) == ["2.0"]
    assert (there.tagged("1.0"), there.tagged("2.0")) == (image.digest, moved)


@pytest.mark.parametrize("tags", [[], ["-"], [f"t{number}" for number in range(101)], "1.0"])
def test_none_too_many_and_no_tags_are_refused(owner: Api, there: Repository, tags: Any) -> None:
    there.push_image("1.0")
    place = f"/repositories/{there.name}/-/tags/-/delete"
    for address in (f"{place}/preview", f"{place}/undo"):
        assert owner.post(address, {"tags": tags}).status == 422
    assert owner.post(place, {"tags": ["1.0"]}).status == 422
    assert there.tags() == ["1.0"]


def test_whether_what_a_tag_named_is_there_still(owner: Api, there: Repository) -> None:
    old = there.push_image("1.0").digest
    there.push_image("1.0")
    owner.delete(f"/repositories/{there.name}/-/manifests/{old}").expect(204)
    moves = owner.items(f"/repositories/{there.name}/-/tags/1.0/history")
    said = [(each["before_is_deleted"], each["after_is_deleted"]) for each in moves]
    assert said == [(True, False), (False, True)]
    [tag] = owner.items(f"/repositories/{there.name}/-/tags")
    assert tag["is_deleted"] is False


def test_what_was_pushed_last(owner: Api, cast: Cast, there: Repository) -> None:
    there.push_image("1.0")
    newest = there.push_image("2.0").digest
    [first] = owner.get("/pushes?limit=1").expect(200).json()["items"]
    assert (first["repository"], first["digest"], first["tags"]) == (there.name, newest, ["2.0"])
    stranger = Api(cast.server.url, ("stranger", PASSWORD)).get("/pushes").expect(200).json()
    assert there.name not in {each["repository"] for each in stranger["items"]}
    assert [owner.get(f"/pushes?limit={limit}").status for limit in ("0", "101", "x")] == [422] * 3


def test_a_session_is_listed_and_ended_by_its_id(cast: Cast, owner: Api) -> None:
    before = {each["id"] for each in owner.items("/sessions")}
    browser = Browser(cast).sign_in("owner")
    [made] = [each for each in owner.items("/sessions") if each["id"] not in before]
    assert made["is_this"] is False
    assert browser.get("/account").status == 200
    owner.delete(f"/tokens/{made['id']}").expect(204)
    assert browser.get("/account").status == 303
    assert made["id"] not in {each["id"] for each in owner.items("/sessions")}
