"""Two registries to look at: one with 10,000 tags and much of all else, one with nothing."""

from __future__ import annotations

import json
from typing import Any

from api import PASSWORD, Api
from members import Members
from moorage.model import presets
from oidc import new_key
from process import Server
from registry import (
    OCI_CONFIG,
    Json,
    Manifest,
    Registry,
    Repository,
    describe,
    encode,
    image_document,
    index_document,
)
from ui import crowded

PEOPLE = ("reader", "owner", "administrator")
VISITORS = ("anonymous", *PEOPLE)
# How pages are gone through; in a registry that is bare, each is somebody who owns a namespace.
WAYS = ("mouse", "keyboard", "scriptless")
TAGS = 10_000
README = """# The shop

What *sells*: see `docs/`.

| port | what for |
|------|----------|
| 8000 | the shop |

```sh
docker run -p 8000:8000 acme/shop
```
"""
_PER_PUSH = 10
_IMAGES = 100
_TICKED = 60
_CREATED = "2026-03-04T05:06:07Z"


class Filled:
    """The registry that is full; `addresses` are what the places in `pages.toml` stand for."""

    def __init__(self, **env: str) -> None:
        """Start it with further settings and push everything, as its owner would."""
        settings = {"MOORAGE_LIMITS__FREE_BYTES": "1", **crowded.SETTINGS, **env}
        self.server = Server(env=settings, workers=1)
        self.server.start()
        self.administrator = populate(self.server)
        self.owner = Registry(self.server.url, ("owner", PASSWORD))
        self.addresses: dict[str, str] = {}
        self._push()
        self._pull()
        self._add_people_and_machines()
        crowd = crowded.Crowd(self.server, self.administrator)
        crowd.add()
        self.addresses |= crowd.addresses

    def close(self) -> None:
        """Stop it and remove what it has."""
        self.server.close()

    def _push(self) -> None:
        shop = self.owner.repository("acme/shop")
        images = [shop.push_image("latest", **_annotated(n)) for n in range(_IMAGES - 3)]
        images += [push_built(shop, "latest", n) for n in range(3)]
        made = 1
        for number, image in enumerate(images):
            while made < TAGS * (number + 1) // _IMAGES:
                count = min(_PER_PUSH, TAGS * (number + 1) // _IMAGES - made)
                tags = "&".join(f"tag=v1.{number}.{(made + n) % 100}" for n in range(count))
                target = shop.path(f"manifests/{image.digest}?{tags}")
                kind = {"Content-Type": image.media_type}
                self.owner.put(target, image.raw, kind).expect(201)
                made += count
        index = shop.push_manifest(
            index_document(
                [
                    images[-1].descriptor(platform={"os": "linux", "architecture": "amd64"}),
                    images[-2].descriptor(platform={"os": "linux", "architecture": "arm64"}),
                ]
            ),
            "multi",
        )
        shop.push_artifact(images[-1].descriptor(), "application/vnd.example.sbom")
        gone = shop.push_image("gone")
        self.owner.delete(shop.path(f"manifests/{gone.digest}")).expect(202)
        self.addresses = {
            "image": images[-1].digest,
            "other": images[-2].digest,
            "index": index.digest,
            "gone": gone.digest,
            "ticked": "".join(f"&tag=v1.0.{n}" for n in range(1, _TICKED)),
        }
        self.owner.repository("acme/bare").push_blob()
        for name in ("shop", "bare"):
            path = f"/repositories/acme/{name}"
            self.administrator.patch(path, {"visibility": "public"}).expect(200)

    def _pull(self) -> None:
        for number in range(_IMAGES):
            self.owner.get(f"/v2/acme/shop/manifests/v1.{number}.50").expect(200)

    def _add_people_and_machines(self) -> None:
        owner = Api(self.server.url, ("owner", PASSWORD))
        owner.post("/namespaces/acme/teams", {"name": "dev"}).expect(201)
        owner.post("/namespaces/acme/robots", {"name": "ci"}).expect(201)
        keys = {"keys": [new_key("ES256", "key").as_dict(private=False)]}
        issuer = {"url": presets.GITHUB, "kind": "github", "jwks": json.dumps(keys)}
        self.administrator.post("/issuers", issuer).expect(201)
        trust = {
            "name": "github-acme-shop",
            "issuer": presets.GITHUB,
            "robot": "acme+ci",
            "audience": "https://registry.example",
            "rules": [
                {"claim": each.claim, "patterns": list(each.patterns)}
                for each in presets.github("acme/shop", "77", branch="main")
            ],
        }
        owner.post("/namespaces/acme/trusts", trust).expect(201)
        owner.put("/repositories/acme/shop/-/about", {"readme": README}).expect(200)


def populate(server: Server) -> Api:
    """Add the people and the organisation `acme`; return the API as its administrator asks it."""
    members = Members.of(server)
    for name in (*PEOPLE, *WAYS):
        members.account(name, administrator=name == "administrator", password=PASSWORD)
    administrator = Api(server.url, ("administrator", PASSWORD))
    administrator.post("/namespaces", {"name": "acme"}).expect(201)
    for name in ("reader", "owner"):
        path = f"/namespaces/acme/grants/account/{name}"
        administrator.put(path, {"role": name}).expect(200)
    for name in WAYS:
        administrator.post("/namespaces", {"name": f"of-{name}"}).expect(201)
        path = f"/namespaces/of-{name}/grants/account/{name}"
        administrator.put(path, {"role": "owner"}).expect(200)
    return administrator


def push_built(there: Repository, tag: str, number: int, **labels: str) -> Manifest:
    """Push an image as a builder makes it: with labels, a history and layers that are shared."""
    layers = [there.push_blob(f"layer {n}".encode() * 4_000) for n in range(4)]
    layers.append(there.push_blob(f"application {number}".encode() * 10_000))
    steps = ["FROM debian:12", "RUN apt-get update", "COPY requirements.txt ."]
    steps += ["RUN pip install -r requirements.txt", "COPY . /srv"]
    config = encode(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": _CREATED,
            "config": {
                "Env": ["PATH=/usr/bin:/bin", f"BUILD={number}"],
                "Cmd": ["shop", "--listen", f"0.0.0.0:{8000 + number}"],
                "Labels": {"org.opencontainers.image.version": f"1.{number}", **labels},
            },
            "rootfs": {"type": "layers", "diff_ids": [each["digest"] for each in layers]},
            "history": [
                *({"created": _CREATED, "created_by": step} for step in steps),
                {"created": _CREATED, "created_by": f"CMD {number}", "empty_layer": True},
            ],
        }
    )
    there.push_blob(config)
    return there.push_manifest(image_document(describe(config, OCI_CONFIG), layers), tag)


def _annotated(number: int) -> dict[str, Any]:
    annotations: Json = {"org.opencontainers.image.version": f"1.{number}"}
    return {"annotations": annotations}
