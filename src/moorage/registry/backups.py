"""What the registry knows of its backups: how old the last is, and which still hold something."""

import asyncio
import platform
from collections.abc import Iterable
from pathlib import Path

import msgspec

from moorage.blobs.vault import Vault
from moorage.clock import SECOND
from moorage.db import backups as rows
from moorage.db.backups import Backup
from moorage.errors import Refused
from moorage.oci.digest import Digest
from moorage.registry import kept
from moorage.registry.services import Services

_MOST = 1_000


class Holder(msgspec.Struct, frozen=True):
    """A backup that holds some content; where that can't be looked up from here, it may."""

    backup: Backup
    is_certain: bool


async def tell_age(s: Services) -> None:
    """Tell the metrics how old the last complete backup is."""
    last = await s.db.read(rows.find_last)
    age = (s.clock.now() - last.taken_at) / SECOND if last is not None else float("inf")
    s.telemetry.metrics.backups.age.set(max(0.0, age))


async def find_holders(s: Services, digests: Iterable[Digest]) -> list[Holder]:
    """Return the backups that hold content of one of these digests, or may do so.

    Backups know content by its sha256 alone. Those on another host, or that this server's user
    can't read, may hold anything, and so may one that is being made.
    """
    known = await s.db.read(lambda tx: rows.list_backups(tx, "", _MOST), pages=True)
    wanted = [each.key[1:] for each in digests if each.algorithm == "sha256"]
    return await asyncio.to_thread(_holders, known, wanted) if known else []


def _holders(known: list[Backup], wanted: list[bytes]) -> list[Holder]:
    found = []
    for place in sorted({(each.host, each.place) for each in known}):
        here = [each for each in known if (each.host, each.place) == place]
        holding = _look(place, wanted)
        for each in here:
            if holding is None or each.state != rows.COMPLETE:
                found.append(Holder(each, is_certain=False))
            elif each.id in holding:
                found.append(Holder(each, is_certain=True))
    return found


def _look(place: tuple[str, str], wanted: list[bytes]) -> set[str] | None:
    """Return the ids of the backups there that hold something; None where nobody can tell."""
    host, path = place
    if host != platform.node() or not wanted:
        return None
    vault = Vault(Path(path))
    try:
        vault.require()
        return {each for sha256 in wanted for each in kept.holding(vault, sha256)}
    except (Refused, OSError):
        return None
