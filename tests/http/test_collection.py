"""Collection by a real server: what goes by itself, what stays, and what it says of both."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli import Person
from process import Server
from registry import Registry, Repository, digest_of, unique

SECONDS = {
    "MOORAGE_COLLECTION__EVERY_MINUTES": "0.01",
    "MOORAGE_COLLECTION__LEASE_HOURS": str(2 / 3600),
    "MOORAGE_COLLECTION__DELAY_HOURS": str(1 / 3600),
    "MOORAGE_ADMIN_SOCKET": "on",
}
PATIENCE = 20.0


def wait_for(what: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until it is so."""
    end = time.monotonic() + patience
    while not what():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)


def root_of(running: Server, home: Path) -> Person:
    """Return root on the server's host."""
    environment = {"MOORAGE_DATA": str(running.data), "MOORAGE_SERVER": "local"}
    if "MOORAGE_DATABASE" in running.env:
        environment["MOORAGE_DATABASE"] = running.env["MOORAGE_DATABASE"]
    return Person(home, **environment)


@pytest.fixture(scope="module")
def quick() -> Iterator[Server]:
    """Run a server that collects within seconds."""
    with Server(env=SECONDS) as running:
        yield running
        running.stop()


@pytest.fixture(scope="module")
def root(quick: Server, tmp_path_factory: pytest.TempPathFactory) -> Person:
    """Return root on its host."""
    return root_of(quick, tmp_path_factory.mktemp("root"))


def test_what_nothing_names_goes(quick: Server, root: Person) -> None:
    """A blob that no manifest came for goes, and an image stays that is asked for meanwhile."""
    repository = Repository(Registry(quick.url), unique("web/r"))
    image = repository.push_image("latest")
    alone = repository.push_blob(b"nobody names this")
    before = len(root("gc", "-o", "json", "--limit", "all").json())
    path = repository.path(f"blobs/{alone['digest']}")
    wait_for(lambda: repository.registry.get(path).status == 404)  # HEAD would renew the lease
    assert repository.tagged("latest") == image.digest
    time.sleep(3)
    for part in json.loads(image.raw)["layers"]:
        assert repository.has_blob(part["digest"])
    wait_for(lambda: len(root("gc", "-o", "json", "--limit", "all").json()) >= before + 2)
    runs = root("gc", "-o", "json", "--limit", "all").json()
    reviews = [run for run in runs if run["kind"] == "review" and run["blobs"]]
    assert reviews[0]["bytes"] >= alone["size"]
    assert any(run["kind"] == "delete" and run["objects"] for run in runs)


def test_a_lease_that_is_renewed_lasts(quick: Server) -> None:
    """A pusher that asks is told the truth: what it was told is there, is there for a while."""
    repository = Repository(Registry(quick.url), unique("web/r"))
    blob = repository.push_blob()
    for _ in range(12):
        time.sleep(0.5)
        assert repository.has_blob(blob["digest"])
    repository.push_image("latest", layers=[blob])
    time.sleep(4)
    assert repository.has_blob(blob["digest"])


def test_a_mount_takes_a_lease_of_its_own(quick: Server) -> None:
    registry = Registry(quick.url)
    source, target = Repository(registry, unique("web/r")), Repository(registry, unique("web/r"))
    image = source.push_image("latest")
    layer = json.loads(image.raw)["layers"][0]
    query = f"?mount={layer['digest']}&from={source.name}"
    registry.post(target.path("blobs/uploads/") + query).expect(201)
    assert target.has_blob(layer["digest"])
    path = target.path(f"blobs/{layer['digest']}")
    wait_for(lambda: registry.get(path).status == 404)
    assert source.has_blob(layer["digest"])


def test_why_it_is_there(quick: Server, root: Person) -> None:
    repository = Repository(Registry(quick.url), unique("web/r"))
    image = repository.push_image("v1")
    layer = json.loads(image.raw)["layers"][0]["digest"]
    told = root("gc", "--explain", layer).out
    assert (
        f"{repository.name} (blob): kept because the manifest {image.digest} names it (v1)" in told
    )
    told = root("gc", "--explain", image.digest).out
    assert f"{repository.name} (manifest): kept because it is not deleted (v1)" in told
    repository.registry.delete(repository.path(f"manifests/{image.digest}")).expect(202)
    told = root("gc", "--explain", image.digest).out
    assert "it was deleted and can still be restored, until 20" in told
    assert "in the trash names it" in root("gc", "--explain", layer).out
    nothing = digest_of(b"nobody has pushed this")
    assert root("gc", "--explain", nothing).out == f"No repository has {nothing}.\n"
    assert root.run("gc", "--explain", "latest").code != 0


def test_a_dry_run_removes_nothing(tmp_path: Path) -> None:
    """It says what would go and what would stay, and why."""
    slow = {**SECONDS, "MOORAGE_COLLECTION__EVERY_MINUTES": "1000"}
    with Server(env=slow) as running:
        root = root_of(running, tmp_path)
        repository = Repository(Registry(running.url), "web/shop")
        image = repository.push_image("latest")
        alone = repository.push_blob(b"nobody names this")
        assert root("gc", "--dry-run", "-o", "json").json() == []
        time.sleep(2.5)
        rows = root("gc", "--dry-run", "-o", "json").json()
        found = {row["digest"]: (row["goes"], row["why"]) for row in rows}
        assert found[alone["digest"]] == (True, "")
        assert found[json.loads(image.raw)["layers"][0]["digest"]] == (False, "named")
        assert "stay: a manifest names it" in root("gc", "--dry-run").out
        assert Registry(running.url).get(repository.path(f"blobs/{alone['digest']}")).status == 200
        assert "review" not in root("gc").out
        root("gc", "--now")
        path = repository.path(f"blobs/{alone['digest']}")
        wait_for(lambda: Registry(running.url).get(path).status == 404)
        running.stop()


def test_a_run_that_would_remove_too_much(tmp_path: Path) -> None:
    """It stops, tells everywhere that looks, and goes on when somebody says so."""
    # By hand alone: a machine that is slow to push would have some removed by each of many runs.
    careful = {"MOORAGE_COLLECTION__STOP_COUNT": "3", "MOORAGE_COLLECTION__EVERY_MINUTES": "1000"}
    with Server(env={**SECONDS, **careful}) as running:
        root = root_of(running, tmp_path)
        registry = Registry(running.url)
        repository = Repository(registry, "web/shop")
        blobs = [repository.push_blob() for _ in range(6)]

        def paused() -> bool:
            return b"moorage_collection_paused 1.0" in registry.get("/metrics").body

        time.sleep(2.5)
        root("gc", "--now")
        wait_for(paused)
        assert all(
            registry.get(repository.path(f"blobs/{blob['digest']}")).status == 200 for blob in blobs
        )
        told = root("gc")
        assert "would have removed 6 of 6 blobs" in told.out
        assert "until somebody says `moorage gc resume`" in told.err
        assert "It goes on" in root("gc", "resume").out
        root("gc", "--now")
        for blob in blobs:
            path = repository.path(f"blobs/{blob['digest']}")
            wait_for(lambda path=path: registry.get(path).status == 404)
        wait_for(lambda: not paused())
        assert "It had not stopped." in root("gc", "resume").out
        events = [line.split()[4] for line in root("audit", "list").out.splitlines()]
        assert "collection.resumed" in events
        assert "collection.stopped" in events
        running.stop()
