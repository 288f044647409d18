"""A push while the page is open: its row is there in two seconds, whoever looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import expect

from clients.copiers import Skopeo
from clients.engines import Docker
from process import Server
from ui.filled import WAYS, Filled, populate
from ui.hands import Journey
from ui.pushing import pushes

pytestmark = [pytest.mark.parametrize("way", WAYS), pytest.mark.timeout(120)]
SOON_MS = 2_000


@pytest.fixture(scope="module")
def empty() -> Iterator[Server]:
    """Return a registry that is empty at first, and full of pushes when all have been here."""
    # In a thread of its own: the browser's driver has a loop running in this one.
    with Server(workers=1) as server, ThreadPoolExecutor(1) as beside:
        beside.submit(populate, server).result()
        yield server


@pytest.mark.needs_tool("skopeo")
def test_the_first_push(
    journey: Callable[..., Journey], empty: Server, way: str, tmp_path: Path
) -> None:
    """The page is open, and shows the row in two seconds; without scripts, when loaded anew."""
    one = journey(way, empty.url)
    one.there.open("/")
    one.said("Push your first image")
    expect(one.page.get_by_text(f"docker push {empty.address}/").first).to_be_visible()
    if one.has_scripts:
        one.page.wait_for_selector("#live[data-state=live]")
        one.page.evaluate("window.stays = true")
    reference = f"{empty.address}/of-{way}/app:1.0"
    pushes(Skopeo(tmp_path / "skopeo"), empty.address, way, reference, tmp_path)
    pushed = time.monotonic()
    if not one.has_scripts:
        one.there.open("/")
    row = one.page.get_by_role("row").filter(has_text=f"of-{way}/app").first
    row.wait_for(timeout=SOON_MS)
    assert time.monotonic() - pushed <= SOON_MS / 1000
    if one.has_scripts:
        assert one.page.evaluate("window.stays"), "the page was loaded anew"
    one.hands.use(row.get_by_role("link", name=f"of-{way}/app"))
    expect(one.page).to_have_url(f"{empty.url}/r/of-{way}/app")
    one.said(f"docker pull {reference}")


@pytest.mark.needs_tool("docker")
@pytest.mark.needs_tool("dockerd")
@pytest.mark.needs_root
def test_what_docker_pushes(
    journey: Callable[..., Journey], filled: Filled, docker: Docker, way: str, tmp_path: Path
) -> None:
    """The page of a repository of 10,000 tags gets its new row in the same way."""
    tag, url = f"docker-{way}", filled.server.address
    one = journey("owner")
    one.there.open("/r/acme/shop")
    if one.has_scripts:
        one.page.wait_for_selector("#live[data-state=live]")
    pushes(docker, url, "owner", f"{url}/acme/shop:{tag}", tmp_path)
    pushed = time.monotonic()
    if not one.has_scripts:
        one.there.open("/r/acme/shop")
    one.page.get_by_role("link", name=tag, exact=True).wait_for(timeout=SOON_MS)
    assert time.monotonic() - pushed <= SOON_MS / 1000
