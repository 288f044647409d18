"""The directory of backups: what it takes, what it refuses, and what it leaves when it breaks."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from moorage.blobs.vault import MANIFEST, Vault, is_backup_id, set_aside
from moorage.blobs.vault_index import MANIFEST as WIDTH
from moorage.blobs.vault_index import OBJECT, Index, record_of, write_index
from moorage.blobs.vault_rows import Damaged, Header, Rows, hash_file, write_rows
from moorage.errors import Refused

NOW = 1_795_770_284_063


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """Return an empty directory of backups."""
    made = Vault(tmp_path / "backups")
    made.make()
    return made


def put(vault: Vault, raw: bytes) -> bytes:
    """Put an object into the pool and return its digest."""
    sha256 = hashlib.sha256(raw).digest()
    incoming = vault.receive(sha256)
    incoming.open()
    incoming.write(raw)
    assert incoming.finish()
    return sha256


def test_all_is_its_owners_alone(vault: Vault) -> None:
    put(vault, b"x")
    number = vault.new_id(NOW)
    vault.begin(number)
    vault.complete(number, b"{}")
    for path in (vault.root, *vault.root.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_it_is_made_once(vault: Vault) -> None:
    sha256 = put(vault, b"x")
    vault.make()
    assert vault.has(sha256, 1)


def test_other_directories_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("photographs")
    with pytest.raises(Refused, match="no directory of backups"):
        Vault(tmp_path).make()
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    with pytest.raises(Refused, match="no backups"):
        Vault(tmp_path).require()
    with pytest.raises(Refused, match="no backups"):
        Vault(tmp_path / "nowhere").require()


class _Death(BaseException):
    """What ends a process between two of its steps."""


def _dying(step: Callable[..., object], left: list[int]) -> Callable[..., object]:
    def taken(*words: object, **named: object) -> object:
        if not left[0]:
            raise _Death
        left[0] -= 1
        return step(*words, **named)

    return taken


def test_one_that_was_killed_while_it_was_made_is_made_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until all of it is there it has no backups; making it again goes on where it ended."""
    whole = 1 + 256 + 3
    for steps in (*range(12), whole // 2, whole - 1, whole, whole + 1):
        killed = Vault(tmp_path / str(steps))
        left = [steps]
        with monkeypatch.context() as patched:
            for name in ("mkdir", "open", "write", "fsync"):
                patched.setattr(os, name, _dying(getattr(os, name), left))
            with pytest.raises(_Death):
                killed.make()
        with pytest.raises(Refused, match="no backups"):
            killed.require()
        killed.make()
        killed.require()
        assert killed.ids() == []
        put(killed, b"x")


def test_one_whose_mark_was_cut_off_is_made_later(vault: Vault, tmp_path: Path) -> None:
    told = (vault.root / "moorage-backups").read_bytes()
    for length in range(len(told)):
        begun = Vault(tmp_path / str(length))
        begun.root.mkdir()
        (begun.root / "moorage-backups").write_bytes(told[:length])
        with pytest.raises(Refused, match="no backups"):
            begun.require()
        begun.make()
        begun.require()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "moorage-backups").write_bytes(b"another kind\n")
    with pytest.raises(Refused, match="no directory of backups"):
        Vault(tmp_path / "other").make()


def test_one_at_a_time(vault: Vault) -> None:
    other = Vault(vault.root)
    with vault.locked(), pytest.raises(Refused, match="in use"), other.locked():
        pass
    with other.locked():
        pass


def test_without_its_manifest_it_is_none(vault: Vault) -> None:
    first = vault.new_id(NOW)
    directory = vault.begin(first)
    (directory / "half").write_bytes(b"x")
    assert vault.ids() == []
    second = vault.new_id(NOW + 1)
    vault.begin(second)
    assert not directory.exists()
    vault.complete(second, b"{}")
    assert vault.ids() == [second]
    assert (vault.directory(second) / MANIFEST).read_bytes() == b"{}"
    vault.remove(second)
    assert vault.ids() == []


