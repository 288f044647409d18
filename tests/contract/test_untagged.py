"""Images that no tag names, on both databases: what is among them, and what leads elsewhere."""

import pytest

from contract.conftest import Registries
from moorage.errors import NotFound, SignInNeeded
from moorage.model.access import Actor
from moorage.oci.digest import Digest, digest_of
from moorage.oci.names import RepositoryName
from moorage.registry.services import Services
from moorage.registry.untagged import list_untagged
from racing import ALICE, Client, image, index

NAME = RepositoryName.parse("web/shop")
LAYERS = [f"layer {number}".encode() * 10 for number in range(6)]


def test_what_no_tag_names_and_nothing_else_leads_to(registries: Registries) -> None:
    async def use(s: Services) -> None:
        shop, other = Client(s, NAME), Client(s, "web/other")
        for raw in LAYERS:
            await shop.blob(raw)
        tagged, lone, listed, orphan = (image(*LAYERS[: n + 1]) for n in range(4))
        attached, widowed = (image(LAYERS[4], subject=each) for each in (tagged, image(LAYERS[5])))
        await shop.manifest(tagged, "latest")
        for raw in (lone, listed, orphan, attached, widowed):
            await shop.manifest(raw)
        await shop.manifest(index(listed), "multi")
        gone = index(orphan)
        await shop.manifest(gone)
        await shop.delete_manifest(gone)
        for raw in LAYERS[:1]:
            await other.blob(raw)
        await other.manifest(tagged)
        expected = sorted(digest_of(raw) for raw in (lone, orphan, widowed))
        page = await list_untagged(s, ALICE, NAME, None, 10)
        assert ([each.digest for each in page.rows], page.after) == (expected, "")
        sizes = {each.digest: each.content_size for each in page.rows}
        assert sizes[digest_of(lone)] == sum(map(len, LAYERS[:2])) + len(LAYERS[0])
        paged, after = [], None
        while True:
            page = await list_untagged(s, ALICE, NAME, after, 1)
            paged += [each.digest for each in page.rows]
            if not page.after:
                break
            after = Digest.parse(page.after)
        assert paged == expected

    registries.run(use)


def test_who_may_not_read_is_told_nothing(registries: Registries) -> None:
    async def use(s: Services) -> None:
        await Client(s, NAME).blob(LAYERS[0])
        with pytest.raises(SignInNeeded):
            await list_untagged(s, Actor("anonymous", "anonymous", "none"), NAME, None, 1)
        with pytest.raises(NotFound):
            await list_untagged(s, ALICE, RepositoryName.parse("web/none"), None, 1)

    registries.run(use)
