"""What people are shown of images, tags and repositories, on both databases."""

import json
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contract.conftest import Registries
from moorage.db import repositories
from moorage.db.engine import Tx
from moorage.db.namespaces import set_visibility
from moorage.errors import Conflicting, Invalid, NotFound, SignInNeeded
from moorage.model.access import Actor, Scope
from moorage.oci.digest import digest_of
from moorage.oci.names import RepositoryName, Tag
from moorage.registry import history, images, repository_table, tag_table, tagging
from moorage.registry.services import Services
from racing import ALICE, BY, Client

NAME = RepositoryName.parse("web/shop")
NOBODY = Actor("anonymous", "", "")
OPERATOR = Actor("operator", "unix:root", "socket")
BASE, APP = b"base" * 100, b"app" * 100
CONFIG = json.dumps(
    {
        "os": "linux",
        "architecture": "arm64",
        "variant": "v8",
        "created": "2026-01-02T03:04:05Z",
        "config": {"Env": ["DB_PASSWORD=hunter2", "PATH=/bin"], "Cmd": ["serve"], "User": "app"},
        "history": [
            {"created_by": "/bin/sh -c #(nop) ADD file:1 in / "},
            {"created_by": "ENV DB_PASSWORD=hunter2", "empty_layer": True},
            {"created_by": "RUN /bin/sh -c make # buildkit"},
        ],
    }
).encode()


def describe(raw: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(digest_of(raw)), "size": len(raw), **more}


def image(*layers: bytes, config: bytes = CONFIG, **more: Any) -> bytes:
    """Return an image with a configuration."""
    layer = "application/vnd.oci.image.layer.v1.tar+gzip"
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": describe(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [describe(raw, layer) for raw in layers],
    }
    return json.dumps({**document, **more}).encode()


def index(*children: dict[str, Any]) -> bytes:
    media_type = "application/vnd.oci.image.index.v1+json"
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": list(children)}
    return json.dumps(document).encode()


ONE, TWO = image(BASE, APP), image(BASE)
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Place:
    """A registry with two repositories of one image each."""

    def __init__(self, s: Services) -> None:
        self.s = s
        self.shop, self.cart = Client(s, NAME), Client(s, "web/cart")

    async def fill(self) -> None:
        for client in (self.shop, self.cart):
            for raw in (BASE, APP, CONFIG):
                await client.blob(raw)
        await self.shop.manifest(ONE, "1.0", "latest")
        await self.cart.manifest(TWO, "2.0")

    async def publish(self, name: str) -> None:
        async def write(tx: Tx) -> None:
            found = await repositories.find_repository(tx, RepositoryName.parse(name))
            assert found is not None
            await set_visibility(tx, found.id, "public")
            await repositories.put_everybody(
                tx, msgspec.structs.replace(found, visibility="public")
            )

        await self.s.db.write(write)

    async def rows(self, actor: Actor = ALICE, **how: Any) -> list[str]:
        """Return all tags, page by page of two."""
        names: list[str] = []
        after = ""
        while True:
            page = await tag_table.list_rows(self.s, actor, NAME, after, 2, **how)
            assert len(page.rows) <= 2
            names += [each.name for each in page.rows]
            after = page.after
            if not after:
                return names


def within(registries: Registries, use: Callable[[Place], Coroutine[Any, Any, None]]) -> None:
    async def body(s: Services) -> None:
        place = Place(s)
        await place.fill()
        await use(place)

    registries.run(body)


def test_an_image_is_told_with_its_steps_and_its_tags(registries: Registries) -> None:
    async def use(place: Place) -> None:
        found = await images.find_image(place.s, ALICE, NAME, "latest")
        assert found.digest == digest_of(ONE)
        assert found.kind == "image"
        assert found.platform == "linux/arm64/v8"
        assert found.tags == ("1.0", "latest")
        assert found.by is not None
        assert (found.by.actor, found.by.cause) == ("alice", "push")
        assert found.content_size == len(BASE) + len(APP) + len(CONFIG)
        assert found.raw == ONE
        assert [(each.instruction, each.size) for each in found.layers] == [
            ("ADD file:1 in / ", len(BASE)),
            ("ENV DB_PASSWORD=***", 0),
            ("RUN make", len(APP)),
        ]
        assert [each.digest for each in found.layers] == [digest_of(BASE), None, digest_of(APP)]
        assert found.config is not None
        assert found.config.env == ("DB_PASSWORD=***", "PATH=/bin")
        assert b"hunter2" not in msgspec.json.encode(found.config)
        assert found.problems == ()

    within(registries, use)


