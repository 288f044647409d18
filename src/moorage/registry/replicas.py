"""Replicas tell one another that they are there, so that somebody can see whether they agree.

Nothing is decided by it: any replica may stop at any moment, and no other one waits for it.
"""

import hashlib
import platform

import msgspec

from moorage import __version__
from moorage.clock import DAY, MINUTE
from moorage.config import Config, flatten
from moorage.db import replicas
from moorage.db.engine import Tx
from moorage.db.replicas import Replica
from moorage.registry.services import Services

# So often a server tells the others that it is there.
EVERY_SECONDS = 30
# A server that has not been seen for so long is not there.
GONE = 2 * MINUTE
_MOST = 1_000
# What two replicas may well have differently: where they listen, how much they take of a machine.
_OWN = {"listen", "data", "workers", "database", "database_connections", "admin_password_file"}
_OWN_TABLES = ("tls.", "log.", "s3.", "limits.keepalive", "limits.drain", "limits.free")


def fingerprint(config: Config) -> str:
    """Return a digest of the settings that all replicas of a registry must have alike."""
    shared = [
        (key, value)
        for key, value in flatten(config)
        if key not in _OWN and not key.startswith(_OWN_TABLES)
    ]
    return hashlib.sha256(msgspec.json.encode(shared)).hexdigest()[:16]


async def announce(s: Services, name: str) -> None:
    """Tell the others that the server of that name is there, which it keeps while it runs."""
    now = s.clock.now()
    seen = Replica(name, platform.node(), __version__, fingerprint(s.config), now)

    async def write(tx: Tx) -> None:
        await replicas.put_replica(tx, seen)
        await replicas.forget_replicas(tx, now - DAY)

    await s.db.write(write)


async def list_present(s: Services) -> list[Replica]:
    """Return the servers that are there."""
    return await s.db.read(
        lambda tx: replicas.list_replicas(tx, s.clock.now() - GONE, _MOST), pages=True
    )
