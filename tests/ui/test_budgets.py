"""What a page may weigh, how often it asks, and how long the tag page of 10,000 tags may take."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser

from registry import Registry
from ui.filled import Filled
from ui.watching import Watched

KIB = 1024
PARTS = {"document": 14 * KIB, "stylesheet": 18 * KIB, "script": 40 * KIB, "image": 8 * KIB}
PLACES = ["/", "/images", "/r/acme/shop", "/r/acme/shop/-/history", "/sign-in"]


@pytest.mark.parametrize("place", PLACES)
def test_first_visits_are_light(filled: Filled, browser: Browser, place: str) -> None:
    """Sizes are what went over the connection, of a browser that has nothing yet."""
    with browser.new_context() as context:
        there = Watched(context, filled.server.url)
        assert there.open(place) == 200
        there.page.wait_for_timeout(300)
        asked = [each for each in there.responses if not each.url.endswith("/events")]
        sizes: dict[str, int] = {}
        for each in asked:
            kind = each.request.resource_type
            kind = "image" if kind == "other" else kind
            whole = each.request.sizes()
            sizes[kind] = sizes.get(kind, 0) + whole["responseBodySize"]
            assert each.header_value("content-encoding") == "gzip", each.url
        there.check()
        assert len(there.responses) <= 8, [each.url for each in there.responses]
        assert sum(sizes.values()) <= 110 * KIB, sizes
        for kind, size in sizes.items():
            assert size <= PARTS[kind], (kind, size)
        assert there.page.evaluate("document.querySelectorAll('*').length") <= 2_500


@pytest.mark.parametrize("visitor", ["anonymous", "owner"])
def test_pages_of_many_tags_are_small_documents(
    watched: Callable[..., Watched], visitor: str
) -> None:
    there = watched(visitor)
    for place in ("/r/acme/shop", "/r/acme/shop?sort=name", "/r/acme/shop/-/history"):
        assert there.open(place) == 200
        assert there.page.evaluate("document.querySelectorAll('*').length") <= 2_500, place


def test_the_tag_page_of_many_tags_is_quick(filled: Filled) -> None:
    """The 95th of a hundred, over one connection, the later pages of the list as well."""
    registry = Registry(filled.server.url)
    took = []
    with registry.wire() as wire:
        place = "/r/acme/shop.json?sort=name"
        after = registry.request("GET", place, wire=wire).expect(200).json()["next"]
        for place in ("/r/acme/shop", "/r/acme/shop?sort=name", after) * 34:
            began = time.perf_counter()
            registry.request("GET", place, {"Accept": "text/html"}, wire=wire).expect(200)
            took.append(time.perf_counter() - began)
    assert sorted(took)[int(len(took) * 0.95)] <= 0.060, sorted(took)[-8:]
