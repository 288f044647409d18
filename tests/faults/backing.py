"""Backups taken while clients push and delete: what each must have, and whether it has."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from faults.collecting import Churn
from moorage.app import build, prepare
from moorage.config import load
from moorage.db import copying
from process import Server, environment, run_moorage
from registry import Registry

Images = dict[tuple[str, str], dict[str, bytes]]


@dataclass
class Backer:
    """Takes one backup after the other beside a running server, and kills some of them."""

    server: Server
    directory: Path
    churn: Churn
    chance: random.Random
    made: int = 0
    killed: int = 0
    copied: int = 0
    last: str = ""
    sure: Images = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """The server's own settings."""
        return {**self.server.env, "MOORAGE_DATA": str(self.server.data)}

    def take(self) -> None:
        """Take a backup, and note what it must have: what was there from its begin to its end."""
        before = self._known()
        done = run_moorage("backup", "create", str(self.directory), "--json", **self.env)
        assert done.returncode == 0, (done.stdout, done.stderr)
        after = self._known()
        told = json.loads(done.stdout)
        assert told["lost"] == []
        self.made += 1
        self.copied += told["copied"]
        self.last = told["id"]
        self.sure = {place: blobs for place, blobs in before.items() if place in after}

    def kill_one(self) -> None:
        """Begin a backup and kill it at any moment; it is none."""
        words = [sys.executable, "-m", "moorage", "backup", "create", str(self.directory)]
        began = subprocess.Popen(
            words,
            env=environment(self.env),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(self.chance.uniform(0.3, 1.6))
        began.kill()
        began.wait()
        self.killed += 1

    def _known(self) -> Images:
        # A copy in one step: the clients go on.
        return {
            place: blobs
            for client in self.churn.clients
            for place, blobs in client.known.images.copy().items()
        }


def check_images(registry: Registry, images: Images) -> int:
    """Pull every image with all of its blobs; return how many bytes were as they were pushed."""
    size = 0
    with registry.wire() as wire:
        for (repository, digest), blobs in images.items():
            target = f"/v2/{repository}/manifests/{digest}"
            found = registry.request("GET", target, wire=wire).expect(200)
            assert f"sha256:{hashlib.sha256(found.body).hexdigest()}" == digest
            for name, content in blobs.items():
                target = f"/v2/{repository}/blobs/{name}"
                found = registry.request("GET", target, wire=wire).expect(200)
                assert found.body == content, target
                size += len(content)
    return size


def check_digests(env: Mapping[str, str]) -> int:
    """Read every object of a registry, and hash it; return how many there are."""
    config = load(None, {**env, "MOORAGE_LOG__ACCESS": "false"}, {}).config

    async def body() -> int:
        s = await build(config, prepare(config), "0")
        count = 0
        try:
            async for page in copying.blob_pages(s.db):
                for row in page:
                    assert row.state == "live", row
                    hashed = hashlib.sha256()
                    async for chunk in s.blobs.read(row.location, 0, row.size):
                        hashed.update(chunk)
                    assert hashed.hexdigest() == row.identity.hex, row
                    count += 1
        finally:
            await s.blobs.close()
            await s.db.close()
        return count

    return asyncio.run(body())
