"""Disks that are full, out of inodes, or suddenly read-only (P12)."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults.invariants import Snapshot, assert_sound
from faults.mounts import fill, loop_device, make_file_system, mounted, room, tmpfs
from faults.watching import wait_for_workers
from process import Server, require_tool
from registry import (
    OCI_INDEX,
    Answer,
    Registry,
    Repository,
    digest_of,
    encode,
    index_document,
    with_query,
)

pytestmark = pytest.mark.needs_root
MIB = 1 << 20


Start = Callable[..., Server]


@contextlib.contextmanager
def serving(start: Start, disk: Path, free: int = 0) -> Iterator[Server]:
    """Run a server whose data directory, but not its log, is on the disk."""
    data = disk.with_name("data")
    (disk / "data").mkdir(exist_ok=True)
    if not data.is_symlink():
        data.symlink_to(disk / "data")
    server = start(data=data, env={"MOORAGE_LIMITS__FREE_BYTES": str(free)})
    try:
        wait_for_workers(server)
        yield server
        if server.is_running():
            assert server.stop() == 0
    finally:
        if server.is_running():
            server.kill()


def repository_of(server: Server) -> Repository:
    """Return a new repository on a server."""
    return Registry(server.url).repository()


def send_all_kinds(repository: Repository, session: str) -> dict[str, Answer]:
    """Send each kind of request that stores something, and return the answers."""
    registry = repository.registry
    content = secrets.token_bytes(1000)
    image = repository.path("manifests/full")
    raw = encode(index_document([]))
    uploads = repository.path("blobs/uploads/")
    return {
        "whole": registry.post(f"{uploads}?digest={digest_of(content)}", content),
        "manifest": registry.put(image, raw, {"Content-Type": OCI_INDEX}),
        "append": registry.patch(session, content),
    }


def assert_reading_and_deleting(repository: Repository, kept: bytes) -> None:
    """Pull a blob and an image and its tags, and delete a tag."""
    registry = repository.registry
    target = repository.path(f"blobs/{digest_of(kept)}")
    assert registry.get(target).expect(200).body == kept
    assert {"a", "b"} <= set(repository.tags())
    registry.get(repository.path("manifests/a")).expect(200)
    registry.delete(repository.path("manifests/b")).expect(202)
    assert "b" not in repository.tags()


def prepare(repository: Repository) -> tuple[bytes, str]:
    """Push what is to survive, and open a session; return the content and the session."""
    kept = secrets.token_bytes(100_000)
    repository.push_blob(kept)
    image = repository.new_image()
    repository.push_manifest(image, "a")
    repository.push_manifest(image, "b")
    return kept, repository.begin()


def test_below_the_watermark_only_pushes_wait(tmp_path: Path, server: Start) -> None:
    """Pushes are refused in words while there still is room for everything else."""
    with (
        tmpfs(tmp_path / "disk", "size=64m") as disk,
        serving(server, disk, free=16 * MIB) as running,
    ):
        repository = repository_of(running)
        kept, session = prepare(repository)
        fill(disk / "filler", keep=8 * MIB)
        opened = repository.registry.post(repository.path("blobs/uploads/"))
        for answer in (opened, *send_all_kinds(repository, session).values()):
            answer.expect(507, "UNAVAILABLE")
            assert "full" in answer.message
            assert int(answer["Retry-After"]) > 0
        assert_reading_and_deleting(repository, kept)
        (disk / "filler").unlink()
        repository.registry.put(with_query(session, digest=digest_of(kept)), kept).expect(201)
        repository.push_image("full")


def test_a_disk_that_becomes_full_in_the_middle_of_a_push(tmp_path: Path, server: Start) -> None:
    """No answer says that bytes are stored which are not; what was stored before is served."""
    with (
        tmpfs(tmp_path / "disk", "size=64m") as disk,
        serving(server, disk) as running,
    ):
        repository = repository_of(running)
        registry = repository.registry
        kept, session = prepare(repository)
        content = secrets.token_bytes(8 * MIB)
        registry.patch(session, content[:MIB]).expect(202)
        fill(disk / "filler", keep=2 * MIB)
        registry.patch(session, content[MIB:]).expect(507, "UNAVAILABLE")
        target = with_query(session, digest=digest_of(content))
        registry.put(target, content[MIB:]).expect(507, "UNAVAILABLE")
        assert room(disk) > MIB, "what was not stored still takes the space of others"
        other = repository.begin()
        fill(disk / "filler")
        for answer in send_all_kinds(repository, other).values():
            answer.expect(507, "UNAVAILABLE")
        assert not repository.has_blob(digest_of(content))
        target = repository.path(f"blobs/{digest_of(kept)}")
        assert registry.get(target).expect(200).body == kept
        (disk / "filler").unlink()
        offset = int(registry.get(session).expect(204)["Range"].partition("-")[2]) + 1
        assert offset == MIB
        registry.put(with_query(session, digest=digest_of(content)), content[offset:]).expect(201)
        target = repository.path(f"blobs/{digest_of(content)}")
        assert registry.get(target).expect(200).body == content
        repository.push_image("full")
        with Snapshot(running.data) as snapshot:
            assert snapshot.orphans() == []


def test_a_disk_without_inodes(tmp_path: Path, server: Start) -> None:
    """Bytes are left, but no file can be made: pushes are refused as on a full disk."""
    with (
        tmpfs(tmp_path / "disk", "size=64m,nr_inodes=330") as disk,
        serving(server, disk) as running,
    ):
        repository = repository_of(running)
        kept, session = prepare(repository)
        fillers = 0
        with contextlib.suppress(OSError):
            while True:
                (disk / f"filler-{fillers}").touch()
                fillers += 1
        answers = send_all_kinds(repository, session)
        answers["whole"].expect(507, "UNAVAILABLE")
        answers["append"].expect(507, "UNAVAILABLE")
        assert_reading_and_deleting(repository, kept)
        for number in range(fillers):
            (disk / f"filler-{number}").unlink()
        repository.registry.put(with_query(session, digest=digest_of(kept)), kept).expect(201)
        repository.push_image("full")


def test_a_disk_too_full_for_the_log(tmp_path: Path, server: Start) -> None:
    """Lines that can't be written are lost; the server goes on, and so does its log later."""
    with tmpfs(tmp_path / "disk", "size=1m") as disk:
        running = server(data=tmp_path / "data", workers=1)
        running.kill()
        running.log.unlink()
        running.log.symlink_to(disk / "log")
        running.start()
        try:
            registry = Registry(running.url)
            fill(disk / "filler")
            for _ in range(40):
                registry.get("/v2/").expect(200)
                time.sleep(0.05)
            (disk / "filler").unlink()
            asked = []
            deadline = time.monotonic() + 5
            while not any(request in running.log.read_text() for request in asked):
                assert time.monotonic() < deadline, "nothing is logged any more"
                asked.append(registry.get("/v2/")["X-Request-Id"])
                time.sleep(0.3)
        finally:
            running.kill()


