"""`moorage backup` and `moorage restore` on the command line, beside real servers."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from api import Api
from process import Server, run_moorage
from registry import Answer, Registry, digest_of

Start = Callable[..., Server]
pytestmark = [pytest.mark.on("sqlite"), pytest.mark.on("directory")]

PASSWORD = "correct horse battery staple"


def done(*arguments: str, code: int = 0) -> Any:
    """Run a command that ends so, with --json, and return its document."""
    told = run_moorage(*arguments, "--json")
    assert told.returncode == code, (told.stdout, told.stderr)
    return json.loads(told.stdout)


@pytest.fixture
def old(server: Start, tmp_path: Path) -> Server:
    """Run a server with an administrator."""
    secret = tmp_path / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    env = {
        "MOORAGE_ADMIN_USER": "admin",
        "MOORAGE_ADMIN_PASSWORD_FILE": str(secret),
        "MOORAGE_ADMIN_SOCKET": "on",
    }
    return server(env=env)


def ask_for_token(server: Server, **fields: str) -> Answer:
    """Ask the token service by a form."""
    form = {"service": "moorage", "client_id": "test", **fields}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return Registry(server.url).post("/token", urlencode(form).encode(), kind)


def sign_in(server: Server) -> dict[str, Any]:
    """Sign in with the password, for a bearer token and a refresh token."""
    document: dict[str, Any] = (
        ask_for_token(
            server,
            grant_type="password",
            username="admin",
            password=PASSWORD,
            access_type="offline",
            scope="repository:web/shop:pull,push",
        )
        .expect(200)
        .json()
    )
    return document


def test_the_whole_drill(old: Server, server: Start, tmp_path: Path) -> None:
    """Backed up beside the server, verified, restored elsewhere, and pulled from there."""
    registry = Registry(old.url, ("admin", PASSWORD))
    shop = registry.repository("web/shop")
    images = [shop.push_image(f"v{number}") for number in range(3)]
    big = os.urandom(3_000_000)
    shop.push_blob(big)
    api = Api(old.url, ("admin", PASSWORD))
    backups = tmp_path / "backups"
    made = done("backup", "create", str(backups), "--data", str(old.data))
    assert made["objects"] == made["copied"] == 7
    shop.push_image("later")
    again = done("backup", "create", str(backups), "--data", str(old.data))
    assert (again["objects"], again["copied"]) == (9, 2)
    listed = done("backup", "list", str(backups))
    assert [each["id"] for each in listed] == [again["id"], made["id"]]
    holding = done("backup", "list", str(backups), "--holding", digest_of(big))
    assert len(holding) == 2
    key = run_moorage("audit", "key", "--data", str(old.data)).stdout
    (tmp_path / "key.pem").write_text(key)
    found = done("backup", "verify", str(backups), "--key", str(tmp_path / "key.pem"))
    assert (found["objects"], found["problems"]) == (9, [])
    entries = [each for each in api.items("/audit") if each["action"] == "backup.made"]
    assert [each["detail"]["manifest"] for each in entries] == [again["manifest"], made["manifest"]]
    assert entries[0]["actor"].startswith("unix:")
    path = backups / "backups" / made["id"]
    told = run_moorage("restore", str(path), "--data", str(tmp_path / "new"))
    assert told.returncode == 0, told.stderr
    assert "administrator admin by password" in told.stdout
    assert "moorage gc resume" in told.stdout
    new = server(data=tmp_path / "new", env={"MOORAGE_ADMIN_SOCKET": "on"})
    restored = Registry(new.url, ("admin", PASSWORD)).repository("web/shop")
    assert restored.tags() == ["v0", "v1", "v2"]
    for number, image in enumerate(images):
        assert restored.tagged(f"v{number}") == image.digest
    assert restored.blob(digest_of(big)) == big
    restored.push_image("goes-on")
    paused = run_moorage("gc", "--data", str(new.data))
    assert "restored from a backup" in paused.stderr
    assert run_moorage("gc", "resume", "--data", str(new.data), "--yes").returncode == 0
    verified = run_moorage(
        "audit", "verify", "--data", str(new.data), "--key", str(tmp_path / "key.pem")
    )
    assert verified.returncode == 0, verified.stderr


def test_what_was_signed_in_is_not(old: Server, server: Start, tmp_path: Path) -> None:
    """Bearers, refresh tokens and sessions of the old registry are nothing to the new one."""
    Registry(old.url, ("admin", PASSWORD)).repository("web/shop").push_image("v1")
    signed_in = sign_in(old)
    old.stop()
    assert (
        run_moorage("backup", "create", str(tmp_path / "b"), "--data", str(old.data)).returncode
        == 0
    )
    assert (
        run_moorage("restore", str(tmp_path / "b"), "--data", str(tmp_path / "new")).returncode == 0
    )
    # Under the address that the tokens were made for.
    new = server(data=tmp_path / "new", port=old.port)
    headers = {"Authorization": f"Bearer {signed_in['access_token']}"}
    Registry(new.url).get("/v2/web/shop/manifests/v1", headers).expect(401)
    ask_for_token(new, grant_type="refresh_token", refresh_token=signed_in["refresh_token"]).expect(
        (400, 401)
    )
    headers = {"Authorization": f"Bearer {sign_in(new)['access_token']}"}
    Registry(new.url).get("/v2/web/shop/manifests/v1", headers).expect(200)


def test_only_an_empty_place_is_restored_to(old: Server, server: Start, tmp_path: Path) -> None:
    """Not to a registry, not beside a server, not where files are; nothing there is changed."""
    backups = tmp_path / "backups"
    done("backup", "create", str(backups), "--data", str(old.data))
    beside = run_moorage("restore", str(backups), "--data", str(old.data))
    assert beside.returncode == 1
    assert "using the data directory" in beside.stderr
    old.stop()
    before = {path: path.stat().st_mtime_ns for path in old.data.rglob("objects/??/*")}
    told = run_moorage("restore", str(backups), "--data", str(old.data))
    assert told.returncode == 9
    assert "is not empty" in told.stderr
    assert before == {path: path.stat().st_mtime_ns for path in old.data.rglob("objects/??/*")}
    old.start()
    stray = tmp_path / "stray" / "objects" / "ab"
    stray.mkdir(parents=True)
    (stray / ("ab" * 16)).write_bytes(b"x")
    told = run_moorage("restore", str(backups), "--data", str(tmp_path / "stray"))
    assert told.returncode == 9
    assert "store is not empty" in told.stderr
    assert (stray / ("ab" * 16)).read_bytes() == b"x"
    again = run_moorage("restore", str(backups), "--data", str(tmp_path / "new"))
    assert again.returncode == 0
    twice = run_moorage("restore", str(backups), "--data", str(tmp_path / "new"))
    assert twice.returncode == 9


def test_a_damaged_backup_is_not_restored(old: Server, tmp_path: Path) -> None:
    """Not a row of it; and verification says what is wrong, with its exit code."""
    Registry(old.url, ("admin", PASSWORD)).repository("web/shop").push_image("v1")
    backups = tmp_path / "backups"
    made = done("backup", "create", str(backups), "--data", str(old.data))
    tables = backups / "backups" / made["id"] / "tables"
    raw = bytearray((tables / "tag.jsonl.gz").read_bytes())
    raw[-5] ^= 1
    (tables / "tag.jsonl.gz").write_bytes(raw)
    found = done("backup", "verify", str(backups), code=7)
    assert [each["backup"] for each in found["problems"]] == [made["id"]]
    told = run_moorage("restore", str(backups), "--data", str(tmp_path / "new"))
    assert told.returncode == 7
    assert "ag.jsonl.gz has other bytes" in told.stderr
    assert not (tmp_path / "new" / "moorage.db").exists()


def test_only_what_the_registry_has_signed(old: Server, tmp_path: Path) -> None:
    """Whoever can write to the directory makes nobody an administrator, where the key is given."""
    backups, new = tmp_path / "backups", tmp_path / "new"
    made = done("backup", "create", str(backups), "--data", str(old.data))
    key = tmp_path / "key.pem"
    key.write_text(run_moorage("audit", "key", "--data", str(old.data)).stdout)
    manifest = backups / "backups" / made["id"] / "manifest.json"
    before = manifest.read_text()
    manifest.write_text(before.replace('"version": "', '"version": "0'))
    told = run_moorage("restore", str(backups), "--data", str(new), "--key", str(key))
    assert told.returncode == 7
    assert "not signed by the key" in told.stderr
    assert not (new / "moorage.db").exists()
    manifest.write_text(before)
    told = run_moorage("restore", str(backups), "--data", str(new), "--key", str(key))
    assert told.returncode == 0, told.stderr


def test_a_missing_object_is_told_and_heals(old: Server, server: Start, tmp_path: Path) -> None:
    """All else is restored; what is missing is listed, answered as absent, and pushed again."""
    shop = Registry(old.url, ("admin", PASSWORD)).repository("web/shop")
    content = os.urandom(5_000)
    shop.push_image("v1")
    shop.push_blob(content)
    backups = tmp_path / "backups"
    done("backup", "create", str(backups), "--data", str(old.data))
    name = digest_of(content).partition(":")[2]
    (backups / "objects" / name[:2] / name).unlink()
    told = done("restore", str(backups), "--data", str(tmp_path / "new"), code=7)
    assert told["lost"] == [digest_of(content)]
    new = server(data=tmp_path / "new")
    restored = Registry(new.url, ("admin", PASSWORD)).repository("web/shop")
    assert restored.tagged("v1")
    assert not restored.has_blob(digest_of(content))
    restored.push_blob(content)
    assert restored.blob(digest_of(content)) == content


def test_pruning(old: Server, tmp_path: Path) -> None:
    """The youngest stay; the registry forgets the others."""
    shop = Registry(old.url, ("admin", PASSWORD)).repository("web/shop")
    backups = tmp_path / "backups"
    content = os.urandom(5_000)
    shop.push_blob(content)
    ids = [done("backup", "create", str(backups), "--data", str(old.data))["id"] for _ in range(3)]
    api = Api(old.url, ("admin", PASSWORD))

    def named() -> list[str]:
        asked = {"digest": digest_of(content), "dry_run": True}
        planned = api.post("/purge", asked).expect(200).json()
        assert all(each["certain"] for each in planned["backups"])
        return [each["id"] for each in planned["backups"]]

    assert named() == ids
    pruned = done("backup", "prune", str(backups), "--keep", "2", "--data", str(old.data))
    assert (pruned["backups"], pruned["objects"]) == (ids[:1], 0)
    assert named() == ids[1:]
    told = run_moorage("purge", digest_of(content), "--data", str(old.data))
    assert f"The backup {ids[2]} in {backups}" in told.stderr
    assert "has it" in told.stderr
    missing = run_moorage("backup", "prune", str(backups), "--data", str(old.data))
    assert missing.returncode == 2


def test_nobody_else_can_read_it(old: Server, tmp_path: Path) -> None:
    """Whatever the umask is."""
    before = os.umask(0)
    try:
        done("backup", "create", str(tmp_path / "backups"), "--data", str(old.data))
    finally:
        os.umask(before)
    for path in (tmp_path / "backups", *(tmp_path / "backups").rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_there_is_no_backup_over_http(old: Server) -> None:
    """No address takes a path, of an administrator neither."""
    registry = Registry(old.url, ("admin", PASSWORD))
    document = registry.get("/api/v1/openapi.json").expect(200).json()
    assert not [path for path in document["paths"] if "backup" in path]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("backup", "create", "{tmp}/b", "--data", "{tmp}/nothing"), 3, "no registry"),
        (("backup", "list", "{tmp}/nothing"), 3, "no backups"),
        (("backup", "verify", "{tmp}"), 3, "no backups"),
        (("backup", "create", "{tmp}/full", "--data", "{data}"), 2, "no directory of backups"),
        (("restore", "{tmp}/nothing", "--data", "{tmp}/new"), 3, "no backups"),
    ],
)
def test_refusals(
    moorage: Server, tmp_path: Path, words: tuple[str, ...], code: int, why: str
) -> None:
    """Each says what is wrong, and makes nothing."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    filled = [word.format(tmp=tmp_path, data=moorage.data) for word in words]
    told = run_moorage(*filled)
    assert told.returncode == code, told.stderr
    assert why in told.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full"]
