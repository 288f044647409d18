"""Backups under load, some of them killed, restored elsewhere: every digest equal (P13)."""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.backing import Backer, check_digests, check_images
from faults.collecting import Churn
from faults.invariants import Snapshot
from postgres import Postgres
from process import Server, run_moorage
from registry import Registry
from s3 import S3Server

# A release is tested with ten minutes.
SECONDS = float(os.environ.get("BACKUP_SECONDS", "6"))
CLIENTS = 3
# Collection never rests, and deletes soon: what a backup needs has to be held from it.
SETTINGS = {
    "MOORAGE_ALLOW_SPARSE": "never",
    "MOORAGE_LOG__ACCESS": "false",
    "MOORAGE_COLLECTION__EVERY_MINUTES": "0.001",
    "MOORAGE_COLLECTION__LEASE_HOURS": str(4 / 3600),
    "MOORAGE_COLLECTION__DELAY_HOURS": str(0.05 / 3600),
    "MOORAGE_COLLECTION__STOP_PERCENT": "100",
    "MOORAGE_REDIRECT__BLOBS": "false",
    "MOORAGE_LIMITS__FREE_BYTES": "1",
}

Place = Callable[[], dict[str, str]]


@pytest.fixture(params=["embedded", "fleet"])
def place(request: pytest.FixtureRequest) -> Place:
    """Return a function that returns the settings of an empty place of each shape."""
    if request.param == "embedded":
        return lambda: dict(SETTINGS)
    postgres: Postgres = request.getfixturevalue("postgres")
    store: S3Server = request.getfixturevalue("s3_servers")("swift")
    for name, value in store.credentials.items():
        request.getfixturevalue("monkeypatch").setenv(name, value)

    def make() -> dict[str, str]:
        url = postgres.empty(f"backup_{secrets.token_hex(4)}")
        return {**SETTINGS, **store.environment(), "MOORAGE_DATABASE": url}

    return make


@pytest.mark.timeout(240 + 4 * SECONDS)
def test_a_backup_under_load_is_whole(
    server: Callable[..., Server],
    place: Place,
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    """All that was acknowledged before it and not deleted until its end is there, byte by byte."""
    old = server(data=tmp_path / "old", env=place())
    churn = Churn(CLIENTS)
    churn.start(Registry(old.url))
    backer = Backer(old, tmp_path / "backups", churn, random.Random(5))
    until = time.monotonic() + SECONDS
    while time.monotonic() < until or not backer.made:
        backer.kill_one()
        backer.take()
    old.kill()
    churn.join()
    assert not churn.failed, churn.failed[:3]
    verified = run_moorage("backup", "verify", str(backer.directory), "--json")
    assert verified.returncode == 0, verified.stdout
    assert len(json.loads(verified.stdout)["backups"]) == backer.made
    env = {**place(), "MOORAGE_DATA": str(tmp_path / "new")}
    began = time.monotonic()
    restored = run_moorage("restore", str(backer.directory), "--json", **env)
    took = time.monotonic() - began
    assert restored.returncode == 0, (restored.stdout, restored.stderr)
    told = json.loads(restored.stdout)
    assert (told["backup"], told["lost"]) == (backer.last, [])
    assert check_digests(env) == told["objects"]
    new = server(data=tmp_path / "new", env=env)
    size = check_images(Registry(new.url), backer.sure)
    assert "moorage_collection_paused 1" in metrics(new)
    new.kill()
    if "MOORAGE_DATABASE" not in env:
        with Snapshot(new.data) as snapshot:
            assert not snapshot.broken_rules()
    assert backer.sure
    figure(
        f"{backer.made} backups of {churn.total('pushed')} pushes and {churn.total('deleted')}"
        f" deletions, {backer.killed} more killed, {backer.copied} objects copied; restored in"
        f" {took:.1f} s: {told['objects']} objects, {len(backer.sure)} images with {size} bytes"
        " pulled, all digests equal"
    )


def metrics(running: Server) -> str:
    """Return the server's metrics once collection has looked for the first time."""
    until = time.monotonic() + 10
    while True:
        text = Registry(running.url).get("/metrics").expect(200).body.decode()
        if "moorage_collection_paused 1" in text or time.monotonic() > until:
            return text
        time.sleep(0.2)


def test_a_server_on_a_restored_database_ends(
    server: Callable[..., Server],
    postgres: Postgres,
    s3_servers: Callable[[str], S3Server],
    tmp_path: Path,
) -> None:
    """One that was left running beside a restore knows another database: it ends by itself."""
    store = s3_servers("swift")
    url = postgres.empty(f"fence_{secrets.token_hex(4)}")
    env = {**SETTINGS, **store.environment(), "MOORAGE_DATABASE": url}
    old = server(data=tmp_path / "old", env=env)
    Registry(old.url).repository("web/shop").push_image("v1")
    backups = tmp_path / "backups"
    assert run_moorage("backup", "create", str(backups), **env).returncode == 0
    # A database that a server is connected to is not restored to, even if it is empty.
    name = url.rpartition("/")[2]
    postgres.execute("DROP SCHEMA public CASCADE", database=name)
    postgres.execute("CREATE SCHEMA public", database=name)
    fresh = {**env, **store.environment(), "MOORAGE_DATABASE": url}
    refused = run_moorage("restore", str(backups), **fresh)
    assert refused.returncode == 9, refused.stderr
    assert "A server is connected" in refused.stderr
    # It stands still while that is done, as a machine that was suspended.
    os.killpg(old.pid, signal.SIGSTOP)
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'moorage' AND datname = current_database()",
        database=name,
    )
    done = run_moorage("restore", str(backups), **fresh)
    assert done.returncode == 0, done.stderr
    os.killpg(old.pid, signal.SIGCONT)
    assert old.wait() == 0
    assert "restored from a backup" in old.log.read_text()
    new = server(data=tmp_path / "new", env=fresh)
    assert Registry(new.url).repository("web/shop").tagged("v1")
