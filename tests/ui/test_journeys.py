"""What people come for, each with a mouse, with a keyboard alone, and without scripts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from api import PASSWORD
from clients.copiers import Skopeo
from clients.engines import Docker
from clients.images import small_image
from process import Server
from registry import Registry, unique
from ui.filled import WAYS, Filled
from ui.hands import Hands
from ui.watching import Watched

pytestmark = [pytest.mark.parametrize("way", WAYS), pytest.mark.timeout(120)]
SOON_MS = 2_000


class Journey:
    """Somebody on the way: a page with its hands."""

    def __init__(self, there: Watched, way: str) -> None:
        self.there = there
        self.page = there.page
        self.hands = Hands(there.page, way)
        self.has_scripts = way != "scriptless"

    def button(self, name: str) -> None:
        """Press a button of the page itself."""
        self.hands.use(self.page.get_by_role("main").get_by_role("button", name=name, exact=True))

    def said(self, text: str) -> None:
        """Check that the page says what was done."""
        expect(self.page.get_by_role("main")).to_contain_text(text)


@pytest.fixture
def journey(
    browser: Browser, filled: Filled, signed_in: Callable[[str, str], object], way: str
) -> Iterator[Callable[..., Journey]]:
    """Return a function that begins a journey; what goes wrong on it fails the test."""
    made = []

    def begin(name: str, url: str = "") -> Journey:
        there = url or filled.server.url
        state = signed_in(there, name)
        context = browser.new_context(storage_state=state, java_script_enabled=way != "scriptless")
        made.append(context)
        context.set_default_timeout(10_000)
        return Journey(Watched(context, there), way)

    journeys: list[Journey] = []

    def keep(name: str, url: str = "") -> Journey:
        journeys.append(begin(name, url))
        return journeys[-1]

    yield keep
    for each in made:
        each.close()
    for one in journeys:
        one.there.check()


def test_signing_in(journey: Callable[..., Journey]) -> None:
    one = journey("anonymous")
    one.there.open("/tokens")
    expect(one.page).to_have_url(re.compile("/sign-in"))
    one.hands.write(one.page.get_by_label("Name", exact=True), "reader")
    one.hands.write(one.page.get_by_label("Password", exact=True), PASSWORD)
    one.button("Sign in")
    expect(one.page).to_have_url(f"{one.there.url}/tokens")
    one.hands.use(one.page.locator(".top details.menu summary"))
    one.hands.use(one.page.get_by_role("button", name="Sign out"))
    one.said("You are signed out.")


def test_what_changed_last(journey: Callable[..., Journey], filled: Filled, way: str) -> None:
    """The list of images is sorted and narrowed down, and its address says how."""
    name = f"acme/z-{way}"
    filled.owner.repository(name).push_image("1.0")
    one = journey("owner")
    end = time.monotonic() + 10
    while True:
        one.there.open("/images")
        one.hands.choose(one.page.get_by_label("Order"), "changed", "Last")
        one.button("Show")
        expect(one.page).to_have_url(re.compile(r"/images\?.*sort=changed"))
        first = one.page.get_by_role("main").get_by_role("row").nth(1)
        if name in first.inner_text():
            break
        assert time.monotonic() < end, first.inner_text()
    one.hands.choose(one.page.get_by_label("Type"), "chart")
    one.button("Show")
    expect(one.page).to_have_url(re.compile("type=chart.*sort=changed"))
    one.said("No image is like that")
    expect(one.page.get_by_label("Order")).to_have_value("changed")
    one.hands.use(one.page.get_by_role("link", name="Show all"))
    expect(one.page.get_by_role("row").filter(has_text="acme/shop").first).to_be_visible()


@pytest.mark.needs_tool("skopeo")
def test_the_first_push(
    journey: Callable[..., Journey], bare: Server, way: str, tmp_path: Path
) -> None:
    """The page is open, and shows the row in two seconds; without scripts, when loaded anew."""
    one = journey(way, bare.url)
    one.there.open("/")
    one.said("Push your first image")
    expect(one.page.get_by_text(f"docker push {bare.address}/").first).to_be_visible()
    if one.has_scripts:
        one.page.wait_for_selector("#live[data-state=live]")
        one.page.evaluate("window.stays = true")
    reference = f"{bare.address}/of-{way}/app:1.0"
    pushes(Skopeo(tmp_path / "skopeo"), bare.address, way, reference, tmp_path)
    pushed = time.monotonic()
    if not one.has_scripts:
        one.there.open("/")
    row = one.page.get_by_role("row").filter(has_text=f"of-{way}/app").first
    row.wait_for(timeout=SOON_MS)
    assert time.monotonic() - pushed <= SOON_MS / 1000
    if one.has_scripts:
        assert one.page.evaluate("window.stays"), "the page was loaded anew"
    one.hands.use(row.get_by_role("link", name=f"of-{way}/app"))
    expect(one.page).to_have_url(f"{bare.url}/r/of-{way}/app")
    one.said(f"docker pull {reference}")


@pytest.mark.needs_tool("docker")
@pytest.mark.needs_tool("dockerd")
@pytest.mark.needs_root
def test_what_docker_pushes(
    journey: Callable[..., Journey], filled: Filled, way: str, tmp_path: Path
) -> None:
    """The page of a repository of 10,000 tags gets its new row in the same way."""
    tag, url = f"docker-{way}", filled.server.address
    one = journey("owner")
    one.there.open("/r/acme/shop")
    if one.has_scripts:
        one.page.wait_for_selector("#live[data-state=live]")
    with Docker.started() as docker:
        pushes(docker, url, "owner", f"{url}/acme/shop:{tag}", tmp_path)
        pushed = time.monotonic()
        if not one.has_scripts:
            one.there.open("/r/acme/shop")
        one.page.get_by_role("link", name=tag, exact=True).wait_for(timeout=SOON_MS)
        assert time.monotonic() - pushed <= SOON_MS / 1000


def pushes(client: Docker | Skopeo, authority: str, user: str, reference: str, at: Path) -> None:
    """Push a small image as somebody does."""
    content, root = small_image(unique("i"), 10_000)
    layout = content.write(at / "layout", root)
    client.load(layout, reference)
    client.login(authority, user, PASSWORD).ok()
    client.push(reference).ok()


def test_a_tag_that_was_deleted_comes_back(
    journey: Callable[..., Journey], filled: Filled, way: str
) -> None:
    there = filled.owner.repository(f"acme/undelete-{way}")
    made = there.push_image("precious")
    one = journey("owner")
    one.there.open(f"/r/{there.name}")
    one.hands.use(one.page.locator("summary[aria-label='More about precious']"))
    one.button("Delete the tag")
    one.said("The tag is deleted.")
    assert there.tagged("precious") is None
    one.hands.use(one.page.get_by_role("button", name="Restore version 1 of precious"))
    one.said("Restored.")
    assert there.tagged("precious") == made.digest


def test_an_image_that_was_deleted_comes_back_with_its_tags(
    journey: Callable[..., Journey], filled: Filled, way: str
) -> None:
    """From the list of images without a tag as well, where it is deleted for good reason."""
    there = filled.owner.repository(f"acme/undo-{way}")
    made = there.push_image("precious")
    there.push_image("other")
    there.push_image("other")
    one = journey("owner")
    one.there.open(f"/r/{there.name}/-/d/{made.digest}", 404)
    one.hands.use(one.page.get_by_text("Delete this image"))
    one.button("Delete the image")
    one.said("This image was deleted")
    assert there.tagged("precious") is None
    one.button("Undo")
    one.said("Restored.")
    assert there.tagged("precious") == made.digest
    one.hands.use(one.page.get_by_role("main").get_by_role("link", name="precious", exact=True))
    one.hands.use(one.page.get_by_role("main").get_by_role("link", name="Tags", exact=True))
    one.hands.use(one.page.get_by_role("link", name="Images without a tag"))
    one.hands.use(one.page.get_by_role("main").get_by_role("button").filter(has_text="Delete"))
    one.said("This image was deleted")
    one.button("Restore the image")
    one.said("Restored.")


def test_several_tags_are_deleted_and_come_back(
    journey: Callable[..., Journey], filled: Filled, way: str
) -> None:
    there = filled.owner.repository(f"acme/several-{way}")
    made = {tag: there.push_image(tag).digest for tag in ("one", "two", "three")}
    one = journey("owner")
    one.there.open(f"/r/{there.name}")
    main = one.page.get_by_role("main")
    if one.has_scripts:
        expect(main.get_by_role("button", name="Delete those chosen…")).to_be_disabled()
        one.hands.tick(main.get_by_label("Choose all tags that are shown"))
        expect(main.get_by_role("button", name="Delete 3 tags…")).to_be_enabled()
        one.hands.tick(main.get_by_label("Choose three"))
        one.button("Delete 2 tags…")
    else:
        expect(main.get_by_label("Choose all tags that are shown")).to_be_hidden()
        one.hands.tick(main.get_by_label("Choose one"))
        one.hands.tick(main.get_by_label("Choose two"))
        one.button("Delete those chosen…")
    one.said("Delete 2 tags of")
    assert there.tags() == ["one", "three", "two"]
    one.button("Delete 2 tags")
    one.said("Deleted 2 tags of")
    assert there.tags() == ["three"]
    one.button("Undo")
    one.said("Restored.")
    assert {tag: there.tagged(tag) for tag in made} == made


def test_a_token_is_made_and_works(journey: Callable[..., Journey], filled: Filled) -> None:
    one = journey("owner")
    one.there.open("/tokens")
    one.hands.write(one.page.get_by_label("What for", exact=True), unique("ci"))
    one.hands.write(one.page.get_by_label("Where", exact=True), "acme/**")
    one.button("Make the token")
    one.said("Its secret is shown this once")
    found = re.search(r"mrg_\w+", one.page.locator(".secret .command code").first.inner_text())
    assert found
    registry = Registry(filled.server.url, ("owner", found[0]))
    registry.get("/v2/acme/shop/manifests/latest").expect(200)
    registry.delete("/v2/acme/shop/manifests/latest").expect(401)


def test_access_is_granted_and_asked_about(journey: Callable[..., Journey], way: str) -> None:
    one = journey("owner")
    one.there.open("/n/acme/-/access")
    one.hands.write(one.page.get_by_label("Account, team or robot", exact=True), way)
    one.hands.choose(one.page.get_by_label("Role", exact=True), "writer")
    one.button("Grant")
    one.said("Granted, from the next request on.")
    one.hands.use(one.page.get_by_role("navigation").get_by_role("link", name="Access").first)
    one.hands.write(one.page.get_by_label("Who", exact=True), way)
    one.hands.choose(one.page.get_by_label("may", exact=True), "push")
    one.hands.write(one.page.get_by_label("on", exact=True), "acme/shop")
    one.button("Ask")
    one.said(f"Yes: {way} may push on acme/shop")
    one.said("writer")


def test_two_images_are_compared(journey: Callable[..., Journey]) -> None:
    one = journey("reader")
    one.there.open("/r/acme/shop/-/history?tag=latest")
    one.hands.use(one.page.get_by_role("link", name="Compare", exact=True).first)
    expect(one.page.get_by_role("heading", level=1)).to_contain_text("Compare")
    expect(one.page.get_by_role("heading", level=1)).to_contain_text("latest")
    one.said("Configuration and annotations")
    one.hands.use(one.page.get_by_role("link", name="Swap"))
    one.said("Only in B")
