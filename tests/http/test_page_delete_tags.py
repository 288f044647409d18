"""Several tags are deleted at once: what is shown before, what becomes of each, and who may."""

from __future__ import annotations

import html
import re

import pytest

from browser import Browser
from cast import Cast
from registry import Repository, unique

pytestmark = pytest.mark.metadata


@pytest.fixture
def there(cast: Cast) -> Repository:
    """Return a new repository of the owner's."""
    return cast.asked_by["owner"].repository(f"acme/{unique()}")


def text(page: str, name: str) -> str:
    """Return the text of the section that a heading with this id begins, empty without one."""
    found = re.search(rf'<section aria-labelledby="{name}">(.*?)</section>', page, re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", found[1])).split()) if found else ""


def pinned(page: str) -> list[str]:
    """Return what the form of a page would delete."""
    return re.findall(r'name="tag" value="([^"]*)"', page)


def test_boxes_are_for_who_may_delete(cast: Cast, owner: Browser, there: Repository) -> None:
    there.push_image("1.0")
    place = f"/r/{there.name}"
    assert 'name="tag" value="1.0" form="chosen"' in owner.get(place).body.decode()
    reader = Browser(cast).sign_in("reader")
    assert "chosen" not in reader.get(place).body.decode()


def test_what_goes_and_what_stays_is_told_before(owner: Browser, there: Repository) -> None:
    image = there.push_image("1.0")
    other = there.push_image("2.0")
    there.push_manifest(image.raw, "latest", image.media_type)
    place = f"/r/{there.name}/-/delete-tags"
    page = owner.get(f"{place}?tag=1.0&tag=2.0&tag=none").body.decode()
    assert "Delete 2 tags" in page
    going = text(page, "going")
    assert re.search(r"1\.0 [0-9a-f]{12} .*?latest", going)
    assert "without a tag" in going
    assert "none" in text(page, "staying")
    assert "not there any more" in text(page, "staying")
    assert pinned(page) == [f"1.0@{image.digest}", f"2.0@{other.digest}"]
    assert there.tags() == ["1.0", "2.0", "latest"]
    twin = owner.get(f"{place}.json?tag=1.0&tag=2.0&tag=none").json()
    assert [each["name"] for each in twin["going"]] == ["1.0", "2.0"]
    assert twin["going"][0]["others"] == ["latest"]
    assert [each["name"] for each in twin["staying"]] == ["none"]


def test_they_go_together_and_can_be_undone(owner: Browser, there: Repository) -> None:
    digests = {tag: there.push_image(tag).digest for tag in ("1.0", "2.0", "3.0")}
    place = f"/r/{there.name}/-/delete-tags"
    chosen = pinned(owner.get(f"{place}?tag=1.0&tag=3.0").body.decode())
    done = owner.post(place, {"do": "delete", "tag": chosen}).expect(200).body.decode()
    assert "Deleted 2 tags" in done
    assert there.tags() == ["2.0"]
    history = owner.get(f"/r/{there.name}/-/history?tag=3.0").body.decode()
    assert "Ended" in history
    back = owner.post(place, {"do": "undo", "tag": ["1.0", "3.0"]})
    assert (back.status, back["Location"]) == (303, f"/r/{there.name}?done=restored")
    assert {tag: there.tagged(tag) for tag in digests} == digests


def test_a_rule_keeps_its_tags_and_no_others(owner: Browser, there: Repository) -> None:
    digests = {tag: there.push_image(tag).digest for tag in ("dev", "v1")}
    settings = f"/r/{there.name}/-/settings"
    owner.get(settings)
    rule = {"do": "add-rule", "pattern": "v*", "needs": "immutable"}
    assert owner.post(settings, rule).status == 303
    place = f"/r/{there.name}/-/delete-tags"
    page = owner.get(f"{place}?tag=dev&tag=v1").body.decode()
    assert "v1" not in text(page, "going")
    assert "can't be deleted: of tags like v*" in text(page, "staying")
    assert pinned(page) == [f"dev@{digests['dev']}"]
    both = [f"{tag}@{digest}" for tag, digest in digests.items()]
    done = owner.post(place, {"do": "delete", "tag": both}).expect(200).body.decode()
    assert "can't be deleted: of tags like v*" in text(done, "staying")
    assert there.tags() == ["v1"]


def test_what_was_moved_since_it_was_chosen_stays(owner: Browser, there: Repository) -> None:
    there.push_image("1.0")
    there.push_image("latest")
    place = f"/r/{there.name}/-/delete-tags"
    chosen = pinned(owner.get(f"{place}?tag=1.0&tag=latest").body.decode())
    moved = there.push_image("latest").digest
    done = owner.post(place, {"do": "delete", "tag": chosen}).expect(200).body.decode()
    assert "it names another image since it was chosen" in text(done, "staying")
    assert there.tagged("latest") == moved
    assert there.tagged("1.0") is None


def test_undoing_leaves_alone_what_was_made_anew(owner: Browser, there: Repository) -> None:
    there.push_image("1.0")
    place = f"/r/{there.name}/-/delete-tags"
    chosen = pinned(owner.get(f"{place}?tag=1.0").body.decode())
    owner.post(place, {"do": "delete", "tag": chosen}).expect(200)
    anew = there.push_image("1.0").digest
    told = owner.post(place, {"do": "undo", "tag": "1.0"}).expect(200).body.decode()
    assert "1 tag did not come back" in told
    assert there.tagged("1.0") == anew


def test_none_and_too_many_are_refused(owner: Browser, there: Repository) -> None:
    digest = there.push_image("1.0").digest
    place = f"/r/{there.name}/-/delete-tags"
    assert owner.get(place).status == 422
    many = [f"t{number}" for number in range(101)]
    assert owner.get(f"{place}?tag={'&tag='.join(many)}").status == 422
    owner.get(f"{place}?tag=1.0")
    assert owner.post(place, {"do": "delete"}).status == 422
    assert owner.post(place, {"do": "delete", "tag": "1.0"}).status == 422
    pins = [f"{tag}@{digest}" for tag in many]
    assert owner.post(place, {"do": "delete", "tag": pins}).status == 422
    assert there.tags() == ["1.0"]


def test_no_other_page_sends_it(owner: Browser, there: Repository) -> None:
    digest = there.push_image("1.0").digest
    place = f"/r/{there.name}/-/delete-tags"
    owner.get(f"{place}?tag=1.0")
    fields: dict[str, str | list[str]] = {"do": "delete", "tag": f"1.0@{digest}"}
    assert owner.post(place, fields, Origin="https://evil.example").status == 403
    assert owner.post(place, {**fields, "form": "0" * 128}).status == 403
    assert there.tags() == ["1.0"]
