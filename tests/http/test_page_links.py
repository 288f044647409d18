"""Where the links of lists lead: what was deleted or has another name since is told so."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from browser import Browser
from cast import Cast
from registry import unique

pytestmark = pytest.mark.metadata


@pytest.fixture(scope="module")
def cast() -> Iterator[Cast]:
    """Return the registry with everybody in it."""
    with Cast() as running:
        yield running


@pytest.fixture
def owner(cast: Cast) -> Browser:
    """Return the owner's browser."""
    return Browser(cast).sign_in("owner")


def row_of(page: str, name: str) -> str:
    """Return the row of a page's first table that is about the repository."""
    found = [each for each in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if f">{name}<" in each]
    assert found, name
    return found[0]


def links(markup: str) -> list[str]:
    """Return where the links of some markup lead."""
    return re.findall(r'href="(/[^"]*)"', markup)


def test_a_push_whose_image_was_deleted_says_so_and_leads_to_its_history(
    cast: Cast, owner: Browser
) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    digest = there.push_image("1.0").digest
    kept = row_of(owner.get("/").body.decode(), there.name)
    assert "deleted" not in kept
    assert f"/r/{there.name}/-/d/{digest}" in kept
    cast.asked_by["owner"].delete(there.path(f"manifests/{digest}")).expect(202)
    row = row_of(owner.get("/").body.decode(), there.name)
    assert ">deleted<" in row
    assert f"/r/{there.name}/-/history?tag=1.0" in links(row)
    assert {owner.get(each).status for each in links(row)} == {200}
    pushed = owner.get("/.json").json()["recent"]
    [told] = [each for each in pushed if each["repository"] == there.name]
    assert (told["is_deleted"], told["image"]) == (True, "")
    history = owner.get(f"/r/{there.name}/-/history?tag=1.0").body.decode()
    assert "Restore this" in history


def test_a_push_that_was_restored_is_there_again(cast: Cast, owner: Browser) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    digest = there.push_image("1.0").digest
    cast.asked_by["owner"].delete(there.path(f"manifests/{digest}")).expect(202)
    owner.get(f"/r/{there.name}/-/settings")
    restored = owner.post(f"/r/{there.name}/-/settings", {"do": "restore", "digest": digest})
    assert restored.status == 303
    row = row_of(owner.get("/").body.decode(), there.name)
    assert "deleted" not in row
    assert {owner.get(each).status for each in links(row)} == {200}


def test_pushes_of_a_repository_that_went_are_not_those_of_its_successor(
    cast: Cast, owner: Browser
) -> None:
    there = cast.asked_by["owner"].repository(f"acme/{unique()}")
    before = there.push_image("old").digest
    owner.get(f"/r/{there.name}/-/settings")
    gone = owner.post(f"/r/{there.name}/-/settings", {"do": "delete", "name": there.name})
    assert gone.status == 303
    there.push_image("new")
    page = owner.get("/").body.decode()
    assert before not in page
    assert {owner.get(each).status for each in links(row_of(page, there.name))} == {200}
