"""How the registry is: what it runs on and how it is set, and what somebody should look at.

Nothing is repaired here; each concern is for the page or the command that does something about it.
"""

import asyncio
import platform
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.x509 import load_pem_x509_certificate

from moorage import __version__
from moorage.auth.policy import decide
from moorage.clock import DAY, SECOND
from moorage.config import flatten, written
from moorage.db import backups, collection_runs, damage, jobs, tokens
from moorage.db import replicas as replica_rows
from moorage.db.backups import Backup
from moorage.db.engine import Tx
from moorage.db.replicas import Replica
from moorage.model.access import Action, Actor, Facts, System
from moorage.registry import replicas, rights
from moorage.registry.services import Services
from moorage.registry.tokens import MOST_TOKENS

# What ends within these is told of before.
_SOON, _SOON_CERTIFICATE = 14 * DAY, 14 * DAY
# Whoever has made backups wants to know when they have stopped.
_OLD_BACKUP = 7 * DAY
# Below so many times of what pushes are refused at, somebody is told.
_NEARLY_FULL = 2
_MOST = 1_000


class Concern(msgspec.Struct, frozen=True):
    """Something that somebody should look at.

    `kind` is `token`, `jobs`, `disk`, `full`, `paused`, `damage`, `backup`, `servers` or
    `certificate`; the others are of what, how many or how much, and when, where that is known.
    """

    kind: str
    name: str = ""
    count: int = 0
    at: int = 0


class Setting(msgspec.Struct, frozen=True):
    """A setting, its value as TOML would have it without passwords, and where that is from."""

    key: str
    value: str
    origin: str


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """How the registry is; times are 0 for never, `free` is None where the store has no end.

    `servers` are those that were seen lately. `backup` is the last that is complete, None without
    one; `certificate_until` is 0 where there is none of the server's own.
    """

    version: str
    python: str
    answers: dict[str, bool]
    servers: tuple[Replica, ...]
    free: int | None
    free_least: int
    certificate_until: int
    backup: Backup | None
    restored_at: int
    concerns: tuple[Concern, ...]
    settings: tuple[Setting, ...]


class _Found(msgspec.Struct, frozen=True):
    servers: tuple[Replica, ...]
    backup: Backup | None
    restored_at: int
    dead: int
    paused: str
    damaged: int


async def find_condition(s: Services, actor: Actor) -> Condition:
    """Return how the registry is.

    Raises:
        Unauthorized, NotPermitted: the actor is no administrator.
    """
    await rights.require_administrator(s, actor)
    found, free, until = await _look(s)
    return Condition(
        version=__version__,
        python=platform.python_version(),
        answers=await s.readiness.look(),
        servers=found.servers,
        free=free,
        free_least=s.config.limits.free_bytes,
        certificate_until=until,
        backup=found.backup,
        restored_at=found.restored_at,
        concerns=_concerns(s, found, free, until),
        settings=tuple(
            Setting(key, written(value), s.origins.get(key, "")) for key, value in flatten(s.config)
        ),
    )


async def list_concerns(s: Services, actor: Actor, standing: Facts) -> list[Concern]:
    """Return what the actor should look at: its own tokens that end, and as administrator the rest.

    Whoever came by a credential that is confined to something is told nothing.
    """
    if actor.scopes is not None or actor.bound is not None:
        return []
    told: list[Concern] = []
    if actor.kind == "account" and standing.standing:
        told += await _ending(s, actor)
    if decide(actor, Action.ADMINISTER, System(), standing).allowed:
        told += _concerns(s, *await _look(s))
    return told


async def _ending(s: Services, actor: Actor) -> list[Concern]:
    number, now = actor.subject.principal_id, s.clock.now()
    found = await s.db.read(lambda tx: tokens.list_tokens(tx, number, 0, MOST_TOKENS, now))
    ending = [each for each in found if 0 < each.expires_at < now + _SOON]
    ending.sort(key=lambda each: each.expires_at)
    return [Concern("token", each.name, at=each.expires_at) for each in ending]


async def _look(s: Services) -> tuple[_Found, int | None, int]:
    now = s.clock.now()

    async def read(tx: Tx) -> _Found:
        pause = await collection_runs.find_pause(tx, now)
        return _Found(
            tuple(await replica_rows.list_replicas(tx, now - replicas.GONE, _MOST)),
            await backups.find_last(tx),
            await backups.find_restored(tx),
            await jobs.count_dead(tx, _MOST),
            pause.reason if pause is not None else "",
            await damage.count_open(tx, _MOST),
        )

    found = await s.db.read(read, pages=True)
    certificate = s.config.tls.cert
    until = await asyncio.to_thread(_ends_at, Path(certificate)) if certificate else 0
    return found, await s.blobs.free(), until


def _ends_at(certificate: Path) -> int:
    """Return when a certificate ends, 0 where it can't be read: the server says so in its log."""
    try:
        ends: datetime = load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return 0
    return int(ends.timestamp() * SECOND)


def _concerns(s: Services, found: _Found, free: int | None, until: int) -> tuple[Concern, ...]:
    now, least = s.clock.now(), s.config.limits.free_bytes
    told = []
    if found.damaged:
        told.append(Concern("damage", count=found.damaged))
    if free is not None and free < _NEARLY_FULL * least:
        told.append(Concern("full" if free < least else "disk", count=free))
    if until and until < now + _SOON_CERTIFICATE:
        told.append(Concern("certificate", at=until))
    if len({(each.version, each.settings) for each in found.servers}) > 1:
        told.append(Concern("servers", count=len(found.servers)))
    if found.paused:
        told.append(Concern("paused", found.paused))
    if found.dead:
        told.append(Concern("jobs", count=found.dead))
    if found.backup is not None and found.backup.taken_at < now - _OLD_BACKUP:
        told.append(Concern("backup", at=found.backup.taken_at))
    return tuple(told)
