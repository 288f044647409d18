"""Backups in their directory: which one is meant, and manifests that are not ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from moorage.blobs.vault import MANIFEST, Vault
from moorage.errors import Refused
from moorage.model.backup import FORMAT, IndexFile, Manifest, TableFile
from moorage.oci.digest import digest_of
from moorage.registry import kept

NOW = 1_795_770_284_063


def manifest(number: str, **changes: Any) -> bytes:
    """Return the manifest of a backup without anything in it."""
    nothing = IndexFile(0, 0, "")
    made = Manifest(FORMAT, number, "0.1.0", 8, NOW, NOW, (), nothing, nothing, 0, (), {"blob": 1})
    return msgspec.json.encode(msgspec.structs.replace(made, **changes))


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """Return a directory with one complete backup."""
    made = Vault(tmp_path / "backups")
    made.make()
    number = made.new_id(NOW)
    made.begin(number)
    made.complete(number, manifest(number))
    return made


def test_the_directory_is_meant(vault: Vault) -> None:
    assert kept.find(vault.root)[1] == ""


def test_one_of_it_is_meant(vault: Vault) -> None:
    (number,) = vault.ids()
    found, chosen = kept.find(vault.directory(number))
    assert (found.root, chosen) == (vault.root, number)


def test_one_that_was_broken_off_is_none(vault: Vault) -> None:
    (number,) = vault.ids()
    (vault.directory(number) / MANIFEST).unlink()
    with pytest.raises(Refused, match="no complete backup") as refused:
        kept.find(vault.directory(number))
    assert refused.value.exit_code == 3


def test_it_is_known_by_its_digest(vault: Vault) -> None:
    (number,) = vault.ids()
    assert kept.read(vault, number).digest == digest_of(manifest(number))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": FORMAT + 1},
        {"id": "20260101T000000000Z-00000000"},
        {"tables": (TableFile("../../../../etc/passwd", 1, 1, ""),)},
        {"tables": (TableFile("tag; DROP TABLE tag", 1, 1, ""),)},
        {"tables": (TableFile("", 1, 1, ""),)},
    ],
)
def test_a_manifest_that_is_not_ours(vault: Vault, changes: dict[str, Any]) -> None:
    (number,) = vault.ids()
    (vault.directory(number) / MANIFEST).write_bytes(manifest(number, **changes))
    with pytest.raises(Refused):
        kept.read(vault, number)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b'{"format": "1"}'])
def test_a_manifest_that_is_none(vault: Vault, raw: bytes) -> None:
    (number,) = vault.ids()
    (vault.directory(number) / MANIFEST).write_bytes(raw)
    with pytest.raises(Refused, match="can't be read") as refused:
        kept.list_kept(vault)
    assert refused.value.exit_code == 7


def test_backups_know_no_other_algorithm() -> None:
    assert kept.key_of(digest_of(b"x")) == digest_of(b"x").key[1:]
    with pytest.raises(Refused, match="no sha256"):
        kept.key_of(digest_of(b"x", "sha512"))