@require_tool("mkfs.ext4")
@require_tool("losetup")
def test_a_disk_that_becomes_read_only(tmp_path: Path, server: Start) -> None:
    """After an error the kernel allows no more writes: pulls go on, writes are refused."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(64 * MIB)
    with loop_device(image) as device:
        make_file_system("ext4", device)
        with (
            mounted(device, tmp_path / "disk", "errors=remount-ro") as disk,
            serving(server, disk) as running,
        ):
            repository = repository_of(running)
            kept, session = prepare(repository)
            repository.registry.patch(session, kept[:1000]).expect(202)
            trigger = Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error")
            trigger.write_text("a test\n")
            assert_reading_only(repository, kept, session)
            running.kill()
        with mounted(device, tmp_path / "disk") as disk:
            assert_sound(disk / "data")
            with serving(server, disk) as running:
                Registry(running.url).put(
                    with_query(session, digest=digest_of(kept)), kept[1000:]
                ).expect(201)
                repository_of(running).push_image("again")


def assert_reading_only(repository: Repository, kept: bytes, session: str) -> None:
    """Pull everything, while nothing can be written."""
    registry = repository.registry
    finish = with_query(session, digest=digest_of(kept))
    answers = send_all_kinds(repository, session)
    answers["delete"] = registry.delete(repository.path("manifests/b"))
    answers["finish"] = registry.put(finish, kept[1000:])
    told = {kind: answer.status for kind, answer in answers.items()}
    assert told == dict.fromkeys(answers, 503)
    target = repository.path(f"blobs/{digest_of(kept)}")
    assert registry.get(target).expect(200).body == kept
    assert repository.tags() == ["a", "b"]
    registry.get(repository.path("manifests/a")).expect(200)
