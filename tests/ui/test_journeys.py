"""What people come for, each with a mouse, with a keyboard alone, and without scripts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Locator, expect

from api import PASSWORD, Api
from clients.engines import Docker
from process import Server
from registry import Registry, unique
from ui.filled import WAYS, Filled
from ui.hands import Journey
from ui.pushing import pushes

pytestmark = [pytest.mark.parametrize("way", WAYS), pytest.mark.timeout(120)]
# What a job does behind a push, such as being found by search, is waited for so long.
LATER_SECONDS = 20
STEP_SECONDS = 30


def test_signing_in(journey: Callable[..., Journey]) -> None:
    one = journey("anonymous")
    one.there.open("/tokens")
    expect(one.page).to_have_url(re.compile("/sign-in"))
    signs_in(one, "reader")
    expect(one.page).to_have_url(f"{one.there.url}/tokens")
    signs_out(one)
    one.there.open("/tokens")
    expect(one.page).to_have_url(re.compile("/sign-in"))


def test_the_first_account(journey: Callable[..., Journey], way: str) -> None:
    """The link of the start makes it; without scripts, the page says what makes it instead."""
    with Server(workers=1) as server:
        secret = (server.link_file() or Path()).read_text().strip().partition("#")[2]
        one = journey("anonymous", server.url)
        one.there.open("/")
        one.said("Local mode")
        one.there.open(f"/setup#{secret}")
        chooses_a_password(one, secret, "ann", "Make the first account")
        signs_in(one, "ann")
        expect(one.page).to_have_url(f"{server.url}/")
        one.said("Push your first image")
        one.said(f"docker login -u ann {server.address}")
        expect(one.page.get_by_role("main")).not_to_contain_text("Local mode")
        one.page.close()


def test_a_colleague_is_invited(journey: Callable[..., Journey], bare: Server) -> None:
    one, name = journey("administrator", bare.url), unique("colleague-")
    one.there.open("/admin/accounts")
    one.hands.write(one.page.get_by_label("Name", exact=True), name)
    one.button("Make a link")
    address = one.page.locator(".secret .command code").inner_text()
    assert address.startswith(f"{bare.url}/link#")
    other = journey("anonymous", bare.url)
    other.there.open(address.removeprefix(bare.url))
    chooses_a_password(other, address.partition("#")[2], name, "You are invited")
    signs_in(other, name)
    expect(other.page.locator(".top details.menu summary")).to_have_text(name)
    other.there.open(address.removeprefix(bare.url))
    if other.has_scripts:
        other.said("This link is no longer good")


def chooses_a_password(one: Journey, secret: str, name: str, title: str) -> None:
    """Spend a link whose page is open, and go to where one signs in."""
    if not one.has_scripts:
        told = one.page.locator("noscript").inner_text()
        assert "send the secret to /api/v1/links/redeem" in told.replace("\n", " ")
        asked = {"secret": secret, "name": name, "password": PASSWORD}
        Api(one.there.url).post("/links/redeem", asked).expect(201)
        one.there.open("/sign-in")
        return
    expect(one.page.get_by_role("heading", level=1)).to_have_text(title)
    field = one.page.get_by_label("Name", exact=True)
    if field.is_editable():
        one.hands.write(field, name)
    expect(field).to_have_value(name)
    one.hands.write(one.page.get_by_label("Password", exact=True), PASSWORD)
    one.hands.write(one.page.get_by_label("The same once more"), "another one by mistake")
    one.button("Go on")
    one.said("The two passwords are not the same.")
    one.hands.write(one.page.get_by_label("The same once more"), PASSWORD)
    one.button("Go on")
    one.said("The account is made")
    one.hands.use(one.page.get_by_role("link", name="Sign in here"))


def signs_in(one: Journey, name: str, code: str = "") -> None:
    """Fill in the page that asks for it."""
    one.hands.write(one.page.get_by_label("Name", exact=True), name)
    one.hands.write(one.page.get_by_label("Password", exact=True), PASSWORD)
    if code:
        one.hands.write(one.page.get_by_label("Code of your device"), code)
    one.button("Sign in")


def signs_out(one: Journey) -> None:
    """Do so by the menu of every page."""
    one.hands.use(one.page.locator(".top details.menu summary"))
    one.hands.use(one.page.get_by_role("button", name="Sign out"))
    one.said("You are signed out.")


def test_a_second_factor(journey: Callable[..., Journey], filled: Filled) -> None:
    """From then on the password alone is refused, and a code is good once."""
    name = somebody(filled)
    one = journey(name)
    one.there.open("/account")
    one.button("Set one up")
    device = pyotp.TOTP(one.page.get_by_role("main").locator(".command code").inner_text())
    began = time.time()
    one.hands.write(one.page.get_by_label("First code of the device"), device.at(began))
    one.hands.write(one.page.get_by_label("Your password once more"), PASSWORD)
    one.button("Keep it")
    one.said("From now on, signing in asks for a code of your device.")
    signs_out(one)
    one.there.open("/sign-in", 401)
    for code in ("", device.at(began)):
        signs_in(one, name, code)
        expect(one.page.get_by_role("alert")).not_to_be_empty()
    signs_in(one, name, device.at(began + STEP_SECONDS))
    expect(one.page).to_have_url(f"{one.there.url}/")
    expect(one.page.locator(".top details.menu summary")).to_have_text(name)


def somebody(filled: Filled, role: str = "") -> str:
    """Return the name of a new account, which may have a role in `acme`."""
    name, _ = filled.administrator.account(unique("somebody-"))
    if role:
        path = f"/namespaces/acme/grants/account/{name}"
        filled.administrator.put(path, {"role": role}).expect(200)
    return name


@pytest.mark.needs_tool("docker")
@pytest.mark.needs_tool("dockerd")
@pytest.mark.needs_root
def test_what_is_found_is_pulled(
    journey: Callable[..., Journey], filled: Filled, docker: Docker, tmp_path: Path
) -> None:
    """By the very command that the page shows, and the page then counts it."""
    name, address = f"acme/{unique('found-')}", filled.server.address
    pushes(docker, address, "owner", f"{address}/{name}:2.1", tmp_path)
    one, end = journey("reader"), time.monotonic() + LATER_SECONDS
    row = one.page.get_by_role("row").filter(has_text=name).first
    while True:
        one.there.open("/")
        one.hands.write(one.page.locator("#find"), name)
        one.page.keyboard.press("Enter")
        expect(one.page).to_have_url(re.compile("/search"))
        if row.is_visible():
            break
        assert time.monotonic() < end, "it is not found"
    one.hands.use(row.get_by_role("link", name=name, exact=True))
    expect(one.page.get_by_role("heading", level=1)).to_contain_text(name)
    command = selected(one, one.page.locator("td .command code").first)
    assert command == f"docker pull {address}/{name}:2.1"
    docker("rmi", "--force", f"{address}/{name}:2.1").ok()
    docker.login(address, "reader", PASSWORD).ok()
    docker(*command.split()[1:]).ok()
    docker.logout(address)


def selected(one: Journey, what: Locator) -> str:
    """Return what is copied of a part of a page that is chosen by hand, cut off or not."""
    what.evaluate("one => getSelection().selectAllChildren(one)")
    found: str = one.page.evaluate("getSelection().toString()")
    return found


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
    expect(first).to_contain_text(name)


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


def test_a_token_is_made_rotated_and_revoked(
    journey: Callable[..., Journey], filled: Filled
) -> None:
    """What it was made for it may, and no more; the one before is good beside the next."""
    owner, name = somebody(filled, "owner"), unique("ci ")
    one = journey(owner)
    one.there.open("/tokens")
    one.said("You have none.")
    one.hands.write(one.page.get_by_label("What for", exact=True), name)
    one.hands.write(one.page.get_by_label("Where", exact=True), "acme/**")
    one.button("Make the token")
    first = secret_of(one)
    one.button(f"Rotate {name}")
    second = secret_of(one)
    assert first != second
    for secret in (first, second):
        registry = Registry(filled.server.url, (owner, secret))
        registry.get("/v2/acme/shop/manifests/latest").expect(200)
        registry.delete("/v2/acme/shop/manifests/latest").expect(401)
    for _ in range(2):
        one.hands.use(
            one.page.locator("summary").and_(one.page.get_by_label(f"Revoke {name}")).first
        )
        one.said("be undone.")
        one.hands.use(one.page.get_by_role("button", name=f"Revoke {name}").first)
        one.said("Revoked: nothing more can be done with it.")
    one.said("You have none.")
    for secret in (first, second):
        registry = Registry(filled.server.url, (owner, secret))
        registry.get("/v2/acme/shop/manifests/latest").expect(401)


def secret_of(one: Journey) -> str:
    """Return the secret that is on the page this once."""
    one.said("Its secret is shown this once")
    found = re.search(r"mrg_\w+", one.page.locator(".secret .command code").first.inner_text())
    assert found
    return found[0]


def test_a_team_is_given_access(journey: Callable[..., Journey], filled: Filled) -> None:
    """Whoever is in it may, by the rule that says so; before, he may not."""
    who, team, one = somebody(filled), unique("team-"), journey("owner")

    def asks(answer: str) -> None:
        one.hands.write(one.page.get_by_label("Who", exact=True), who)
        one.hands.choose(one.page.get_by_label("may", exact=True), "delete")
        one.hands.write(one.page.get_by_label("on", exact=True), "acme/shop")
        one.button("Ask")
        one.said(f"{answer} delete on acme/shop")

    one.there.open("/n/acme/-/teams")
    one.hands.write(one.page.get_by_label("Name", exact=True), team)
    one.button("Make it")
    one.said("Created.")
    expect(one.page.get_by_role("heading", level=2).first).to_have_text(f"acme/{team}")
    one.hands.write(one.page.get_by_label("Account", exact=True), who)
    one.button("Put in")
    one.said("Granted, from the next request on.")
    tabs = one.page.get_by_role("navigation", name="Of acme")
    one.hands.use(tabs.get_by_role("link", name="Access"))
    one.hands.use(one.page.get_by_role("link", name="Can somebody do something? Ask"))
    asks(f"No: {who} may not")
    one.there.open("/n/acme/-/access")
    one.hands.write(one.page.get_by_label("Account, team or robot", exact=True), f"acme/{team}")
    one.hands.choose(one.page.get_by_label("Role", exact=True), "maintainer")
    one.button("Grant")
    one.said("Granted, from the next request on.")
    one.hands.use(one.page.get_by_role("link", name="Can somebody do something? Ask"))
    asks(f"Yes: {who} may")
    one.said("maintainer on acme")
    one.said(f"through acme/{team}")


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


def test_a_clean_up_is_seen_before_it_is_started(
    journey: Callable[..., Journey], filled: Filled
) -> None:
    """What would go is told, and what has run; what may not go yet is still there behind it."""
    there = filled.owner.repository(f"acme/{unique('cleaned-')}")
    made = there.push_image("1.0")
    filled.owner.delete(there.path(f"manifests/{made.digest}")).expect(202)
    one = journey("administrator")
    one.there.open("/storage")
    for told in ("Can be freed now", "Waits for its time", "Would go at the next run"):
        one.said(told)
    one.hands.use(one.page.get_by_role("link", name="Preview a clean-up…"))
    one.said("Here it is begun at once.")
    one.button("Clean up now")
    one.said("A clean-up was started.")
    end, row = time.monotonic() + LATER_SECONDS, one.page.get_by_role("row")
    while not row.filter(has_text="collection.review").filter(has_text="done").first.is_visible():
        assert time.monotonic() < end, "it has not run"
        one.there.open("/jobs?state=done")
    one.there.open(f"/r/{there.name}/-/settings")
    one.button(f"Restore {made.digest}")
    one.said("Restored.")
    filled.owner.get(there.path(f"manifests/{made.digest}")).expect(200)
