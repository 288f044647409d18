"""`moorage move`, `migrate` and `doctor` on the command line, beside real servers."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postgres import Postgres
from process import Server, free_port, run_moorage
from registry import Registry, digest_of
from s3 import S3Server

Start = Callable[..., Server]
pytestmark = [pytest.mark.on("sqlite"), pytest.mark.on("directory")]


@pytest.fixture
def fleet(postgres: Postgres, s3_servers: Callable[[str], S3Server]) -> Iterator[dict[str, str]]:
    """Return the settings of an empty fleet, in a database without any table."""
    url = postgres.empty(f"move_{secrets.token_hex(4)}")
    yield {**s3_servers("swift").environment(), "MOORAGE_DATABASE": url}
    postgres.drop(url)


def test_a_registry_moves_while_it_is_pulled_from(
    server: Start, fleet: dict[str, str], tmp_path: Path
) -> None:
    """Everything is there, pulls never stopped, and there is one registry that takes pushes."""
    old = server()
    registry = Registry(old.url)
    repository = registry.repository("team/app")
    images = [repository.push_image(f"v{number}") for number in range(5)]
    raw = os.urandom(7_000_000)
    repository.push_blob(raw)
    stop, pulled = threading.Event(), []

    def pull() -> None:
        while not stop.is_set():
            pulled.append(registry.get(repository.path("manifests/v3")).status)

    pulling = threading.Thread(target=pull)
    pulling.start()
    done = run_moorage("move", "--data", str(old.data), **fleet)
    stop.set()
    pulling.join()
    assert done.returncode == 0, done.stderr
    assert "1 repositories, 5 tags, 5 manifests" in done.stdout
    assert set(pulled) == {200}
    refused = registry.put(
        repository.path("manifests/late"), images[0].raw, {"Content-Type": images[0].media_type}
    )
    assert "moved" in refused.expect(503, "UNAVAILABLE").message
    assert refused["Retry-After"]
    new = server(data=tmp_path / "nothing", env={**fleet, "MOORAGE_REDIRECT__BLOBS": "false"})
    moved = Registry(new.url).repository("team/app")
    assert moved.tags() == repository.tags()
    for number, image in enumerate(images):
        assert moved.tagged(f"v{number}") == image.digest
    blob = moved.registry.get(moved.path(f"blobs/{digest_of(raw)}")).expect(200)
    assert blob.body == raw
    moved.push_image("later")
    assert not (tmp_path / "nothing").exists()
    told = run_moorage("move", "--abort", "--data", str(old.data), **fleet)
    assert told.returncode == 1
    assert "The move has ended." in told.stderr


def test_a_move_that_was_given_up(server: Start, fleet: dict[str, str]) -> None:
    """The old registry takes pushes again, and the new one refuses to start before the end."""
    old = server()
    repository = Registry(old.url).repository("team/app")
    repository.push_image("v1")
    # A blob that the store does not take: the move stops in the middle.
    broken = {**fleet, "AWS_SECRET_ACCESS_KEY": "wrong"}
    stopped = run_moorage("move", "--data", str(old.data), **broken)
    assert stopped.returncode != 0
    listen = ("--listen", f"127.0.0.1:{free_port()}")
    early = run_moorage("serve", *listen, **fleet)
    assert early.returncode == 1
    assert "a move that has not ended" in early.stderr
    assert run_moorage("move", "--abort", "--data", str(old.data), **fleet).returncode == 0
    repository.push_image("v2")
    done = run_moorage("move", "--data", str(old.data), **fleet)
    assert done.returncode == 0, done.stderr
    assert "2 tags" in done.stdout


def test_doctor_looks_at_the_fleet(server: Start, fleet: dict[str, str], tmp_path: Path) -> None:
    """Every part of both stores is tried, and each finding says what was found."""
    running = server(data=tmp_path / "nothing", env=fleet)
    done = run_moorage("doctor", "--json", "--listen", running.address, **fleet)
    findings = {each["check"]: each["state"] for each in json.loads(done.stdout)}
    assert done.returncode == 0, done
    assert {check for check, state in findings.items() if state == "ok"} >= {
        "schema",
        "database",
        "database clock",
        "replicas",
        "storage",
        "large blobs",
        "redirects",
        "bucket rules",
        "push and pull",
    }
    nobody = f"127.0.0.1:{free_port()}"
    secret = {**fleet, "AWS_SECRET_ACCESS_KEY": "wrong"}
    wrong = run_moorage("doctor", "--json", "--listen", nobody, **secret)
    assert wrong.returncode == 7
    assert {each["check"] for each in json.loads(wrong.stdout) if each["state"] == "fail"} == {
        "storage"
    }


def test_replicas_that_disagree_are_named(
    server: Start, fleet: dict[str, str], tmp_path: Path
) -> None:
    """Two replicas with other settings that must be alike are a failed check."""
    first = server(data=tmp_path / "one", env=fleet)
    server(data=tmp_path / "two", env={**fleet, "MOORAGE_VISIBILITY": "public"})
    done = run_moorage("doctor", "--json", "--listen", first.address, **fleet)
    found = {each["check"]: each for each in json.loads(done.stdout)}
    assert done.returncode == 7
    assert found["replicas"]["state"] == "fail"
    assert "set differently" in found["replicas"]["found"]


def test_migrate_says_what_is_to_be_done(fleet: dict[str, str]) -> None:
    """`--check` changes nothing and exits with 8; without it the steps are run."""
    before = run_moorage("migrate", "--check", **fleet)
    assert before.returncode == 8
    assert "0001_artifacts" in before.stdout
    assert run_moorage("migrate", "--check", **fleet).returncode == 8
    assert run_moorage("migrate", **fleet).returncode == 0
    after = run_moorage("migrate", "--check", **fleet)
    assert (after.returncode, "Nothing is to be done." in after.stdout) == (0, True)