def test_an_image_is_found_by_the_beginning_of_its_digest(registries: Registries) -> None:
    async def use(place: Place) -> None:
        encoded = digest_of(ONE).hex
        for text in (encoded, encoded[:8], f"sha256:{encoded[:9]}", str(digest_of(ONE))):
            assert (await images.find_image(place.s, ALICE, NAME, text)).raw == ONE
        await place.shop.manifest(ONE, encoded[:8])
        await place.shop.manifest(TWO, "deadbeef00")
        assert (await images.find_image(place.s, ALICE, NAME, "deadbeef00")).raw == TWO
        for text in (encoded[:7], "00000000", "none"):
            with pytest.raises(NotFound):
                await images.find_image(place.s, ALICE, NAME, text)
        with pytest.raises(Invalid):
            await images.find_image(place.s, ALICE, NAME, "sha256:zz")

    within(registries, use)


def test_two_digests_that_begin_alike_are_told_apart(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_PREFIX", re.compile("x([0-9a-f]*)"))

    async def use(place: Place) -> None:
        await place.shop.manifest(TWO, "two")
        with pytest.raises(NotFound):
            await images.find_image(place.s, ALICE, NAME, "y")
        # `x` alone is the beginning of every digest.
        with pytest.raises(Conflicting):
            await images.find_image(place.s, ALICE, NAME, "x")

    within(registries, use)


def test_a_missing_tag_is_answered_with_those_like_it(registries: Registries) -> None:
    async def use(place: Place) -> None:
        with pytest.raises(NotFound) as caught:
            await images.find_image(place.s, ALICE, NAME, "lates")
        assert "Did you mean latest?" in (caught.value.hint or "")

    within(registries, use)


def test_an_index_shows_its_children_and_they_show_it(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.shop.manifest(TWO)
        listed = index(
            describe(ONE, MANIFEST, platform={"os": "linux"}),
            {
                **describe(TWO, MANIFEST),
                "platform": {"os": "unknown", "architecture": "unknown"},
                "annotations": {
                    "vnd.docker.reference.type": "attestation-manifest",
                    "vnd.docker.reference.digest": str(digest_of(ONE)),
                },
            },
            describe(b"elsewhere", MANIFEST),
        )
        await place.shop.manifest(listed, "all")
        found = await images.find_image(place.s, ALICE, NAME, "all")
        assert found.kind == "index"
        assert [(p.platform, p.kind, p.is_here) for p in found.platforms] == [
            ("linux", "image", True),
            ("", "provenance", True),
            ("", "", False),
        ]
        assert found.platforms[1].attests == digest_of(ONE)
        sizes = [each.content_size for each in found.platforms]
        assert sizes == [
            len(BASE) + len(APP) + len(CONFIG),
            len(BASE) + len(CONFIG),
            0,
        ]
        assert found.content_size == sum(sizes)
        child = await images.find_image(place.s, ALICE, NAME, digest_of(ONE))
        assert [(each.digest, each.tags) for each in child.parents] == [
            (digest_of(listed), ("all",))
        ]

    within(registries, use)


def test_what_refers_to_an_image_is_told_by_kind(registries: Registries) -> None:
    async def use(place: Place) -> None:
        await place.shop.blob(b"{}")
        for artifact_type in ("application/vnd.cncf.notary.signature", "application/spdx+json"):
            await place.shop.manifest(
                image(
                    APP,
                    config=b"{}",
                    artifactType=artifact_type,
                    subject=describe(ONE, MANIFEST),
                )
            )
        found = await images.find_image(place.s, ALICE, NAME, "1.0")
        assert [each.kind for each in found.attached] == ["sbom", "signature"]
        signature = await images.find_image(place.s, ALICE, NAME, found.attached[1].digest)
        assert signature.kind == "signature"
        assert signature.subject == digest_of(ONE)

    within(registries, use)


@pytest.mark.parametrize("config", [b"[" * 100_000, b'{"config":{"Env":7}}', b"\xff\xfe", b"null"])
def test_a_hostile_configuration_is_told_and_not_shown(
    registries: Registries, config: bytes
) -> None:
    async def use(place: Place) -> None:
        await place.shop.blob(config)
        await place.shop.manifest(image(BASE, config=config), "odd")
        found = await images.find_image(place.s, ALICE, NAME, "odd")
        assert bool(found.problems) == (config != b"null")
        assert [each.digest for each in found.layers] == [digest_of(BASE)]

    within(registries, use)


def test_who_reads_a_copy_learns_nothing_of_where_it_is_from(registries: Registries) -> None:
    """The name of the other repository is for those who see the trail: it may be private."""

    async def use(place: Place) -> None:
        await place.publish(NAME)
        tag = Tag.parse("copied")
        source = (RepositoryName.parse("web/cart"), "2.0")
        await tagging.set_tag(place.s, ALICE, NAME, tag, source, BY)
        for actor, told in ((NOBODY, ""), (OPERATOR, "web/cart 2.0")):
            moves = await history.list_moves(place.s, actor, NAME, tag, 0, 10)
            assert [(each.by.cause, each.by.cause_id) for each in moves] == [("copy", told)]
            states = (await history.list_states(place.s, actor, NAME, "", 10)).tags
            assert [e.by.cause_id for e in states if e.name == tag] == [told]

    within(registries, use)


def test_a_damaged_configuration_is_told_and_noted(registries: Registries) -> None:
    async def use(place: Place) -> None:
        found = await images.find_image(place.s, ALICE, NAME, "1.0")
        assert found.config is not None
        for path in Path(place.s.config.data).rglob("*"):
            if path.is_file() and path.stat().st_size == len(CONFIG):
                path.chmod(0o600)
                path.write_bytes(CONFIG.replace(b"app", b"apq"))
        damaged = await images.find_image(place.s, ALICE, NAME, "1.0")
        assert damaged.config is None
        assert "damaged" in damaged.problems[0]
        again = await images.find_image(place.s, ALICE, NAME, "1.0")
        assert "not here" in again.problems[0]

    within(registries, use)


def test_where_else_a_layer_is_tells_nothing_of_what_is_hidden(registries: Registries) -> None:
    async def use(place: Place) -> None:
        uses = {
            each.digest: each.use.names
            for each in (await images.find_image(place.s, ALICE, NAME, "1.0")).layers
        }
        assert uses[digest_of(BASE)] == ("web/cart",)
        await place.publish("web/shop")
        with pytest.raises(SignInNeeded):
            await images.find_image(place.s, NOBODY, RepositoryName.parse("web/cart"), "2.0")
        seen = await images.find_image(place.s, NOBODY, NAME, "1.0")
        assert {each.use.count for each in seen.layers} == {0}
        assert seen.by is not None
        assert (seen.by.actor, seen.by.credential) == ("", "")
        await place.publish("web/cart")
        seen = await images.find_image(place.s, NOBODY, NAME, "1.0")
        assert [each.use.count for each in seen.layers] == [1, 0, 1]
        # A token that is for this repository alone is told of no other one, public as that is.
        confined = msgspec.structs.replace(NOBODY, scopes=(Scope(NAME, frozenset({"pull"})),))
        seen = await images.find_image(place.s, confined, NAME, "1.0")
        assert {each.use.count for each in seen.layers} == {0}

    within(registries, use)


def test_the_table_of_tags_in_both_orders(registries: Registries) -> None:
    async def use(place: Place) -> None:
        three = image(APP)
        for raw, tags in ((TWO, ("b", "a", "2.0-rc1")), (three, ("c", "1.0")), (ONE, ("z",))):
            await place.shop.manifest(raw, *tags)
        assert await place.rows() == ["1.0", "2.0-rc1", "a", "b", "c", "latest", "z"]
        newest = ["1.0", "c", "2.0-rc1", "a", "b", "latest", "z"]
        assert await place.rows(sort="newest") == newest
        assert await place.rows(pattern="2.") == ["2.0-rc1"]
        assert await place.rows(pattern="?") == ["a", "b", "c", "z"]
        assert await place.rows(pattern="?", sort="newest") == ["c", "a", "b", "z"]
        assert await place.rows(pattern="*.0*") == ["1.0", "2.0-rc1"]
        assert await place.rows(pattern="nothing*") == []
        page = await tag_table.list_rows(place.s, ALICE, NAME, "", 100)
        grown = {each.name: each.grown for each in page.rows}
        assert grown["a"] == -len(APP)
        assert grown["z"] is None
        assert grown["c"] == len(APP) - len(BASE)
        sizes = {each.name: each.content_size for each in page.rows}
        assert sizes["z"] == len(BASE) + len(APP) + len(CONFIG)

    within(registries, use)


def test_pages_of_newest_go_on_within_an_image(
    registries: Registries, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tag_table, "_LEAST_WINDOW", 3)
    monkeypatch.setattr(tag_table, "_WINDOW", 3)

    async def use(place: Place) -> None:
        await place.shop.manifest(TWO, *(f"t{number}" for number in range(7)))
        expected = [*(f"t{number}" for number in range(7)), "1.0", "latest"]
        assert await place.rows(sort="newest") == expected
        assert await place.rows(sort="newest", pattern="t[2-5]") == ["t2", "t3", "t4", "t5"]
        assert await place.rows(pattern="t[2-5]") == ["t2", "t3", "t4", "t5"]
        assert await place.rows(sort="newest", pattern="latest*") == ["latest"]

    within(registries, use)


def test_a_table_of_tags_is_for_those_who_may_read(registries: Registries) -> None:
    async def use(place: Place) -> None:
        with pytest.raises(SignInNeeded):
            await place.rows(NOBODY)
        with pytest.raises(NotFound):
            await tag_table.list_rows(place.s, ALICE, RepositoryName.parse("web/none"), "", 2)
        with pytest.raises(Invalid):
            await place.rows(sort="size")
        with pytest.raises(Invalid):
            await place.rows(pattern="x" * 129)
        with pytest.raises(Invalid):
            await tag_table.list_rows(place.s, ALICE, NAME, "7", 2, sort="newest")

    within(registries, use)


def test_the_list_of_images(registries: Registries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository_table, "_WINDOW", 2)

    async def use(place: Place) -> None:
        await Client(place.s, "app").blob(BASE)
        await Client(place.s, "webs/x").blob(BASE)

        async def names(actor: Actor, limit: int = 10, **how: str) -> list[str]:
            found: list[str] = []
            after = ""
            while True:
                page = await repository_table.list_rows(place.s, actor, after, limit, **how)
                found += [each.name for each in page.rows]
                after = page.after
                if not after:
                    return found

        for limit in (1, 2, 10):
            assert await names(ALICE, limit) == ["app", "web/cart", "web/shop", "webs/x"]
            assert await names(ALICE, limit, namespace="web") == ["web/cart", "web/shop"]
        assert await names(ALICE, namespace="library") == ["app"]
        assert await names(NOBODY) == []
        await place.publish("web/shop")
        assert await names(NOBODY) == ["web/shop"]
        assert await names(ALICE, visibility="public") == ["web/shop"]
        page = await repository_table.list_rows(place.s, ALICE, "web/cart", 1)
        (row,) = page.rows
        assert (row.newest, row.tags, row.more_tags, row.visibility) in {
            ("1.0", 2, False, "public"),
            ("latest", 2, False, "public"),
        }
        assert row.content_size == len(BASE) + len(APP) + len(CONFIG)

    within(registries, use)
