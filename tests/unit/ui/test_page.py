"""Where pages lead to, and references that people paste."""

import pytest

from moorage.ui.app import find
from moorage.ui.pages import PAGES
from moorage.ui.references import place_of
from moorage.web.origin import is_own_place

DIGEST = "sha256:" + "ab" * 32


def test_names_and_addresses_are_of_one_page_each() -> None:
    assert len({page.name for page in PAGES}) == len(PAGES)
    assert len({page.path for page in PAGES}) == len(PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_found_at_its_address(page: object) -> None:
    path = page.path  # type: ignore[attr-defined]
    for place, value in (("{repository}", "web/shop"), ("{digest}", DIGEST), ("{tab}", "raw")):
        path = path.replace(place, value)
    path = path.replace("{", "").replace("}", "")
    found = find(path)
    assert found is not None
    assert found.page is page
    assert not found.as_json


@pytest.mark.parametrize(
    ("path", "name", "as_json"),
    [
        ("/.json", "home", True),
        ("/r/web/shop.json", "repository", True),
        ("/r/a.json/-/tags", "repository-tags", False),
        ("/r/web/shop/-/t/v1.json", "tag", False),
        ("/r/web%2Fshop", "repository", False),
        ("/sign-in.json", "", False),
        ("/r/", "", False),
        ("/r/web/-/", "", False),
        ("/n/a/b", "", False),
        ("/r/%00", "", False),
        ("/r/%ff", "", False),
    ],
)
def test_twins_and_what_is_no_page(path: str, name: str, as_json: bool) -> None:
    found = find(path)
    assert (found.page.name if found else "") == name
    assert found is None or found.as_json is as_json


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/web/shop:1.2.3", "/r/web/shop/-/t/1.2.3"),
        (f"/web/shop@{DIGEST}", f"/r/web/shop/-/d/{DIGEST}"),
        ("/app", "/r/app"),
        ("/Web/shop", ""),
        ("/web/shop:", ""),
        ("/web/shop@sha256:ab", ""),
        ("//evil.example", ""),
        ("/%2F/evil.example", ""),
        ("/a b", ""),
    ],
)
def test_references(path: str, place: str) -> None:
    assert place_of(path) == place
    assert not place or is_own_place(place)


@pytest.mark.parametrize(
    "place", ["//evil", "/\\evil", "https:evil", "/a\r\nb", "/a b", "", "evil", "/" + "a" * 2_000]
)
def test_places_that_are_not_ours(place: str) -> None:
    assert not is_own_place(place)
