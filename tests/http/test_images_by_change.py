"""The list of images by last change: who sees what in which order, and how soon after a push."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from api import Api, problem
from browser import Browser
from cast import Cast
from conftest import PASSWORD
from moorage.ui.page import ROWS
from registry import Registry, encode, unique

pytestmark = pytest.mark.metadata

# Seconds after which a change has to show; one or two are usual.
WITHIN = 5
CHART = "application/vnd.cncf.helm.config.v1+json"


def until(look: Callable[[], Any], wanted: Any, seconds: float = WITHIN) -> None:
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while (seen := look()) != wanted:
        assert time.monotonic() < end, (seen, wanted)
        time.sleep(0.1)


@pytest.fixture(scope="module")
def admin(administered: Registry) -> Api:
    """Return the API as its administrator asks it."""
    return Api(administered.url, ("admin", PASSWORD))


class Places:
    """A namespace with three repositories of each visibility, pushed to in turn."""

    def __init__(self, admin: Api, registry: Registry) -> None:
        self.admin, self.registry = admin, registry
        self.reader, self.reading = admin.account()
        self.guest, self.visiting = admin.account()
        self.stranger, self.passing = admin.account()
        self.namespace = admin.organisation(**{self.reader: "reader"})
        self.everybody = Api(registry.url)
        self.every: list[str] = []
        for number in range(3):
            for visibility in ("public", "internal", "private"):
                self.push(f"{visibility}-{number}")
                path = f"/repositories/{self.namespace}/{visibility}-{number}"
                admin.patch(path, {"visibility": visibility}).expect(200)
                self.every.insert(0, f"{visibility}-{number}")

    def push(self, leaf: str, tag: str = "v1") -> None:
        self.registry.repository(f"{self.namespace}/{leaf}").push_image(tag)

    def listed(self, api: Api, more: str = "", limit: int = 100) -> list[str]:
        """Return what is listed of the namespace, the last change first."""
        path = f"/images?sort=changed&namespace={self.namespace}&limit={limit}{more}"
        return [each["name"].partition("/")[2] for each in api.items(path)]

    def shown(self, *visibilities: str) -> list[str]:
        return [each for each in self.every if each.split("-")[0] in visibilities]


@pytest.fixture(scope="module")
def places(admin: Api, administrator: Registry) -> Places:
    """Return them, in the order in which they were pushed to."""
    made = Places(admin, administrator)
    until(lambda: made.listed(admin), made.every, 30)
    return made


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_everybody_has_his_own_in_order(places: Places, limit: int) -> None:
    for api, visibilities in (
        (places.passing, ("public", "internal")),
        (places.visiting, ("public", "internal")),
        (places.reading, ("public", "internal", "private")),
        (places.admin, ("public", "internal", "private")),
    ):
        wanted = places.shown(*visibilities)
        assert places.listed(api, limit=limit) == wanted
        public = [each for each in wanted if each.startswith("public")]
        assert places.listed(api, "&visibility=public", limit) == public
    problem(places.everybody.get("/images?sort=changed"), 401, "UNAUTHORIZED")


def test_marks_are_what_the_last_row_shows(places: Places) -> None:
    """Nothing of what is between two rows of a reader is in where the next page begins."""
    target: str | None = f"/images?sort=changed&limit=1&namespace={places.namespace}"
    while target:
        answer = places.passing.get(target).expect(200)
        (row,) = answer.json()["items"]
        link = answer.get("Link")
        target = link[1 : link.index(">")].removeprefix("/api/v1") if link else None
        if target:
            found = re.search(r"[?&]after=([^&]*)", target)
            assert found is not None
            at, _, name = unquote(found[1].replace("+", " ")).partition(" ")
            assert name == row["name"]
            shown = row["changed_at"].replace("Z", "+00:00")
            assert abs(int(at) / 1000 - _seconds(shown)) < 0.002


def _seconds(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def test_a_push_comes_first_and_so_does_a_deletion(places: Places) -> None:
    places.push("private-0", "v2")
    until(lambda: places.listed(places.reading)[0], "private-0")
    places.push("public-0", "v2")
    until(lambda: places.listed(places.passing)[0], "public-0")
    path = f"/repositories/{places.namespace}/private-1/-/tags/v1"
    places.admin.delete(path).expect(204)
    until(lambda: places.listed(places.reading)[0], "private-1")
    # Whoever may not read them sees no difference.
    wanted = ["public-0", *(each for each in places.shown("public", "internal"))]
    assert places.listed(places.passing) == list(dict.fromkeys(wanted))


def test_who_is_let_in_has_it_where_it_belongs(places: Places) -> None:
    leaf = unique("late")
    places.push(leaf)
    until(lambda: places.listed(places.reading)[0], leaf)
    assert leaf not in places.listed(places.visiting)
    grant = f"/repositories/{places.namespace}/{leaf}/-/grants/account/{places.guest}"
    places.admin.put(grant, {"role": "reader"}).expect(200)
    assert places.listed(places.visiting)[0] == leaf
    places.admin.delete(grant).expect(204)
    assert leaf not in places.listed(places.visiting)
    place = f"/repositories/{places.namespace}/{leaf}"
    places.admin.patch(place, {"visibility": "internal"}).expect(200)
    assert places.listed(places.passing)[0] == leaf
    places.admin.patch(place, {"visibility": "private"}).expect(200)
    assert leaf not in places.listed(places.passing)
    places.admin.delete(place).expect(204)
    assert leaf not in places.listed(places.admin)
    places.admin.post(f"{place}/-/restore", {}).expect(200)
    assert places.listed(places.reading)[0] == leaf


def test_what_is_asked_for_is_combined(places: Places, administrator: Registry) -> None:
    chart = administrator.repository(f"{places.namespace}/{unique('chart')}")
    config = {**chart.push_blob(encode({"name": unique()})), "mediaType": CHART}
    document = chart.new_image()
    chart.push_manifest({**document, "config": config}, "1.0")
    leaf = chart.name.partition("/")[2]
    until(lambda: places.listed(places.reading, "&type=chart"), [leaf])
    assert places.listed(places.passing, "&type=chart") == []
    assert places.listed(places.reading, "&type=chart&visibility=public") == []
    assert places.listed(places.reading, "&type=chart&visibility=private", 1) == [leaf]
    assert leaf not in places.listed(places.reading, "&type=image")
    assert places.listed(places.reading, "&pulled=unused") == []
    by_name = places.admin.items(f"/images?type=chart&namespace={places.namespace}")
    assert [each["name"] for each in by_name] == [chart.name]
    assert by_name[0]["type"] == "chart"
    for wrong in ("type=picture", "pulled=never", "sort=size", "sort=changed&after=x"):
        problem(places.admin.get(f"/images?{wrong}"), 422, "INVALID")


def test_by_name_is_what_it_was(places: Places) -> None:
    found = places.admin.items(f"/images?namespace={places.namespace}&limit=2")
    names = [each["name"] for each in found]
    assert names == sorted(names)
    assert {each["namespace"] for each in found} == {places.namespace}


def test_the_page_and_its_twin(cast: Cast, owner: Browser) -> None:
    shop = cast.asked_by["owner"].repository("acme/shop")
    shop.push_image("newest-of-all")
    twin = "/images.json?sort=changed&namespace=acme"

    def first() -> str:
        found = json.loads(owner.get(twin).expect(200).body)
        name: str = found["repositories"][0]["name"]
        return name

    until(first, "acme/shop")
    page = owner.get("/images?sort=changed&type=image&pulled=recently").expect(200).body.decode()
    for shown in (
        '<option value="changed" selected>',
        "<option selected>image</option>",
        '<option value="recently" selected>',
    ):
        assert shown in page
    assert "moorage repo list --type=image --pulled=recently --newest" in page
    # What a repository has is known a moment after the push.
    until(lambda: "acme/shop" in owner.get("/images.json?type=image").body.decode(), True)
    # The head says in which order it is, and leads to the other one of the same images.
    page = owner.get("/images?sort=changed&type=image&after=").expect(200).body.decode()
    assert re.search(r'<th scope="col" aria-sort="descending">Last change', page)
    by_name = re.search(r'<th scope="col"><a href="([^"]+)">Name</a></th>', page)
    assert by_name is not None
    place = html.unescape(by_name[1])
    assert place == "/images?type=image&sort=name"
    other = owner.get(place).expect(200).body.decode()
    assert re.search(r'<th scope="col" aria-sort="ascending">Name', other)
    assert owner.get("/images?sort=size").status == 422
    nobody = cast.asked_by["anonymous"]
    shown_to_all = json.loads(nobody.get("/images.json?sort=changed").expect(200).body)
    assert {each["visibility"] for each in shown_to_all["repositories"]} <= {"public"}


def test_the_next_page_keeps_what_was_asked_for(cast: Cast, owner: Browser) -> None:
    for number in range(51):
        cast.asked_by["owner"].repository(f"acme/many-{number:02}").push_image("v1")
    place = "/images.json?sort=changed&type=image&visibility=private"

    def count() -> int:
        return len(json.loads(owner.get(place).expect(200).body)["repositories"])

    until(count, ROWS, 30)
    found = json.loads(owner.get(place).expect(200).body)
    for kept in ("sort=changed", "type=image", "visibility=private", "after="):
        assert kept in found["next"]
    behind = owner.get(found["next"]).expect(200).body.decode()
    first = {each["name"] for each in found["repositories"]}
    assert not any(f">{name}</a>" in behind for name in first)
    assert '<option value="changed" selected>' in behind
