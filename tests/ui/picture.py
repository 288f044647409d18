"""Takes the picture of the README: `python -m ui.picture docs/pictures/repository.png`."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import sqlalchemy as sa
from playwright.sync_api import sync_playwright

from api import PASSWORD, Api
from members import Members
from moorage.db.engine import Query, Tx
from moorage.db.schema import tag, tag_change
from process import Server
from registry import (
    OCI_CONFIG,
    Registry,
    Repository,
    describe,
    encode,
    image_document,
    index_document,
)
from ui.conftest import CHROMIUM, FLAGS

HOST = "registry.example"
SIZE = {"width": 1440, "height": 800}
HOUR = 3_600
# The tags of each release, the bytes that are its own, who pushed it, and how many hours ago.
RELEASES = (
    (("1.3.0",), 1_480_000, "alice", 41 * 24),
    (("1.4.0",), 1_730_000, "ci", 16 * 24),
    (("1.4.1", "stable"), 1_742_000, "ci", 9 * 24),
    (("1.5.0-rc1",), 2_310_000, "ci", 3 * 24),
    (("1.5.0", "latest"), 1_960_000, "ci", 20),
    (("main",), 1_975_000, "bob", 2),
)
AGE = tuple(
    Query(
        f"picture_{table.name}",
        sa.update(table)
        .where(table.c.name == sa.bindparam("which"))
        .values({moment: sa.bindparam("then")}),
    )
    for table, moment in ((tag, "updated_at"), (tag_change, "at"))
)


def push(there: Repository, tags: tuple[str, ...], size: int) -> None:
    """Push a release for two platforms; all of one share what they stand on."""
    made = []
    for architecture in ("amd64", "arm64"):
        base, libraries, own = (
            random.Random(f"{part}{architecture}").randbytes(count)
            for part, count in (("base", 9_400_000), ("lib", 4_100_000), (tags[0], size))
        )
        layers = [there.push_blob(each) for each in (base, libraries, own)]
        config = encode({"architecture": architecture, "os": "linux", "release": tags[0]})
        there.push_blob(config)
        image = there.push_manifest(image_document(describe(config, OCI_CONFIG), layers))
        platform = {"os": "linux", "architecture": architecture}
        made.append(image.descriptor(platform=platform))
    index = index_document(made)
    for each in tags:
        there.push_manifest(index, each)


def age(members: Members, tags: tuple[str, ...], hours: int) -> None:
    """Have the tags be as old as they are in the picture."""
    then = int((time.time() - hours * HOUR) * 1_000)

    async def change(tx: Tx) -> None:
        for query in AGE:
            for each in tags:
                await tx.run(query, which=each, then=then)

    members.write(change)


def main() -> None:
    """Fill a registry with the releases of a shop, and look at them as its owner."""
    with Server(env={"MOORAGE_URL": f"http://{HOST}"}, workers=1) as server:
        members = Members.of(server)
        for name in ("alice", "bob"):
            members.account(name, administrator=name == "alice", password=PASSWORD)
        alice = Api(server.url, ("alice", PASSWORD))
        alice.post("/namespaces", {"name": "web"}).expect(201)
        alice.post("/namespaces/web/robots", {"name": "ci"}).expect(201)
        made = alice.post("/namespaces/web/robots/ci/tokens", {"name": "pipeline"}).expect(201)
        for kind, who in (("account", "bob"), ("robot", "web+ci")):
            path = f"/namespaces/web/grants/{kind}/{who}"
            alice.put(path, {"role": "writer"}).expect(200)
        pushers = {
            "alice": Registry(server.url, ("alice", PASSWORD)),
            "bob": Registry(server.url, ("bob", PASSWORD)),
            "ci": Registry(server.url, ("web+ci", made.json()["secret"])),
        }
        for tags, size, whose, hours in RELEASES:
            push(pushers[whose].repository("web/shop"), tags, size)
            age(members, tags, hours)
        about = {"description": "The shop of example.com, for everybody who sells"}
        alice.put("/repositories/web/shop/-/about", about).expect(200)
        take(server, Path(sys.argv[1]))


def take(server: Server, path: Path) -> None:
    """Take the picture at the address that people know."""
    mapped = f"--host-resolver-rules=MAP {HOST}:80 {server.address}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, mapped])
        page = browser.new_page(viewport=SIZE, reduced_motion="reduce")
        page.goto(f"http://{HOST}/sign-in")
        page.get_by_label("Name", exact=True).fill("alice")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("main").get_by_role("button", name="Sign in").click()
        page.goto(f"http://{HOST}/r/web/shop")
        page.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    main()
