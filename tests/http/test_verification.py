"""Checks, damage and healing by a real server: the routes, the command, and the metrics."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api import Api, problem
from cli import Person
from process import Server
from registry import Registry, Repository, digest_of, unique

pytestmark = pytest.mark.on("directory")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[tuple[Person, Server]]:
    """Return root on a server's host, and the server."""
    with Server(env={"MOORAGE_ADMIN_SOCKET": "on"}) as running:
        environment = {"MOORAGE_DATA": str(running.data), "MOORAGE_SERVER": "local"}
        environment |= {k: v for k, v in running.env.items() if k == "MOORAGE_DATABASE"}
        yield Person(tmp_path / "host", **environment), running
        running.stop()


def wait_for(what: Callable[[], bool], patience: float = 20.0) -> None:
    """Wait until it is so."""
    end = time.monotonic() + patience
    while not what():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)


def pushed(running: Server, content: bytes) -> tuple[Repository, Path]:
    """Push an image with that layer, and return its repository and the layer's file."""
    repository = Repository(Registry(running.url), unique("web/r"))
    before = set((running.data / "objects").glob("*/*"))
    layer = repository.push_blob(content)
    (place,) = set((running.data / "objects").glob("*/*")) - before
    repository.push_manifest({**repository.new_image(), "layers": [layer]}, "latest")
    return repository, place


def test_damage_is_found_told_and_healed(host: tuple[Person, Server]) -> None:
    """From a file with a turned bit to a whole image again, by what an administrator types."""
    root, running = host
    content = unique().encode() * 1_000
    repository, place = pushed(running, content)
    digest = digest_of(content)
    path = repository.path(f"blobs/{digest}")
    assert "All is well" in root("fsck").out
    assert "All is well" in root("fsck", "--full").out
    place.write_bytes(content[:-1] + b"!")
    assert "All is well" in root("fsck", "--fast").out
    told = root.run("fsck", "--full").expect(7)
    assert "its bytes have not its digest" in told.out
    assert "1 found, 0 repaired, 1 wrong still" in told.out
    assert repository.has_blob(digest)
    told = root.run("fsck", "--full", "--repair", "-o", "json").expect(7)
    run = told.json()
    assert (run["kind"], run["repair"], run["state"], run["found"]) == ("full", True, "done", 1)
    assert [(each["rule"], each["subject"]) for each in run["findings"]] == [("I5", digest)]
    repository.registry.get(path).expect(404, "BLOB_UNKNOWN")
    assert not repository.has_blob(digest)
    assert repository.tagged("latest")
    told = root.run("fsck", "show", "-o", "json").expect(7)
    assert told.json()["id"] == run["id"]
    assert "the blob is lost" in root.run("fsck").expect(7).out
    assert "1 blobs are lost" in root("fsck", "list").err
    (kept,) = root("fsck", "damage", "-o", "json").json()
    assert (kept["digest"], kept["why"], kept["ending"]) == (digest, "content", "")
    assert root.run("fsck", "discard", str(kept["id"]), "--yes").code == 9
    repository.push_blob(content)
    assert repository.registry.get(path).expect(200).body == content
    assert "All is well" in root("fsck", "--full").out
    assert "healed" in root("fsck", "damage").out
    assert place.exists()
    assert root.run("fsck", "discard", str(kept["id"])).code == 2
    root("fsck", "discard", str(kept["id"]), "--yes")
    wait_for(lambda: not place.exists())
    assert root("fsck", "damage").out == "There are none.\n"
    trail = root("audit", "list", "--json").out
    for action in ("blob.lost", "blob.healed", "damage.discarded", "verification.started"):
        assert action in trail


