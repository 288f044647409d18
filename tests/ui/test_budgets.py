"""What a page may weigh, how often it asks, and how long the tag page of 10,000 tags may take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser

from api import PASSWORD, Api
from registry import Registry
from ui.filled import Filled
from ui.watching import Watched

KIB = 1024
MOST_SECONDS = 0.060
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


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def many(request: pytest.FixtureRequest) -> Iterator[Filled]:
    """Return the registry with 10,000 tags on each database, all of them found by search."""
    if request.param == "sqlite":
        yield indexed(request.getfixturevalue("filled"))
        return
    place = request.getfixturevalue("postgres").database()
    # In a thread of its own: the browser's driver has a loop running in this one.
    with ThreadPoolExecutor(1) as beside:
        made = beside.submit(Filled, MOORAGE_DATABASE=place).result()
    try:
        yield indexed(made)
    finally:
        made.close()


def indexed(made: Filled) -> Filled:
    """Wait until the last tags that were pushed are found."""
    api = Api(made.server.url, ("owner", PASSWORD))
    end = time.monotonic() + 60
    while len(api.get("/search?q=v1.99.99&kind=tag").expect(200).json()["items"]) < 1:
        assert time.monotonic() < end
        time.sleep(0.2)
    return made


def took(made: Filled, places: Sequence[str], times: int) -> float:
    """Return the 95th percentile in seconds, over one connection, each place so many times."""
    registry = Registry(made.server.url)
    found = []
    with registry.wire() as wire:
        for place in places * times:
            began = time.perf_counter()
            registry.request("GET", place, {"Accept": "text/html"}, wire=wire).expect(200)
            found.append(time.perf_counter() - began)
    return sorted(found)[int(len(found) * 0.95)]


@pytest.mark.timeout(180)
def test_the_tag_page_of_many_tags_is_quick(many: Filled) -> None:
    """The later pages of the list as well."""
    registry = Registry(many.server.url)
    after = registry.get("/r/acme/shop.json?sort=name").expect(200).json()["next"]
    newest = registry.get("/r/acme/shop.json").expect(200).json()["next"]
    places = ["/r/acme/shop", "/r/acme/shop?sort=name", after, newest]
    places += ["/r/acme/shop?filter=v1.5*9", "/r/acme/shop/-/history"]
    slowest = {place: took(many, [place], 40) for place in places}
    assert max(slowest.values()) <= MOST_SECONDS, slowest


@pytest.mark.timeout(180)
def test_search_among_many_tags_is_quick(many: Filled) -> None:
    """What is found by thousands, by its whole name, by a digest, as a label, and not at all."""
    digest = many.addresses["image"].removeprefix("sha256:")[:12]
    words = ["v1", "v1.99.99", "acme/shop", "acme/shop:latest", digest, "99", "no such thing"]
    slowest = {word: took(many, [f"/search?q={quote(word)}"], 40) for word in words}
    assert max(slowest.values()) <= MOST_SECONDS, slowest
