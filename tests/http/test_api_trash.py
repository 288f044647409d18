"""Deletions undone over the management API and the command line, on a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from api import Api, problem
from cli import Person
from process import Server
from registry import Registry, Repository, absent_digest, requirement, unique

pytestmark = pytest.mark.metadata


@pytest.fixture
def shop(admin: Api, administrator: Registry) -> Repository:
    """Return a repository of an organisation."""
    return administrator.repository(f"{admin.organisation()}/shop")


def at(shop: Repository) -> str:
    return f"/repositories/{shop.name}"


def delete(shop: Repository, rest: str) -> None:
    shop.registry.delete(shop.path(rest)).expect(202)


def whole(shop: Repository, reference: str) -> bytes:
    """Pull an image with all of its blobs, and return its manifest."""
    raw = shop.registry.get(shop.path(f"manifests/{reference}")).expect(200).body
    document = json.loads(raw)
    for each in (document["config"], *document["layers"]):
        assert shop.blob(each["digest"])
    return raw


def test_an_image_that_was_deleted_to_the_last_blob(admin: Api, shop: Repository) -> None:
    image = shop.push_image("latest")
    document = json.loads(image.raw)
    delete(shop, f"manifests/{image.digest}")
    for each in (document["config"], *document["layers"]):
        delete(shop, f"blobs/{each['digest']}")
    (kept,) = admin.items(f"{at(shop)}/-/trash/manifests?limit=1")
    assert (kept["digest"], kept["size"]) == (image.digest, len(image.raw))
    left = datetime.fromisoformat(kept["until"]) - datetime.now(UTC)
    assert 13 <= left.days <= 14
    assert len(admin.items(f"{at(shop)}/-/trash/blobs?limit=1")) == 2
    made = admin.post(f"{at(shop)}/-/tags/latest/restore", {}).expect(200).json()
    wanted = {"name": "latest", "digest": image.digest, "before": None}
    assert made == {**wanted, "manifests": [image.digest]}
    assert whole(shop, "latest") == image.raw
    assert admin.items(f"{at(shop)}/-/trash/manifests") == []
    assert admin.items(f"{at(shop)}/-/trash/blobs") == []


def test_a_manifest_by_itself(admin: Api, shop: Repository) -> None:
    image = shop.push_image("latest")
    delete(shop, f"manifests/{image.digest}")
    path = f"{at(shop)}/-/manifests/{image.digest}/restore"
    made = admin.post(path).expect(200).json()
    assert made == {"digest": image.digest, "manifests": [image.digest], "blobs": 0}
    assert whole(shop, image.digest) == image.raw
    assert shop.tags() == []
    assert admin.post(path).expect(200).json()["manifests"] == []
    problem(admin.post(path.replace(image.digest, absent_digest())), 404, "NOT_FOUND")
    problem(admin.post(path.replace(image.digest, "sha256:abc")), 400, "DIGEST_INVALID")


def test_a_tag_goes_back(admin: Api, shop: Repository) -> None:
    first, second = shop.push_image("latest"), shop.push_image("latest")
    path = f"{at(shop)}/-/tags/latest/restore"
    made = admin.post(path, {"digest": first.digest}).expect(200).json()
    assert (made["digest"], made["before"]) == (first.digest, second.digest)
    assert shop.tagged("latest") == first.digest
    admin.post(path, {"version": 2}).expect(200)
    assert shop.tagged("latest") == second.digest
    moves = admin.items(f"{at(shop)}/-/tags/latest/history")
    assert [each["by"]["through"] for each in moves] == ["restore", "restore", "push", "push"]
    assert [each["by"]["through_id"] for each in moves] == ["2", "1", "", ""]
    problem(admin.post(path, {"version": 9}), 404, "NOT_FOUND")
    problem(admin.post(path, {"digest": absent_digest()}), 404, "NOT_FOUND")
    for asked in (
        {"version": 1, "digest": first.digest},
        {"version": 0},
        {"version": 2**63},
        {"digest": "latest"},
        {"to": first.digest},
        [],
    ):
        problem(admin.post(path, asked), 422, "INVALID")
    assert shop.tagged("latest") == second.digest


def test_a_restore_is_in_the_trail(admin: Api, shop: Repository) -> None:
    image = shop.push_image("latest")
    delete(shop, f"manifests/{image.digest}")
    admin.post(f"{at(shop)}/-/tags/latest/restore", {}).expect(200)
    delete(shop, f"manifests/{image.digest}")
    admin.post(f"{at(shop)}/-/manifests/{image.digest}/restore").expect(200)
    admin.delete(at(shop)).expect(204)
    admin.post(f"{at(shop)}/-/restore", {}).expect(200)
    entries = admin.items(f"/audit?repository={shop.name}")
    told = {each["action"]: each for each in entries}
    for action in ("tag", "manifest", "repository"):
        entry = told[f"{action}.restored"]
        assert (entry["actor"], entry["detail"]["repository"]) == ("admin", shop.name)
    assert told["tag.restored"]["detail"]["tag"] == "latest"
    assert told["tag.restored"]["detail"]["manifests"] == [image.digest]
    assert told["repository.deleted"]["detail"]["id"] == told["repository.deleted"]["repository_id"]


def test_a_repository(admin: Api, shop: Repository) -> None:
    image = shop.push_image("latest")
    namespace = shop.name.partition("/")[0]
    before = admin.get(f"/namespaces/{namespace}/usage").expect(200).json()
    assert before["trash"] == 0
    assert before["bytes"] > 0
    admin.delete(at(shop)).expect(204)
    usage = admin.get(f"/namespaces/{namespace}/usage").expect(200).json()
    assert usage == {"bytes": before["bytes"], "trash": before["bytes"]}
    for rest in ("tags/list", "manifests/latest", f"manifests/{image.digest}"):
        shop.registry.get(shop.path(rest)).expect(404)
    problem(admin.get(at(shop)), 404, "NOT_FOUND")
    problem(admin.delete(at(shop)), 404, "NOT_FOUND")
    problem(admin.delete(f"/namespaces/{namespace}"), 409, "CONFLICT")
    (kept,) = admin.items(f"/namespaces/{namespace}/trash")
    assert kept["name"] == shop.name
    newer = shop.push_image("newer")
    problem(admin.post(f"{at(shop)}/-/restore", {}), 409, "CONFLICT")
    problem(admin.post(f"{at(shop)}/-/restore", {"name": f"{unique('o')}/shop"}), 422, "INVALID")
    problem(admin.post(f"{at(shop)}/-/restore", {"id": kept["id"] + 10**6}), 404, "NOT_FOUND")
    asked = {"name": f"{namespace}/old", "id": kept["id"]}
    made = admin.post(f"{at(shop)}/-/restore", asked).expect(200).json()
    assert made == {"name": f"{namespace}/old", "namespace": namespace, "visibility": "private"}
    assert whole(shop.registry.repository(made["name"]), "latest") == image.raw
    assert shop.tags() == ["newer"]
    assert whole(shop, "newer") == newer.raw


@requirement("S-14", "S-20")
def test_what_was_public_is_not_told_of_in_the_trash(admin: Api, shop: Repository) -> None:
    """Nor its name, nor its bytes; a stranger hears the same as of what never was."""
    image = shop.push_image("latest")
    admin.patch(at(shop), {"visibility": "public"}).expect(200)
    admin.delete(at(shop)).expect(204)
    _, stranger = admin.account()
    texts = []
    for name in (shop.name, f"{shop.name}-none", f"{unique('o')}/none"):
        for method, rest in (("POST", "/-/restore"), ("DELETE", ""), ("GET", "/-/tags")):
            body = {} if method == "POST" else None
            told = problem(
                stranger.ask(method, f"/repositories/{name}{rest}", body), 404, "NOT_FOUND"
            )
            del told["request_id"]
            texts.append(told)
    assert all(each == texts[0] for each in texts)
    anonymous = Registry(admin.url)
    anonymous.get(shop.path("manifests/latest")).expect(401)
    anonymous.get(shop.path(f"blobs/{json.loads(image.raw)['layers'][0]['digest']}")).expect(401)
    admin.post(f"{at(shop)}/-/restore", {}).expect(200)
    anonymous.get(shop.path("manifests/latest")).expect(200)


def test_what_is_deleted_elsewhere_stays_there(admin: Api, shop: Repository) -> None:
    """By one's own repository nobody reaches what is in the trash of another one."""
    other = shop.registry.repository(f"{admin.organisation()}/other")
    image = other.push_image("latest")
    delete(other, f"manifests/{image.digest}")
    name, owner = admin.account()
    namespace = shop.name.partition("/")[0]
    admin.put(f"/namespaces/{namespace}/grants/account/{name}", {"role": "owner"}).expect(200)
    shop.push_image("latest")
    problem(owner.post(f"{at(shop)}/-/manifests/{image.digest}/restore"), 404, "NOT_FOUND")
    asked = {"digest": image.digest}
    problem(owner.post(f"{at(shop)}/-/tags/latest/restore", asked), 404, "NOT_FOUND")
    admin.delete(at(other)).expect(204)
    (kept,) = admin.items(f"/namespaces/{other.name.partition('/')[0]}/trash")
    problem(owner.post(f"{at(shop)}/-/restore", {"id": kept["id"]}), 404, "NOT_FOUND")