def test_a_pull_finds_it_too(host: tuple[Person, Server]) -> None:
    """A small file with another size, a missing one: absent, told by whom, and in the metrics."""
    root, running = host
    first, place = pushed(running, b"one" * 500)
    second, other = pushed(running, b"two" * 500)
    place.write_bytes(b"one")
    other.unlink()
    for repository, content in ((first, b"one" * 500), (second, b"two" * 500)):
        path = repository.path(f"blobs/{digest_of(content)}")
        repository.registry.get(path).expect(404, "BLOB_UNKNOWN")
        assert not repository.has_blob(digest_of(content))
    found = root("fsck", "damage", "-o", "json").json()
    assert [(each["why"], each["found_by"]) for each in found] == [
        ("missing", "pull"),
        ("size", "pull"),
    ]
    text = first.registry.get("/metrics").expect(200).body.decode()
    assert 'moorage_damaged_objects_total{why="missing"} 1.0' in text
    assert 'moorage_damaged_objects_total{why="size"} 1.0' in text
    assert "moorage_scrub_age_seconds" in text


@pytest.mark.on("sqlite")
def test_a_scrub_by_the_schedule(tmp_path: Path) -> None:
    """It begins by itself, finds the damage, and leaves a line."""
    env = {"MOORAGE_ADMIN_SOCKET": "on", "MOORAGE_VERIFICATION__SCRUB_DAYS": "0.00001"}
    with Server(env=env) as running:
        repository, place = pushed(running, b"scrubbed" * 500)
        place.write_bytes(b"Scrubbed" * 500)
        digest = digest_of(b"scrubbed" * 500)
        time.sleep(1)
        running.stop()
        running.make_due("objects.scrub")
        running.start()
        wait_for(lambda: not repository.has_blob(digest))
        environment = {"MOORAGE_DATA": str(running.data), "MOORAGE_SERVER": "local"}
        environment |= {k: v for k, v in running.env.items() if k == "MOORAGE_DATABASE"}
        root = Person(tmp_path / "host", **environment)
        runs = root("fsck", "list", "-o", "json").json()
        assert [run for run in runs if run["kind"] == "scrub" and run["found"] == 1]
        text = repository.registry.get("/metrics").expect(200).body.decode()
        wait_for(lambda: b"moorage_lost_blobs 1.0" in repository.registry.get("/metrics").body, 80)
        assert "moorage_verified_objects_total" in text
        running.stop()


def test_the_routes(admin: Api) -> None:
    """What is asked for wrongly is refused; a run is there at once, and comes to its end."""
    problem(admin.post("/verification/runs", {"kind": "slow"}), 422, "INVALID")
    problem(admin.post("/verification/runs", {"repairs": True}), 422, "INVALID")
    problem(admin.get("/verification/runs/999999"), 404, "NOT_FOUND")
    problem(admin.get("/verification/runs/x"), 404, "NOT_FOUND")
    problem(admin.get("/verification/runs/999999/findings"), 404, "NOT_FOUND")
    problem(admin.ask("DELETE", "/verification/damage/999999"), 404, "NOT_FOUND")
    begun = admin.post("/verification/runs", {"kind": "full"}).expect(202)
    run = begun.json()
    path = begun["Location"].removeprefix("/api/v1")
    assert path == f"/verification/runs/{run['id']}"

    def is_done() -> bool:
        return bool(admin.get(path).expect(200).json()["state"] == "done")

    wait_for(is_done)
    shown = admin.get(path).expect(200).json()
    assert shown["steps_done"] == shown["steps"]
    assert shown["step"] == ""
    assert shown["found"] == 0, admin.items(f"{path}/findings")
    assert admin.items(f"{path}/findings") == []
    state = admin.get("/verification").expect(200).json()
    assert state["last"]["id"] == run["id"]
    assert state["lost"] == 0
    assert json.dumps(run["id"])


def test_findings_come_in_pages(host: tuple[Person, Server]) -> None:
    root, running = host
    contents = [unique().encode() * 100 for _ in range(12)]
    places = [pushed(running, content)[1] for content in contents]
    for place in places[:4]:
        place.write_bytes(b"cut")
    run = root.run("fsck", "-o", "json").expect(7).json()
    assert len(run["findings"]) == 4
    lines = root.run("fsck", "show", str(run["id"]), "-o", "jsonl", "--limit", "3").expect(7)
    assert len(lines.out.splitlines()) == 3
    assert "There are more" in lines.err
    assert root.run("fsck", "--fast", "--full").code == 2
    assert root.run("fsck", "show", "999999").code == 3
