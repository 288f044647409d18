"""The keys that bearer tokens are signed with: made, published, used, retired.

A new key is published for ten minutes before it signs, so that every process, and whoever has
fetched the key set, knows it by then; an old one is verified with until the last of its tokens has
run out. Which key signs follows from the rows and the time alone: no process tells another.
"""

import asyncio
from typing import Any

import msgspec
from joserfc.jwk import ECKey, OKPKey

from moorage.auth.cipher import Cipher
from moorage.clock import DAY, HOUR, MINUTE, Clock, new_id
from moorage.db import keys, locks
from moorage.db.engine import Database, Tx
from moorage.db.keys import StoredKey

LIFETIME = 30 * DAY
PUBLISHED = 10 * MINUTE
# The longest token, the grace of an upload's own address, and an hour for the clocks.
VERIFIED = 14 * HOUR
_KEPT_SECONDS = 60.0
_RELOAD_SECONDS = 5.0

Key = ECKey | OKPKey


class SigningKey(msgspec.Struct, frozen=True):
    """A key as it is used; without its private half it only verifies."""

    id: str
    algorithm: str
    key: Key
    can_sign: bool
    created_at: int


class KeyRing:
    """The registry's keys as one process knows them, read again once a minute."""

    def __init__(self, db: Database, clock: Clock, secret: bytes) -> None:
        """Keep them in the database, enciphered under the registry's secret."""
        self._db = db
        self._clock = clock
        self._cipher = Cipher(secret, "signing keys")
        self._known: dict[str, SigningKey] = {}
        self._loaded = float("-inf")
        self._loading = asyncio.Lock()

    async def signer(self) -> SigningKey:
        """Return the key that signs now; the first time of all, make one."""
        await self._refresh(_KEPT_SECONDS)
        return _signing([key for key in self._known.values() if key.can_sign], self._clock.now())

    async def find(self, key_id: str) -> SigningKey | None:
        """Return the key that a token names, None if it is none of ours.

        Any name at all may be asked for: the database is looked at once in five seconds at most.
        """
        await self._refresh(_KEPT_SECONDS)
        if key_id not in self._known:
            await self._refresh(_RELOAD_SECONDS)
        return self._known.get(key_id)

    async def published(self) -> list[dict[str, Any]]:
        """Return the public halves as a JWK set has them."""
        await self._refresh(_KEPT_SECONDS)
        return [
            {**each.key.as_dict(private=False), "kid": each.id, "alg": each.algorithm, "use": "sig"}
            for each in self._known.values()
        ]

    async def rotate(self, tx: Tx) -> None:
        """Make the next key when the newest is a month old, and retire those that it replaced."""
        now = self._clock.now()
        await locks.lock_keys(tx)
        live = [key for key in await keys.list_keys(tx, now) if self._opened(key).can_sign]
        if not live or live[-1].created_at <= now - LIFETIME:
            await keys.add_key(tx, self._new(now))
        for replaced in [key for key in live if key.created_at <= now - PUBLISHED][:-1]:
            await keys.retire_key(tx, replaced.id, now)

    async def _refresh(self, seconds: float) -> None:
        if self._is_fresh(seconds):
            return
        async with self._loading:
            if not self._is_fresh(seconds):
                self._known = await self._load()
                self._loaded = self._clock.monotonic()

    def _is_fresh(self, seconds: float) -> bool:
        return self._clock.monotonic() - self._loaded < seconds

    async def _load(self) -> dict[str, SigningKey]:
        since = self._clock.now() - VERIFIED

        async def read(tx: Tx) -> list[StoredKey]:
            return await keys.list_keys(tx, since)

        found = await self._db.read(read)
        if not any(self._opened(key).can_sign for key in found):
            await self._db.write(self.rotate)
            found = await self._db.read(read)
        return {key.id: self._opened(key) for key in found}

    def _new(self, now: int) -> StoredKey:
        made = ECKey.generate_key("P-256")
        key_id = new_id()
        private = self._cipher.seal(key_id, msgspec.json.encode(made.as_dict(private=True)))
        public = msgspec.json.encode(made.as_dict(private=False))
        return StoredKey(key_id, "ES256", private, public, now)

    def _opened(self, stored: StoredKey) -> SigningKey:
        # One that was sealed under another secret, as after a move by hand, only verifies.
        opened = self._cipher.open(stored.id, stored.private) if stored.private else None
        document = msgspec.json.decode(opened or stored.public)
        kind = OKPKey if document["kty"] == "OKP" else ECKey
        can_sign = opened is not None and not stored.retired_at
        imported = kind.import_key(document)
        return SigningKey(stored.id, stored.algorithm, imported, can_sign, stored.created_at)


def _signing(live: list[SigningKey], now: int) -> SigningKey:
    """Return the newest that everybody knows; before there is one, the oldest."""
    known = [key for key in live if key.created_at <= now - PUBLISHED]
    return known[-1] if known else live[0]