def test_the_commands(host: Person, opened: Server) -> None:
    registry = Registry(opened.url)
    shop = registry.repository()
    namespace = shop.name.partition("/")[0]
    first, second = shop.push_image("latest"), shop.push_image("latest")
    told = host("tag", "restore", f"{shop.name}:latest").out
    assert told == f"{shop.name}:latest is {first.digest} again; it was {second.digest}.\n"
    host("tag", "restore", f"{shop.name}:latest", "--to", "2")
    assert shop.tagged("latest") == second.digest
    host("tag", "restore", f"{shop.name}:latest", "--to", first.digest)
    assert shop.tagged("latest") == first.digest
    assert host.run("tag", "restore", f"{shop.name}:latest", "--to", "9").code == 3
    delete(shop, f"manifests/{first.digest}")
    found = host("trash", "list", shop.name, "-o", "json").json()
    assert [each["digest"] for each in found] == [first.digest]
    told = host("manifest", "restore", f"{shop.name}@{first.digest}").out
    assert told == "1 manifest is out of the trash.\n"
    told = host("manifest", "restore", f"{shop.name}@{first.digest}").out
    assert told == "It is not in the trash: nothing was to do.\n"
    assert host.run("manifest", "restore", f"{shop.name}:latest").code == 2
    assert host("trash", "list", shop.name, "--blobs").out == "There are none.\n"
    refused = host.run("repo", "delete", shop.name)
    assert (refused.code, "Add --yes" in refused.err) == (2, True)
    told = host("repo", "delete", shop.name, "--yes").out
    assert f"moorage repo restore {shop.name}" in told
    (kept,) = host("trash", "list", namespace, "-o", "json").json()
    usage = host("namespace", "usage", namespace, "-o", "json").json()
    assert usage["bytes"] == usage["trash"] > 0
    told = host("repo", "restore", shop.name, "--id", str(kept["id"])).out
    assert told == f"{shop.name} is there again, {kept['visibility']}.\n"
    host("repo", "delete", shop.name, "--yes")
    host("repo", "restore", shop.name, "--as", f"{namespace}/renamed")
    assert registry.repository(f"{namespace}/renamed").tagged(first.digest) == first.digest


def test_how_long_it_is_kept(server: Callable[..., Server]) -> None:
    running = server(env={"MOORAGE_TRASH_DAYS": "0"})
    shop = Registry(running.url).repository()
    image = shop.push_image("latest")
    delete(shop, f"manifests/{image.digest}")
    asked = Api(running.url).post(f"{at(shop)}/-/manifests/{image.digest}/restore")
    assert "over" in problem(asked, 404, "NOT_FOUND")["detail"]
