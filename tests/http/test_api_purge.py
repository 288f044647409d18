"""A purge over the management API and the command line, on a real server with a real store."""

from __future__ import annotations

import json

import pytest

from api import Api, problem
from cli import Person
from process import Server
from registry import Registry, absent_digest, requirement, unique


def test_a_layer_is_gone(admin: Api, administrator: Registry) -> None:
    secret = unique().encode() * 100
    shops = [administrator.repository(f"{admin.organisation()}/shop") for _ in range(2)]
    for shop in shops:
        layer = shop.push_blob(secret)
        image = shop.push_manifest({**shop.new_image(), "layers": [layer]}, "latest")
        kept = shop.push_image("kept")
    digest = layer["digest"]
    names = {shop.name for shop in shops}
    asked = {"digest": digest, "dry_run": True}
    planned = admin.post("/purge", asked).expect(200).json()
    assert {each["name"] for each in planned["repositories"]} == names
    assert all(each["tags"] == ["latest"] for each in planned["repositories"])
    assert (planned["done"], planned["objects"]) == (False, 2)
    assert shops[0].has_blob(digest)
    asked = {"digest": digest, "dry_run": False, "reason": "a key in a layer"}
    done = admin.post("/purge", asked).expect(200).json()
    assert done == {**planned, "done": True}
    for shop in shops:
        assert not shop.has_blob(digest)
        assert shop.tagged("latest") is None
        shop.registry.get(shop.path(f"blobs/{digest}")).expect(404)
    assert shops[1].tagged("kept") == kept.digest
    problem(admin.post("/purge", asked), 404, "NOT_FOUND")
    path = f"/repositories/{shops[1].name}/-/manifests/{image.digest}/restore"
    problem(admin.post(path), 404, "NOT_FOUND")
    problem(
        admin.post(f"/repositories/{shops[1].name}/-/tags/latest/restore", {}), 404, "NOT_FOUND"
    )
    entries = [
        each
        for each in admin.items(f"/audit?repository={shops[0].name}")
        if each["action"] == "content.purged"
    ]
    assert [each["detail"]["reason"] for each in entries] == ["a key in a layer"]
    assert entries[0]["detail"]["tags"] == ["latest"]
    # What is pushed afterwards is a blob like others.
    assert shops[0].push_blob(secret)["digest"] == digest
    assert shops[0].blob(digest) == secret


@pytest.mark.metadata
@pytest.mark.parametrize(
    "asked",
    [
        {"digest": absent_digest()},
        {"dry_run": True},
        {"digest": "latest", "dry_run": True},
        {"digest": absent_digest(), "dry_run": "no"},
        {"digest": absent_digest(), "dry_run": True, "reason": "two\nlines"},
        {"digest": absent_digest(), "dry_run": True, "force": True},
    ],
)
def test_what_is_no_purge(admin: Api, asked: object) -> None:
    problem(admin.post("/purge", asked), 422, "INVALID")


@requirement("S-20")
@pytest.mark.metadata
def test_an_owner_may_not_even_look(admin: Api, administrator: Registry) -> None:
    name, owner = admin.account()
    shop = administrator.repository(f"{admin.organisation(**{name: 'owner'})}/shop")
    image = shop.push_image("latest")
    texts = []
    for digest in (image.digest, absent_digest()):
        for dry in (True, False):
            told = problem(owner.post("/purge", {"digest": digest, "dry_run": dry}), 403, "DENIED")
            del told["request_id"]
            texts.append(told)
    assert all(each == texts[0] for each in texts)
    assert shop.tagged("latest") == image.digest


@pytest.mark.metadata
def test_the_command(host: Person, opened: Server) -> None:
    shop = Registry(opened.url).repository()
    image = shop.push_image("latest")
    layer = json.loads(image.raw)["layers"][0]["digest"]
    told = host("purge", layer)
    assert shop.name in told.out
    assert "latest" in told.out
    assert "To do it, add --now." in told.err
    assert host("purge", layer, "-o", "json").json()["done"] is False
    assert host("purge", layer, "-o", "plain").out.split("\t")[0] == shop.name
    refused = host.run("purge", layer, "--now")
    assert refused.code == 2
    assert "Nothing of it can be restored" in refused.err
    assert shop.tagged("latest") == image.digest
    told = host("purge", layer, "--now", "--reason", "a test", "--yes")
    assert f"{layer} is gone from 1 repositories; 1 objects are deleted." in told.out
    assert shop.tagged("latest") is None
    assert not shop.has_blob(layer)
    assert host.run("purge", layer, "--now", "--yes").code == 3
    told = host("tag", "history", f"{shop.name}:latest", "-o", "json").json()
    assert told[0]["by"]["through"] == "purge"
    assert told[0]["by"]["through_id"] == layer
