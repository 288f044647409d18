"""Publishes events: an outbox row for consumers and an audit row for people, with the change."""

from typing import Any

import msgspec

from moorage.db import events as rows
from moorage.db.engine import Tx
from moorage.model.artifacts import Repository, TagChange

KEEP_FEED_DAYS = 7


class Event(msgspec.Struct, frozen=True):
    """Something that happened to a repository; `data` is what consumers are sent.

    Ids are 0 where it happened to the namespace as a whole, or to the registry.
    """

    kind: str
    repository_id: int
    at: int
    by: TagChange
    data: dict[str, Any]
    namespace_id: int = 0

    @classmethod
    def of(
        cls, repository: Repository, kind: str, at: int, by: TagChange, data: dict[str, Any]
    ) -> "Event":
        """Return what happened to that repository."""
        return cls(kind, repository.id, at, by, data, repository.namespace_id)


class Outbox:
    """The `Events` seam: whoever changes something publishes it in the same transaction."""

    async def publish(self, tx: Tx, event: Event) -> None:
        """Write the event for the fan-out job and for the audit trail."""
        payload = msgspec.json.encode(event.data, enc_hook=str)
        await rows.add_event(tx, event.kind, event.repository_id, payload, event.at)
        await rows.add_audit(
            tx,
            actor=event.by.actor,
            credential=event.by.credential,
            request_id=event.by.request_id,
            action=event.kind,
            repository_id=event.repository_id,
            namespace_id=event.namespace_id,
            address=event.by.address,
            detail=payload,
            now=event.at,
        )