def test_removal_that_breaks_off_leaves_none(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest goes first: half a backup is never taken for one."""
    number = vault.new_id(NOW)
    vault.begin(number)
    vault.complete(number, b"{}")

    def fail(*_: object) -> None:
        raise OSError(5, "I/O error")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", fail)
        with pytest.raises(OSError, match="I/O"):
            vault.remove(number)
    assert vault.ids() == []
    vault.clear()
    assert list((vault.root / "backups").iterdir()) == []


def test_the_youngest_is_the_last_by_any_clock(vault: Vault) -> None:
    """Two in one millisecond, and one after the clock was set back by a year."""
    made = []
    for now in (NOW, NOW, NOW - 365 * 86_400_000):
        made.append(vault.new_id(now))
        assert is_backup_id(made[-1])
        vault.begin(made[-1])
        vault.complete(made[-1], b"{}")
    assert vault.ids() == made


def test_an_object_with_another_digest_is_not_taken(vault: Vault) -> None:
    sha256 = hashlib.sha256(b"right").digest()
    incoming = vault.receive(sha256)
    incoming.open()
    incoming.write(b"wrong")
    assert not incoming.finish()
    assert not vault.path_of(sha256).exists()
    assert list((vault.root / "incoming").iterdir()) == []


def test_an_object_cut_short_is_not_there(vault: Vault) -> None:
    sha256 = put(vault, b"whole")
    os.truncate(vault.path_of(sha256), 3)
    assert not vault.has(sha256, 5)
    put(vault, b"whole")
    assert vault.has(sha256, 5)


def test_what_is_set_aside_is_absent_and_goes_by_pruning(vault: Vault) -> None:
    sha256 = put(vault, b"x")
    set_aside(vault.path_of(sha256))
    assert not vault.has(sha256, 1)
    (left,) = vault.pooled(sha256[0])
    assert left.name == f"{sha256.hex()}.damaged"


@pytest.mark.parametrize("name", ["", "..", "20261127T020004Z", "x" * 28, "20261127T020004117Z-G"])
def test_what_is_no_name_of_a_backup(name: str) -> None:
    assert not is_backup_id(name)


def test_an_index_finds_what_it_has(tmp_path: Path) -> None:
    names = sorted(hashlib.sha256(b"%d" % n).digest() for n in range(3_000))
    path = tmp_path / "index"
    count, size, sha256 = write_index(path, (record_of(n, place) for place, n in enumerate(names)))
    assert (count, size) == (3_000, 3_000 * OBJECT)
    assert hash_file(path) == (size, sha256)
    with Index(path, OBJECT) as index:
        assert all(name in index for name in names)
        assert not any(hashlib.sha256(b"other%d" % n).digest() in index for n in range(100))
        assert bytes(32) not in index
        assert b"\xff" * 32 not in index
        assert list(index.records()) == [(name, place) for place, name in enumerate(names)]
        parts = [each for first in range(256) for each in index.under(first)]
        assert parts == list(index.records())
        assert all(name[0] == 7 for name, _ in index.under(7))


def test_an_empty_index(tmp_path: Path) -> None:
    path = tmp_path / "index"
    write_index(path, ())
    with Index(path, WIDTH) as index:
        assert bytes(32) not in index
        assert list(index.under(0)) == list(index.under(255)) == []


def test_rows_come_back_as_they_went(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    header = Header("tag", ("id", "name", "raw"), ("integer", "text", "bytes"))
    rows = [(1, 'é\n"\u0000', b""), (2**62, "", bytes(range(256))), (-1, "x" * 100_000, b"\xff")]
    count, size, sha256 = write_rows(path, header, rows)
    assert count == 3
    assert hash_file(path) == (size, sha256)
    with Rows(path) as found:
        assert found.header == header
        assert list(found) == rows


def test_the_same_rows_are_the_same_file(tmp_path: Path) -> None:
    """Nothing of when or where it was written is in it."""
    header = Header("tag", ("id",), ("integer",))
    told = {write_rows(tmp_path / name, header, [(1,)])[1:] for name in ("one", "two")}
    assert len(told) == 1


@pytest.mark.parametrize("place", [0, 5, 40, -9, -1])
def test_damaged_rows_are_noticed(tmp_path: Path, place: int) -> None:
    path = tmp_path / "rows"
    header = Header("tag", ("id", "raw"), ("integer", "bytes"))
    write_rows(
        path, header, [(number, hashlib.sha256(b"%d" % number).digest()) for number in range(100)]
    )
    raw = bytearray(path.read_bytes())
    raw[place] ^= 0xFF
    path.write_bytes(raw)

    def read() -> list[object]:
        with Rows(path) as rows:
            return list(rows)

    if place == 5:  # the time in gzip's header, which says nothing of the rows
        assert len(read()) == 100
    else:
        with pytest.raises(Damaged):
            read()


def test_rows_that_are_cut_off_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    write_rows(path, Header("tag", ("id",), ("integer",)), [(n,) for n in range(10_000)])
    os.truncate(path, path.stat().st_size // 2)
    with Rows(path) as rows, pytest.raises(Damaged):
        list(rows)
