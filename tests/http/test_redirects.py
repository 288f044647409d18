"""Blobs kept in an object store: who is sent there, and what is streamed instead."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from process import Server
from registry import Registry, absent_digest, with_query
from s3 import S3Server

Start = Callable[..., Server]

PASSWORD = "correct horse battery staple"
CONTENT = bytes(range(256)) * 2_000
LARGE = bytes(range(251)) * 60_000
STREAMED = {"MOORAGE_REDIRECT__BLOBS": "false"}


class Kept:
    """A server whose blobs are in an object store."""

    def __init__(self, start: Start, store: S3Server, env: dict[str, str]) -> None:
        self.store = store
        self._environment = {**store.environment(), "MOORAGE_REDIRECT__BLOBS": "true", **env}
        self.server = start(env=self._environment)
        who = ("admin", PASSWORD) if "MOORAGE_ADMIN_USER" in env else None
        self.registry = Registry(self.server.url, who)
        self.repository = self.registry.repository()

    def path(self, content: bytes) -> str:
        """Push a blob and return its address."""
        return self.repository.path(f"blobs/{self.repository.push_blob(content)['digest']}")

    def change(self, content: bytes | None) -> None:
        """Put other content in the place of every blob, or none."""
        storage = self._environment["MOORAGE_STORAGE"]
        prefix = storage.partition(f"{self.store.bucket}/")[2]
        keys = [f"{prefix}/{key}" for key in self.store.keys(storage)]
        assert keys

        async def write(client: Any) -> None:
            for key in keys:
                if content is None:
                    await client.delete_object(Bucket=self.store.bucket, Key=key)
                else:
                    await client.put_object(Bucket=self.store.bucket, Key=key, Body=content)

        asyncio.run(self.store.use(write))


@pytest.fixture
def kept(server: Start, s3: S3Server) -> Callable[..., Kept]:
    """Return a function that starts a server with further settings."""
    return lambda **env: Kept(server, s3, env)


def fetch(url: str, **headers: str) -> tuple[int, bytes]:
    """Get something from the object store as a client does."""
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=20) as found:
        return found.status, found.read()


def test_a_client_is_sent_to_the_store(kept: Callable[..., Kept]) -> None:
    started = kept()
    for content in (b"", CONTENT, LARGE):
        path = started.path(content)
        answer = started.registry.get(path).expect(307)
        assert answer.body == b""
        assert answer["Cache-Control"] == "no-store"
        assert answer["Docker-Content-Digest"] == path.rpartition("/")[2]
        assert fetch(answer["Location"]) == (200, content)
        head = started.registry.head(path).expect(200)
        assert head["Content-Length"] == str(len(content))
        assert head.get("Location") is None
    one = started.registry.get(path, {"Range": "bytes=5-9"}).expect(307)
    assert fetch(one["Location"], Range="bytes=5-9") == (206, LARGE[5:10])
    several = started.registry.get(path, {"Range": "bytes=0-4,1000000-1000004"}).expect(206)
    assert LARGE[1_000_000:1_000_005] in several.body
    etag = f'"{path.rpartition("/")[2]}"'
    assert started.registry.get(path, {"If-None-Match": etag}).status == 304
    assert started.registry.get(path, {"Range": f"bytes={len(LARGE)}-"}).status == 416
    absent = started.repository.path(f"blobs/{absent_digest()}")
    assert started.registry.get(absent).status == 404
    log = started.server.stderr_tail(500)
    assert "Signature" not in log  # an address is a credential
    assert "Credential" not in log


def test_a_client_is_not_sent_to_the_store(kept: Callable[..., Kept]) -> None:
    started = kept(**STREAMED)
    for content in (b"", CONTENT, LARGE):
        path = started.path(content)
        answer = started.registry.get(path).expect(200)
        assert answer.body == content
        assert answer["Content-Length"] == str(len(content))
    one = started.registry.get(path, {"Range": "bytes=100-1000099"}).expect(206)
    assert one.body == LARGE[100:1_000_100]
    assert one["Content-Range"] == f"bytes 100-1000099/{len(LARGE)}"
    several = started.registry.get(path, {"Range": "bytes=0-4,9-9,-3"}).expect(206)
    assert several["Content-Type"].startswith("multipart/byteranges")
    assert int(several["Content-Length"]) == len(several.body)
    assert several.body.count(b"Content-Range") == 3


@pytest.mark.parametrize("redirect", ["true", "false"])
def test_exceptions_are_the_other_way_round(kept: Callable[..., Kept], redirect: str) -> None:
    started = kept(
        MOORAGE_REDIRECT__BLOBS=redirect,
        MOORAGE_REDIRECT__EXCEPT_REPOSITORIES="web,team/app",
    )
    usual, other = (307, 200) if redirect == "true" else (200, 307)
    for name, status in [
        ("web/shop", other),
        ("web/shop/deep", other),
        ("team/app", other),
        ("team/app2", usual),
        ("webb/shop", usual),
    ]:
        repository = started.registry.repository(name)
        digest = repository.push_blob(CONTENT)["digest"]
        assert started.registry.get(repository.path(f"blobs/{digest}")).status == status, name


def test_networks(kept: Callable[..., Kept], tmp_path: Path) -> None:
    """The peer counts, and behind a trusted proxy the client that it names."""
    inside = {"MOORAGE_REDIRECT__EXCEPT_CLIENTS": "10.0.0.0/8,127.0.0.0/8"}
    alone = kept(**inside)
    path = alone.path(CONTENT)
    assert alone.registry.get(path).status == 200
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    behind = kept(
        **inside,
        MOORAGE_ADMIN_USER="admin",
        MOORAGE_ADMIN_PASSWORD_FILE=str(secret),
        MOORAGE_TRUSTED_PROXIES="localhost,192.0.2.0/24",
    )
    path = behind.path(CONTENT)
    for forwarded, status in [
        ("10.1.2.3", 200),
        ("8.8.8.8, 10.1.2.3", 200),
        ("10.1.2.3, 8.8.8.8", 307),
        ("10.1.2.3, 192.0.2.7", 200),
        ("8.8.8.8, 192.0.2.7, 192.0.2.8", 307),
        ("10.1.2.3:5000", 200),
        ("::ffff:10.1.2.3", 200),
        ("[2001:db8::1]:80", 307),
        ("unknown", 307),
    ]:
        answer = behind.registry.get(path, {"X-Forwarded-For": forwarded})
        assert answer.status == status, forwarded


def test_a_lost_blob_is_told_and_healed(kept: Callable[..., Kept]) -> None:
    """Streamed and gone: 404 from then on, until it is pushed again."""
    started = kept(**STREAMED)
    path = started.path(CONTENT)
    started.change(None)
    started.registry.get(path).expect(404, "BLOB_UNKNOWN")
    assert started.registry.head(path).status == 404
    assert started.path(CONTENT) == path
    assert started.registry.get(path).expect(200).body == CONTENT


@pytest.mark.parametrize("damage", [CONTENT[:-1], CONTENT[:-1] + b"!"])
def test_a_damaged_blob_is_never_sent_whole(kept: Callable[..., Kept], damage: bytes) -> None:
    started = kept(**STREAMED)
    path = started.path(CONTENT)
    started.change(damage)
    try:
        answer = started.registry.get(path)
    except ConnectionError:
        pass
    else:
        answer.expect(404, "BLOB_UNKNOWN")
    deadline = time.monotonic() + 10  # the connection breaks before the damage is written down
    while started.registry.head(path).status != 404:
        assert time.monotonic() < deadline


def test_an_upload_by_every_way(kept: Callable[..., Kept]) -> None:
    """POST and PUT, POST at once, and small PATCHes, each with and without parts."""
    started = kept(**STREAMED)
    for content in (CONTENT, LARGE):
        whole = started.repository.push_blob(content)["digest"]
        for cuts in ([len(content)], [1, len(content) - 2, 1], [len(content) // 3] * 3):
            location, place = started.repository.begin(), 0
            for cut in cuts:
                answer = started.registry.patch(location, content[place : place + cut])
                location, place = answer.expect(202)["Location"], place + cut
            started.registry.put(with_query(location, digest=whole), content[place:]).expect(201)
        assert started.registry.get(started.repository.path(f"blobs/{whole}")).body == content
