"""What a clean-up would remove is looked at on a page, and begun from there."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from browser import Browser
from cast import PASSWORD
from members import Members
from process import Server
from registry import Registry, Repository, unique

# Leases end at once; nothing is removed meanwhile but by hand.
SETTINGS = {
    "MOORAGE_COLLECTION__EVERY_MINUTES": "1000",
    "MOORAGE_COLLECTION__LEASE_HOURS": str(0.5 / 3600),
}
PATIENCE = 20.0


@pytest.fixture(scope="module")
def there() -> Iterator[Registry]:
    """Run a server with an administrator, and return it as he asks it."""
    with Server(env=SETTINGS, workers=1) as running:
        Members.of(running).account("root", administrator=True, password=PASSWORD)
        yield Registry(running.url, ("root", PASSWORD))


def test_a_clean_up_is_looked_at_and_begun(there: Registry) -> None:
    repository = Repository(there, unique("root/r"))
    image, alone = repository.push_image("latest"), repository.push_blob(b"nobody names this")
    time.sleep(1)
    told = json.loads(there.get("/storage/clean-up.json").expect(200).body)
    (gone,) = told["going"]
    assert (gone["digest"], gone["size"]) == (alone["digest"], alone["size"])
    assert gone["page"] == f"/r/{repository.name}"
    assert {each["why"] for each in told["staying"]} <= {"named"}
    assert told["candidates"] == 1
    browser = Browser(Registry(there.url))
    browser.get("/sign-in")
    browser.post("/sign-in", {"do": "sign-in", "name": "root", "password": PASSWORD})
    page = browser.get("/storage/clean-up").body.decode()
    assert re.search(rf'What would go.*title="{alone["digest"]}"', page, re.DOTALL)
    assert 'href="/storage/clean-up"' in browser.get("/storage").body.decode()
    assert there.get(repository.path(f"blobs/{alone['digest']}")).status == 200
    time.sleep(1)  # for the lease that this pull may have begun
    answer = browser.post("/storage/clean-up", {"do": "start"})
    assert (answer.status, answer["Location"]) == (303, "/storage?done=collected")
    end = time.monotonic() + PATIENCE
    while there.get(repository.path(f"blobs/{alone['digest']}")).status != 404:
        assert time.monotonic() < end, "it did not go"
        time.sleep(0.1)
    assert repository.tagged("latest") == image.digest
