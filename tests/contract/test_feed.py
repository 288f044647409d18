"""Recent pushes: told of the repository that they went to, and of none that came after it."""

import json

from contract.conftest import Registries
from moorage.oci.media_types import OCI_INDEX
from moorage.oci.names import RepositoryName
from moorage.registry import feed, repositories
from moorage.registry.services import Services
from racing import ALICE, BY, Client

NAME = RepositoryName.parse("web/shop")


async def push(s: Services, tag: str) -> None:
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    raw = json.dumps({**document, "annotations": {"of": tag}}).encode()
    await Client(s, NAME).manifest(raw, tag)


async def told(s: Services) -> list[str]:
    return [tag for each in await feed.list_pushes(s, ALICE, 10) for tag in each.tags]


def test_a_new_repository_has_no_pushes_of_one_that_had_its_name(registries: Registries) -> None:
    """It may be for others: what was private goes on being so."""

    async def use(s: Services) -> None:
        await push(s, "secret-launch")
        assert await told(s) == ["secret-launch"]
        await repositories.delete_repository(s, ALICE, NAME, BY)
        assert await told(s) == []
        await push(s, "hello")
        assert await told(s) == ["hello"]

    registries.run(use)
