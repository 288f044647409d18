"""What the use cases work with, built once by `app.py` and passed by hand."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

from moorage.auth.assertions import Assertions
from moorage.auth.bearers import Bearers
from moorage.auth.cipher import Cipher
from moorage.auth.credentials import Authenticator, Guard
from moorage.auth.fair_use import FairUse
from moorage.auth.keys import KeyRing
from moorage.auth.openid import OpenId
from moorage.blobs.store import MarkedStore
from moorage.clock import Clock
from moorage.config import Config
from moorage.db.engine import Database, Tx
from moorage.events.outbox import Event
from moorage.jobs.queue import Queue
from moorage.model.access import Actor
from moorage.model.artifacts import TagChange
from moorage.registry.counting import PullCounts
from moorage.registry.following import Follower
from moorage.registry.hashing import Hashes
from moorage.registry.readiness import Readiness
from moorage.registry.refusals import Refusals
from moorage.registry.sessions import SessionIds
from moorage.telemetry import Telemetry
from moorage.web.clients import Proxies
from moorage.web.request import Request


class Events(Protocol):
    """Where events go, in the transaction of what they tell."""

    async def publish(self, tx: Tx, event: Event) -> None:
        """Write the event down."""
        ...


class Services(msgspec.Struct, frozen=True):
    """One process's parts; the first argument of every use case and handler."""

    config: Config
    clock: Clock
    db: Database
    blobs: MarkedStore
    events: Events
    auth: Authenticator
    assertions: Assertions
    guard: Guard
    fair_use: FairUse
    keys: KeyRing
    bearers: Bearers
    jobs: Queue
    second_factors: Cipher
    openid: OpenId
    provider_secrets: Cipher
    hashes: Hashes
    session_ids: SessionIds
    telemetry: Telemetry
    proxies: Proxies
    readiness: Readiness
    refusals: Refusals
    follower: Follower
    pulls: PullCounts
    # The management API's own document, encoded.
    openapi: Callable[[], bytes]
    # Where each setting's value is from, by its dotted key.
    origins: Mapping[str, str] = {}
    # Where the processes of this server find each other's private sockets.
    run_directory: Path | None = None


def change_by(actor: Actor, request: Request) -> TagChange:
    """Return who changes something by this request."""
    return TagChange(actor.name, actor.credential, request.id, address=request.client)
